"""The env around the core: contract, seeds, limits, rewards, saving, options."""

import ast
from pathlib import Path

import numpy as np
import pytest

from workbench.envs import game_seed, make
from workbench.envs.conformance import HiddenVariant, check_env
from workbench.envs.melee import actions as a
from workbench.envs.melee import game
from workbench.envs.melee.env import MeleeMockEnv
from workbench.envs.melee.game import advance
from workbench.envs.melee.reward import RewardWeights
from workbench.envs.melee.state import FIGHTER

MIXED = {
    "characters": ("fox", "falco", "marth", "captain_falcon", "sheik", "mewtwo"),
    "stage": ("final_destination", "battlefield"),
}
# what the opponent must not see of a fighter: its controller, its timers, its bookkeeping
PRIVATE = {
    "stick_x": 0.5, "stick_y": -0.5, "c_x": 1, "c_y": 1, "shoulder": 0.4, "tap_x": 1, "tap_y": 1, "since_shield": 1,
    "tech_window": 7, "tech_lock": 9, "buttons": 4, "pressed": 1, "c_pressed": 1, "shield_held": 1, "timer": 55,
    "stale": 3, "stale_count": 5, "ledge_wait": 12, "last_action": 1, "charge": 4, "logged": 1, "groups": 1,
    "aim_x": 0.5, "aim_y": 0.5,
}  # fmt: skip


def random_actions(env, generator):
    return np.stack([generator.integers(0, n, (env.batch_size, 2)) for n in env.spec.action.sizes], -1)


def hidden_variants(env):
    generator = np.random.default_rng(0)
    env.reset(0)
    for moment in range(3):
        for _ in range(40):
            env.step(random_actions(env, generator))
        state = env.state()
        for seat in range(2):
            other = dict(state)
            other["fighters"] = state["fighters"].copy()
            fighters = other["fighters"].reshape(-1).view(FIGHTER).reshape(-1, 2)
            for name, value in PRIVATE.items():
                fighters[name][:, 1 - seat] = value
            yield HiddenVariant(f"moment {moment}: the opponent's controller and timers", state, other, seat)


def test_keeps_the_contract():
    check_env(
        lambda batch: make("melee-mock", batch, frame_limit=90, **MIXED), steps=300, hidden_variants=hidden_variants
    )


def play(batch, steps, seed=3, slot=None, **options):
    """Observations, rewards and outcomes of some slot under actions that depend on the slot alone."""
    env = MeleeMockEnv(batch, **options)
    timestep = env.reset(seed)
    generators = [np.random.default_rng(b) for b in range(batch)]
    seen = []
    for _ in range(steps):
        actions = np.array([[[g.integers(n) for n in env.spec.action.sizes] for _ in range(2)] for g in generators])
        timestep = env.step(actions)
        row = slot if slot is not None else slice(None)
        seen.append([v[row].copy() for v in timestep.observation.values()] + [timestep.reward[row].copy()])
    return seen


def test_a_slot_plays_the_same_games_in_any_batch():
    alone = play(2, 150, slot=1, frame_limit=60, **MIXED)
    among = play(5, 150, slot=1, frame_limit=60, **MIXED)
    for one, other in zip(alone, among, strict=True):
        assert all((x == y).all() for x, y in zip(one, other, strict=True))


def test_threads_play_the_same_games():
    one = play(5, 130, frame_limit=60, **MIXED)
    three = play(5, 130, frame_limit=60, threads=3, **MIXED)
    for alone, shared in zip(one, three, strict=True):
        assert all((x == y).all() for x, y in zip(alone, shared, strict=True))
    env = MeleeMockEnv(4, threads=2)
    env.reset(0)
    bad = np.zeros((4, 2, 4), np.int64)
    bad[3, 1, 0] = 6
    with pytest.raises(ValueError, match="game 3, seat 1: 6 for head 'button'"):
        env.step(bad)
    assert (env.games()["frame"] == 0).all()


