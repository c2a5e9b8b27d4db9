"""What it costs to log, and how soon what was logged is seen."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from workbench.envs import make
from workbench.learning import PPO, PPOSettings
from workbench.pipeline.stage import Stage
from workbench.pipeline.status import RUNNING, this_process, timestamp
from workbench.policies import Policy, PolicySettings
from workbench.ui.dashboard import Dashboard

_METRICS = (
    "losses/policy_loss", "losses/value_loss", "losses/entropy", "losses/approx_kl", "losses/clip_fraction",
    "losses/explained_variance", "charts/SPS", "charts/episodic_return", "charts/learning_rate", "population/elo",
)  # fmt: skip


def logging_cost(updates: int = 40, games: int = 64, steps: int = 128, seed: int = 0) -> dict[str, float]:
    """The share of a self-play run's time that goes into metrics, TensorBoard and progress, of the same run.

    The run is that of `03_self_play` with its defaults.

    Returns:
        `share` of the wall time, `microseconds` an update's logging takes, `update_milliseconds` all of it.
    """
    with tempfile.TemporaryDirectory() as place, make("melee-mock", batch_size=games, frames_per_decision=4) as env:
        stage = Stage(Path(place), seed, name="logging", resuming=False, request={"stage": "logging"})
        policy = Policy.create(env.spec, PolicySettings(hidden=(128, 128)), seed=seed)
        ppo = PPO(env, policy, PPOSettings(steps=steps), seed=seed)

        def log(metrics: dict) -> float:
            began = time.perf_counter()
            stage.log(metrics, ppo.frames)
            stage.progress(ppo.updates, updates, note=f"update {ppo.updates}")
            return time.perf_counter() - began

        for _ in range(2):
            log(ppo.update())
        began = time.perf_counter()
        spent = sum(log(ppo.update()) for _ in range(updates))
        whole = time.perf_counter() - began
        stage.close()
    return {"share": spent / whole, "microseconds": 1e6 * spent / updates, "update_milliseconds": 1e3 * whole / updates}


def dashboard_delay(lines: int = 1_000_000, repeats: int = 5, seed: int = 0) -> dict[str, float]:
    """How soon the dashboard draws a new line of a `metrics.jsonl` that has so many already.

    The dashboard is the real one, widgets and all, but for the browser (which a browser test looks at).

    Returns:
        `first_picture`: seconds from opening until there are curves; `whole_file`: until all old lines are in them;
        `seconds`: from writing a line until it is in the picture, the worst of `repeats`; `idle`: share of a core
        while nothing is written; `megabytes` of the file.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # a notebook's kernel has an event loop of its own
        return alone.submit(_delay, lines, repeats, seed).result()


def _delay(lines: int, repeats: int, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "manual" / "long"
        folder.mkdir(parents=True)
        _write_lines(folder / "metrics.jsonl", lines, seed)
        status = {"state": RUNNING, "process": this_process(), "started": timestamp(), "updated": timestamp()}
        (folder / "status.json").write_text(json.dumps({**status, "stage": "long"}))
        figures = asyncio.run(_watch(Path(place), folder / "metrics.jsonl", lines, repeats))
        return {**figures, "megabytes": (folder / "metrics.jsonl").stat().st_size / 1e6}


async def _watch(outputs: Path, metrics: Path, lines: int, repeats: int) -> dict[str, float]:
    began = time.perf_counter()
    board = Dashboard(outputs)
    board.open()
    view = board.view
    view.tabs.selected_index = [panel.title for panel in view.panels].index("Curves")
    panel = view.panels[view.tabs.selected_index]
    try:
        await _until(lambda: panel.picture)
        first = time.perf_counter() - began
        await _until(lambda: panel.drawn >= lines)
        whole = time.perf_counter() - began
        delays = []
        for repeat in range(repeats):
            await asyncio.sleep(0.2 + 0.13 * repeat)  # at any point between two looks
            written = time.perf_counter()
            _write_lines(metrics, 1, repeat, first=lines + repeat)
            await _until(lambda wanted=lines + repeat + 1: panel.drawn >= wanted)
            delays.append(time.perf_counter() - written)
        await asyncio.sleep(1.0)
        spent, idle = time.process_time(), time.perf_counter()
        await asyncio.sleep(5.0)
        share = (time.process_time() - spent) / (time.perf_counter() - idle)
    finally:
        board.close()
    return {"first_picture": first, "whole_file": whole, "seconds": max(delays), "idle": share}


async def _until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def _write_lines(path: Path, count: int, seed: int, first: int = 0) -> None:
    """Append lines as a trainer's, their numbers drawn at random."""
    draw = random.Random(seed)
    numbers = [",".join(f'"{name}":{draw.gauss(0, 1)}' for name in _METRICS) for _ in range(min(count, 997))]
    with path.open("a", buffering=1 << 20) as file:
        for line in range(first, first + count):
            file.write(f'{{"step":{8192 * line},"time":{1.7e9 + line},{numbers[line % len(numbers)]}}}\n')
