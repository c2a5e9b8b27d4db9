"""How an experiment is run: what may be said on the command line beside the experiment itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workbench.pipeline.confine import check_paths, named
from workbench.pipeline.experiment import Experiment, ExperimentError
from workbench.pipeline.notify import check_address
from workbench.pipeline.room import DISK, MEMORY
from workbench.pipeline.supervise import Supervised


@dataclass(frozen=True)
class Settings:
    """How an experiment is run.

    Args:
        output_dir: where experiments go; this one's folder is made in it.
        force: names of stages to run again although nothing changed.
        keep_going: when a stage fails, run whatever does not refer to it, directly or through others; without it the run
            ends there.
        keep_results: use results that older code of the library has made.
        until: the moment at which the run has to be over. What is measured to take longer is not begun, and neither is
            what refers to it; what still runs then is stopped in good order, and goes on from its checkpoint next time.
        min_disk, min_memory: bytes that have to stay free; 0 turns the check off. A run does not begin without them, and
            a stage is stopped in good order before they are used up.
        allow_paths: folders outside the experiment's that its parameters may name; see `confine`.
        on_finish: a shell command run after the end, with a summary on its standard input; see `notify`.
        webhook: an address that the summary is POSTed to.
        launch: starts a stage, given its folder and time limit; what it returns waits and stops as `Supervised` does, which
            is the default. By another one a stage runs elsewhere, or is shared with a sweep's other combinations.
    """

    output_dir: Path = Path("outputs")
    force: tuple[str, ...] = ()
    keep_going: bool = False
    keep_results: bool = False
    until: datetime | None = None
    min_disk: int = DISK
    min_memory: int = MEMORY
    allow_paths: tuple[Path, ...] = ()
    on_finish: str = ""
    webhook: str = ""
    launch: Callable[[Path, float | None], Supervised] | None = None

    def check(self, experiment: Experiment) -> None:
        """Refuse what cannot be meant.

        Raises:
            ExperimentError: a stage to force that is not there, or a parameter that names a path it may not.
            ValueError: a webhook that is no address.
        """
        known = [stage.name for _, _, stage in experiment.runs()]
        for name in self.force:
            if name not in known:
                raise ExperimentError(f"--force {name}: no such stage; there are {', '.join(dict.fromkeys(known))}")
        if self.webhook:
            check_address(self.webhook)
        check_paths(experiment, self.roots(experiment))

    def roots(self, experiment: Experiment) -> list[Path]:
        """The folders that parameters may name paths in."""
        return [self.output_dir, experiment.file.parent, *self.allow_paths, *named(experiment.overrides)]
