"""Neural fictitious self-play where exploitability is exact: how far the average policy comes, beside its best response."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.envs import make
from workbench.learning import PPOSettings
from workbench.metagame.exploitability import GameTree, nash_conv, policy_table
from workbench.metagame.nfsp import NFSP, NFSPSettings, average_imitation
from workbench.policies import Policy, PolicySettings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings that reach a game's yardstick; the average's learning rate falls over the frames that are asked for."""

    games: int = 256
    hidden: tuple[int, ...] = (64, 64)
    nfsp: NFSPSettings
    ppo: dict
    imitation: dict


RECIPES = {
    "kuhn": Recipe(
        nfsp=NFSPSettings(anticipation=0.1, capacity=500_000, average_updates=2, exploration=0.02),
        ppo={"steps": 8, "learning_rate": 5e-3},
        imitation={"batch_size": 512, "learning_rate": 3e-3},
    ),
    "leduc": Recipe(
        hidden=(128, 128),
        nfsp=NFSPSettings(anticipation=0.1, capacity=2_000_000, average_updates=4, exploration=0.02),
        ppo={"steps": 16, "learning_rate": 3e-3},
        imitation={"batch_size": 1024, "learning_rate": 3e-3},
    ),
}


def trainer(name: str, frames: int, seed: int, recipe: Recipe | None = None) -> NFSP:
    """Neural fictitious self-play on `"kuhn"` or `"leduc"` as the yardstick has it, its env open."""
    recipe = recipe or RECIPES[name]
    env = make(name, recipe.games)
    policies = [
        Policy.create(env.spec, PolicySettings(hidden=recipe.hidden), 2 * seed + number, device="cpu")
        for number in (0, 1)
    ]
    # a wide clip: a best response is no use if it turns slowly
    ppo = PPOSettings(
        total_frames=frames, epochs=4, minibatches=2, clip=0.5, discount=1.0, trace=1.0, value_clip=None,
        entropy_weight=0.0, **recipe.ppo,
    )  # fmt: skip
    updates = recipe.nfsp.average_updates * -(-frames // (recipe.games * ppo.steps))
    return NFSP(
        env, *policies, recipe.nfsp, ppo=ppo, imitation=average_imitation(updates, **recipe.imitation), seed=seed
    )


def nfsp_curve(name: str, frames: int, seed: int, points: int = 20, recipe: Recipe | None = None) -> pd.DataFrame:
    """Exact NashConv (twice the exploitability) while it learns.

    Args:
        name: `"kuhn"` or `"leduc"`.
        frames: env steps in all, summed over games.
        seed: of weights, games and draws.
        points: how often it is measured; once more before training.
        recipe: by default the game's of `RECIPES`.

    Returns:
        frames, minutes of training (without the measuring), and NashConv of the `average` and the `best_response`, as
        they stand.
    """
    tree = GameTree.of(name)
    nfsp = trainer(name, frames, seed, recipe)
    rows, seconds = [], 0.0
    at = np.linspace(0, frames, points + 1)
    with nfsp.ppo.env:
        for target in at:
            began = time.perf_counter()
            while nfsp.frames < target:
                nfsp.update()
            seconds += time.perf_counter() - began
            measured = [nash_conv(tree, policy_table(one, tree)) for one in (nfsp.average, nfsp.best_response)]
            rows.append((nfsp.frames, seconds / 60, *measured))
    return pd.DataFrame(rows, columns=["frames", "minutes", "average", "best_response"])
