"""Fictitious self-play and PSRO are measured exactly, each once, tiny."""

import numpy as np
import pytest

from workbench.benchmarks import fictitious_play, psro
from workbench.metagame.sequences import SequenceForm


def test_a_curve_begins_at_uniform_play_and_measures_both_policies():
    curve = fictitious_play.nfsp_curve("kuhn", frames=3 * 256 * 16, seed=0, points=3)
    assert curve["frames"].tolist() == [0, 4096, 8192, 12288]
    assert curve["minutes"].is_monotonic_increasing and curve["minutes"][0] < 1e-3
    # untrained weights play nearly uniformly
    assert curve.loc[0, ["average", "best_response"]].to_numpy(float) == pytest.approx(11 / 12, abs=0.02)
    assert curve["average"].between(0, 1.2).all() and (curve["average"] != curve["best_response"])[1:].all()


def test_every_recipe_is_of_a_game_that_can_be_measured():
    for name in fictitious_play.RECIPES:
        nfsp = fictitious_play.trainer(name, frames=100_000, seed=1)
        rollouts = -(-100_000 // (nfsp.ppo.env.batch_size * nfsp.ppo.settings.steps))
        assert nfsp.imitation.settings.total_updates == rollouts * nfsp.settings.average_updates


def test_responses_by_ppo_enter_and_exploitability_falls():
    found = psro.ppo_oracles("kuhn", iterations=2, frames=30_000, seed=0)
    assert found["iteration"].tolist() == [0, 1, 2]
    assert found["exploitability"][0] == pytest.approx(11 / 24)  # uniform play
    # one member against which the response earns at most what a best response does
    assert 0.2 < found["gain"][0] <= 11 / 24 + 1e-9
    assert found["exploitability"].min() < 0.4 and np.isnan(found["gain"].iloc[-1])


def test_payoffs_are_of_both_seats_and_sampled_ones_come_near():
    game = SequenceForm.of("kuhn")
    always = {
        name: game.plan(game.tree.uniform() * 0 + np.eye(2)[option]) for name, option in (("pass", 0), ("bet", 1))
    }
    # a bet takes the ante of whoever always passes, from either seat
    assert psro._edge(game, always["bet"], always["pass"]) == pytest.approx(1.0)
    assert psro._edge(game, always["pass"], always["bet"]) == pytest.approx(-1.0)
    uniform = game.plan(game.tree.uniform())
    exact = psro._edge(game, always["bet"], uniform)
    drawn = psro._sampled(game, always["bet"], uniform, 20_000, np.random.default_rng(0))
    assert drawn == pytest.approx(exact, abs=0.04)
