"""Why a stage runs, or why it need not, and how it begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.files import read_json
from workbench.pipeline.fingerprint import damage, differences, only_code_differs
from workbench.pipeline.folder import has_work, place_aside
from workbench.pipeline.status import read_status

NOT, AFRESH, GO_ON, ASIDE = "not", "afresh", "going on", "the old put aside"
"""How a stage begins: not at all; in an empty folder; with what an earlier run left; in an empty folder, the old one kept."""


@dataclass(frozen=True)
class Beginning:
    """How a stage begins (`NOT`, `AFRESH`, `GO_ON`, `ASIDE`), and why, in words."""

    how: str
    why: str = ""


def beginning(folder: Path, experiment_folder: Path, asked: dict, *, force: bool = False) -> Beginning:
    """How a stage begins, by what its folder holds and what is asked of it now.

    Args:
        asked: its `fingerprint`, as things are now.
        force: run it although nothing changed.
    """
    if force:
        return Beginning(AFRESH, "forced")
    try:
        result = read_json(folder / "result.json")
    except ValueError:
        return Beginning(AFRESH, "its result.json is damaged")
    ended = read_status(folder).get("state", "never began")
    if result is not None and ended == states.FINISHED:  # a cell may have failed after stage.finish()
        return _of_a_finished_one(result, experiment_folder, asked)
    before = read_json(folder / "request.json")
    if before is None:
        return Beginning(AFRESH, "first run")
    return _of_a_cut_off_one(folder, before, ended, asked)


def _of_a_finished_one(result: dict, experiment_folder: Path, asked: dict) -> Beginning:
    changed = differences(result.get("fingerprint"), asked)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return Beginning(AFRESH, "; ".join(changed[:3]) + more)
    damaged = damage(result, experiment_folder)
    return Beginning(AFRESH, f"{damaged}; running again") if damaged else Beginning(NOT)


def _of_a_cut_off_one(folder: Path, before: dict, ended: str, asked: dict) -> Beginning:
    then = before.get("fingerprint")
    if then and "reached" in before:
        then = {**then, "code": {name: found for name, found in then["code"].items() if name in before["reached"]}}
    changed = differences(then, asked)
    if not changed:
        return Beginning(GO_ON, f"{ended} before: going on from {_left_over(folder)}")
    if has_work(folder) and only_code_differs(then, asked):
        kept = place_aside(folder).name
        return Beginning(
            ASIDE, f"{ended} before, and {changed[0]}: from the start; its unfinished work is kept in {kept}"
        )
    return Beginning(AFRESH, f"{ended} before, and {changed[0]}: from the start")


def _left_over(folder: Path) -> str:
    """What a stage can go on from, in words."""
    if has_work(folder / "checkpoint"):
        return "its checkpoint"
    return "what it has done" if has_work(folder) else "the start, it had done nothing yet"
