"""Small made-up trajectories whose contents tell which game and decision they are."""

import numpy as np
import pytest

from workbench.data.trajectories import Game, Trajectory
from workbench.envs.core import ActionSpec, EnvSpec, Field, Head

SPEC = EnvSpec(
    name="toy",
    version=1,
    observation={"number": Field((2,)), "token": Field((1,), "int16", 100)},
    action=ActionSpec((Head("first", ("a", "b", "c")), Head("second", ("left", "right")))),
)


@pytest.fixture
def toy_spec():
    return SPEC


@pytest.fixture
def make_trajectory():
    """make_trajectory(game number, seat, decisions, outcome, illegal=0, truncated=False)."""

    def make(number, seat=0, decisions=3, outcome=1, illegal=0, truncated=False):
        index = np.arange(decisions + 1, dtype=np.float32)
        first = np.ones((decisions, 3), bool)
        first[:illegal, 0] = False  # action 0 is always chosen
        return Trajectory(
            game=Game(
                match_id=f"game-{number}",
                env=SPEC.name,
                fingerprint=SPEC.fingerprint,
                seed=2**64 - 1 - number,
                seat=seat,
                policy=f"policy-{seat}",
                opponent=f"policy-{1 - seat}",
                outcome=outcome,
                truncated=truncated,
                end_reason="rules",
                length=decisions,
            ),
            observation={
                "number": np.stack([np.full_like(index, number), index], axis=1),
                "token": index.astype(np.int16)[:, None] % 100,
            },
            legal=(first, np.ones((decisions, 2), bool)),
            action=np.zeros((decisions, 2), np.int16),
            reward=index[:-1] / 10,
            log_prob=-index[:-1],
        )

    return make


@pytest.fixture
def scramble():
    """scramble(chunk): zeros over its last arrays; the table of contents and who played stay readable."""

    def zero(path):
        content = bytearray(path.read_bytes())
        end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        content[end - 60 : end] = bytes(60)
        path.write_bytes(content)

    return zero
