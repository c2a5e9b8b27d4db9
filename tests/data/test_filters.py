"""Filters on a folder made by hand, with every number worked by hand."""

import json
from pathlib import Path

import lz4.frame
import pytest

from workbench.data import games
from workbench.data.datasets import Dataset
from workbench.data.filters import STATS_FILE, Filters, filter_folder
from workbench.data.folders import add_chunks


@pytest.fixture
def folder(make_trajectory, tmp_path):
    """Eight games in two chunks, both views each.

    game  decisions  outcome  illegal actions of seat 0
    0     20         won      0
    1     20         won      1   (5%: just allowed)
    2     20         won      2   (10%)
    3     9          won      0   (too short)
    4     1001       lost     0   (too long)
    5     10         lost     0
    6     1000       drawn    0
    7     40         won      0
    """
    inner = tmp_path / "in" / "toy"
    inner.mkdir(parents=True)
    facts = [(20, 1, 0), (20, 1, 1), (20, 1, 2), (9, 1, 0), (1001, -1, 0), (10, -1, 0), (1000, 0, 0), (40, 1, 0)]
    views = [
        make_trajectory(number, seat, decisions, outcome if seat == 0 else -outcome, illegal if seat == 0 else 0)
        for number, (decisions, outcome, illegal) in enumerate(facts)
        for seat in (0, 1)
    ]
    games.write_chunk(inner / "games-0.parquet", views[:8])
    games.write_chunk(inner / "games-1.parquet", views[8:])
    return inner.parent


def kept(folder):
    return sorted((int(one.game.match_id[5:]), one.game.seat) for one in Dataset(folder))


def test_by_hand_without_balance(folder, tmp_path):
    stats = filter_folder(folder, tmp_path / "out", balance_outcomes=False)
    assert kept(tmp_path / "out") == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 1),
        (5, 0),
        (5, 1),
        (6, 0),
        (6, 1),
        (7, 0),
        (7, 1),
    ]
    assert json.loads((tmp_path / "out" / STATS_FILE).read_text()) == stats
    assert (stats["input_count"], stats["output_count"], stats["filter_rate"]) == (16, 11, 11 / 16)
    assert stats["failed_reasons"] == {"too_short": 2, "too_long": 2, "invalid_actions": 1}
    assert stats["filters"] == {
        "max_invalid_rate": 0.05,
        "min_turns": 10,
        "max_turns": 1000,
        "balance_outcomes": False,
        "won_only": False,
        "seed": 42,
    }
    assert stats["games"]["input"] == {"trajectories": 16, "games": 8, "with_both_views": 8, "with_one_view": 0}
    assert stats["games"]["output"] == {"trajectories": 11, "games": 6, "with_both_views": 5, "with_one_view": 1}
    assert stats["outcomes"]["input"] == {"won": 7, "lost": 7, "drawn": 2}
    assert stats["outcomes"]["output"] == {"won": 4, "lost": 5, "drawn": 2}
    assert stats["decisions"] == {"input": 2 * 2120, "output": 2 * (20 + 20 + 10 + 1000 + 40) + 20}
    assert stats["illegal_actions"] == {"input": 3, "output": 1, "trajectories_where_unknown": 0}
    assert stats["damaged_files"] == []


def test_balance_draws_from_the_more_frequent_side_by_seed(folder, tmp_path):
    stats = filter_folder(folder, tmp_path / "out")
    assert stats["outcomes"]["output"] == {"won": 4, "lost": 4, "drawn": 2}
    assert stats["failed_reasons"] == {"too_short": 2, "too_long": 2, "invalid_actions": 1, "unbalanced": 1}
    assert stats["input_count"] == stats["output_count"] + sum(stats["failed_reasons"].values())
    first = kept(tmp_path / "out")
    filter_folder(folder, tmp_path / "again")
    assert kept(tmp_path / "again") == first
    seeds = {tuple(kept(filter_to(folder, tmp_path / f"seed{seed}", seed))) for seed in range(8)}
    assert len(seeds) > 1


def filter_to(folder, output, seed):
    filter_folder(folder, output, seed=seed)
    return output


def test_won_only(folder, tmp_path):
    stats = filter_folder(folder, tmp_path / "out", won_only=True)
    assert kept(tmp_path / "out") == [(0, 0), (1, 0), (5, 1), (7, 0)]
    assert stats["failed_reasons"]["not_won"] == 7 and stats["outcomes"]["output"] == {"won": 4, "lost": 0, "drawn": 0}


def test_nothing_passes(folder, tmp_path):
    stats = filter_folder(folder, tmp_path / "out", min_turns=5000, max_turns=6000)
    assert stats["output_count"] == 0 and stats["filter_rate"] == 0 and stats["failed_reasons"] == {"too_short": 16}
    with pytest.raises(FileNotFoundError, match="no games"):
        Dataset(tmp_path / "out")


def test_thresholds_are_checked():
    with pytest.raises(ValueError, match="max_invalid_rate is 5"):
        Filters(max_invalid_rate=5)
    with pytest.raises(ValueError, match="min_turns 20 and max_turns 10"):
        Filters(min_turns=20, max_turns=10)


