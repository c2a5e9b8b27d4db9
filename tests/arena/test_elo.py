import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.arena import elo, expected_score, settling_k


def test_expected_scores_users_know():
    assert expected_score(1500, 1500) == 0.5
    assert expected_score(1600, 1500) == pytest.approx(0.64, abs=0.001)
    assert expected_score(1700, 1500) == pytest.approx(0.76, abs=0.001)
    assert expected_score(1900, 1500) == pytest.approx(10 / 11)


def test_updates_by_hand(results):
    # game 1: even ratings, a wins 16 points. Game 2: E(b beats a) = 1 / (1 + 10^(32/400)) = .454078; b wins 32 x .545922
    rated = elo(results(("a", "b", 1), ("b", "a", 1)), order="table")
    progression = rated.progression
    assert progression["player_rating_before"].tolist() == [1500, 1484]
    assert progression["player_rating_after"].tolist() == pytest.approx([1516, 1501.469502], abs=2e-6)
    assert progression["opponent_rating_after"].tolist() == pytest.approx([1484, 1498.530498], abs=2e-6)
    assert progression["result"].tolist() == ["WIN", "WIN"]
    assert rated.ratings["b"] == pytest.approx(1501.469502, abs=2e-6)
    assert rated.ratings.index.tolist() == ["b", "a"]


def test_a_draw_moves_the_stronger_down(results):
    rated = elo(results(("a", "b", 1), ("a", "b", 0)), order="table", k=16, initial=1000)
    # after the win 1008 and 992; E = 1 / (1 + 10^(-16/400)) = .5230096; the draw costs 16 x .0230096
    assert rated.ratings["a"] == pytest.approx(1008 - 16 * 0.0230096, abs=2e-6)
    assert rated.progression["result"].tolist() == ["WIN", "DRAW"]
    even = elo(results(("a", "b", 0)))
    assert even.ratings.tolist() == [1500, 1500]


def test_each_game_counts_once_and_points_are_conserved(results):
    rated = elo(results(*[("a", "b", 1)] * 5, ("c", "a", 0), ("a", "a", 1)))
    assert len(rated.progression) == 6
    assert rated.ratings.sum() == pytest.approx(3 * 1500)


def test_settling_k_falls_with_experience(results):
    assert [settling_k(n) for n in (0, 29, 30, 99, 100)] == [40, 40, 32, 32, 24]
    rated = elo(results(("a", "b", 1)), k=settling_k)
    assert rated.ratings["a"] == 1520
    assert rated.k is None


def test_each_player_has_his_own_k(results):
    # a and b drew 30 times, so K is 32 for a, who then meets the newcomer c (K 40)
    rated = elo(results(*[("a", "b", 0)] * 30, ("a", "c", 1)), k=settling_k, order="table")
    assert rated.ratings["a"] == 1516
    assert rated.ratings["c"] == 1480


def test_orders(results):
    matches = results(("a", "b", 1), ("a", "b", -1), ("c", "a", 1), ("a", "c", 0))
    pairs = lambda order: elo(matches, order=order).progression[["player", "opponent"]].to_numpy().tolist()  # noqa: E731
    assert pairs("table") == [["a", "b"], ["a", "b"], ["c", "a"], ["a", "c"]]
    rounds = [sorted(map(sorted, pairs("interleaved")[i : i + 2])) for i in (0, 2)]
    assert rounds == [[["a", "b"], ["a", "c"]]] * 2
    assert ["a", "c"] not in pairs("interleaved")[:2]
    assert pairs("interleaved") == pairs("interleaved")
    matches.table["started"] = matches.table["started"].iloc[::-1].array
    assert pairs("time") == [["a", "c"], ["c", "a"], ["a", "b"], ["a", "b"]]
    shuffled = elo(matches, order="shuffled", seed=2).progression
    by_hand = [["ab", "ab", "ca", "ac"][i] for i in np.random.default_rng(2).permutation(4)]
    assert (shuffled["player"] + shuffled["opponent"]).tolist() == by_hand
    with pytest.raises(ValueError, match="order='random'"):
        elo(matches, order="random")


def test_shuffling_forgets_the_order(results):
    wins_first = results(*[("a", "b", 1)] * 30, *[("a", "b", -1)] * 30)
    losses_first = results(*[("a", "b", -1)] * 30, *[("a", "b", 1)] * 30)
    assert elo(wins_first).ratings["a"] < 1450 < 1550 < elo(losses_first).ratings["a"]
    shuffled = [elo(matches, shuffles=400, seed=1).ratings["a"] for matches in (wins_first, losses_first)]
    assert np.abs(np.array(shuffled) - 1500).max() < 10


def test_one_shuffle_agrees_with_rating_in_that_order(results):
    generator = np.random.default_rng(0)
    names = ["a", "b", "c"]
    rows = [(*generator.permutation(names)[:2].tolist(), int(generator.integers(-1, 2))) for _ in range(200)]
    matches = results(*rows)
    order = np.random.default_rng(7).permuted(np.arange(200)[None], axis=1)[0]
    by_hand = elo(results(*[rows[i] for i in order]), order="table", k=settling_k)
    shuffled = elo(matches, order="table", shuffles=1, seed=7, k=settling_k)
    for name in names:
        assert shuffled.ratings[name] == pytest.approx(by_hand.ratings[name])


games = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from([-1, 0, 1])), max_size=40)


@settings(max_examples=50, deadline=None)
@given(games)
def test_seats_do_not_matter_and_points_are_conserved(results, played):
    played = [(a, b, outcome) for a, b, outcome in played if a != b]
    turned = [(b, a, -outcome) for a, b, outcome in played]
    one, other = (elo(results(*rows), order="table") for rows in (played, turned))
    assert one.ratings.to_dict() == pytest.approx(other.ratings.to_dict())
    assert one.ratings.sum() == pytest.approx(1500 * len(one.ratings))
    assert one.progression["player_rating_after"].tolist() == pytest.approx(
        other.progression["opponent_rating_after"].tolist()
    )
