"""What is in `outputs/`: experiments, sweeps and runs by hand, each as it really stands now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from workbench.markup import Cell, table_html
from workbench.pipeline import status as states
from workbench.pipeline.display import progress_words
from workbench.pipeline.files import read_json
from workbench.pipeline.index import read_experiment
from workbench.pipeline.stage import project_folder
from workbench.pipeline.status import read_status
from workbench.pipeline.text import duration

EXPERIMENT, BY_HAND = "experiment", "by hand"
DONE = (states.FINISHED, "up to date", "skipped")
_ENDED_BADLY = (states.FAILED, states.KILLED, states.TIMED_OUT, states.INTERRUPTED, states.DIED)
_STILL_TO_RUN = (states.RUNNING, states.PENDING, "waiting")
_COLOURS = {
    states.RUNNING: "#0072B2",
    **dict.fromkeys(DONE, "#00734f"),
    states.INTERRUPTED: "#8a5a00",
    "pending": "#6b6b6b",
    "deleted": "#6b6b6b",
}
_TROUBLE = "#b3261e"


@dataclass(frozen=True)
class StageState:
    """One stage of a run as it stands.

    Args:
        folder: of the stage.
        title: `pokemon · generation 2 · finetune`; by hand the notebook's name.
        state: one of `workbench.pipeline.status`, or `pending`, `skipped`, `up to date`.
        seconds: it has worked; None before it began.
        usual: seconds it takes, from earlier runs; None while unknown.
        status: of one that runs or failed, what its `status.json` says.
        words: why it ended as it did, or what it does now.
    """

    folder: Path
    title: str
    state: str
    seconds: float | None = None
    usual: float | None = None
    status: dict = field(default_factory=dict)
    words: str = ""


@dataclass(frozen=True)
class Run:
    """A run as it stands: an experiment with its stages, or one notebook run by hand."""

    name: str
    kind: str
    folder: Path
    state: str
    stages: tuple[StageState, ...] = ()
    message: str = ""
    updated: str = ""

    @property
    def done(self) -> int:
        """How many stages need not run any more."""
        return sum(stage.state in DONE for stage in self.stages)

    @property
    def current(self) -> StageState | None:
        """The stage that runs; else the one it stopped at; else the last that finished."""
        for wanted in ((states.RUNNING,), _ENDED_BADLY):
            for stage in reversed(self.stages):
                if stage.state in wanted:
                    return stage
        finished = [stage for stage in self.stages if stage.state in DONE]
        return finished[-1] if finished else None

    @property
    def left(self) -> float | None:
        """Seconds until all stages are done, by what the running stage says and what the others took before; None
        while that is not known."""
        total = 0.0
        for stage in self.stages:
            if stage.state not in _STILL_TO_RUN:
                continue
            eta = stage.status.get("eta") if stage.state == states.RUNNING else None
            if eta is None and stage.usual is not None:
                eta = max(0.0, stage.usual - _since(stage.status.get("started")))
            if eta is None:
                return None
            total += eta
        return total


class Runs(list):
    """All runs of a folder, newest first; a notebook shows them as a table."""

    def __repr__(self) -> str:
        lines = [
            f"{run.name}: {run.state}, {run.done} of {len(run.stages)} stages done"
            + (f"; {said(run)}" if said(run) else "")
            for run in self
        ]
        return "\n".join(lines) or "no runs yet"

    def _repr_html_(self) -> str:
        rows = [
            (
                Cell(run.name, str(run.folder)),
                run.kind,
                state_cell(run.state),
                f"{run.done} / {len(run.stages)}",
                duration(sum(stage.seconds or 0 for stage in run.stages)),
                moment(run.updated),
                Cell(said(run)[:110], said(run)),
            )
            for run in self
        ]
        names = ("run", "", "state", "stages done", "work", "last heard of (UTC)", "")
        return table_html(
            names, rows, left=(0, 1, 2, 6), note="" if self else "No runs yet: workbench run params/quickstart.yaml"
        )


def runs(outputs: Path | str | None = None) -> Runs:
    """All experiments, combinations of sweeps and runs by hand in a folder, the last one heard of first.

    Args:
        outputs: by default `outputs/` of the project.
    """
    outputs = Path(outputs) if outputs is not None else project_folder() / "outputs"
    found = [run for folder in _folders(outputs) if (run := read_run(folder, outputs)) is not None]
    return Runs(sorted(found, key=lambda run: run.updated, reverse=True))


def _folders(outputs: Path) -> Iterator[Path]:
    for pattern in ("*/experiment.json", "*/*/experiment.json", "manual/*/status.json"):
        yield from (file.parent for file in outputs.glob(pattern))


def read_run(folder: Path | str, outputs: Path | str = ".") -> Run | None:
    """How a run stands: corrected by the process table where files still say `running`; None where there is no run.

    Args:
        folder: of an experiment, or of a stage run by hand.
        outputs: the folder that names are relative to.
    """
    folder, outputs = Path(folder), Path(outputs)
    name = folder.relative_to(outputs).as_posix() if folder.is_relative_to(outputs) else folder.name
    try:
        if (folder / "experiment.json").exists():
            return _experiment(name, folder)
        return _by_hand(name, folder)
    except ValueError as error:  # a damaged file
        return Run(name, EXPERIMENT, folder, "damaged", message=str(error))


def _experiment(name: str, folder: Path) -> Run | None:
    found = read_experiment(folder)
    if not found:
        return None
    took = {(entry["chain"], entry["stage"]): entry["took"] for entry in found["stages"] if entry.get("took")}
    stages = []
    for entry in found["stages"]:
        running = entry["state"] == states.RUNNING
        status = {"started": entry.get("started"), **(entry.get("progress") or {})}
        seconds = _since(entry.get("started")) if running else entry.get("seconds")
        words = progress_words(status) if running else entry.get("error") or ""
        title = " · ".join(filter(None, (entry["chain"], f"generation {entry['generation']}", entry["stage"])))
        usual = entry.get("took") or took.get((entry["chain"], entry["stage"]))
        stages.append(StageState(folder / entry["folder"], title, entry["state"], seconds, usual, status, words))
    message = found.get("message", "")
    return Run(name, EXPERIMENT, folder, found["state"], tuple(stages), message, found.get("updated", ""))


def _by_hand(name: str, folder: Path) -> Run | None:
    status = read_status(folder)
    if not status:
        return None
    running = status["state"] == states.RUNNING
    words = progress_words(status) if running else status.get("message", "")
    result = read_json(folder / "result.json", {})
    seconds = _since(status.get("started")) if running else result.get("provenance", {}).get("wall_seconds")
    stage = StageState(folder, status.get("stage", folder.name), status["state"], seconds, None, status, words)
    return Run(name, BY_HAND, folder, status["state"], (stage,), status.get("message", ""), status.get("updated", ""))


def said(run: Run) -> str:
    """What there is to say of a run beyond its state: its message, or what its stage does or did."""
    return run.message or (run.current.words if run.current is not None else "")


def state_cell(state: str) -> Cell:
    """A state in its colour."""
    return Cell(state, "", f"color:{state_colour(state)};font-weight:600")


def state_colour(state: str) -> str:
    """The colour a state is written in, dark enough to be read on white."""
    return _COLOURS.get(state, _TROUBLE)


def moment(text: str) -> str:
    """`2026-11-20 07:31` of a time stamp."""
    return text[:16].replace("T", " ") if text else "–"


def _since(began: str | None) -> float:
    return time.time() - datetime.fromisoformat(began).timestamp() if began else 0.0
