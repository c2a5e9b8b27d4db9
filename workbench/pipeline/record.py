"""What an experiment's files say of its run: `experiment.json`, and the page made from it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.experiment import Chain, Experiment, StagePlan
from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.index import write_index
from workbench.pipeline.status import PENDING, UP_TO_DATE, seconds_of, this_process, timestamp

MEASURED = ("took", "spent", "bytes", "memory")
"""Of a stage, kept from run to run: seconds of its last run to the end, seconds of one that was cut off, bytes on the disk, and
the most bytes of memory."""
_WRITE_EVERY, _INDEX_EVERY = (
    2.0,
    30.0,
)  # seconds between two writes: of all while stages are skipped, of the page while one runs


class Record:
    """The entries of an experiment's stages, in the order they run, kept on the disk and in its page.

    Args:
        folder: the experiment's.
        say: called with what could not be written, in words.

    Attributes:
        entries: one a stage of a generation; whoever runs it updates it and calls `write`.
        earlier: the entries that an earlier run has left, by folder.
    """

    def __init__(self, experiment: Experiment, folder: Path, say):
        self.experiment, self.folder, self._say = experiment, folder, say
        self._indexed = self._written = 0.0
        try:
            before = read_json(folder / "experiment.json", {})
        except ValueError:
            before = {}
            say(f"{folder / 'experiment.json'} is damaged; what the stages themselves have left is looked at instead")
        self.begun = before.get("started") or timestamp()
        self.earlier = {entry["folder"]: entry for entry in before.get("stages", [])}
        self.entries = [self._entry(chain, generation, stage) for chain, generation, stage in experiment.runs()]

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
            **{key: self.earlier.get(folder, {}).get(key) for key in MEASURED},
        }

    def write(self, state: str, message: str = "") -> None:
        """Write `experiment.json` and the page."""
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
        self._written = time.monotonic()
        self._write_index()

    def write_if_due(self, state: str) -> None:
        """Write, unless that was done a moment ago: many stages may be looked at in a second and found up to date."""
        if time.monotonic() - self._written > _WRITE_EVERY:
            self.write(state)

    def write_index_if_due(self) -> None:
        """Write the page, unless that was done a moment ago."""
        if time.monotonic() - self._indexed > _INDEX_EVERY:
            self._write_index()

    def _write_index(self) -> None:
        self._indexed = time.monotonic()
        try:
            write_index(self.folder)
        except Exception as error:  # a page that cannot be drawn must not end a night
            self._say(f"{self.folder / 'index.html'} could not be written: {error}")

    def expected(self, entry: dict, what: str = "took") -> float | None:
        """What a stage takes, as `expected` says, by this run and the one before it."""
        return expected([*self.earlier.values(), *self.entries], entry, what)

    def still_takes(self, entry: dict, *, going_on: bool) -> float | None:
        """Seconds that a stage takes once begun, less those that it has run for already if it goes on; None while unknown."""
        usual = self.expected(entry)
        return usual if usual is None or not going_on else max(0.0, usual - (entry["spent"] or 0.0))

    def needs(self) -> tuple[float, float]:
        """Bytes of disk that all stages take which no earlier run has finished, and the most memory that one of them
        takes; as far as it was measured."""
        done = {folder for folder, entry in self.earlier.items() if entry["state"] in (states.FINISHED, UP_TO_DATE)}
        ahead = [entry for entry in self.entries if entry["folder"] not in done]
        disk = sum(self.expected(entry, "bytes") or 0 for entry in ahead)
        return disk, max((self.expected(entry, "memory") or 0 for entry in ahead), default=0)

    def left(self, now: dict, status: dict | None = None) -> float | None:
        """Seconds until the experiment's end while the stage of the entry `now` runs, as `time_left` says."""
        return time_left(self.entries, now, status, self.expected)


def expected(entries: Iterable[dict], entry: dict, what: str = "took") -> float | None:
    """What a stage takes, as measured: when this one ran last, else the latest that is known of its kind; None unknown.

    Args:
        entries: of an experiment, oldest first.
        what: `took` (seconds), `bytes` on the disk, or `memory` (bytes).
    """
    alike = [
        other[what]
        for other in entries
        if other.get(what) and (other["chain"], other["stage"]) == (entry["chain"], entry["stage"])
    ]
    return entry.get(what) or (alike[-1] if alike else None)


def time_left(
    entries: list[dict], now: dict, status: dict | None, usual: Callable[[dict], float | None]
) -> float | None:
    """Seconds until an experiment's end, from how long the same stages took before; None while unknown.

    Args:
        entries: of the experiment.
        now: the one of the stage that runs.
        status: its `status.json`, which may know its own time left.
        usual: tells of an entry what its stage takes.
    """
    left, whole = (status or {}).get("eta"), usual(now)
    if left is None and whole is not None:
        left = max(0.0, whole - (time.time() - seconds_of(now["started"])))
    ahead = [usual(entry) for entry in entries if entry["state"] == PENDING]
    return None if left is None or None in ahead else left + sum(ahead)


def stage_folder(chain: Chain, generation: int, stage: StagePlan) -> str:
    """Where a stage writes, relative to its experiment's folder: `gen_002/06_finetune`, with the chain's name in front."""
    return "/".join(filter(None, (chain.name, f"gen_{generation:03d}", stage.folder)))


def title_of(entry: dict, experiment: Experiment) -> str:
    """`pokemon · generation 2/3 · finetune`."""
    chain = next(chain for chain in experiment.chains if chain.name == entry["chain"])
    return " · ".join(
        filter(None, (chain.name, f"generation {entry['generation']}/{chain.generations}", entry["stage"]))
    )
