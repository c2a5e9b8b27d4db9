"""The scripted fighters order by strength, and play by the observation alone."""

import numpy as np
import pytest

from workbench.envs.melee.env import MeleeMockEnv
from workbench.envs.melee.scripted import LEVELS
from workbench.envs.players import scripted_names, scripted_player


def score(first, second, games=48, **options):
    """Mean score of `first` over one game in each slot."""
    options = {"characters": "fox", "stocks": 2, "frame_limit": 7200, **options}
    env = MeleeMockEnv(games, **options)
    step = env.reset(5)
    players = [scripted_player(first), scripted_player(second)]
    states = [player.initial_state(games) for player in players]
    generator = np.random.default_rng(1)
    result = np.full(games, np.nan)
    while np.isnan(result).any():
        actions = np.zeros((games, 2, 4), np.int64)
        for seat, player in enumerate(players):
            seen = {name: array[:, seat] for name, array in step.observation.items()}
            decision = player.act(seen, [legal[:, seat] for legal in step.legal], states[seat], 1.0, generator)
            actions[:, seat], states[seat] = decision.action, decision.state
        step = env.step(actions)
        new = step.done & np.isnan(result)
        result[new] = (step.outcome[new] + 1) / 2
        for state in states:
            state[step.done] = 0
    return result.mean()


def test_they_are_registered():
    assert {f"melee-mock/cpu{level}" for level in LEVELS} <= set(scripted_names())
    assert sorted(LEVELS) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(("stronger", "weaker"), [(3, 1), (5, 3), (7, 5), (9, 7)])
def test_each_level_beats_the_one_below(stronger, weaker):
    # 48 games: .62 is 1.7 standard errors above a half
    assert score(f"melee-mock/cpu{stronger}", f"melee-mock/cpu{weaker}") > 0.62


def test_the_lowest_beats_random():
    assert score("melee-mock/cpu1", "random") > 0.75


def test_the_strongest_recovers(match):
    """Thrown off the stage alone, it comes back more often than not."""
    from workbench.envs.melee import actions as a

    for name in ("fox", "marth", "sheik", "captain_falcon", "falco", "mewtwo"):
        back = 0
        for start in range(4):
            game = match(name)
            game.pose(0, x=100 + 6 * start, y=10, surface=-1, action=a.FALL, vx=0.5, vy=0, air_jumps=1, facing=-1)
            player = scripted_player("melee-mock/cpu9")
            generator, state = np.random.default_rng(start), player.initial_state(1)
            step = game.play().timestep
            for _ in range(240):
                seen = {key: array[:, 0] for key, array in step.observation.items()}
                decision = player.act(seen, [legal[:, 0] for legal in step.legal], state, 1.0, generator)
                step = game.env.step(np.stack([decision.action, np.zeros((1, 4), np.int64)], 1))
                state = decision.state
            back += int(game[0]["stocks"] == 4)
        assert back >= 3, name
