"""How fast battles are collected with a neural policy, and what memory a long collection takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pandas as pd
import psutil

from workbench.arena import collect
from workbench.data.datasets import Dataset
from workbench.envs import env_spec
from workbench.policies import Policy, PolicySettings

HIDDEN = (256, 128)


def collect_gen1ou(battles: int, workers: int = 2, batch_size: int = 64, seed: int = 0) -> tuple[dict, pd.DataFrame]:
    """A neural policy of the quickstart's size plays itself; every battle is written, both sides.

    It happens in a process of its own, so that memory is the collection's and nobody else's.

    Returns:
        `decisions_per_second` end to end (processes started, played, encoded, written), `battles_per_second`,
        `decisions`; and memory over time: seconds, battles, gigabytes (that process and all it started).
    """
    asked = json.dumps({"battles": battles, "workers": workers, "batch_size": batch_size, "seed": seed})
    command = [sys.executable, "-m", "workbench.benchmarks.collection", asked]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return answer["figures"], pd.DataFrame(answer["memory"], columns=["seconds", "battles", "gigabytes"])


def _measure(battles: int, workers: int, batch_size: int, seed: int) -> dict:
    spec = env_spec("gen1ou")
    policy = Policy.create(spec, PolicySettings(hidden=HIDDEN), seed=seed, device="cpu")
    with tempfile.TemporaryDirectory() as folder, Memory() as memory:
        policy.save(Path(folder) / "policy")
        began = time.perf_counter()
        collected = collect(
            "gen1ou",
            str(Path(folder) / "policy"),
            games=battles,
            folder=Path(folder) / "games",
            batch_size=batch_size,
            seed=seed,
            games_per_chunk=max(50, min(500, battles // (2 * workers))),
            workers=workers,
            progress=memory.note,
        )
        seconds = time.perf_counter() - began
        decisions = sum(Dataset(collected.folder).all_lengths())
    figures = {
        "decisions_per_second": decisions / seconds,
        "battles_per_second": battles / seconds,
        "decisions": decisions,
    }
    return {"figures": figures, "memory": memory.rows}


class Memory:
    """Watches the resident memory of this process and its descendants while a block runs."""

    def __init__(self, every: float = 0.5):
        self.every, self.done, self.rows = every, 0, []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def note(self, done: int, total: int) -> None:
        """Say how far the work is; goes as `progress`."""
        self.done = done

    def _watch(self) -> None:
        began, me = time.perf_counter(), psutil.Process()
        while not self._stop.wait(self.every):
            self.rows.append((time.perf_counter() - began, self.done, resident(me) / 1e9))

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join()


def resident(process: psutil.Process) -> int:
    """Bytes of memory that a process and its descendants hold for themselves; shared pages count once."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            memory = one.memory_full_info()
            total += getattr(memory, "pss", memory.uss)
        except psutil.NoSuchProcess:
            continue  # ended between being listed and being looked at
    return total


def growth(table: pd.DataFrame) -> float:
    """Gigabytes that memory rose over the second half of the battles, by a straight line through it."""
    half = table[table["battles"] >= table["battles"].max() / 2]
    if len(half) < 3:
        return float("nan")
    slope = half["seconds"].cov(half["gigabytes"]) / half["seconds"].var()
    return float(slope * (half["seconds"].max() - half["seconds"].min()))


if __name__ == "__main__":
    json.dump(_measure(**json.loads(sys.argv[1])), sys.stdout)