def test_seeds_are_the_contracts_and_decide_sides_fighters_and_stage():
    env = MeleeMockEnv(64, frame_limit=5, **MIXED)
    timestep = env.reset(11)
    assert (timestep.game_seed == game_seed(11, np.arange(64), 0)).all()
    assert len(np.unique(timestep.observation["character"][:, 0, 0])) == 6
    assert len(np.unique(timestep.observation["stage"])) == 2
    first = env.fighters()["x"]
    assert 10 < (first[:, 0] < first[:, 1]).sum() < 54
    neutral = np.zeros((64, 2, 4), np.int64)
    for _ in range(5):
        timestep = env.step(neutral)
    assert timestep.truncated.all()
    assert (timestep.game_seed == game_seed(11, np.arange(64), 1)).all()


def test_frame_limit_cuts_and_match_time_ends():
    neutral = np.zeros((1, 2, 4), np.int64)
    env = MeleeMockEnv(1, frame_limit=3)
    env.reset()
    assert not env.step(neutral).done.any()
    env.step(neutral)
    timestep = env.step(neutral)
    assert (timestep.truncated[0], timestep.terminated[0], timestep.length[0]) == (True, False, 3)
    assert env.spec.end_reasons[timestep.end_reason[0]] == "frame limit"
    env = MeleeMockEnv(1, time_limit=3, frame_limit=3)
    env.reset()
    for _ in range(3):
        timestep = env.step(neutral)
    assert (timestep.truncated[0], timestep.terminated[0], timestep.outcome[0]) == (False, True, 0)
    assert env.spec.end_reasons[timestep.end_reason[0]] == "match time"


@pytest.mark.parametrize(
    ("stocks", "percent", "outcome"),
    [((2, 1), (90, 0), 1), ((1, 2), (0, 90), -1), ((2, 2), (50, 20), -1), ((2, 2), (20, 50), 1), ((1, 1), (5, 5), 0)],
)
def test_outcome_is_stocks_then_percent_then_a_draw(match, stocks, percent, outcome):
    game = match(time_limit=5)
    for seat in range(2):
        game.pose(seat, stocks=stocks[seat], percent=percent[seat])
    game.play(frames=5)
    assert game.timestep.terminated[0]
    assert game.timestep.outcome[0] == outcome


def test_the_last_stock_ends_the_game(match):
    game = match()
    game.pose(1, stocks=1, x=244, y=20, surface=-1, action=a.FALL, vx=3)
    game.play()
    assert game.timestep.terminated[0]
    assert game.timestep.outcome[0] == 1
    assert game.env.spec.end_reasons[game.timestep.end_reason[0]] == "stocks"
    # stock + win for the winner, the opposite for the loser
    assert game.timestep.reward[0].tolist() == [2, -2]
    final = game.timestep.final_observation["numbers"][0]
    names = game.env.spec.observation["numbers"].names
    assert final[0, names.index("opponent_stocks")] == 0
    assert game.timestep.observation["numbers"][0, 0, names.index("opponent_stocks")] == 1


def test_rewards_by_hand(match):
    game = match("fox", "marth", reward=RewardWeights(damage=0.01, distance=0.1, combo=0.5))
    game.pose(0, x=0, facing=1)
    game.pose(1, x=2)
    game.play()  # settles the distance of this step
    game.play({"c": (0, 1)})
    rewards = []
    while game[1]["percent"] == 0:
        game.play()
        rewards.append(game.timestep.reward[0].tolist())
    assert rewards[-1] == pytest.approx([0.18, -0.18], abs=1e-6)
    assert np.abs(rewards[:-1]).max() == 0
    game.pose(1, x=12)
    game.play()
    assert game.timestep.reward[0].tolist() == pytest.approx([-1, -1], abs=1e-5)


def test_restoring_goes_on_bit_for_bit():
    env = MeleeMockEnv(8, frame_limit=50, **MIXED)
    env.reset(5)
    generator = np.random.default_rng(1)
    script = [random_actions(env, generator) for _ in range(120)]
    for actions in script[:50]:
        shown = env.step(actions)
    shown = [array.copy() for array in (*shown.observation.values(), *shown.final_observation.values(), shown.outcome)]
    state = env.state()
    kept = []
    for actions in script[50:]:
        step = env.step(actions)
        kept.append((step.observation["numbers"].copy(), step.reward.copy(), step.game_seed.copy()))
    other = MeleeMockEnv(8, frame_limit=50, **MIXED)
    again = other.restore({name: np.array(array) for name, array in state.items()})
    for mine, theirs in zip(
        shown, (*again.observation.values(), *again.final_observation.values(), again.outcome), strict=True
    ):
        assert (mine == theirs).all()
    for actions, expected in zip(script[50:], kept, strict=True):
        step = other.step(actions)
        assert all(
            (x == y).all()
            for x, y in zip((step.observation["numbers"], step.reward, step.game_seed), expected, strict=True)
        )


