"""The empirical game: counted by hand, mirrored, with holes that are told, and intervals that cover."""

import numpy as np
import pandas as pd
import pytest

from workbench.arena.matches import Matches
from workbench.metagame.payoffs import EmpiricalGame, MissingPairs


def played(*games, env="rps") -> Matches:
    """Matches from (seat 0, seat 1, payoff of seat 0)."""
    table = pd.DataFrame(games, columns=["policy_0", "policy_1", "payoff"])
    return Matches(
        table.assign(
            match_id=[f"{i:016x}" for i in range(len(table))],
            seed=1,
            env=env,
            outcome=np.sign(table["payoff"]).astype(int),
            length=1,
            end_reason="rules",
            started=pd.Timestamp("2026-01-01", tz="UTC"),
            seconds=0.0,
        )
    )


def test_both_seats_count_for_a_symmetric_game():
    # a wins twice and draws once against b, from either seat: 2 of 3; b beats c once
    game = EmpiricalGame.of(played(("a", "b", 1), ("b", "a", -1), ("a", "b", 0), ("b", "c", 1), ("c", "a", 0)))
    assert game.rows == ("a", "b", "c") and game.symmetric
    assert game.games.tolist() == [[0, 3, 1], [3, 0, 1], [1, 1, 0]]
    assert game.wins[0, 1] == 2 and game.losses[1, 0] == 2 and game.draws[0, 1] == 1
    assert game.payoffs() == pytest.approx(np.array([[0, 2 / 3, 0], [-2 / 3, 0, 1], [0, -1, 0]]))
    assert (game.payoffs() == -game.payoffs().T).all()


def test_two_populations_count_only_games_in_their_seats():
    game = EmpiricalGame.of(
        played(("a", "b", 2.0), ("a", "b", -1.0), ("b", "a", 1.0), env="kuhn"), ["a"], columns=["b", "a"]
    )
    assert not game.symmetric and game.games.tolist() == [[2, 0]]
    with pytest.raises(MissingPairs, match="a against a"):
        game.payoffs()
    assert game.payoffs(missing=0.25).tolist() == [[0.5, 0.25]]


def test_missing_pairs_are_named_and_nothing_is_made_up():
    matches = played(("a", "b", 1), ("b", "c", 1))
    game = EmpiricalGame.of(matches, ["a", "b", "c"])
    assert game.missing == [("a", "c")]
    with pytest.raises(MissingPairs, match="no games of a against c: play them"):
        game.payoffs()
    assert game.payoffs(missing=0.0)[0, 2] == 0.0
    low, high = game.intervals()
    assert np.isnan(low[0, 2]) and np.isnan(high[0, 2])


def test_a_policy_that_never_played_is_a_hole_and_one_left_out_is_gone():
    matches = played(("a", "b", 1), ("a", "c", -1))
    assert EmpiricalGame.of(matches, ["a", "d"]).missing == [("a", "d")]
    assert EmpiricalGame.of(matches, ["a", "b"]).payoffs().tolist() == [[0, 1], [-1, 0]]


def test_intervals_by_hand():
    # 8 of 10: Wilson .4902 to .9433 of games, so -.0197 to .8866 of the payoff
    game = EmpiricalGame.of(played(*[("a", "b", 1)] * 8, *[("a", "b", -1)] * 2))
    low, high = game.intervals()
    assert (low[0, 1], high[0, 1]) == pytest.approx((-0.0197, 0.8867), abs=1e-3)
    assert (low[1, 0], high[1, 0]) == pytest.approx((-0.8867, 0.0197), abs=1e-3)


def test_chips_always_won_are_not_taken_for_certain():
    # three wins of two chips: mean 2, spread sqrt((0 + 2 * 4) / 4 / 3) = .8165, t(2) = 4.3027: low = 2 - 3.513, cut at -2
    game = EmpiricalGame.of(played(*[("a", "b", 2.0)] * 3, env="kuhn"), ["a"], columns=["b"])
    low, high = game.intervals()
    assert low[0, 0] == pytest.approx(2 - 3.5131, abs=1e-3) and high[0, 0] == 2.0


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Chips as in Kuhn poker; 400 pairs of 60 games each: 95% of the intervals hold the true mean."""
    rng = np.random.default_rng(0)
    values, chances = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.15, 0.35, 0.4, 0.1])
    drawn = rng.choice(values, p=chances, size=(400, 60))
    games = [(f"p{pair}", "q", payoff) for pair in range(400) for payoff in drawn[pair]]
    game = EmpiricalGame.of(played(*games, env="kuhn"), [f"p{pair}" for pair in range(400)], columns=["q"])
    low, high = game.intervals()
    covered = ((low <= chances @ values) & (chances @ values <= high)).mean()
    assert 0.92 <= covered <= 0.985


def test_resampled_payoffs_vary_as_their_games_allow():
    game = EmpiricalGame.of(played(*[("a", "b", 1)] * 50, *[("a", "b", -1)] * 50, *[("b", "c", 1)] * 10, ("c", "a", 1)))
    drawn = game.resampled(4000, np.random.default_rng(1))
    assert drawn.shape == (4000, 3, 3) and (drawn == -drawn.transpose(0, 2, 1)).all()
    # a coin's payoff over n games varies by 2 sqrt(p q / (n + 2)) with half a game on either side
    assert drawn[:, 0, 1].std() == pytest.approx(2 * np.sqrt(0.25 / 102), rel=0.05)
    assert drawn[:, 1, 2].mean() == pytest.approx(10 / 11, abs=0.01) and drawn[:, 1, 2].std() > 0.05


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="each once"):
        EmpiricalGame.of(played(("a", "b", 1)), ["a", "a"])
    with pytest.raises(ValueError, match="expected one game"):
        both = Matches(
            pd.concat(
                [
                    played(("a", "b", 1)).table,
                    played(("a", "b", 1), env="kuhn").table.assign(match_id="ffffffffffffffff"),
                ]
            )
        )
        EmpiricalGame.of(both)
    one = EmpiricalGame.of(played(("a", "b", 1)), ["a"])
    assert one.payoffs().tolist() == [[0.0]] and one.missing == []
