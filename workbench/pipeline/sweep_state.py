"""What a sweep is doing, as its files say it: `sweep.json`, and each combination's own `experiment.json`."""

from __future__ import annotations

from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.files import read_json
from workbench.pipeline.overview import read_experiment
from workbench.pipeline.status import is_alive

SWEEP = "sweep.json"
_DONE = (states.FINISHED, "up to date", "skipped")


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (folder / SWEEP).is_file()


def read_sweep(folder: Path) -> dict:
    """A sweep's `sweep.json`, corrected where its process is gone without having said so.

    Raises:
        ValueError: it is damaged.
    """
    found = read_json(folder / SWEEP, {})
    if found.get("state") == states.RUNNING and not is_alive(found.get("process")):
        found["state"] = states.DIED
        found["message"] = (
            "its process ended without a word (killed, or the machine went off); the same command goes on from here"
        )
        for entry in found["combinations"]:
            if entry["state"] == states.RUNNING:
                entry.update(progress_of(folder / entry["name"]))
                entry["state"] = states.DIED if entry["state"] == states.RUNNING else entry["state"]
    return found


def progress_of(folder: Path) -> dict:
    """How far a combination is, by its own files.

    Returns:
        `state` and `message`; how many stages are `done` `of` all, `ran` in this run, were `shared`, that is taken over from
        another combination; `seconds` of work; `now`, the entry of the stage that runs with its status under `progress`,
        or None.
    """
    try:
        experiment = read_experiment(folder)
    except ValueError as error:
        experiment = {"state": states.FAILED, "message": str(error)}
    stages = experiment.get("stages", [])
    wrong = (entry for entry in stages if entry["state"] not in (*_DONE, states.PENDING, states.RUNNING))
    told = next((f"{entry['folder']}: {entry['error']}" for entry in wrong if entry.get("error")), "")
    return {
        "state": experiment.get("state", states.PENDING),
        "message": experiment.get("message") or told,
        "done": sum(entry["state"] in _DONE for entry in stages),
        "of": len(stages),
        "ran": sum(entry["state"] == states.FINISHED and "shared_from" not in entry for entry in stages),
        "shared": sum("shared_from" in entry for entry in stages),
        "seconds": sum(entry.get("seconds") or 0.0 for entry in stages),
        "now": next((entry for entry in stages if entry["state"] == states.RUNNING), None),
    }
