"""Games whose answer is known: what the trainers reach, beside it."""

from __future__ import annotations

import itertools
from importlib.util import find_spec

import numpy as np
import pandas as pd

from workbench.arena import Matches, bradley_terry, play
from workbench.envs import make, scripted_player
from workbench.learning import PPO, PPOSettings
from workbench.metagame.exploitability import GameTree, expected_value, exploitability, nash_conv, policy_table
from workbench.policies import Policy, PolicySettings


def memory_task(backbone: str, frames: int, seed: int, delay: int = 16, games: int = 64) -> dict:
    """PPO on the memory task: a cue seen once, asked for `delay` steps later; a policy without memory can only guess.

    Returns:
        backbone, seed, and `recalled`, the share of 1000 answers that are right (0.5 is guessing).
    """
    env = make("memory", batch_size=games, delay=delay)
    policy = Policy.create(
        env.spec, PolicySettings(backbone=backbone, hidden=(32,), memory=32), seed=seed, device="cpu"
    )
    settings = PPOSettings(
        steps=2 * (delay + 2), epochs=4, minibatches=4, learning_rate=3e-3, discount=0.99, total_frames=frames
    )
    ppo = PPO(env, policy, settings, seed=seed)
    while ppo.frames < frames:
        ppo.update()
    env.close()
    return {"backbone": backbone, "seed": seed, "recalled": recalled(policy, delay)}


def recalled(policy: Policy, delay: int, answers: int = 1000) -> float:
    """Share of answers that are right, taking the likeliest action."""
    with make("memory", batch_size=answers // 2, delay=delay) as env:
        timestep = env.reset(seed=12345)
        state = policy.initial_state(answers)
        total = np.zeros((answers // 2, 2))
        while not timestep.done.any():
            rows = {name: values.reshape(answers, *values.shape[2:]) for name, values in timestep.observation.items()}
            legal = tuple(allowed.reshape(answers, -1) for allowed in timestep.legal)
            decision = policy.act(rows, legal, state, temperature=0.0)
            state = decision.state
            timestep = env.step(decision.action.reshape(answers // 2, 2, 1))
            total += timestep.reward
    return float((total > 0).mean())


def kuhn_self_play(frames: int, seed: int, games: int = 128, points: int = 20) -> pd.DataFrame:
    """PPO against itself on Kuhn poker: exploitability of the last iterate as it learns.

    Returns:
        A row a measurement: seed, frames, exploitability (NashConv / 2, by our own tree walk), the same by OpenSpiel
        (NaN where it is not installed), value for the first player (-1/18 in equilibrium).
    """
    env, tree = make("kuhn", batch_size=games), GameTree.of("kuhn")
    policy = Policy.create(env.spec, PolicySettings(hidden=(64, 64)), seed=seed, device="cpu")
    settings = PPOSettings(
        steps=32, learning_rate=1e-3, discount=1.0, trace=0.95, entropy_weight=0.01, total_frames=frames
    )
    ppo = PPO(env, policy, settings, seed=seed)
    rows = []
    while True:
        if ppo.frames >= len(rows) * frames / points:
            table = policy_table(policy, tree)
            measured = exploitability(tree, table), openspiel_exploitability(table, tree), expected_value(tree, table)
            rows.append((seed, ppo.frames, *measured))
        if ppo.frames >= frames:
            break
        ppo.update()
    env.close()
    return pd.DataFrame(rows, columns=["seed", "frames", "exploitability", "by_openspiel", "value"])


def openspiel_exploitability(table: np.ndarray, tree: GameTree) -> float:
    """OpenSpiel's NashConv / 2 of a Kuhn policy given as `policy_table` does; NaN where OpenSpiel is not installed."""
    if find_spec("pyspiel") is None:
        return float("nan")
    import pyspiel

    policy = {
        infostate: [(option, table[row, option]) for option in np.flatnonzero(tree.legal[row])]
        for row, infostate in enumerate(tree.strings)
    }
    return pyspiel.nash_conv(pyspiel.load_game("kuhn_poker"), pyspiel.TabularPolicy(policy)) / 2


def scripted_order(env_name: str, players: list[str], games: int, seed: int = 0, **env_options) -> pd.DataFrame:
    """Each scripted player against the next stronger: whether their order of strength is what their names say."""
    rows = []
    for weaker, stronger in itertools.pairwise(players):
        with make(env_name, batch_size=32, **env_options) as env:
            score = play(env, stronger, weaker, games=games, seed=seed).score(stronger, weaker)
        rows.append((stronger, weaker, score.games, score.rate, score.low, score.high))
    return pd.DataFrame(rows, columns=["player", "against", "games", "win_rate", "low", "high"])


def exact_values() -> pd.DataFrame:
    """What the meta-game's and the arena's arithmetic gives where the literature has the figure.

    Returns:
        what, measured, reference, source.
    """
    kuhn, leduc = GameTree.of("kuhn"), GameTree.of("leduc")
    nash = policy_table(scripted_player("kuhn/nash"), kuhn)
    three_to_one = bradley_terry(_matches(["a", "b"], [[0, 3], [1, 0]]), prior=0.0, bootstraps=0).table["rating"]
    three = bradley_terry(_matches(["a", "b", "c"], [[0, 7, 9], [3, 0, 6], [1, 4, 0]]), prior=0.0, bootstraps=0).table[
        "rating"
    ]
    rows = [
        ("Kuhn poker, uniform play, NashConv", nash_conv(kuhn, kuhn.uniform()), 0.916667, "OpenSpiel"),
        ("Leduc poker, uniform play, NashConv", nash_conv(leduc, leduc.uniform()), 4.747222, "OpenSpiel"),
        ("Kuhn poker, equilibrium, NashConv", nash_conv(kuhn, nash), 0.0, "Kuhn 1950"),
        ("Kuhn poker, equilibrium, value", expected_value(kuhn, nash), -1 / 18, "Kuhn 1950"),
        ("Bradley–Terry, 3 wins to 1, Elo apart", three_to_one["a"] - three_to_one["b"], 190.8485, "ln 3 in Elo"),
        ("Bradley–Terry, three players, the best", three["a"] - three.mean(), 163.9211, "choix"),
        ("Bradley–Terry, three players, the worst", three["c"] - three.mean(), -136.0984, "choix"),
    ]
    return pd.DataFrame(rows, columns=["what", "measured", "reference", "source"])


def exact_rows(exact: pd.DataFrame) -> list[dict]:
    """The table of `exact_values` as rows for `timing.figures`: how far each figure is from its reference."""
    error = (exact["measured"] - exact["reference"]).abs()
    return [
        {"what": f"{row.what}: error", "measured": off, "target": 1e-4, "unit": "absolute", "more": False}
        for row, off in zip(exact.itertuples(), error, strict=True)
    ]


def _matches(policies: list[str], wins: list[list[int]]) -> Matches:
    """A table of games with these wins of the row's policy over the column's."""
    results = [
        (winner, loser)
        for i, winner in enumerate(policies)
        for j, loser in enumerate(policies)
        for _ in range(wins[i][j])
    ]
    return Matches(
        pd.DataFrame(
            {
                "match_id": [str(number) for number in range(len(results))],
                "seed": np.zeros(len(results), np.uint64),
                "env": "given",
                "policy_0": [winner for winner, _ in results],
                "policy_1": [loser for _, loser in results],
                "outcome": 1,
                "length": 1,
                "end_reason": "rules",
                "started": pd.Timestamp("2026-01-01", tz="UTC"),
                "seconds": 0.0,
            }
        )
    )
