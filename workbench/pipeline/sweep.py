"""Runs a sweep: every combination of some parameters' values as an experiment of its own, several at once.

    outputs/<experiment>-sweep/sweep.json  index.html  comparison.csv
    outputs/<experiment>-sweep/epochs=1,seed=0/experiment.json ...

Each is run by a `workbench run` of its own, which takes over finished stages that it has in common with another, and waits
for those that another is at. The same command goes on with a sweep that was stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from workbench.pipeline import status as states
from workbench.pipeline.combinations import Axis, Combination, combinations, read_axes
from workbench.pipeline.comparison_page import write_comparison
from workbench.pipeline.control import remember_launch
from workbench.pipeline.experiment import ExperimentError
from workbench.pipeline.files import read_json, reserve, write_json
from workbench.pipeline.load import load_experiment
from workbench.pipeline.lock import Lock
from workbench.pipeline.notify import tell
from workbench.pipeline.overview import write_overview
from workbench.pipeline.room import free_memory
from workbench.pipeline.settings import Settings
from workbench.pipeline.status import EXIT_CODES, read_or_nothing, this_process, timestamp
from workbench.pipeline.sweep_state import SWEEP, progress_of
from workbench.pipeline.sweep_view import PlainSweepView, standing, sweep_view
from workbench.signals import heed_no_more, stopped_by

LOG = "run.log"  # in each combination's folder: what its runner said
_MEMORY_EACH = 2e9  # bytes that a combination is thought to need, when choosing how many run at once
_MEMORY_MORE = 1e9  # bytes that have to be free for one more to begin
_PAGE_EVERY, _STATE_EVERY = 30.0, 2.0  # seconds
_LOCKED, _LOCKED_AGAIN, _LOCKED_TRIES = 3, 5.0, 24  # exit code; seconds between tries, and how many
_STOP_GRACE = 60.0  # seconds that combinations have to stop in good order


@dataclass(frozen=True)
class Plan:
    """A sweep that was checked and may run.

    Args:
        name: of its folder: the experiment's with `-sweep` behind.
        options: of `workbench run`, for every combination.
    """

    name: str
    file: Path
    axes: tuple[Axis, ...]
    combinations: tuple[Combination, ...]
    output_dir: Path
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.output_dir / self.name


def plan_sweep(
    file: Path,
    texts: list[str],
    output_dir: Path = Path("outputs"),
    *,
    name: str = "",
    options: tuple[str, ...] = (),
    allow_paths: tuple[Path, ...] = (),
) -> Plan:
    """Read what a sweep is to run, and check every combination as `workbench run` would.

    Args:
        texts: `key=value,value`; see `combinations`.
        name: of the sweep's folder, if not the experiment's with `-sweep` behind.
        options: of `workbench run`, for every combination.
        allow_paths: folders that parameters may name besides `output_dir`; see `confine`.

    Raises:
        ExperimentError: all that is wrong, each thing once, with the combinations it is wrong in.
    """
    axes = tuple(read_axes(texts))
    found = tuple(combinations(list(axes)))
    problems: dict[str, list[str]] = {}
    known = ""
    for combination in found:
        try:
            experiment = load_experiment(file, combination.overrides)
            known = known or experiment.name
            settings = Settings(output_dir / (name or f"{known}-sweep"), allow_paths=(output_dir, *allow_paths))
            settings.check(replace(experiment, name=combination.name))
        except ExperimentError as error:
            for line in str(error).splitlines():
                problems.setdefault(line, []).append(combination.name)
    if problems:
        raise ExperimentError("\n".join(_told(line, where, len(found)) for line, where in problems.items()))
    allowed = [part for path in (output_dir, *allow_paths) for part in ("--allow-path", str(path))]
    return Plan(name or f"{known}-sweep", file, axes, found, output_dir, (*options, *allowed))


def _told(problem: str, where: list[str], among: int) -> str:
    if len(where) == among:
        return problem
    return f"{problem} (in {where[0]}{f' and {len(where) - 1} more combinations' if len(where) > 1 else ''})"


def default_jobs(count: int, cluster_workers: int | None = None) -> int:
    """How many combinations run at once if nobody says: two cores each, and two gigabytes of the memory that is free.

    Args:
        count: of the combinations.
        cluster_workers: how many tasks a cluster can do at once, where stages run on one.
    """
    from joblib.externals.loky import cpu_count  # heeds containers' limits

    cores = cluster_workers if cluster_workers is not None else cpu_count() // 2
    memory = _MEMORY_EACH / 4 if cluster_workers is not None else _MEMORY_EACH
    return max(1, min(count, cores, int(free_memory() / memory)))


def run_sweep(
    plan: Plan,
    *,
    jobs: int,
    keep_going: bool = False,
    on_finish: str = "",
    webhook: str = "",
    show: PlainSweepView | None = None,
) -> int:
    """Run a sweep, or go on with it.

    Args:
        jobs: how many combinations run at once.
        keep_going: when one fails, begin others nevertheless.
        on_finish, webhook: who is told of the end, as of `Settings`.

    Returns:
        an exit code: 0 if all finished, that of the first one that did not, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        Locked: another process runs it.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    with Lock(plan.folder / "run.lock") as lock, show or sweep_view() as shown:
        if lock.previous:
            shown.say(
                f"the last sweep (process {lock.previous['pid']}) ended without a word; going on from what it left"
            )
        reserve(plan.folder)
        remember_launch(plan.folder)
        code = EXIT_CODES[states.FAILED]
        try:
            code = _Sweep(plan, jobs, keep_going, shown).go()
        finally:
            tell(plan.folder, code, on_finish, webhook, shown.say, summarize=summarize_sweep)
        return code


