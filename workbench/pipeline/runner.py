"""Runs experiments: stages in order, finished ones skipped, killed ones resumed, the truth on disk at every moment."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.dependencies import code_files, code_reached
from workbench.pipeline.display import PlainView, view
from workbench.pipeline.experiment import Chain, Experiment, ExperimentError, StagePlan, resolve_parameters
from workbench.pipeline.files import read_json, reserve, write_json
from workbench.pipeline.fingerprint import damage, differences, fingerprint, only_code_differs
from workbench.pipeline.folder import clear, has_work, place_aside, prepare_to_go_on
from workbench.pipeline.index import write_index
from workbench.pipeline.lock import Lock
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.parameters import literal
from workbench.pipeline.references import Reference
from workbench.pipeline.status import EXIT_CODES, read_status, this_process, timestamp
from workbench.pipeline.supervise import Supervised, end_leftovers
from workbench.pipeline.text import duration

UP_TO_DATE, SKIPPED, PENDING = "up to date", "skipped", "pending"
_NOT, _AFRESH, _GO_ON, _ASIDE = "not", "afresh", "going on", "the old put aside"  # how a stage begins
_INDEX_EVERY = 30.0  # seconds between two writes of the page while a stage runs


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
        return _Run(experiment, settings, folder, shown).go()


class _Run:
    def __init__(self, experiment: Experiment, settings: Settings, folder: Path, shown: PlainView):
        self.experiment, self.settings, self.folder, self.show = experiment, settings, folder, shown
        self.code = code_files()
        self.results: dict[str, dict[tuple[str, int], dict]] = {chain.name: {} for chain in experiment.chains}
        self.entries = [self._entry(chain, generation, stage) for chain, generation, stage in experiment.runs()]
        self.stopped_by: int | None = None
        self._starting, self._asked = False, None  # a signal that comes while a process starts waits for it
        self._indexed = 0.0
        earlier = read_json(folder / "experiment.json", {})
        self.begun = earlier.get("started") or timestamp()
        self.earlier = {entry["folder"]: entry for entry in earlier.get("stages", [])}

    def _entry(self, chain: Chain, generation: int, stage: StagePlan) -> dict:
        folder = stage_folder(chain, generation, stage)
        return {
            "chain": chain.name,
            "generation": generation,
            "stage": stage.name,
            "folder": folder,
            "state": PENDING,
            "why": "",
            "seconds": None,
        }

    def go(self) -> int:
        handlers = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        state = states.FAILED
        try:
            self._write(states.RUNNING)
            state = self._go()
        except _Stop as stop:
            self.stopped_by = stop.number
            state = states.INTERRUPTED
            for entry in self.entries:
                if entry["state"] == states.RUNNING:
                    entry["state"] = state
        except BaseException as error:
            self._write(states.FAILED, f"{type(error).__name__}: {error}")
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self._write(state)
        self._say_end(state)
        return 143 if self.stopped_by == signal.SIGTERM else EXIT_CODES[state]

    def _go(self) -> str:
        failed: dict[str, str] = {}  # how the first stage of a chain that failed did so
        for (chain, generation, stage), entry in zip(self.experiment.runs(), self.entries, strict=True):
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
        why, begin = self._why(stage, folder, asked)
        if begin == _NOT:
            self._keep(chain, generation, stage, entry, folder)
            self.show.stage_ended(title, UP_TO_DATE, 0, "")
            return UP_TO_DATE
        reached = code_reached(notebook, values)
        request = self._prepare(
            chain, generation, stage, folder, values, inputs, {"fingerprint": asked, "reached": reached}, begin
        )
        entry.update(state=states.RUNNING, why=why, started=timestamp(), attempt=request["attempt"])
        self._write(states.RUNNING)
        self.show.stage_started(title, why, self._left(entry))
        spent_before = (self.earlier.get(entry["folder"], {}).get("seconds") or 0.0) if begin == _GO_ON else 0.0
        begun = time.monotonic()
        state = self._execute(folder, stage, entry)
        entry.update(state=state, seconds=round(spent_before + time.monotonic() - begun, 2), ended=timestamp())
        words = ""
        if state == states.FINISHED:
            self.results[chain.name][stage.name, generation] = read_json(folder / "result.json")
        else:
            words = read_status(folder).get("message", "")
            entry["error"] = words
        self._write(states.RUNNING)
        self.show.stage_ended(title, state, entry["seconds"], words)
        if self.stopped_by is not None:
            raise _Stop(self.stopped_by)
        return state

    def _why(self, stage: StagePlan, folder: Path, asked: dict) -> tuple[str, str]:
        """Why the stage has to run, in words, and how it begins: not at all, afresh, going on, or with the old put aside."""
        if stage.name in self.settings.force:
            return "forced", _AFRESH
        try:
            result = read_json(folder / "result.json")
        except ValueError:
            return "its result.json is damaged", _AFRESH
        ended = read_status(folder).get("state", "never began")
        if result is not None and ended == states.FINISHED:  # a cell may have failed after stage.finish()
            changed = differences(result.get("fingerprint"), asked)
            if changed:
                return "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else ""), _AFRESH
            damaged = damage(result, self.folder)
            return (f"{damaged}; running again", _AFRESH) if damaged else ("", _NOT)
        before = read_json(folder / "request.json")
        if before is None:
            return "first run", _AFRESH
        then = before.get("fingerprint")
        if then and "reached" in before:
            then = {**then, "code": {name: found for name, found in then["code"].items() if name in before["reached"]}}
        changed = differences(then, asked)
        if not changed:
            return f"{ended} before: going on from {_left_over(folder)}", _GO_ON
        if has_work(folder) and only_code_differs(then, asked):
            return (
                f"{ended} before, and {changed[0]}: from the start; its unfinished work is kept in {place_aside(folder).name}",
                _ASIDE,
            )
        return f"{ended} before, and {changed[0]}: from the start", _AFRESH

    def _keep(self, chain: Chain, generation: int, stage: StagePlan, entry: dict, folder: Path) -> None:
        result = read_json(folder / "result.json")
        self.results[chain.name][stage.name, generation] = result
        before = self.earlier.get(entry["folder"], {})
        entry.update({key: before[key] for key in ("started", "ended", "attempt", "seconds") if key in before})
        entry.update(state=UP_TO_DATE, seconds=entry["seconds"] or result["provenance"]["wall_seconds"])
        self._write(states.RUNNING)

    def _prepare(
        self, chain, generation, stage: StagePlan, folder: Path, values, inputs, asked: dict, begin: str
    ) -> dict:
        """Make the stage's folder ready and write its request."""
        before = read_json(folder / "request.json", {})
        if folder.exists():
            end_leftovers(folder)
            if begin == _GO_ON:
                prepare_to_go_on(folder)
            elif begin == _ASIDE:
                folder.rename(place_aside(folder))
            else:
                clear(folder)
        folder.mkdir(parents=True, exist_ok=True)
        injected = {**values, "output_dir": Path(os.path.relpath(folder)).as_posix()}
        request = {
            "experiment": self.experiment.name,
            "chain": chain.name,
            "stage": stage.name,
            "generation": generation,
            "attempt": before.get("attempt", 0) + 1 if begin == _GO_ON else 1,
            "resuming": begin == _GO_ON,
            "experiment_folder": Path(os.path.relpath(self.folder, folder)).as_posix(),
            "notebook": stage.notebook.as_posix(),
            "parameters": values,
            "inputs": inputs,
            "parents": parents(inputs),
            "time_limit": stage.time_limit,
            **asked,
            "injected": {name: literal(value) for name, value in injected.items()},
        }
        write_json(folder / "request.json", request)
        return request

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
        self.show.tick(status, self._left(entry, status))
        if time.monotonic() - self._indexed > _INDEX_EVERY:
            self._write_index()

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

    def _left(self, now: dict, status: dict | None = None) -> float | None:
        """Seconds until the experiment's end, from how long the same stages took before; None while unknown.

        Args:
            now: the entry of the stage that runs.
            status: its `status.json`, which may know its own time left.
        """
        took: dict[tuple[str, str], float] = {}
        for entry in [*self.earlier.values(), *self.entries]:
            if entry.get("seconds") and entry["state"] in (states.FINISHED, UP_TO_DATE):
                took[entry["chain"], entry["stage"]] = entry["seconds"]
        usual = took.get((now["chain"], now["stage"]))
        left = (status or {}).get("eta")
        if left is None and usual is not None:
            left = max(0.0, usual - (time.time() - _seconds(now["started"])))
        ahead = [took.get((entry["chain"], entry["stage"])) for entry in self.entries if entry["state"] == PENDING]
        return None if left is None or None in ahead else left + sum(ahead)

    def _write(self, state: str, message: str = "") -> None:
        described = {
            "name": self.experiment.name,
            "description": self.experiment.description,
            "file": Path(os.path.relpath(self.experiment.file)).as_posix(),
            "overrides": list(self.experiment.overrides),
            "state": state,
            "message": message,
            "process": this_process(),
            "started": self.begun,
            "updated": timestamp(),
            "stages": self.entries,
        }
        write_json(self.folder / "experiment.json", described, durable=True)
        self._write_index()

    def _write_index(self) -> None:
        self._indexed = time.monotonic()
        try:
            write_index(self.folder)
        except OSError as error:
            self.show.say(f"{self.folder / 'index.html'} could not be written: {error}")

    def _say_end(self, state: str) -> None:
        spent = sum(entry["seconds"] or 0 for entry in self.entries if entry["state"] == states.FINISHED)
        ran = sum(entry["state"] == states.FINISHED for entry in self.entries)
        kept = sum(entry["state"] == UP_TO_DATE for entry in self.entries)
        self.show.say(
            f"{self.experiment.name}: {state}; {ran} stages ran in {duration(spent)}, {kept} were up to date", state
        )
        if state != states.FINISHED:
            self.show.say("what is finished stays; the same command goes on from here")


def stage_folder(chain: Chain, generation: int, stage: StagePlan) -> str:
    """Where a stage writes, relative to its experiment's folder: `gen_002/06_finetune`, with the chain's name in front."""
    return "/".join(filter(None, (chain.name, f"gen_{generation:03d}", stage.folder)))


def parents(inputs: dict[str, str]) -> list[str]:
    """Which earlier runs a stage's inputs (`${previous.train.policy}@1`) come from: `train of generation 1`."""
    found = {re.fullmatch(r"\$\{(.*)\}@(\d+).*", label) for label in inputs}
    return sorted(f"{Reference.parse(match[1]).stage} of generation {match[2]}" for match in found if match)


def title_of(entry: dict, experiment: Experiment) -> str:
    """`pokemon · generation 2/3 · finetune`."""
    chain = next(chain for chain in experiment.chains if chain.name == entry["chain"])
    return " · ".join(
        filter(None, (chain.name, f"generation {entry['generation']}/{chain.generations}", entry["stage"]))
    )


def _left_over(folder: Path) -> str:
    """What a stage can go on from, in words."""
    if has_work(folder / "checkpoint"):
        return "its checkpoint"
    return "what it has done" if has_work(folder) else "the start, it had done nothing yet"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
