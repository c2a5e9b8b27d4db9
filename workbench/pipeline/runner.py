"""Runs experiments: stages in order, finished ones skipped, killed ones resumed, the truth on disk at every moment."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.begin import GO_ON, NOT, Beginning, beginning
from workbench.pipeline.confine import check_resolved
from workbench.pipeline.control import remember_launch
from workbench.pipeline.dependencies import code_files, code_reached
from workbench.pipeline.display import PlainView
from workbench.pipeline.experiment import (
    Chain,
    Experiment,
    Resolved,
    StagePlan,
    awaited,
    is_over,
    resolve_parameters,
)
from workbench.pipeline.files import read_json, reserve
from workbench.pipeline.fingerprint import fingerprint
from workbench.pipeline.inputs import Inputs
from workbench.pipeline.lock import Lock
from workbench.pipeline.night import view
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.notify import tell
from workbench.pipeline.record import Record, title_of
from workbench.pipeline.request import make_ready, write_request
from workbench.pipeline.room import Footprint, NoRoom, Room, taken
from workbench.pipeline.settings import Settings
from workbench.pipeline.sharing import shared
from workbench.pipeline.status import DONE, EXIT_CODES, PENDING, SKIPPED, UP_TO_DATE, read_status, timestamp
from workbench.pipeline.supervise import Supervised, note_stop, write_end
from workbench.pipeline.text import duration
from workbench.pipeline.until import too_late, words
from workbench.signals import heed_no_more, stopped_by

_RETRIED = (states.FAILED, states.KILLED, states.TIMED_OUT, states.DIED)
_LONGEST_DELAY = 900.0  # seconds before a retry


class _Stop(BaseException):
    """The run has to stop now.

    Args:
        number: the signal that asked for it, or by which a stage is asked to stop.
        state: what the run ends as.
        reason: why, in words; empty after a signal.
    """

    def __init__(self, number: int, state: str = states.INTERRUPTED, reason: str = ""):
        self.number, self.state, self.reason = number, state, reason


def run(experiment: Experiment, settings: Settings | None = None, show: PlainView | None = None) -> int:
    """Run an experiment, or go on with it.

    Returns:
        an exit code, one of `status.EXIT_CODES`, or 143 after SIGTERM, 129 after SIGHUP.

    Raises:
        Locked: another process runs it.
        NoRoom: too little disk or memory to begin with.
        ExperimentError: settings that do not fit, a parameter that names a path it may not, or a reference that turned
            out to have no value that fits.
    """
    settings = settings or Settings()
    settings.check(experiment)
    folder = settings.output_dir / experiment.name
    folder.mkdir(parents=True, exist_ok=True)
    with show or view() as shown:
        running, code = None, EXIT_CODES[states.FAILED]
        try:
            with Lock(folder / "run.lock") as lock:
                if lock.previous:
                    shown.say(
                        f"the last run (process {lock.previous['pid']}) ended without a word; going on from what it left"
                    )
                running = _Run(experiment, settings, folder, shown)
                remember_launch(folder)
                code = running.go()
        finally:
            if running is not None and running.begun:
                tell(folder, code, settings.on_finish, settings.webhook, shown.say)
    return code


class _Run:
    def __init__(self, experiment: Experiment, settings: Settings, folder: Path, shown: PlainView):
        self.experiment, self.settings, self.folder, self.show = experiment, settings, folder, shown
        self.code = code_files()
        self.results: dict[str, dict[tuple[str, int], dict]] = {chain.name: {} for chain in experiment.chains}
        self.record = Record(experiment, folder, shown.say)
        self.room = Room(folder, settings.min_disk, settings.min_memory)
        self.over: dict[str, int] = {}  # by chain, the generation after which its `stop_when` held
        self.begun, self.stop = False, None  # whether anything was written down; the _Stop that ended it
        self._starting, self._asked = False, None  # a signal that comes while a process starts waits for it

    def go(self) -> int:
        lacking = self.room.still_lacks(*self.record.needs())
        if lacking:
            raise NoRoom(f"not started: {lacking}")
        reserve(self.folder)
        with stopped_by(self._on_signal):
            self._to_its_end()
            state, message = self._verdict()
            self.record.write(state, message)
            self._say_end(state, message)
        return 128 + self.stop.number if state == states.INTERRUPTED and self.stop else EXIT_CODES[state]

    def _to_its_end(self) -> None:
        """Run what is to be run, to the end or to where it is stopped; from there on no signal is heeded."""
        try:
            self.record.write(states.RUNNING)
            self.begun = True
            self.show.follow(self.experiment, self.record)
            self._go()
            heed_no_more()  # a stop that comes before it is noted below; nothing comes between the end and its being written
        except _Stop as stop:
            self.stop = stop
            for entry in self.record.entries:
                (entry.get("retry") or {}).pop("waits", None)
                if entry["state"] == states.RUNNING:
                    entry["state"] = states.INTERRUPTED
        except BaseException as error:
            heed_no_more()
            for entry in self.record.entries:
                if entry["state"] == states.RUNNING:
                    entry.update(state=states.INTERRUPTED, error="the runner failed")
            self.record.write(states.FAILED, f"{type(error).__name__}: {error}")
            raise

    def _verdict(self) -> tuple[str, str]:
        """The state the run ends in, and why, in words."""
        if all(entry["state"] in DONE for entry in self.record.entries):
            ended = [self._why_over(chain) for chain in self.experiment.chains if chain.name in self.over]
            return states.FINISHED, "; ".join(ended)  # also where it was asked to stop just then
        failed = next((entry["state"] for entry in self.record.entries if entry["state"] in _RETRIED), None)
        reason = self.stop.reason if self.stop else ""
        if self.stop and (failed is None or self.stop.state == states.INTERRUPTED):
            return self.stop.state, reason
        if failed is not None:
            return failed, reason
        waiting = sum(entry["state"] == PENDING for entry in self.record.entries)
        return states.PAUSED, f"{waiting} stages were not started, to be over at {words(self.settings.until)}"

    def _go(self) -> None:
        for (chain, generation, stage), entry in zip(self.experiment.runs(), self.record.entries, strict=True):
            if not stage.closing and self._is_over(chain, generation):
                entry.update(state=SKIPPED, why=self._why_over(chain))
                self.show.stage_ended(title_of(entry, self.experiment), SKIPPED, 0, entry["why"])
                continue
            if self._stands_in_the_way(chain, generation, stage, entry):
                continue
            self._stage(chain, generation, stage, entry)
            if entry["state"] not in (*DONE, PENDING) and not self.settings.keep_going:
                return

    def _is_over(self, chain: Chain, generation: int) -> bool:
        """Whether the chain ended with an earlier generation."""
        before = generation - 1
        if chain.name not in self.over and is_over(self.experiment, chain, before, self.results[chain.name]):
            self.over[chain.name] = before
        return chain.name in self.over and generation > self.over[chain.name]

    def _why_over(self, chain: Chain) -> str:
        name = f"{chain.name}: " if chain.name else ""
        last = f"generation {self.over[chain.name]} of {chain.generations} was the last"
        return f"{name}{last}: {chain.stop_when} holds (stop_when)"

    def _stands_in_the_way(self, chain: Chain, generation: int, stage: StagePlan, entry: dict) -> bool:
        """Whether something that a stage refers to failed, or was not begun; noted in its entry."""
        found = {(one["stage"], one["generation"]): one for one in self.record.entries if one["chain"] == chain.name}
        awaits = awaited(chain, stage, generation, lambda *which: found[which]["state"])
        if awaits is None:
            return False
        title = title_of(found[awaits], self.experiment)
        if found[awaits]["state"] == PENDING:
            entry["why"] = f"waits for {title}"
        else:
            entry.update(state=states.BLOCKED, why=f"blocked by {title}: {found[awaits]['state']}")
        self.record.write_if_due(states.RUNNING)
        self.show.stage_ended(title_of(entry, self.experiment), entry["state"], 0, entry["why"])
        return True

    def _stage(self, chain: Chain, generation: int, stage: StagePlan, entry: dict) -> None:
        """Bring one stage to its end, with as many attempts as it has; its entry says how that was."""
        folder = self.folder / entry["folder"]
        title = title_of(entry, self.experiment)
        resolved = resolve_parameters(self.experiment, chain, stage, generation, self.results[chain.name], self._place)
        if not resolved.holds:
            entry.update(state=SKIPPED, why="its `when` does not hold")
            self.show.stage_ended(title, SKIPPED, 0, entry["why"])
            return
        check_resolved(stage, resolved, self.folder, self.settings.roots(self.experiment))
        notebook = read_notebook(stage.notebook)
        values = {key: value for key, value in resolved.values.items() if key != "output_dir"}
        asked = fingerprint(notebook, values, resolved.inputs, self.code)
        inputs = Inputs(resolved.inputs, resolved.paths, self.folder)
        for attempt in range(1, stage.retries + 2):
            begin = beginning(
                folder,
                self.folder,
                asked,
                force=stage.name in self.settings.force and attempt == 1,
                keep=self.settings.keep_results,
                seen=inputs.seen,
            )
            if begin.how == NOT:
                self._keep(chain, generation, stage, entry, folder, begin.why)
                return
            if self._has_to_wait(entry, title, going_on=begin.how == GO_ON):
                return
            more = {
                "experiment": self.experiment.name,
                "chain": chain.name,
                "generation": generation,
                "try": {"number": attempt, "of": stage.retries + 1},
                "resuming": begin.how == GO_ON,
                "fingerprint": asked,
                "reached": code_reached(notebook, resolved.values),
            }
            self._attempt(stage, entry, begin, resolved, inputs, more)
            if entry["state"] == states.FINISHED:
                self.results[chain.name][stage.name, generation] = read_json(folder / "result.json")
            if entry["state"] not in _RETRIED or attempt > stage.retries:
                return
            self._wait_to_retry(stage, entry, attempt, title)

    def _has_to_wait(self, entry: dict, title: str, *, going_on: bool) -> bool:
        """Whether a stage is not begun because it would not be over in time.

        Raises:
            _Stop: there is no room for it.
        """
        measured = (self.record.expected(entry, what) or 0 for what in ("bytes", "memory"))
        lacking = self.room.still_lacks(*measured)
        if lacking:
            entry["why"] = f"not started: {lacking}"
            raise _Stop(signal.SIGTERM, states.OUT_OF_ROOM, f"{title} was not started: {lacking}")
        if self.settings.until is None:
            return False
        late = too_late(self.settings.until, self.record.still_takes(entry, going_on=going_on))
        if late:
            entry.update(state=PENDING, why=late)
            self.record.write_if_due(states.RUNNING)
            self.show.stage_ended(title, PENDING, 0, late)
        return bool(late)

    def _attempt(
        self, stage: StagePlan, entry: dict, begin: Beginning, resolved: Resolved, inputs: Inputs, more: dict
    ) -> None:
        """Run a stage's notebook to its end, once, and record how that was."""
        folder, title = self.folder / entry["folder"], title_of(entry, self.experiment)
        number, of = more["try"]["number"], more["try"]["of"]
        why = f"attempt {number} of {of}: {begin.why}" if number > 1 else begin.why
        count = 1 + make_ready(folder, begin.how)
        write_request(
            folder, stage, resolved, experiment_folder=self.folder, attempt=count, inputs_seen=inputs.seen(), **more
        )
        spent_before = (entry["spent"] or 0.0) if begin.how == GO_ON else 0.0
        entry.pop("error", None)
        entry.update(state=states.RUNNING, why=why, started=timestamp(), attempt=count, seconds=spent_before or None)
        entry["retry"] = {"attempt": number, "of": of} if of > 1 else None
        self.record.write(states.RUNNING)
        self.show.stage_started(title, why, self.record.left(entry))
        footprint, begun = Footprint(), time.monotonic()
        altered = inputs.altered()
        state = (
            write_end(folder, states.FAILED, _altered(altered, ""))
            if altered
            else self._execute(folder, stage, entry, footprint)
        )
        if state == states.FINISHED and (altered := inputs.altered()):
            state = write_end(
                folder, states.FAILED, _altered(altered, " while the stage ran; its result does not count")
            )
        entry.update(state=state, seconds=round(spent_before + time.monotonic() - begun, 2), ended=timestamp())
        entry["bytes"] = taken(folder)
        entry["memory"] = max(footprint.memory, entry.get("memory") or 0) or None
        if state == states.FINISHED:
            entry.update({"took": entry["seconds"], "spent": None, **shared(folder)})
        else:
            entry["spent"] = entry["seconds"]
            entry["error"] = read_status(folder).get("message", "")
        self.record.write(states.RUNNING)
        self.show.stage_ended(title, state, entry["seconds"], entry.get("error", ""))
        if self.stop is not None:
            raise self.stop

    def _wait_to_retry(self, stage: StagePlan, entry: dict, attempt: int, title: str) -> None:
        """Wait before the next attempt, twice as long before each; the entry keeps how the one before ended."""
        delay = delay_before_retry(stage, attempt)
        at = time.time() + delay
        entry.setdefault("tries", []).append(
            {key: entry.get(key) for key in ("state", "error", "started", "ended", "seconds")}
        )
        entry["retry"] = {"attempt": attempt + 1, "of": stage.retries + 1, "waits": delay}
        self.record.write(states.RUNNING)
        self.show.stage_ended(
            title, entry["state"], 0, f"attempt {attempt + 1} of {stage.retries + 1}, waits {duration(delay)}"
        )
        while (left := at - time.time()) > 0:
            self._stop_at_the_hour()
            time.sleep(min(0.5, left))

    def _keep(self, chain: Chain, generation: int, stage: StagePlan, entry: dict, folder: Path, why: str) -> None:
        """Take over a result that is there already."""
        result = read_json(folder / "result.json")
        self.results[chain.name][stage.name, generation] = result
        kept = ("started", "ended", "attempt", "seconds", "tries")
        before = self.record.earlier.get(entry["folder"], {})
        entry.update({key: before[key] for key in kept if key in before})
        entry.update(shared(folder))
        entry.update(state=UP_TO_DATE, why=why, seconds=entry["seconds"] or result["provenance"]["wall_seconds"])
        entry["took"] = entry["took"] or entry["seconds"]
        self.record.write_if_due(states.RUNNING)
        self.show.stage_ended(title_of(entry, self.experiment), UP_TO_DATE, 0, why)

    def _execute(self, folder: Path, stage: StagePlan, entry: dict, footprint: Footprint) -> str:
        self._starting = True
        process = (self.settings.launch or Supervised)(folder, stage.time_limit)
        try:
            self._starting = False
            if self._asked is not None:
                self._on_signal(self._asked, None)
            return process.wait(lambda status: self._tick(entry, status, footprint))
        except _Stop as stop:
            self.stop = stop
            if stop.reason:
                note_stop(folder, stop.reason)
            return process.stop(signal.SIGINT if stop.number == signal.SIGINT else signal.SIGTERM)
        except BaseException:
            process.stop(signal.SIGTERM)
            raise

    def _tick(self, entry: dict, status: dict, footprint: Footprint) -> None:
        footprint.look()
        self.show.tick(status, self.record.left(entry, status))
        self.record.write_index_if_due()
        self._stop_at_the_hour()
        short = self.room.runs_out()
        if short:
            self.show.say(f"stopping: {short}")
            raise _Stop(signal.SIGTERM, states.OUT_OF_ROOM, f"stopped: {short}")

    def _stop_at_the_hour(self) -> None:
        if self.settings.until is not None and datetime.now().astimezone() >= self.settings.until:
            hour = words(self.settings.until)
            self.show.say(f"stopping: {hour} has come; the stage writes down where it is (a few seconds)")
            raise _Stop(signal.SIGTERM, states.PAUSED, f"stopped: {hour} has come (--until)")

    def _on_signal(self, number, frame) -> None:
        if self._starting:  # there is no process to stop yet
            self._asked = number
            return
        heed_no_more()
        self.show.say("stopping: the stage writes down where it is (a few seconds)")
        raise _Stop(number, reason="the terminal was closed (SIGHUP)" if number == signal.SIGHUP else "")

    def _place(self, path: str) -> str:
        """The path a notebook is given for an artifact: relative to where the command runs."""
        return Path(os.path.relpath(self.folder / path)).as_posix()

    def _say_end(self, state: str, message: str) -> None:
        entries = self.record.entries
        spent = sum(entry["seconds"] or 0 for entry in entries if entry["state"] == states.FINISHED)
        ran, kept, blocked = (
            sum(entry["state"] == one for entry in entries) for one in (states.FINISHED, UP_TO_DATE, states.BLOCKED)
        )
        self.show.say(
            f"{self.experiment.name}: {state}; {ran} stages ran in {duration(spent)}, {kept} were up to date"
            + (f", {blocked} were blocked" if blocked else "")
            + (f"; {message}" if message else ""),
            state,
        )
        if state != states.FINISHED:
            self.show.say("what is finished stays; the same command goes on from here")
        self.show.say(f"see {self.folder / 'index.html'}")


def _altered(reference: str, when: str) -> str:
    return f"its input {reference} was altered since it was made{when}; the same command makes it again"


def delay_before_retry(stage: StagePlan, failed: int) -> float:
    """Seconds to wait after so many attempts have failed: twice as long each time, a quarter of an hour at most."""
    return min(_LONGEST_DELAY, stage.retry_delay * 2 ** (failed - 1))
