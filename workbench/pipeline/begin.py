"""Why a stage runs, or why it need not, and how it begins."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.files import read_json
from workbench.pipeline.fingerprint import damage, differences, only_code_differs
from workbench.pipeline.folder import has_checkpoint, has_work, place_aside
from workbench.pipeline.status import read_status
from workbench.policies.storage import DIGEST, CorruptFileError, read_pair

NOT, AFRESH, GO_ON, ASIDE = "not", "afresh", "going on", "the old put aside"
"""How a stage begins: not at all; in an empty folder; with what an earlier run left; in an empty folder, the old one kept."""


@dataclass(frozen=True)
class Beginning:
    """How a stage begins (`NOT`, `AFRESH`, `GO_ON`, `ASIDE`), and why, in words."""

    how: str
    why: str = ""


def beginning(
    folder: Path,
    experiment_folder: Path,
    asked: dict,
    *,
    force: bool = False,
    keep: bool = False,
    seen: Callable[[], dict[str, str]] = dict,
) -> Beginning:
    """How a stage begins, by what its folder holds and what is asked of it now.

    Args:
        asked: its `fingerprint`, as things are now.
        force: run it although nothing changed.
        keep: use a result although the library's code has changed since it was made.
        seen: tells the signatures of its input artifacts, by reference.
    """
    if force:
        return Beginning(AFRESH, "forced")
    try:
        result = read_json(folder / "result.json")
    except ValueError:
        return Beginning(AFRESH, "its result.json is damaged")
    ended = read_status(folder).get("state", "never began")
    if result is not None and ended == states.FINISHED:  # a cell may have failed after stage.finish()
        return _of_a_finished_one(result, experiment_folder, asked, keep)
    try:
        before = read_json(folder / "request.json")
    except ValueError:
        return Beginning(AFRESH, "its request.json is damaged: from the start")
    if before is None:
        return Beginning(AFRESH, "first run")
    damaged = (
        damage(result, experiment_folder) if result is not None else ""
    )  # what it had made already is its work too
    if damaged:
        return Beginning(AFRESH, f"{ended} before, and {damaged}: from the start")
    return _of_a_cut_off_one(folder, before, ended, asked, seen)


def _of_a_finished_one(result: dict, experiment_folder: Path, asked: dict, keep: bool) -> Beginning:
    then = result.get("fingerprint")
    changed, damaged = differences(then, asked), damage(result, experiment_folder)
    if changed and keep and then and only_code_differs(then, asked) and not damaged:
        return Beginning(NOT, f"{'; '.join(changed)}; kept as asked (--keep-results)")
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return Beginning(AFRESH, "; ".join(changed[:3]) + more)
    return Beginning(AFRESH, f"{damaged}; running again") if damaged else Beginning(NOT)


def _of_a_cut_off_one(folder: Path, before: dict, ended: str, asked: dict, seen) -> Beginning:
    then = before.get("fingerprint")
    if then and "reached" in before:
        then = {**then, "code": {name: found for name, found in then["code"].items() if name in before["reached"]}}
    changed = differences(then, asked)
    if not changed:
        return _of_one_that_can_go_on(folder, before, ended, seen)
    if has_work(folder) and only_code_differs(then, asked):
        kept = place_aside(folder).name
        return Beginning(
            ASIDE, f"{ended} before, and {changed[0]}: from the start; its unfinished work is kept in {kept}"
        )
    return Beginning(AFRESH, f"{ended} before, and {changed[0]}: from the start")


def _of_one_that_can_go_on(folder: Path, before: dict, ended: str, seen) -> Beginning:
    """Goes on, unless its work is damaged, or was made from something that has been written again since."""
    now = seen()
    for label, found in before.get("inputs_seen", now).items():
        if now.get(label, found) != found:
            return Beginning(AFRESH, f"{ended} before, and its input {label} was written again since: from the start")
    damaged = damaged_checkpoint(folder / "checkpoint")
    if damaged:
        return Beginning(AFRESH, f"{ended} before, and {damaged}: from the start")
    return Beginning(GO_ON, f"{ended} before: going on from {_left_over(folder)}")


def damaged_checkpoint(folder: Path) -> str:
    """What is wrong with a checkpoint that the library's trainers have left, in words; empty where nothing is."""
    for described in sorted(folder.glob("*.json")):
        try:
            description = json.loads(described.read_bytes())
        except ValueError:
            return f"its {described.relative_to(folder.parent).as_posix()} is damaged"
        if isinstance(description, dict) and DIGEST in description:
            try:
                read_pair(folder, described.stem)
            except (CorruptFileError, FileNotFoundError) as error:
                return f"its checkpoint is damaged ({error})"
    return ""


def _left_over(folder: Path) -> str:
    """What a stage can go on from, in words."""
    if has_checkpoint(folder / "checkpoint"):
        return "its checkpoint"
    return "what it has done" if has_work(folder) else "the start, it had done nothing yet"