def summarize_sweep(folder: Path, code: int) -> dict:
    """How a sweep ended, for `--on-finish` and `--webhook`: as of an experiment, with combinations in place of stages."""
    found = read_json(folder / SWEEP)
    told = ("name", "state", "seconds", "done", "of", "shared")
    counts: dict[str, int] = {}
    for entry in found["combinations"]:
        counts[entry["state"]] = counts.get(entry["state"], 0) + 1
    return {
        "sweep": found["name"],
        "state": found["state"],
        "message": found["message"],
        "exit_code": code,
        "started": found["started"],
        "ended": found["updated"],
        "seconds": round(sum(entry["seconds"] for entry in found["combinations"]), 2),
        "counts": counts,
        "combinations": [{key: entry.get(key) for key in told} for entry in found["combinations"]],
    }


class _Sweep:
    def __init__(self, plan: Plan, jobs: int, keep_going: bool, show: PlainSweepView):
        self.plan, self.jobs, self.keep_going, self.show = plan, jobs, keep_going, show
        self.begun = read_or_nothing(plan.folder / SWEEP).get("started") or timestamp()
        self.entries = {one.name: self._entry(one) for one in plan.combinations}
        self.running: dict[str, subprocess.Popen] = {}
        self.waiting = deque((0.0, one.name) for one in plan.combinations)  # not before that moment
        self.tries: dict[str, int] = {}
        self.clocks: dict[str, float] = {}
        self.took: list[float] = []
        self.stopped_by: int | None = None
        self._deadline = float("inf")  # by which those that were asked to stop must have
        self._written = self._drawn = float("-inf")

    def _entry(self, one: Combination) -> dict:
        known = {"done": 0, "of": 0, "shared": 0, "seconds": 0.0, "message": ""}
        return {
            "name": one.name,
            "values": one.values,
            "overrides": list(one.overrides),
            "state": states.PENDING,
            **known,
        }

    def go(self) -> int:
        with stopped_by(self._on_signal):
            state = self._to_its_end()
        self.show.say(f"{self.plan.name}: {state}; {self._standing()}", state)
        if state != states.FINISHED:
            self.show.say("what is finished stays; the same command goes on from here")
        return 128 + self.stopped_by if self.stopped_by is not None else EXIT_CODES.get(state, 1)

    def _to_its_end(self) -> str:
        """Run the combinations, to the end or to where it is stopped, and write down the state that it ends in."""
        varying = sum(len(axis.values) > 1 for axis in self.plan.axes)
        self.show.say(
            f"{len(self.entries)} combinations of {varying} parameter{'s' * (varying != 1)}, {self.jobs} at once, in {self.plan.folder}"
        )
        state = states.FAILED
        try:
            while self.running or (self.waiting and self._may_begin_any()):
                self._begin_some()
                self._look()
                self._write(states.RUNNING)
                self.show.tick(self._described(states.RUNNING), self._left())
                time.sleep(0.25)
            state = self._ended_as()
        finally:
            self._stop_all(signal.SIGTERM)  # after an error of our own
            heed_no_more()
            self._write(state, now=True)
            write_overview(self.plan.output_dir)
        return state

    # -- beginning ---------------------------------------------------------------------------------------------------

    def _may_begin_any(self) -> bool:
        failed = any(
            entry["state"] not in (states.PENDING, states.RUNNING, states.FINISHED) for entry in self.entries.values()
        )
        return self.stopped_by is None and (self.keep_going or not failed)

    def _begin_some(self) -> None:
        for _ in range(len(self.waiting)):
            full = len(self.running) >= self.jobs or (self.running and free_memory() < _MEMORY_MORE)
            if full or not self._may_begin_any():
                return
            moment, name = self.waiting.popleft()
            if moment > time.monotonic():
                self.waiting.append((moment, name))
            else:
                self._begin(name)

    def _begin(self, name: str) -> None:
        entry, folder = self.entries[name], self.plan.folder / name
        folder.mkdir(exist_ok=True)
        command = ["run", str(self.plan.file), *entry["overrides"], "--name", name]
        command += ["--output-dir", str(self.plan.folder), *self.plan.options]
        with (folder / LOG).open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "workbench.pipeline.combination", *command],
                stdin=subprocess.PIPE,  # held open: its end tells the process that this one is gone
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops the others in good order
                env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "160"},
            )
        if self.stopped_by is not None:  # it was asked for while the process began
            self.running[name].send_signal(signal.SIGTERM)
        entry.update(state=states.RUNNING, started=timestamp())
        self.clocks[name] = time.monotonic()
        if name not in self.tries:
            self.show.began(entry)

    # -- ending ------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See what runs and what has ended."""
        for name, process in list(self.running.items()):
            code, folder = process.poll(), self.plan.folder / name
            found = progress_of(folder)
            if code is None:
                self.entries[name].update({**found, "state": states.RUNNING, "message": ""})
                if time.monotonic() > self._deadline:
                    process.kill()
                continue
            self.running.pop(name)
            process.stdin.close()
            if code == _LOCKED and self.stopped_by is None and self.tries.get(name, 0) < _LOCKED_TRIES:
                self.tries[name] = self.tries.get(name, 0) + 1
                self.waiting.append((time.monotonic() + _LOCKED_AGAIN, name))
                self.entries[name]["state"] = states.PENDING
                continue
            self._end(name, code, found)

    def _end(self, name: str, code: int, found: dict) -> None:
        entry = self.entries[name]
        entry.update(found, ended=timestamp())
        ran = entry.pop("ran")
        del entry["now"]
        told = code == 0 or (
            (code in EXIT_CODES.values() or code == 143) and found["state"] not in (states.FINISHED, states.RUNNING)
        )
        if not told:  # it never came to say how it ended
            state = _state_after(code) if self.stopped_by is None else states.INTERRUPTED
            entry.update(state=state, message=_last_words(self.plan.folder / name))
        if entry["state"] == states.FINISHED and ran:
            self.took.append(time.monotonic() - self.clocks[name])
        self._write(states.RUNNING, now=True)
        self.show.ended(entry, self._described(states.RUNNING), self._left())

    def _ended_as(self) -> str:
        if self.stopped_by is not None:
            return states.INTERRUPTED
        ended = [entry["state"] for entry in self.entries.values()]
        return next((state for state in ended if state not in (states.FINISHED, states.PENDING)), states.FINISHED)

    def _on_signal(self, number, frame) -> None:
        heed_no_more()
        self.stopped_by, self._deadline = number, time.monotonic() + _STOP_GRACE
        self.show.say(f"stopping: {len(self.running)} combinations write down where they are (a few seconds)")
        for process in self.running.values():
            process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    def _stop_all(self, number: int) -> None:
        """End whatever runs still, in good order if it can."""
        for process in self.running.values():
            process.send_signal(number)
        for process in self.running.values():
            try:
                process.wait(_STOP_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()

    # -- telling -----------------------------------------------------------------------------------------------------

    def _left(self) -> float | None:
        """Seconds until the end, from how long combinations took so far; None while none has."""
        ahead = len(self.waiting) + len(self.running)
        if not self.took or not ahead:
            return None
        each = median(self.took)
        done = sum(min(each, time.monotonic() - self.clocks[name]) for name in self.running)
        return max(0.0, ahead * each - done) / min(self.jobs, ahead)

    def _standing(self) -> str:
        return standing({"combinations": list(self.entries.values())})

    def _described(self, state: str) -> dict:
        return {
            "name": self.plan.name,
            "file": Path(os.path.relpath(self.plan.file)).as_posix(),
            "state": state,
            "message": "" if state == states.RUNNING else self._standing(),
            "process": this_process(),
            "started": self.begun,
            "updated": timestamp(),
            "jobs": self.jobs,
            "axes": [{"key": axis.key, "values": list(axis.values), "seed": axis.is_seed} for axis in self.plan.axes],
            "combinations": list(self.entries.values()),
        }

    def _write(self, state: str, *, now: bool = False) -> None:
        """Write `sweep.json` and the comparison page, each not too often unless it must be now."""
        moment = time.monotonic()
        if now or moment - self._written > _STATE_EVERY:
            self._written = moment
            write_json(self.plan.folder / SWEEP, self._described(state), durable=now)
        if now or moment - self._drawn > _PAGE_EVERY:
            self._drawn = moment
            try:
                write_comparison(self.plan.folder)
            except OSError as error:
                self.show.say(f"{self.plan.folder / 'index.html'} could not be written: {error}")


def _state_after(code: int) -> str:
    """The state of a combination whose process ended with that code and wrote nothing."""
    if code < 0:
        return states.KILLED
    return next((state for state, known in EXIT_CODES.items() if known == code and code), states.FAILED)


def _last_words(folder: Path) -> str:
    """The last line of what a combination's runner said."""
    lines = [line for line in (folder / LOG).read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else f"it left no word; see {LOG}"
