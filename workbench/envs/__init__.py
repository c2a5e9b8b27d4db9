"""What is played: the env contract, the games that keep it, and the players that need no network."""

from __future__ import annotations

import difflib
import importlib

from workbench.envs.core import ActionSpec, Env, EnvSpec, Field, Head, TimeStep, game_seed
from workbench.envs.players import Decision, Player, RandomPlayer, ScriptedPlayer, scripted_names, scripted_player

# name -> module, factory; imported when first asked for, so that a Kuhn poker run never loads Melee's compiled core
_ENVS = {
    "matrix": ("workbench.envs.matrix", "MatrixEnv"),
    "rps": ("workbench.envs.matrix", "rock_paper_scissors"),
    "kuhn": ("workbench.envs.poker", "KuhnEnv"),
    "leduc": ("workbench.envs.poker", "LeducEnv"),
    "memory": ("workbench.envs.memory", "MemoryEnv"),
    "cartpole": ("workbench.envs.gymnasium_env", "CartPoleEnv"),
    "gymnasium": ("workbench.envs.gymnasium_env", "from_gymnasium"),
    "melee-mock": ("workbench.envs.melee.env", "MeleeMockEnv"),
    "gen1ou": ("workbench.envs.pokemon.env", "Gen1OUEnv"),
}


def env_spec(name: str, **options) -> EnvSpec:
    """The spec of an env, without starting what it plays on where its spec does not depend on its options.

    Raises:
        KeyError: unknown name; the message gives the nearest ones.
    """
    spec = getattr(_factory(name), "spec", None)
    if isinstance(spec, EnvSpec):
        return spec
    with make(name, batch_size=1, **options) as env:
        return env.spec


def make(name: str, batch_size: int = 64, **options) -> Env:
    """The env of that name, `batch_size` games at once; `options` are the env's own keyword arguments.

    Raises:
        KeyError: unknown name; the message gives the nearest ones.
    """
    return _factory(name)(batch_size=batch_size, **options)


def _factory(name: str):
    if name not in _ENVS:
        near = difflib.get_close_matches(name, _ENVS, n=3, cutoff=0.4) or sorted(_ENVS)
        raise KeyError(f"no env named {name!r}; did you mean {', '.join(near)}?")
    module, factory = _ENVS[name]
    return getattr(importlib.import_module(module), factory)


def env_names() -> list[str]:
    """Names that `make` knows."""
    return sorted(_ENVS)


__all__ = [
    "ActionSpec",
    "Decision",
    "Env",
    "EnvSpec",
    "Field",
    "Head",
    "Player",
    "RandomPlayer",
    "ScriptedPlayer",
    "TimeStep",
    "env_names",
    "env_spec",
    "game_seed",
    "make",
    "scripted_names",
    "scripted_player",
]
