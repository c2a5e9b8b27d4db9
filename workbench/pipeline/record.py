"""What an experiment's files say of its run: `experiment.json`, and the page made from it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.experiment import Chain, Experiment, StagePlan
from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.index import write_index
from workbench.pipeline.status import PENDING, SKIPPED, UP_TO_DATE, seconds_of, this_process, timestamp

_INDEX_EVERY = 30.0  # seconds between two writes of the page while a stage runs


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
        self._indexed = 0.0
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
            "took": self.earlier.get(folder, {}).get("took"),
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
        self._write_index()

    def write_index_if_due(self) -> None:
        """Write the page, unless that was done a moment ago."""
        if time.monotonic() - self._indexed > _INDEX_EVERY:
            self._write_index()

    def _write_index(self) -> None:
        self._indexed = time.monotonic()
        try:
            write_index(self.folder)
        except OSError as error:
            self._say(f"{self.folder / 'index.html'} could not be written: {error}")

    def expected(self, entry: dict) -> float | None:
        """Seconds that a stage takes, measured: this one's last run, else the latest generation's that is known."""
        alike = [
            other["took"]
            for other in (*self.earlier.values(), *self.entries)
            if other.get("took") and (other["chain"], other["stage"]) == (entry["chain"], entry["stage"])
        ]
        return entry.get("took") or (alike[-1] if alike else None)

    def left(self, now: dict, status: dict | None = None) -> float | None:
        """Seconds until the experiment's end, from how long the same stages took before; None while unknown.

        Args:
            now: the entry of the stage that runs.
            status: its `status.json`, which may know its own time left.
        """
        left, usual = (status or {}).get("eta"), self.expected(now)
        if left is None and usual is not None:
            left = max(0.0, usual - (time.time() - seconds_of(now["started"])))
        ahead = [self.expected(entry) for entry in self.entries if entry["state"] == PENDING]
        return None if left is None or None in ahead else left + sum(ahead)

    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(entry["state"] in (states.FINISHED, UP_TO_DATE, SKIPPED) for entry in self.entries)


def stage_folder(chain: Chain, generation: int, stage: StagePlan) -> str:
    """Where a stage writes, relative to its experiment's folder: `gen_002/06_finetune`, with the chain's name in front."""
    return "/".join(filter(None, (chain.name, f"gen_{generation:03d}", stage.folder)))


def title_of(entry: dict, experiment: Experiment) -> str:
    """`pokemon · generation 2/3 · finetune`."""
    chain = next(chain for chain in experiment.chains if chain.name == entry["chain"])
    return " · ".join(
        filter(None, (chain.name, f"generation {entry['generation']}/{chain.generations}", entry["stage"]))
    )
