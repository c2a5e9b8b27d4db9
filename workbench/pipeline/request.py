"""What is asked of a stage's process: its folder made ready, its `request.json` written."""

from __future__ import annotations

import os
import re
from pathlib import Path

from workbench.pipeline.begin import ASIDE, GO_ON
from workbench.pipeline.experiment import Resolved, StagePlan
from workbench.pipeline.files import write_json
from workbench.pipeline.folder import clear, place_aside, prepare_to_go_on
from workbench.pipeline.parameters import literal
from workbench.pipeline.references import Reference
from workbench.pipeline.status import read_or_nothing
from workbench.pipeline.supervise import end_leftovers


def make_ready(folder: Path, how: str) -> int:
    """Bring a stage's folder into the state its beginning asks for; no process of an earlier run is left.

    Args:
        how: one of `begin`'s ways, save `NOT`.

    Returns:
        how often the stage was begun before, with the work that is there.
    """
    before = read_or_nothing(folder / "request.json") if how == GO_ON else {}
    if folder.exists():
        end_leftovers(folder)
        if how == GO_ON:
            prepare_to_go_on(folder)
        elif how == ASIDE:
            folder.rename(place_aside(folder))
        else:
            clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return before.get("attempt", 0)


def write_request(folder: Path, stage: StagePlan, resolved: Resolved, *, experiment_folder: Path, **more) -> None:
    """Write `request.json`.

    Args:
        resolved: the stage's parameters, and what they refer to.
        more: what else the request says.
    """
    injected = {**resolved.values, "output_dir": Path(os.path.relpath(folder)).as_posix()}
    request = {
        "stage": stage.name,
        "experiment_folder": Path(os.path.relpath(experiment_folder, folder)).as_posix(),
        "notebook": stage.notebook.as_posix(),
        "parameters": resolved.values,
        "inputs": resolved.inputs,
        "parents": parents(resolved.inputs),
        "time_limit": stage.time_limit,
        "cell_time_limit": stage.cell_time_limit,
        "wandb": stage.wandb,
        **more,
        "injected": {name: literal(value) for name, value in injected.items()},
    }
    write_json(folder / "request.json", request)


def parents(inputs: dict[str, str]) -> list[str]:
    """Which earlier runs a stage's inputs (`${previous.train.policy}@1`) come from: `train of generation 1`."""
    found = {re.fullmatch(r"\$\{(.*)\}@(\d+).*", label) for label in inputs}
    return sorted(f"{Reference.parse(match[1]).stage} of generation {match[2]}" for match in found if match)
