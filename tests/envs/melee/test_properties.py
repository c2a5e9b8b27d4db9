"""What holds in every game, whatever is pressed."""

import numpy as np
import pytest

from workbench.envs.melee.characters import character_names
from workbench.envs.melee.controller import ACTION_SPEC, mirrored
from workbench.envs.melee.env import MeleeMockEnv
from workbench.envs.melee.stages import stage_names
from workbench.envs.melee.state import FIGHTER

GAMES, STEPS = 96, 1500


def held_actions(generator, games, current, change=0.2):
    """Random choices, each held for some frames: closer to play than new ones every frame."""
    drawn = np.stack([generator.integers(0, n, (games, 2)) for n in ACTION_SPEC.sizes], -1)
    return np.where(generator.random((games, 2, 4)) < change, drawn, current)


def test_random_games_stay_within_the_rules():
    env = MeleeMockEnv(GAMES, characters=tuple(character_names()), stage=tuple(stage_names()), frame_limit=1200)
    env.reset(1)
    generator = np.random.default_rng(2)
    actions = np.zeros((GAMES, 2, 4), np.int64)
    before = env.fighters()
    dealt = np.zeros(2)
    deaths = 0
    for _ in range(STEPS):
        actions = held_actions(generator, GAMES, actions)
        step = env.step(actions)
        now = env.fighters()
        same = ~step.done
        for name in ("x", "y", "vx", "vy", "kx", "ky", "percent", "shield"):
            assert np.isfinite(now[name]).all(), name
        assert (np.abs(now["facing"]) == 1).all()
        assert (now["stocks"][same] <= before["stocks"][same]).all()
        kept = same[:, None] & (now["stocks"] == before["stocks"]) & (now["action"] != 12)
        assert (now["percent"][kept] >= before["percent"][kept]).all()
        assert (now["shield"] <= 60).all()
        assert (now["hitlag"] >= 0).all()
        # a frame's damage is what the other one dealt in it
        gained = np.where(kept, now["percent"] - before["percent"], 0)
        taken = np.where(kept, now["dealt"][:, ::-1], 0)
        assert gained == pytest.approx(taken, abs=1e-3)
        dealt += now["dealt"].sum(0)
        deaths += int((before["stocks"] - now["stocks"])[same].sum())
        for name, field in env.spec.observation.items():
            if field.is_tokens:
                assert step.observation[name].min() >= 0
                assert step.observation[name].max() < field.vocabulary
        assert np.abs(step.observation["numbers"]).max() < 50
        before = now
    assert (dealt > 200).all()  # both seats hurt
    assert deaths > 20


def test_random_games_end_by_the_rules():
    env = MeleeMockEnv(16, characters="fox", stocks=1)
    env.reset(0)
    generator = np.random.default_rng(0)
    actions = np.zeros((16, 2, 4), np.int64)
    won = {1: 0, -1: 0, 0: 0}
    for _ in range(6000):
        actions = held_actions(generator, 16, actions)
        step = env.step(actions)
        assert not step.truncated.any()
        for outcome in step.outcome[step.terminated]:
            won[int(outcome)] += 1
    assert won[1] > 3
    assert won[-1] > 3


@pytest.mark.parametrize("stage", ["final_destination", "battlefield"])
def test_the_mirrored_game_with_exchanged_seats_is_the_same_game(stage):
    """Left and right, and the seats, are alike: positions mirror to the bit."""
    games = 64
    options = {"characters": ("fox", "falco", "marth", "captain_falcon", "sheik", "mewtwo"), "stage": stage}
    env, image = MeleeMockEnv(games, **options), MeleeMockEnv(games, **options)
    env.reset(4)
    image.reset(4)
    state = env.state()
    fighters = state["fighters"].reshape(-1).view(FIGHTER).reshape(games, 2)[:, ::-1].copy()
    for name in ("x", "vx", "facing"):
        fighters[name] *= -1
    fighters["surface"] = np.array([0, 2, 1])[fighters["surface"]]  # the left platform is the right one's image
    state["fighters"] = fighters.view(np.uint8).reshape(games, 2, -1)
    image.restore(state)
    generator = np.random.default_rng(3)
    actions = np.zeros((games, 2, 4), np.int64)
    alike = np.ones(games, bool)
    for _ in range(600):
        actions = held_actions(generator, games, actions)
        env.step(actions)
        image.step(mirrored(actions)[:, ::-1])
        mine, theirs = env.fighters(), image.fighters()[:, ::-1]
        alike &= (mine["x"] == -theirs["x"]).all(1) & (mine["y"] == theirs["y"]).all(1)
    assert alike.all()
    for name in ("percent", "stocks", "action", "shield", "hitstun"):
        assert (mine[name] == theirs[name]).all(), name
