"""An env spec with every kind of field and head, and random observations of it."""

import numpy as np
import pytest

from workbench.envs.core import ActionSpec, EnvSpec, Field, Head


@pytest.fixture
def spec() -> EnvSpec:
    return EnvSpec(
        name="toy",
        version=1,
        observation={
            "board": Field((2, 3)),
            "cards": Field((4,), "int16", 7),
            "speed": Field((1,)),
            "words": Field((2,), "int32", 50),
            "more_cards": Field((3,), "int16", 7),
        },
        action=ActionSpec((Head("move", ("a", "b", "c")), Head("press", ("no", "yes")), Head("aim", tuple("uvwxyz")))),
    )


@pytest.fixture
def play():
    """`play(spec, *leading, seed=0)`: a random observation and random legal masks with those leading axes."""

    def drawn(spec, *leading, seed=0):
        generator = np.random.default_rng(seed)
        observation = {
            name: generator.integers(field.vocabulary, size=(*leading, *field.shape)).astype(field.dtype)
            if field.is_tokens
            else generator.normal(size=(*leading, *field.shape)).astype(np.float32)
            for name, field in spec.observation.items()
        }
        legal = []
        for size in spec.action.sizes:
            allowed = generator.random((*leading, size)) > 0.5
            allowed[..., 0] |= ~allowed.any(axis=-1)
            legal.append(allowed)
        return observation, tuple(legal)

    return drawn
