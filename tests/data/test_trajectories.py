"""Trajectories and batches: padding by hand, windows, splits, chunks on disk."""

import dataclasses

import numpy as np
import pytest

from workbench.data import games
from workbench.data.files import DamagedFile
from workbench.data.trajectories import check_fits, held_out, pad


def test_pad_by_hand(make_trajectory):
    batch = pad([make_trajectory(7, decisions=2, outcome=1), make_trajectory(8, decisions=3, outcome=-1)])
    assert batch.lengths.tolist() == [2, 3] and len(batch) == 2
    assert batch.acting.tolist() == [[True, True], [True, True], [False, True]]
    assert batch.reset.tolist() == [[True, True], [False, False], [False, False]]
    assert batch.ended.tolist() == [[False, False], [True, False], [False, True]]
    assert batch.observations["number"].shape == (4, 2, 2)
    assert batch.observations["number"][:, 0].tolist() == [[7, 0], [7, 1], [7, 2], [0, 0]]
    assert batch.observation["number"][:, 1].tolist() == [[8, 0], [8, 1], [8, 2]]
    assert batch.next_observation["number"][:, 1].tolist() == [[8, 1], [8, 2], [8, 3]]
    assert batch.action.dtype == np.int64 and batch.action[:, 0].tolist() == [[0, 0], [0, 0], [-1, -1]]
    assert np.allclose(batch.reward, [[0, 0], [0.1, 0.1], [0, 0.2]])
    assert batch.log_prob[:2, 0].tolist() == [0, -1] and np.isnan(batch.log_prob[2, 0])
    assert batch.legal[0].all() and batch.legal[0].shape == (3, 2, 3)
    assert batch.outcome.tolist() == [1, -1]


def test_cut_games_and_windows_do_not_end(make_trajectory):
    whole, cut = make_trajectory(1, decisions=4), make_trajectory(2, decisions=4, truncated=True)
    assert pad([whole, cut]).ended[-1].tolist() == [True, False]
    window = whole.window(1, 2)
    assert window.observation["number"].tolist() == [[1, 1], [1, 2], [1, 3]]
    assert window.reward.tolist() == whole.reward[1:3].tolist()
    assert not pad([window]).ended.any() and pad([whole.window(2, 2)]).ended[-1, 0]
    assert len(whole.window(3, 10)) == 1
    with pytest.raises(IndexError, match="starts at 4"):
        whole.window(4, 1)


def test_stretches_hold_every_decision_once(make_trajectory):
    for decisions, length, expected in (
        (5, 5, [5]),
        (6, 5, [3, 3]),
        (11, 5, [3, 4, 4]),
        (1, 5, [1]),
        (4, 1, [1, 1, 1, 1]),
    ):
        parts = make_trajectory(1, decisions=decisions).stretches(length)
        assert [len(part) for part in parts] == expected
        assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
        seen = np.concatenate([part.observation["number"][:-1, 1] for part in parts])
        assert seen.tolist() == list(range(decisions))


def test_unknown_actions_are_not_known_and_not_illegal(make_trajectory):
    one = make_trajectory(1, decisions=4, illegal=2)
    assert one.illegal == 2
    one.action[0, 0] = -1
    assert one.illegal == 1
    assert pad([one]).known[:, 0].tolist() == [False, True, True, True]


def test_pad_refuses_nothing_and_mixtures(make_trajectory):
    with pytest.raises(ValueError, match="at least one"):
        pad([])
    one = make_trajectory(1)
    other = dataclasses.replace(one, game=dataclasses.replace(one.game, env="another"))
    with pytest.raises(ValueError, match="one env"):
        pad([one, other])


def test_held_out_is_a_property_of_the_game():
    ids = [f"game-{number}" for number in range(4000)]
    out = {match for match in ids if held_out(match, 0.2)}
    assert 700 < len(out) < 900
    assert out == {match for match in ids if held_out(match, 0.2)}
    assert out < {match for match in ids if held_out(match, 0.3)}
    assert out != {match for match in ids if held_out(match, 0.2, seed=1)}
    assert not any(held_out(match, 0) for match in ids) and all(held_out(match, 1) for match in ids)


def test_check_fits_names_the_difference(make_trajectory, toy_spec):
    one = make_trajectory(3)
    check_fits(one, toy_spec)
    one.observation["number"] = one.observation["number"][:, :1]
    with pytest.raises(ValueError, match=r"game-3.*'number' is float32 \[1\], expected float32 \[2\]"):
        check_fits(one, toy_spec)


def test_chunk_keeps_everything(make_trajectory, tmp_path):
    given = [make_trajectory(n, seat=n % 2, decisions=n + 1, outcome=1 - n, illegal=n) for n in range(3)]
    path = games.write_chunk(tmp_path / "games-1.parquet", given)
    read = games.read_chunk(path)
    assert len(read) == 3
    for one, back in zip(given, read, strict=True):
        assert back.game == one.game and back.view is None
        for name, values in one.observation.items():
            assert back.observation[name].dtype == values.dtype
            np.testing.assert_array_equal(back.observation[name], values)
        for mask, kept in zip(one.legal, back.legal, strict=True):
            np.testing.assert_array_equal(kept, mask)
        for name in ("action", "reward", "log_prob"):
            assert getattr(back, name).dtype == getattr(one, name).dtype
            np.testing.assert_array_equal(getattr(back, name), getattr(one, name))
    index = games.read_index(path)
    assert [(file, game, count, wrong) for file, game, count, wrong in index] == [
        ("", given[n].game, n + 1, n) for n in range(3)
    ]
    assert [one.game.match_id for one in games.read_chunk(path, [2, 0])] == ["game-2", "game-0"]


def test_damaged_chunk_is_named(make_trajectory, tmp_path):
    path = games.write_chunk(tmp_path / "games-1.parquet", [make_trajectory(1)])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for read in (games.read_chunk, games.read_index):
        with pytest.raises(DamagedFile, match=r"games-1\.parquet"):
            read(path)
    (tmp_path / "games-2.parquet").write_bytes(b"")
    with pytest.raises(DamagedFile, match=r"games-2\.parquet"):
        games.read_chunk(tmp_path / "games-2.parquet")


def test_failed_write_leaves_the_old_chunk(make_trajectory, tmp_path, monkeypatch):
    path = games.write_chunk(tmp_path / "games-1.parquet", [make_trajectory(1)])
    before = path.read_bytes()

    def full(table, target, **options):
        target.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(games.pq, "write_table", full)
    with pytest.raises(OSError, match="no space"):
        games.write_chunk(path, [make_trajectory(2)])
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_chunk_refuses_a_mixture_of_fields(make_trajectory, tmp_path):
    one, other = make_trajectory(1), make_trajectory(2)
    del other.observation["token"]
    with pytest.raises(ValueError, match=r"same fields; game game-2"):
        games.write_chunk(tmp_path / "games-1.parquet", [one, other])
