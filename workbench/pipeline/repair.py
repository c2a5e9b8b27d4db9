"""Makes the files of an experiment say that its runner is gone, where nobody was left to write it down."""

from __future__ import annotations

from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.index import read_experiment, write_index
from workbench.pipeline.lock import Lock, Locked
from workbench.pipeline.report import write_report
from workbench.pipeline.status import read_or_nothing, read_status
from workbench.pipeline.supervise import end_leftovers, write_end


def repair(folder: Path | str) -> bool:
    """Correct an abandoned experiment: its stage's status, executed notebook and report, its own state and its page.

    Returns:
        whether there was anything to correct; an experiment that is being run is left alone.
    """
    folder = Path(folder)
    recorded = read_json(folder / "experiment.json", {})
    if recorded.get("state") != states.RUNNING:
        return False
    try:
        with Lock(folder / "run.lock"):
            _repair(folder)
    except Locked:
        return False
    return True


def _repair(folder: Path) -> None:
    found = read_experiment(folder)
    for entry in found["stages"]:
        place = folder / entry["folder"]
        entry.pop("progress", None)
        (entry.get("retry") or {}).pop("waits", None)
        if (place / "request.json").exists() and read_or_nothing(place / "status.json").get("state") == states.RUNNING:
            end_leftovers(place)
            message = read_status(place)["message"]
            write_end(place, states.DIED, message)
            entry.update(state=states.DIED, error=message)
            if (place / "notebook.ipynb").exists():
                write_report(place)
    write_json(folder / "experiment.json", found, durable=True)
    write_index(folder)
