"""How fast battles are collected with a neural policy, and what memory a stage that collects takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil
import yaml

from workbench.data.datasets import Dataset
from workbench.envs import env_spec
from workbench.policies import Policy, PolicySettings

HIDDEN = (256, 128)
_STAGE = Path("collecting/gen_001/04_collect")


def collect_gen1ou(battles: int, workers: int = 2, batch_size: int = 64, seed: int = 0) -> tuple[dict, pd.DataFrame]:
    """A neural policy of the quickstart's size plays itself, as a stage of an experiment; both sides are written.

    Returns:
        `decisions_per_second` of the collection (processes started, played, encoded, written), `battles_per_second`,
        `decisions`; and memory over time: seconds, battles, gigabytes (the runner and all that it started).

    Raises:
        RuntimeError: the stage failed; with what the runner said.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        policy = Policy.create(env_spec("gen1ou"), PolicySettings(hidden=HIDDEN), seed=seed, device="cpu")
        policy.save(folder / "policy")
        asked = {
            "policy": str(folder / "policy"),
            "opponents": [],
            "games": battles,
            "games_per_chunk": max(50, min(500, battles // (2 * workers))),
            "batch_size": batch_size,
            "workers": workers,
            "seed": seed,
        }
        experiment = folder / "collecting.yaml"
        experiment.write_text(yaml.safe_dump({"name": "collecting", "stages": {"collect": {"parameters": asked}}}))
        memory = _watched(
            [sys.executable, "-m", "workbench.cli", "run", str(experiment), "--output-dir", place], folder
        )
        result = json.loads((folder / _STAGE / "result.json").read_text(encoding="utf-8"))
        decisions = sum(Dataset(folder / _STAGE / "dataset").all_lengths())
    pace = result["metrics"]["games_per_second"]
    figures = {
        "decisions_per_second": decisions / battles * pace,
        "battles_per_second": pace,
        "decisions": decisions,
    }
    return figures, memory


def _watched(command: list[str], folder: Path, every: float = 0.5) -> pd.DataFrame:
    """Runs a command that runs the stage, and says what memory that took while how many battles were done."""
    rows, began = [], time.perf_counter()
    with (folder / "said.txt").open("w+") as said:
        process = psutil.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            rows.append((time.perf_counter() - began, _done(folder / _STAGE), resident(process) / 1e9))
            time.sleep(every)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"collecting as a stage ended with {process.returncode}:\n{said.read()}")
    return pd.DataFrame(rows, columns=["seconds", "battles", "gigabytes"])


def _done(stage: Path) -> int:
    """Battles that a stage says are finished."""
    try:
        return int(json.loads((stage / "status.json").read_text(encoding="utf-8")).get("done") or 0)
    except FileNotFoundError:
        return 0


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
    """Gigabytes that memory rose over the second half of the battles, by a straight line through it.

    Rows of the last count are left out: everything is finished then, and processes are closing.
    """
    last = table["battles"].max()
    half = table[(table["battles"] >= last / 2) & (table["battles"] < last)]
    if len(half) < 3:
        return float("nan")
    slope = half["seconds"].cov(half["gigabytes"]) / half["seconds"].var()
    return float(slope * (half["seconds"].max() - half["seconds"].min()))