def test_kept_trajectories_are_whole(folder, tmp_path):
    filter_folder(folder, tmp_path / "out", balance_outcomes=False)
    before = {(one.game.match_id, one.game.seat): one for one in Dataset(folder)}
    for one in Dataset(tmp_path / "out"):
        same = before[one.game.match_id, one.game.seat]
        assert one.game == same.game and (one.action == same.action).all() and one.illegal == same.illegal
        assert (one.observation["number"] == same.observation["number"]).all() and (one.reward == same.reward).all()


def test_damaged_files_are_named_and_counted(folder, scramble, tmp_path):
    cut, scrambled = folder / "toy" / "games-0.parquet", folder / "toy" / "games-1.parquet"
    scramble(scrambled)
    stats = filter_folder(folder, tmp_path / "out")
    assert stats["failed_reasons"]["load_error"] == 8 and stats["input_count"] == 16
    assert [one["file"] for one in stats["damaged_files"]] == [scrambled.relative_to(folder).as_posix()]
    cut.write_bytes(cut.read_bytes()[:-5])
    stats = filter_folder(folder, tmp_path / "out")  # its own earlier output is replaced
    assert {one["file"] for one in stats["damaged_files"]} == {
        one.relative_to(folder).as_posix() for one in (scrambled, cut)
    }
    # how many trajectories the cut one held nobody knows any more: it counts as one
    assert (stats["input_count"], stats["output_count"], stats["failed_reasons"]) == (9, 0, {"load_error": 9})


def test_output_is_never_somebody_elses(folder, tmp_path):
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(FileExistsError, match="not empty and not an earlier output"):
        filter_folder(folder, occupied)
    (occupied / STATS_FILE).write_text('{"input_count": 3}')  # somebody else's figures
    with pytest.raises(FileExistsError):
        filter_folder(folder, occupied)
    assert (occupied / "thesis.txt").read_text() == "irreplaceable"
    for inside in (folder, folder / "out", folder.parent):
        with pytest.raises(ValueError, match="within each other"):
            filter_folder(folder, inside)
    with pytest.raises(FileNotFoundError):
        filter_folder(tmp_path / "absent", tmp_path / "out")


def test_interrupted_filtering_leaves_the_earlier_output(folder, tmp_path, monkeypatch):
    filter_folder(folder, tmp_path / "out", min_turns=15)
    before = kept(tmp_path / "out")

    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(games, "write_chunk", full)
    with pytest.raises(OSError, match="no space"):
        filter_folder(folder, tmp_path / "out")
    assert kept(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_progress_reaches_the_end(folder, tmp_path):
    seen = []
    filter_folder(folder, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(8, 16), (16, 16)]


HAND_WRITTEN = Path(__file__).parent / "files" / "metamon-gen1ou-0123456789_1423_alice_vs_bob_02-29-2024_WIN.json"


def test_metamons_own_files(tmp_path):
    """Three decisions, one of them unrevealed: not illegal, and the padding of the end is no action at all."""
    inner = tmp_path / "replays" / "gen1ou"
    inner.mkdir(parents=True)
    packed = lz4.frame.compress(HAND_WRITTEN.read_bytes(), content_checksum=True)
    good, cut = (f"metamon-gen1ou-{n}_1423_alice_vs_bob_02-29-2024_WIN.json.lz4" for n in (1, 2))
    (inner / good).write_bytes(packed)
    (inner / cut).write_bytes(packed[: len(packed) // 2])
    (inner / "metamon-gen1ou-3_1423_al_ice_vs_bob_02-29-2024_WIN.json.lz4").write_bytes(packed)
    stats = filter_folder(inner, tmp_path / "out" / "gen1ou", max_invalid_rate=0.0, min_turns=3, won_only=True)
    assert (stats["input_count"], stats["output_count"], stats["failed_reasons"]) == (3, 1, {"load_error": 2})
    assert stats["illegal_actions"] == {"input": 0, "output": 0, "trajectories_where_unknown": 1}
    assert [Path(one["file"]).name for one in stats["damaged_files"]] == [
        "metamon-gen1ou-3_1423_al_ice_vs_bob_02-29-2024_WIN.json.lz4",
        cut,
    ]
    assert (tmp_path / "out" / "gen1ou" / good).read_bytes() == packed
    (one,) = Dataset(tmp_path / "out")
    assert (len(one), one.game.policy, one.game.opponent, one.game.outcome) == (3, "alice", "bob", 1)
    assert one.action[:, 0].tolist() == [1, -1, 4] and one.illegal == 0
    assert add_chunks(inner) == 1 and add_chunks(inner) == 0  # read once, then from a chunk, to the same effect
    (again,) = Dataset(inner)
    assert again.game == one.game and (again.reward == one.reward).all() and (again.legal[0] == one.legal[0]).all()
    for name, values in one.observation.items():
        assert (again.observation[name] == values).all()
    assert stats == filter_folder(inner, tmp_path / "out" / "gen1ou", max_invalid_rate=0.0, min_turns=3, won_only=True)
    assert filter_folder(inner, tmp_path / "longer", min_turns=4)["failed_reasons"] == {"load_error": 2, "too_short": 1}
