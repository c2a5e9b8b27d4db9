import itertools

import numpy as np
import pandas as pd
import pytest

from workbench.arena import Matches


def tournament(strength: dict[str, float], games: int, seed: int = 0) -> Matches:
    """A round robin between players of known strength (nats), one game in twenty drawn."""
    generator = np.random.default_rng(seed)
    rows = []
    for a, b in itertools.combinations(strength, 2):
        chance = 1 / (1 + np.exp(strength[b] - strength[a]))
        for game in range(games):
            outcome = 0 if generator.random() < 0.05 else 1 if generator.random() < chance else -1
            rows.append((a, b, outcome) if game % 2 == 0 else (b, a, -outcome))
    count = len(rows)
    first, second, outcome = zip(*rows, strict=True)
    return Matches(
        pd.DataFrame(
            {
                "match_id": [f"{i}" for i in range(count)],
                "seed": np.arange(count),
                "env": "toy",
                "policy_0": first,
                "policy_1": second,
                "outcome": outcome,
                "length": generator.integers(5, 60, count),
                "end_reason": np.where(generator.random(count) < 0.1, "time limit", "rules"),
                "started": pd.Timestamp("2026-01-01", tz="UTC"),
                "seconds": 0.1,
            }
        )
    )


@pytest.fixture(scope="session")
def few():
    return tournament({"gen_000": -0.5, "gen_001": 0.5, "toy/greedy": 0.2, "random": -1.5}, 60)


@pytest.fixture(scope="session")
def many():
    names = [f"outputs/experiment/gen_{i:03d}/06_finetune/policy" for i in range(22)]
    return tournament(dict(zip(names, np.linspace(-1, 1, 22), strict=True)), 6)
