"""Makes the files of a sweep say that its process is gone, where nobody was left to write it down."""

from __future__ import annotations

from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.comparison_page import write_comparison
from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.lock import Lock, Locked
from workbench.pipeline.repair import repair
from workbench.pipeline.sweep_state import SWEEP, read_sweep


def repair_sweep(folder: Path) -> dict:
    """`read_sweep`, having corrected the files of a sweep, and of its combinations, that was abandoned; and its page."""
    found = read_sweep(folder)
    for entry in found.get("combinations", []):
        if entry["state"] == states.DIED:
            repair(folder / entry["name"])
    if found.get("state") == states.DIED and read_json(folder / SWEEP)["state"] == states.RUNNING:
        try:
            with Lock(folder / "run.lock"):
                write_json(folder / SWEEP, found, durable=True)
        except Locked:  # somebody has just gone on with it
            return read_sweep(folder)
        write_comparison(folder)
    return found
