"""The verdict on a run, from curves drawn by hand."""

import numpy as np

from workbench.learning.stability import verdict


def curves(entropy, kl=None):
    kl = [None] * len(entropy) if kl is None else kl
    return [{"losses/entropy": float(e), "damping/kl": k} for e, k in zip(entropy, kl, strict=True)]


def test_a_slow_fall_within_the_band_is_stable():
    found = verdict(curves(np.linspace(1.2, 0.8, 100), np.full(100, 0.02)))
    assert found.word == "stable" and "from 1.19" in str(found) and "0.0200" in str(found)


def test_a_cliff_is_a_collapse_even_where_entropy_recovers():
    entropy = np.full(100, 1.0)
    entropy[50:60] = 0.3
    found = verdict(curves(entropy))
    assert found.word == "collapsing" and "lost 70%" in str(found) and "around 51%" in str(found)


def test_a_slow_end_at_a_quarter_is_a_collapse():
    assert verdict(curves(np.linspace(1.0, 0.2, 1000))).word == "collapsing"


def test_a_policy_that_never_left_its_reference_is_over_damped():
    assert verdict(curves(np.full(50, 1.0), np.full(50, 1e-4))).word == "over-damped"
    assert verdict(curves(np.linspace(1.0, 0.8, 50), np.full(50, 1e-4))).word == "stable"  # little KL, but it learned


def test_a_learning_rate_that_the_controller_took_away_is_over_damping():
    rows = curves(np.linspace(1.0, 0.9, 50), np.full(50, 0.03))
    for floor, word in ((0.01, "over-damped"), (0.1, "stable")):
        multipliers = np.maximum(0.8 ** np.arange(50), floor)
        braked = [row | {"damping/learning_rate_multiplier": one} for row, one in zip(rows, multipliers, strict=True)]
        found = verdict(braked)
        assert found.word == word and ("left 1.0% of the learning rate" in str(found)) == (word == "over-damped")


def test_a_policy_far_from_its_reference_is_loose():
    assert verdict(curves(np.full(50, 1.0), np.full(50, 0.3))).word == "loose"


def test_the_distance_from_a_reference_that_follows_is_told_and_not_judged():
    for kl in (1e-4, 0.3):
        found = verdict(curves(np.full(50, 1.0), np.full(50, kl)), reference="moving")
        assert found.word == "stable" and f"(moving), was {kl:.4f}" in str(found)
    assert verdict(curves(np.linspace(1.0, 0.2, 50), np.full(50, 0.3)), reference="moving").word == "collapsing"


def test_growth_is_told_and_gaps_are_skipped():
    found = verdict(curves(np.full(80, 1.0), np.linspace(0.005, 0.04, 80)))
    assert found.word == "stable" and "still growing" in str(found)
    assert verdict([{"losses/entropy": float("nan")}] * 10).word == "unknown"
