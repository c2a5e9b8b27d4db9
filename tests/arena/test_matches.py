import numpy as np
import pandas as pd
import pytest

from workbench.arena import Matches, wilson_interval


def test_wilson_interval_by_hand():
    # p = 8/10, z = 1.96: centre (.8 + .19208) / 1.38416 = .71673, half 1.96 sqrt(.016 + .009604) / 1.38416 = .22658
    low, high = wilson_interval(8, 10, z=1.96)
    assert (round(float(low), 4), round(float(high), 4)) == (0.4902, 0.9433)
    # no wins at all: low is 0, high z^2 / (n + z^2)
    low, high = wilson_interval(0, 10, z=1.96)
    assert low == 0.0
    assert high == pytest.approx(3.8416 / 13.8416)


def test_wilson_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    for truth in (0.05, 0.5, 0.9):
        low, high = wilson_interval(generator.binomial(50, truth, 20_000), 50)
        assert 0.92 < ((low <= truth) & (truth <= high)).mean() < 0.98


def test_scores_by_hand_from_either_seat(results):
    matches = results(("a", "b", 1), ("b", "a", 1), ("b", "a", -1), ("a", "b", 0), ("a", "c", -1))
    score = matches.score("a", "b")
    assert (score.games, score.wins, score.draws, score.losses, score.rate) == (4, 2, 1, 1, 0.625)
    assert matches.score("b", "a").rate == 0.375
    everybody = matches.score("a")
    assert (everybody.games, everybody.wins, everybody.draws, everybody.losses) == (5, 2, 1, 2)
    assert np.isnan(matches.score("b", "c").rate)
    assert score.low < 0.625 < score.high
    assert (1 - score.high, 1 - score.low) == pytest.approx((matches.score("b", "a").low, matches.score("b", "a").high))


def test_win_rates_of_every_pair_that_met(results):
    rates = results(("a", "b", 1), ("b", "a", 0), ("b", "c", -1)).win_rates().set_index(["policy", "opponent"])
    assert sorted(rates.index) == [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")]
    assert rates.loc[("a", "b"), "win_rate"] == 0.75
    assert rates.loc[("b", "a"), "win_rate"] == 0.25
    assert rates.loc[("c", "b"), "win_rate"] == 1.0


def test_games_against_oneself_say_nothing(results):
    matches = results(("a", "a", 1), ("a", "a", -1), ("a", "b", 1))
    assert matches.score("a").games == 1
    assert len(matches.win_rates()) == 2


def test_names_that_begin_alike_stay_apart(results):
    names = [f"gen_{i:03d}/06_finetune/policy-checkpoint-{i}" for i in range(12)]
    matches = results(*[(name, "random", 1) for name in names])
    assert matches.policies == [names[0], "random", *names[1:]]
    assert [matches.score(name).games for name in names] == [1] * 12


def test_sides_show_a_game_to_both_players(results):
    sides = results(("a", "b", -1), ("b", "a", 0)).sides()
    assert sides[["match_id", "policy", "opponent", "seat", "score"]].to_numpy().tolist() == [
        ["m0", "a", "b", 0, 0.0],
        ["m0", "b", "a", 1, 1.0],
        ["m1", "b", "a", 0, 0.5],
        ["m1", "a", "b", 1, 0.5],
    ]


def test_saved_and_loaded_is_the_same(results, tmp_path):
    matches = results(("a", "b", 1), ('ünïcode, "quoted"', "b", 0))
    matches.table.loc[0, "seed"] = np.uint64(2**64 - 1)
    matches.save(tmp_path / "new" / "folder")
    loaded = Matches.load(tmp_path / "new" / "folder")
    pd.testing.assert_frame_equal(loaded.table, matches.table)
    assert loaded.table["seed"].iloc[0] == 2**64 - 1
    csv = pd.read_csv(tmp_path / "new" / "folder" / "matches.csv", dtype={"seed": "uint64"})
    assert csv["seed"].tolist() == matches.table["seed"].tolist()
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["matches.csv", "matches.parquet"]


def test_no_games_at_all(tmp_path):
    empty = Matches.empty()
    empty.save(tmp_path)
    assert len(Matches.load(tmp_path)) == 0
    assert len(Matches.concat([])) == 0
    assert "no games" in repr(empty)
    assert "0 games" in empty._repr_html_()


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table of matches"):
        Matches.load(tmp_path)
    (tmp_path / "matches.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(ValueError, match="not a readable Parquet table"):
        Matches.load(tmp_path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("outcome", 2, "outcome 2 in row 1"),
        ("outcome", 0.5, "values that int8 cannot"),
        ("length", "long", "cannot be read as int32"),
        ("policy_0", None, "lacks a value in row 1"),
        ("policy_0", 7, "expected text"),
        ("match_id", "m0", "occur twice, first 'm0'"),
    ],
)
def test_wrong_values_are_named(results, column, value, message):
    table = results(("a", "b", 1), ("a", "b", -1)).table
    table[column] = table[column].astype(object)
    table.loc[1, column] = value
    with pytest.raises(ValueError, match=message):
        Matches(table)


def test_wrong_columns_are_named(results):
    table = results(("a", "b", 1)).table
    with pytest.raises(ValueError, match=r"missing columns \['seed'\], unknown columns \['sede'\]"):
        Matches(table.rename(columns={"seed": "sede"}))


def test_a_game_that_stands_in_two_tables_counts_once(results):
    one = results(("a", "b", 1), ("a", "b", 0))
    other = Matches(one.table.assign(started=pd.Timestamp("2027-01-01", tz="UTC"), seconds=9.0))
    both = Matches.concat([one, other])
    pd.testing.assert_frame_equal(both.table, one.table)


def test_other_games_under_the_same_ids_are_refused(results):
    one, other = results(("a", "b", 1), ("a", "b", 0)), results(("a", "b", 1), ("a", "b", -1))
    with pytest.raises(ValueError, match=r"match 'm1' \(a against b\) was played twice with different outcome"):
        Matches.concat([one, other])


def test_who_did_not_play_is_named(results):
    with pytest.raises(KeyError, match="'c' did not play"):
        results(("a", "b", 1)).score("c")


def test_html_is_inline_and_escaped(results):
    html = results(("<script>alert(1)</script>", "b", 1))._repr_html_()
    assert "<script" not in html
    assert "<style" not in html
    assert "&lt;script&gt;" in html


def test_many_pairs_are_shown_in_part(results):
    html = results(*[(f"p{i}", "b", 1) for i in range(50)])._repr_html_()
    assert html.count("<tr>") == 46
    assert "5 more pairs" in html
