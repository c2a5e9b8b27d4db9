"""Showdown's plain `Battle` class: what our battles are measured against, and what they must agree with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from workbench.envs.pokemon import showdown
from workbench.envs.pokemon.node_process import NODE_FLAGS


def bare_loop(teams: Sequence[str], *, battles: int = 64, seconds: float = 5.0, seed: int = 0) -> dict:
    """Random legal choices on Showdown's plain `Battle`, in one Node process, with no Python in between.

    Args:
        teams: packed teams that both seats draw from.
        battles: played in turns, as the env does.
        seconds: how long.

    Returns:
        `{"steps", "games", "turns", "seconds", "cpu_seconds"}`; a step is one decision point of one battle.
    """
    return _run("bare.mjs", {"teams": list(teams), "battles": battles, "seconds": seconds, "seed": seed})


def compare(teams: Sequence[str], *, games: int, seed: int = 0) -> dict:
    """Play the same random choices on Showdown's plain `Battle` and on ours, and compare the states at every step.

    Returns:
        `{"games", "steps", "turns", "requests": {shape: count}, "difference"}`; the last is None where random numbers,
        Pokémon, requests and results agreed throughout.
    """
    return _run("compare.mjs", {"teams": list(teams), "games": games, "seed": seed})


def battle_log(seed: int, teams: tuple[str, str], choices: Sequence[Sequence[int]]) -> str:
    """The log of a game, line by line in Showdown's protocol, as its replay viewer reads it; exact HP for both sides.

    Args:
        seed: the game's, as in `TimeStep.game_seed`.
        teams: both seats' packed teams.
        choices: both seats' choices of each step, as `actions.choices` gives them.
    """
    request = {"seed": str(int(seed)), "teams": list(teams), "choices": [list(map(int, pair)) for pair in choices]}
    return _run("log.mjs", request)["log"]


def _run(script: str, request: dict) -> dict:
    answer = subprocess.run(
        [showdown.node_executable(), *NODE_FLAGS, showdown.LOCK_FOLDER / script, showdown.showdown_folder()],
        input=json.dumps(request), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode:
        raise RuntimeError(f"{script} ended with code {answer.returncode}: {answer.stderr.strip()[-2000:]}")
    return json.loads(answer.stdout)
