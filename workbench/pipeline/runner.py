"""Runs experiments: stages in order, finished ones skipped, killed ones resumed, the truth on disk at every moment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.begin import GO_ON, NOT, Beginning, beginning
from workbench.pipeline.control import remember_launch
from workbench.pipeline.dependencies import code_files, code_reached
from workbench.pipeline.display import PlainView, view
from workbench.pipeline.experiment import Chain, Experiment, ExperimentError, StagePlan, resolve_parameters
from workbench.pipeline.files import read_json, reserve
from workbench.pipeline.fingerprint import fingerprint
from workbench.pipeline.lock import Lock
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.record import Record, title_of
from workbench.pipeline.request import make_ready, write_request
from workbench.pipeline.status import EXIT_CODES, SKIPPED, UP_TO_DATE, read_status, timestamp
from workbench.pipeline.supervise import Supervised
from workbench.pipeline.text import duration


class _Stop(BaseException):
    """The runner was asked to stop."""

    def __init__(self, number: int):
        self.number = number


@dataclass(frozen=True)
class Settings:
    """How an experiment is run.

    Args:
        output_dir: where experiments go; this one's folder is made in it.
        force: names of stages to run again although nothing changed.
        keep_going: when a stage fails, run the other chains nevertheless; they do not depend on it.
        launch: starts a stage, given its folder and time limit; what it returns waits and stops as `Supervised` does, which
            is the default. By another one a stage runs elsewhere, or is shared with a sweep's other combinations.
    """

    output_dir: Path = Path("outputs")
    force: tuple[str, ...] = ()
    keep_going: bool = False
    launch: Callable[[Path, float | None], Supervised] | None = None


def run(experiment: Experiment, settings: Settings | None = None, show: PlainView | None = None) -> int:
    """Run an experiment, or go on with it.

    Returns:
        an exit code, one of `status.EXIT_CODES`, or 143 after SIGTERM.

    Raises:
        Locked: another process runs it.
        ExperimentError: a reference that turned out to have no value that fits.
    """
    settings = settings or Settings()
    known = [stage.name for _, _, stage in experiment.runs()]
    for name in settings.force:
        if name not in known:
            raise ExperimentError(f"--force {name}: no such stage; there are {', '.join(dict.fromkeys(known))}")
    folder = settings.output_dir / experiment.name
    folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder / "run.lock") as lock, show or view() as shown:
        if lock.previous:
            shown.say(f"the last run (process {lock.previous['pid']}) ended without a word; going on from what it left")
        reserve(folder)
        remember_launch(folder)
        return _Run(experiment, settings, folder, shown).go()


class _Run:
    def __init__(self, experiment: Experiment, settings: Settings, folder: Path, shown: PlainView):
        self.experiment, self.settings, self.folder, self.show = experiment, settings, folder, shown
        self.code = code_files()
        self.results: dict[str, dict[tuple[str, int], dict]] = {chain.name: {} for chain in experiment.chains}
        self.record = Record(experiment, folder, shown.say)
        self.stopped_by: int | None = None
        self._starting, self._asked = False, None  # a signal that comes while a process starts waits for it

    def go(self) -> int:
        handlers = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        state = states.FAILED
        try:
            self.record.write(states.RUNNING)
            state = self._go()
        except _Stop as stop:
            self.stopped_by = stop.number
            state = states.INTERRUPTED
            for entry in self.record.entries:
                if entry["state"] == states.RUNNING:
                    entry["state"] = state
        except BaseException as error:
            self.record.write(states.FAILED, f"{type(error).__name__}: {error}")
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.record.write(state)
        self._say_end(state)
        return 143 if self.stopped_by == signal.SIGTERM else EXIT_CODES[state]

    def _go(self) -> str:
        failed: dict[str, str] = {}  # how the first stage of a chain that failed did so
        for (chain, generation, stage), entry in zip(self.experiment.runs(), self.record.entries, strict=True):
            if chain.name in failed:
                continue
            state = self._stage(chain, generation, stage, entry)
            if state not in (states.FINISHED, UP_TO_DATE, SKIPPED):
                failed[chain.name] = state
                if not self.settings.keep_going:
                    break
        return next(iter(failed.values()), states.FINISHED)

    def _stage(self, chain: Chain, generation: int, stage: StagePlan, entry: dict) -> str:
        folder = self.folder / entry["folder"]
        title = title_of(entry, self.experiment)
        values, inputs, holds = resolve_parameters(
            self.experiment, chain, stage, generation, self.results[chain.name], self._place
        )
        if not holds:
            entry.update(state=SKIPPED, why="its `when` does not hold")
            self.show.stage_ended(title, SKIPPED, 0, entry["why"])
            return SKIPPED
        notebook = read_notebook(stage.notebook)
        asked = fingerprint(
            notebook, {key: value for key, value in values.items() if key != "output_dir"}, inputs, self.code
        )
        begin = beginning(folder, self.folder, asked, force=stage.name in self.settings.force)
        if begin.how == NOT:
            self._keep(chain, generation, stage, entry, folder)
            self.show.stage_ended(title, UP_TO_DATE, 0, "")
            return UP_TO_DATE
        reached = code_reached(notebook, values)
        made = self._run_notebook(
            chain, generation, stage, entry, begin, values, inputs, {"fingerprint": asked, "reached": reached}
        )
        if made == states.FINISHED:
            self.results[chain.name][stage.name, generation] = read_json(folder / "result.json")
        return made

    def _run_notebook(
        self, chain, generation, stage: StagePlan, entry: dict, begin: Beginning, values, inputs, asked: dict
    ) -> str:
        """Run a stage's notebook to its end, and record how that was."""
        folder, title = self.folder / entry["folder"], title_of(entry, self.experiment)
        attempt = 1 + make_ready(folder, begin.how)
        write_request(
            folder, stage, values, inputs, experiment_folder=self.folder, experiment=self.experiment.name,
            chain=chain.name, generation=generation, attempt=attempt, resuming=begin.how == GO_ON, **asked,
        )  # fmt: skip
        entry.update(state=states.RUNNING, why=begin.why, started=timestamp(), attempt=attempt)
        self.record.write(states.RUNNING)
        self.show.stage_started(title, begin.why, self.record.left(entry))
        before = self.record.earlier.get(entry["folder"], {}).get("seconds") or 0.0
        spent_before = before if begin.how == GO_ON else 0.0
        begun = time.monotonic()
        state = self._execute(folder, stage, entry)
        entry.update(state=state, seconds=round(spent_before + time.monotonic() - begun, 2), ended=timestamp())
        words = ""
        if state == states.FINISHED:
            entry["took"] = entry["seconds"]
        else:
            words = read_status(folder).get("message", "")
            entry["error"] = words
        self.record.write(states.RUNNING)
        self.show.stage_ended(title, state, entry["seconds"], words)
        if self.stopped_by is not None:
            raise _Stop(self.stopped_by)
        return state

    def _keep(self, chain: Chain, generation: int, stage: StagePlan, entry: dict, folder: Path) -> None:
        result = read_json(folder / "result.json")
        self.results[chain.name][stage.name, generation] = result
        before = self.record.earlier.get(entry["folder"], {})
        entry.update({key: before[key] for key in ("started", "ended", "attempt", "seconds") if key in before})
        entry.update(state=UP_TO_DATE, seconds=entry["seconds"] or result["provenance"]["wall_seconds"])
        entry["took"] = entry["took"] or entry["seconds"]
        self.record.write(states.RUNNING)

    def _execute(self, folder: Path, stage: StagePlan, entry: dict) -> str:
        self._starting = True
        process = (self.settings.launch or Supervised)(folder, stage.time_limit)
        try:
            self._starting = False
            if self._asked is not None:
                self._on_signal(self._asked, None)
            return process.wait(lambda status: self._tick(entry, status))
        except _Stop as stop:
            self.stopped_by = stop.number
            return process.stop(stop.number)

    def _tick(self, entry: dict, status: dict) -> None:
        self.show.tick(status, self.record.left(entry, status))
        self.record.write_index_if_due()

    def _on_signal(self, number, frame) -> None:
        if self._starting:  # there is no process to stop yet
            self._asked = number
            return
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)
        self.show.say("stopping: the stage writes down where it is (a few seconds)")
        raise _Stop(number)

    def _place(self, path: str) -> str:
        """The path a notebook is given for an artifact: relative to where the command runs."""
        return Path(os.path.relpath(self.folder / path)).as_posix()

    def _say_end(self, state: str) -> None:
        spent = sum(entry["seconds"] or 0 for entry in self.record.entries if entry["state"] == states.FINISHED)
        ran = sum(entry["state"] == states.FINISHED for entry in self.record.entries)
        kept = sum(entry["state"] == UP_TO_DATE for entry in self.record.entries)
        self.show.say(
            f"{self.experiment.name}: {state}; {ran} stages ran in {duration(spent)}, {kept} were up to date", state
        )
        if state != states.FINISHED:
            self.show.say("what is finished stays; the same command goes on from here")
