"""Two sides against the same opponents: who meets whom, differences by hand, and what is said of them."""

import pandas as pd
import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench import metagame
from workbench.arena import SerialExecutor
from workbench.metagame.comparison import difference
from workbench.metagame.iteration import Gain


def test_sides_meet_opponents_and_each_other_and_opponents_do_not(tmp_path):
    matches = metagame.play_sides(
        "rps", {"a": "rps/rock", "b": "rps/paper"}, {"c": "rps/scissors", "d": "random"},
        games=10, folder=tmp_path, batch_size=4, executor=SerialExecutor(),
    )  # fmt: skip
    pairs = {frozenset(pair) for pair in matches.table[["policy_0", "policy_1"]].itertuples(index=False)}
    assert pairs == {frozenset(pair) for pair in ("ac", "ad", "bc", "bd", "ab")} and len(matches) == 50
    found = metagame.side_by_side(matches, ["a", "b"], ["c", "d"]).set_index("opponent")
    assert found.loc["c", ["games", "a", "b", "difference"]].tolist() == [10, 1.0, -1.0, 2.0]
    assert found.loc["c", "low"] > 0
    words = metagame.in_words(found.reset_index(), ["a", "b"])
    assert words["a"][0].startswith("+1.000 [+") and list(words.columns) == [
        "opponent",
        "games",
        "a",
        "b",
        "difference",
    ]
    assert metagame.gain_of(matches, "b", "a").mean == 1.0
    with pytest.raises(ValueError, match="a: a side and an opponent at once"):
        metagame.play_sides("rps", {"a": "rps/rock"}, {"a": "rps/rock"}, games=2)


def test_a_side_that_did_not_meet_an_opponent_is_named():
    with pytest.raises(metagame.MissingPairs, match="no games of b against c"):
        metagame.side_by_side(played(*won("a", "c", 5, 5), *won("a", "b", 5, 5)), ["a", "b"], ["c"])


def test_the_difference_of_two_means_by_hand():
    # intervals of +-.3 and +-.4: together +-.5
    assert difference((1.0, 0.7, 1.3), (0.25, -0.15, 0.65)) == pytest.approx((0.75, 0.25, 1.25))
    # one-sided: below by the first's lower side and the other's upper side
    assert difference((0.0, -0.3, 0.0), (0.0, 0.0, 0.4)) == pytest.approx((0.0, -0.5, 0.0))


def test_the_verdict_names_the_bound_who_tells_them_apart_and_what_is_exact():
    table = pd.DataFrame({"opponent": ["x", "y"], "low": [-0.1, 0.2], "high": [0.1, 0.4]})
    gains = {"mixture-5": Gain(500, 0.2, 0.1, 0.3), "distilled": Gain(500, 0.0, -0.1, 0.1)}
    said = metagame.comparison_verdict(gains, "fresh", Gain(500, 0.01, -0.1, 0.1), {"mixture-5": 0.25}, table)
    assert "mixture-5, over 500 held-out games: mixture-5 can be exploited by at least that much" in said
    assert "was trained against mixture-5: of distilled it may show less" in said
    assert (
        "not told apart from even play" in said
        and "Of 2 opponents 1 tell the two apart (y)" in said
        and "mixture-5 by 0.2500" in said
    )
