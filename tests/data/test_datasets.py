"""Datasets: every trajectory once an epoch, mixtures by weight, splits by game, and going on bit for bit."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from workbench.data import datasets, games
from workbench.data.datasets import Dataset, EmptyDataset


@pytest.fixture
def folder_of(make_trajectory, tmp_path):
    """folder_of(name, first game, games, a chunk): both views of each game, the first seat winning."""

    def make(name, first, count, chunk=10):
        folder = tmp_path / name / "toy"
        folder.mkdir(parents=True)
        views = [
            make_trajectory(number, seat, decisions=2 + number % 5, outcome=1 - 2 * seat)
            for number in range(first, first + count)
            for seat in (0, 1)
        ]
        for at in range(0, len(views), chunk):
            games.write_chunk(folder / f"games-{at:04d}.parquet", views[at : at + chunk])
        return folder.parent

    return make


def names(some):
    return [(one.game.match_id, one.game.seat) for one in some]


def test_an_epoch_has_every_trajectory_once_in_a_new_order_each_time(folder_of, toy_spec):
    dataset = Dataset(folder_of("a", 0, 60), spec=toy_spec, seed=1)
    assert (len(dataset), dataset.games) == (120, 60)
    first, second = names(dataset.sample(120)), names(dataset.sample(120))
    assert len(set(first)) == 120 and set(first) == set(second) == set(names(dataset))
    assert first != second and first != names(dataset)
    assert first == names(Dataset(folder_of("b", 0, 60), seed=1).sample(120))
    assert first != names(Dataset(folder_of("c", 0, 60), seed=2).sample(120))


def test_views_of_one_player_only(folder_of, toy_spec):
    folders = [folder_of("a", 0, 6), folder_of("b", 6, 6)]
    players = {one.game.policy for one in Dataset(folders[0])}
    assert len(players) == 2
    chosen = sorted(players)[0]
    mixed = Dataset(folders, seen_from=[chosen, None])
    assert [len(folder.entries) for folder in mixed.folders] == [6, 12]
    assert {one.game.policy for one in list(mixed)[:6]} == {chosen}
    with pytest.raises(EmptyDataset, match="seen from 'nobody', split 'all'"):
        Dataset(folders[0], seen_from=["nobody"])
    with pytest.raises(ValueError, match="for each of 2 folders"):
        Dataset(folders, seen_from=[chosen])


def test_batches_can_be_gone_through_again_and_hold_one_chunk_at_a_time(folder_of, monkeypatch):
    dataset = Dataset(folder_of("a", 0, 12))  # 24 views in chunks of 10, 10 and 4
    batches = dataset.in_batches(7)
    expected = [game.match_id for game in (one.game for one in dataset)]
    for _ in range(2):
        seen = [batch.games for batch in batches]
        assert [len(games) for games in seen] == [7, 7, 7, 3] and len(batches) == 4
        assert [game.match_id for games in seen for game in games] == expected
    read, original = [], datasets.read_entries
    monkeypatch.setattr(
        datasets, "read_entries", lambda *given, **options: read.append(1) or original(*given, **options)
    )
    next(iter(batches))
    assert len(read) == 1
    with pytest.raises(ValueError, match="count is 0"):
        dataset.in_batches(0)


def test_few_chunks_are_in_memory_and_each_is_read_once(folder_of, monkeypatch):
    read = []
    original = datasets.read_entries

    def counted(entries, **options):
        read.append(Counter(entry.source.name for entry in entries))
        return original(entries, **options)

    monkeypatch.setattr(datasets, "read_entries", counted)
    monkeypatch.setattr(datasets, "WINDOW_SHARDS", 4)
    dataset = Dataset(folder_of("a", 0, 60))
    dataset.sample(120)
    assert len(read) == 3 and all(len(window) == 4 for window in read)
    assert sum(read, Counter()) == {f"games-{at:04d}.parquet": 10 for at in range(0, 120, 10)}


def test_weights_mix_folders(folder_of):
    small, large = folder_of("small", 0, 5), folder_of("large", 1000, 50)
    drawn = Counter(int(one.game.match_id[5:]) >= 1000 for one in Dataset([small, large], [0.75, 0.25]).sample(2000))
    assert 0.22 < drawn[True] / 2000 < 0.28
    drawn = Counter(int(one.game.match_id[5:]) >= 1000 for one in Dataset([small, large]).sample(2000))
    assert 0.88 < drawn[True] / 2000 < 0.94  # 100 of 110
    assert all(int(one.game.match_id[5:]) < 1000 for one in Dataset([small, large], [1, 0]).sample(50))
    for wrong in ([1], [0, 0], [-1, 2], [np.nan, 1]):
        with pytest.raises(ValueError, match="weights"):
            Dataset([small, large], wrong)


def test_split_keeps_games_together(folder_of):
    folder = folder_of("a", 0, 200)
    train, validation = (Dataset(folder, split=part, validation_fraction=0.25) for part in ("train", "validation"))
    ids = [{one.game.match_id for one in part} for part in (train, validation)]
    assert not ids[0] & ids[1] and len(ids[0] | ids[1]) == 200
    assert 30 < len(ids[1]) < 70 and len(validation) == 2 * len(ids[1])
    other = Dataset(folder, split="validation", validation_fraction=0.25, seed=9)
    assert {one.game.match_id for one in other} == ids[1]
    with pytest.raises(ValueError, match="split is 'test'"):
        Dataset(folder, split="test")


def test_won_only(folder_of):
    won = Dataset(folder_of("a", 0, 20), won_only=True)
    assert len(won) == won.games == 20 and {one.game.outcome for one in won} == {1}


@pytest.mark.parametrize("taken", [0, 7, 95, 230])
def test_goes_on_bit_for_bit(folder_of, taken):
    folders = [folder_of("a", 0, 30), folder_of("b", 100, 20)]
    whole = Dataset(folders, seed=4, length=3)
    whole.sample(taken)
    state = json.loads(json.dumps(whole.state()))
    expected = [whole.batch(5) for _ in range(60)]
    again = Dataset(folders, seed=99, length=3)
    again.sample(3)
    again.restore(state)
    for wanted in expected:
        found = again.batch(5)
        assert found.games == wanted.games
        for name in ("action", "reward", "ended", "lengths"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        np.testing.assert_array_equal(found.observations["number"], wanted.observations["number"])
    with pytest.raises(ValueError, match="2 folders with 100 trajectories, length 3; here are 1 with 60, length 3"):
        Dataset(folders[:1], length=3).restore(state)


def test_an_epoch_of_stretches_has_every_decision_once(folder_of):
    dataset = Dataset(folder_of("a", 0, 50), seed=3, length=4)
    every = {
        (f"game-{number}", seat, decision)
        for number in range(50)
        for seat in (0, 1)
        for decision in range(2 + number % 5)
    }
    parts = sum(-(-(2 + number % 5) // 4) for number in range(50)) * 2  # games of 5 and 6 decisions come in two
    for _ in range(2):
        seen = []
        for one in dataset.sample(parts):
            assert len(one) <= 4
            begin = int(one.observation["number"][0, 1])
            decisions = 2 + int(one.game.match_id[5:]) % 5
            assert one.ends == (begin + len(one) == decisions)
            seen += [(one.game.match_id, one.game.seat, begin + at) for at in range(len(one))]
        assert len(seen) == len(every) and set(seen) == every
    assert dataset.batch(40).acting.shape == (4, 40)
    with pytest.raises(ValueError, match="length is 0"):
        Dataset(dataset.folders[0].path, length=0)


def test_damaged_files_are_named_and_passed_over(folder_of, scramble):
    folder = folder_of("a", 0, 20)
    cut, scrambled = folder / "toy" / "games-0000.parquet", folder / "toy" / "games-0010.parquet"
    cut.write_bytes(cut.read_bytes()[:500])
    scramble(scrambled)
    (folder / "toy" / ".games-0050.parquet.x.part").write_bytes(b"half-written")
    dataset = Dataset(folder)
    drawn = dataset.sample(60)
    assert len(set(names(drawn))) == 20
    assert {path for path, _ in dataset.skipped} == {cut, scrambled} and len(dataset.skipped) == 2
    assert all(path.name in reason for path, reason in dataset.skipped)


def test_nothing_to_read(folder_of, scramble, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Dataset(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no games; expected games-"):
        Dataset(tmp_path / "empty")
    folder = folder_of("a", 0, 3)
    with pytest.raises(EmptyDataset, match=r"no trajectories left .*validation"):
        Dataset(folder, split="validation", validation_fraction=0)
    for chunk in (folder / "toy").iterdir():
        scramble(chunk)
    with pytest.raises(EmptyDataset, match="no trajectory can be read"):
        Dataset(folder).sample(1)


def test_games_of_another_version_are_refused(folder_of, toy_spec):
    newer = dataclasses.replace(toy_spec, version=2)
    with pytest.raises(ValueError, match=rf"toy \({toy_spec.fingerprint}\) do not belong .* \({newer.fingerprint}\)"):
        Dataset(folder_of("a", 0, 3), spec=newer).sample(1)
