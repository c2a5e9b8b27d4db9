"""What is known of how far mixtures can be exploited, iteration by iteration."""

import numpy as np
import pandas as pd
import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench import metagame

SUMMARIES = [
    {"iteration": 0, "gap": 0.0, "meta_strategy": {"a": 1.0}},
    {"iteration": 1, "gap": 0.0, "meta_strategy": {"a": 0.5, "b": 0.5}},
    {"iteration": 2, "gap": 0.3, "meta_strategy": {"a": 0.25, "b": 0.0, "c": 0.75}},
]
GAMES = [*won("b", "a", 60, 40), *won("c", "a", 100, 0), *won("c", "b", 50, 50)]  # payoffs +.2, +1, 0


def test_both_numbers_stand_side_by_side_and_the_last_is_open():
    table = metagame.exploitability_table(
        [{"iteration": 0, "gap": 0.4, "exact exploitability": 0.35}, {"iteration": 1, "gap": 0.0}], [[0.3, 0.2, 0.4]]
    )
    expected = {
        "iteration": [0, 1], "gap": [0.2, 0.0], "exploitability": [0.3, np.nan], "low": [0.2, np.nan],
        "high": [0.4, np.nan], "exact": [0.35, np.nan], "by": ["its response"] * 2, "largest": [0.3, np.nan],
        "largest low": [0.2, np.nan], "largest high": [0.4, np.nan],
    }  # fmt: skip
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected))


def test_who_comes_later_and_earns_more_raises_the_bound():
    game = metagame.EmpiricalGame.of(played(*GAMES))
    history = metagame.exploitability_table(SUMMARIES, [[0.2, 0.0, 0.4], [0.7, 0.6, 0.8]], game)
    first, second, last = (history.loc[row] for row in range(3))
    assert first["by"] == "c" and first["largest"] == 1.0 and 0.9 < first["largest low"] < first["largest high"] <= 1.0
    assert second["by"] == "its response" and second["largest"] == 0.7  # c earns (1 + 0) / 2 from it
    # nobody came after the last: that b and c earn from a, who plays a quarter of it, shows its gap and nothing else
    assert last[["exploitability", "largest", "largest low", "largest high"]].isna().all()
    # by its own response the first mixture seemed the harder one
    assert metagame.best_iteration(history) == 1
    assert metagame.best_iteration(history.assign(by="its response", **{"largest high": history["high"]})) == 0
    assert "from which nobody is known to earn more than +0.700 [+0.600, +0.800] a game (its response)" in (
        metagame.best_so_far(history)
    )
    assert metagame.largest_bounds(history) == {
        "mixture-0": [1.0, first["largest low"], first["largest high"]],
        "mixture-1": [0.7, 0.6, 0.8],
    }


def test_whether_exploitability_fell_by_hand():
    history = metagame.exploitability_table(SUMMARIES, [[0.5, 0.47, 0.54], [0.2, 0.17, 0.24]])
    # -.3, less the root of .03² + .04², plus that of .04² + .03²
    assert metagame.change_in_exploitability(history) == pytest.approx((-0.3, -0.35, -0.25))
    assert "-0.300 [-0.350, -0.250] a game: the mixtures got harder to exploit" in metagame.whether_it_fell(history)


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([[0.2, 0.17, 0.23], [0.5, 0.47, 0.53]], "got easier to exploit"),
        ([[0.2, 0.1, 0.3], [0.1, 0.0, 0.2]], "not told from chance"),
        ([[0.5, 0.47, 0.53], [-0.3, -0.4, -0.2]], "the last one lost: whether"),
    ],
)
def test_what_the_change_says(gains, said):
    assert said in metagame.whether_it_fell(metagame.exploitability_table(SUMMARIES, gains))


def test_one_response_shows_no_change():
    history = metagame.exploitability_table(SUMMARIES, [[0.5, 0.47, 0.54]])
    assert metagame.change_in_exploitability(history) is None and metagame.whether_it_fell(history) == ""


def test_a_mixture_whose_response_lost_is_tested_by_who_beats_it():
    game = metagame.EmpiricalGame.of(played(*GAMES))
    history = metagame.exploitability_table(SUMMARIES[:1], [[-0.85, -0.88, -0.81]], game)
    assert metagame.best_iteration(history) == 0 and history.loc[0, "by"] == "c"


def test_without_resampled_games_only_responses_count():
    game = metagame.EmpiricalGame.of(played(*GAMES))
    history = metagame.exploitability_table(SUMMARIES, [[0.2, 0.0, 0.4]], game, resampled=0)
    assert history["by"].eq("its response").all() and history.loc[0, "largest"] == 0.2


def test_a_member_that_nobody_knows_is_named():
    game = metagame.EmpiricalGame.of(played(*GAMES))
    with pytest.raises(ValueError, match="a mixture plays z: not in the population of b, a, c"):
        metagame.exploitability_table([{"iteration": 0, "gap": 0.0, "meta_strategy": {"z": 1.0}}], [], game)


def test_the_best_mixture_so_far_is_the_one_with_the_lowest_upper_end():
    summaries = [{"iteration": number, "gap": 0.0} for number in range(4)]
    history = metagame.exploitability_table(summaries, [[0.5, 0.4, 0.6], [0.1, 0.05, 0.15], [0.08, -0.1, 0.26]])
    said = metagame.best_so_far(history)
    assert "the mixture of iteration 1" in said and "not told apart from 1 of the others, of 3 tested" in said
    assert "No best response was trained yet" in metagame.best_so_far(metagame.exploitability_table(summaries, []))


def test_a_response_that_lost_does_not_make_its_mixture_the_best():
    summaries = [{"iteration": number, "gap": 0.0} for number in range(3)]
    history = metagame.exploitability_table(summaries, [[-0.85, -0.88, -0.81], [0.5, 0.4, 0.6]])
    assert metagame.best_iteration(history) == 1
    assert "of 1 tested. 1 more lost, which says nothing" in metagame.best_so_far(history)
    lost = metagame.exploitability_table(summaries, [[-0.85, -0.88, -0.81]])
    assert metagame.best_iteration(lost) is None and "is not known. 1 more lost" in metagame.best_so_far(lost)


def test_psro_may_end_only_where_a_response_did_not_lose():
    assert metagame.converged([[0.3, 0.2, 0.4], [0.01, -0.02, 0.04]], 0.05)
    assert not metagame.converged([[0.01, -0.02, 0.04], [0.01, -0.02, 0.06]], 0.05)  # the last one counts
    assert not metagame.converged([[-0.3, -0.4, -0.2]], 0.05)  # it found nothing, which shows nothing
    assert not metagame.converged([[-0.26, -0.6, 0.09]], 0.5)
    assert not metagame.converged([[0.0, -0.01, 0.01]], None) and not metagame.converged([], 0.1)
    with pytest.raises(ValueError, match=r"stop_below=0: expected above 0"):
        metagame.converged([[0.0, -0.01, 0.01]], 0)