def test_frames_per_decision_holds_the_choice(match):
    slow, fast = match(frames_per_decision=4), match()
    for choice in ({"stick": (1, 0)}, {"button": "X"}, {"c": (1, 0)}):
        slow.play(choice)
        fast.play(choice, frames=4)
    for name in ("x", "y", "vx", "vy", "action", "frame"):
        assert slow[0][name] == fast[0][name]


def test_bad_options_and_actions_are_refused_by_name():
    with pytest.raises(KeyError, match="did you mean fox"):
        MeleeMockEnv(1, characters="foxx")
    with pytest.raises(KeyError, match="battlefield"):
        MeleeMockEnv(1, stage="batlefield")
    with pytest.raises(ValueError, match="stocks is 0; expected 1 to 99"):
        MeleeMockEnv(1, stocks=0)
    env = MeleeMockEnv(2)
    env.reset()
    with pytest.raises(ValueError, match=r"actions have shape \(2, 4\)"):
        env.step(np.zeros((2, 4), np.int64))
    with pytest.raises(ValueError, match="of float64; expected integers"):
        env.step(np.zeros((2, 2, 4)))
    bad = np.zeros((2, 2, 4), np.int64)
    bad[1, 0, 1] = 25
    with pytest.raises(ValueError, match="game 1, seat 0: 25 for head 'main_stick'; expected 0 to 24"):
        env.step(bad)
    with pytest.raises(ValueError, match="state of games"):
        MeleeMockEnv(3).restore(env.state())


def test_the_observation_names_what_it_shows(match):
    game = match("sheik", "mewtwo", stage="battlefield")
    game.pose(1, percent=50, kx=2.0, hitstun=15)
    game.play({"button": "X", "stick": (1, 0)})
    observation = game.timestep.observation
    see = dict(zip(game.env.spec.observation["numbers"].names, observation["numbers"][0, 0], strict=True))
    assert see["own_x"] == pytest.approx(-40 / 50)
    assert see["opponent_percent"] == pytest.approx(0.5)
    assert see["delta_x"] == pytest.approx((game[1]["x"] - game[0]["x"]) / 50)
    assert (see["last_X"], see["last_A"], see["last_stick_x"]) == (1, 0, 1)
    assert observation["action_state"][0, 0].tolist() == [a.JUMP_SQUAT, game[1]["action"]]
    assert observation["character"][0, 1].tolist() == [16, 7]
    assert observation["stage"][0, :, 0].tolist() == [31, 31]
    theirs = dict(zip(game.env.spec.observation["numbers"].names, observation["numbers"][0, 1], strict=True))
    for name in ("x", "percent", "speed_x", "hitstun", "stocks"):
        assert theirs[f"opponent_{name}"] == see[f"own_{name}"]
        assert theirs[f"own_{name}"] == see[f"opponent_{name}"]


def test_one_compilation_serves_every_batch():
    for batch in (1, 3):
        env = MeleeMockEnv(batch, characters=("fox", "marth"), observe=batch == 1)
        env.reset(0)
        env.step(np.zeros((batch, 2, 4), np.int32))
    assert len(advance.signatures) == 1


def test_the_cache_key_covers_every_file_of_the_core():
    folder = Path(game.__file__).parent
    for name in game._CORE_FILES:
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench.envs.melee"):
                modules = [node.module.split(".")[-1]] if node.module.count(".") > 2 else [n.name for n in node.names]
                assert set(modules) <= set(game._CORE_FILES), (name, modules)


def test_pictures(match):
    game = match("fox", "marth", stage="battlefield")
    game.pose(0, x=0)
    game.play({"c": (0, 1)}, frames=8)
    picture = game.env.render_frame(0)
    assert picture.startswith("<svg")
    assert picture.count("<circle") == 2  # up smash: two hit circles
    assert "usmash" in picture
    assert "marth 0%" in picture
    assert game.env._repr_html_().count("data:image/svg+xml") == 1
