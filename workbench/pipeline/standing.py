"""How an experiment stands, for the terminal: every stage in a line, and of what went wrong the cell and its last words."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from workbench.pipeline import status as states
from workbench.pipeline.display import STATE_COLOURS, entry_words
from workbench.pipeline.record import expected, time_left
from workbench.pipeline.status import DONE, PENDING, SKIPPED, read_status
from workbench.pipeline.text import duration

_TAIL_LINES = 8
_TROUBLE = (states.FAILED, states.KILLED, states.TIMED_OUT, states.INTERRUPTED, states.DIED)


def standing(found: dict, folder: Path, *, every_stage: bool = True) -> RenderableType:
    """An experiment's state, its stages, and what went wrong.

    Args:
        found: its `experiment.json`, as `read_experiment` corrects it.
        folder: the experiment's.
        every_stage: name those too that are finished or not begun.
    """
    done = sum(entry["state"] in DONE for entry in found["stages"])
    title = Text.assemble(
        (found["name"], "bold"),
        ": ",
        (found["state"], STATE_COLOURS.get(found["state"], "")),
        f", {done} of {len(found['stages'])} stages done",
    )
    parts: list[RenderableType] = [title]
    if found.get("message"):
        parts.append(Padding(Text(found["message"]), (0, 0, 0, 2)))
    running = [entry for entry in found["stages"] if entry["state"] == states.RUNNING]
    if running:
        usual = partial(expected, found["stages"])
        left = time_left(found["stages"], running[0], running[0].get("progress"), usual)
        parts.append(
            Padding(Text(f"about {duration(left)} to go" if left else "time to go not known yet"), (0, 0, 0, 2))
        )
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for entry in found["stages"]:
        if every_stage or entry["state"] not in (*DONE, SKIPPED, PENDING):
            state = Text(entry["state"], style=STATE_COLOURS.get(entry["state"], ""))
            took = duration(entry["seconds"]) if entry.get("seconds") else ""
            table.add_row("  " + entry["folder"], state, took, Text(entry_words(entry)))
    parts.append(table)
    parts += [_trouble(folder, entry) for entry in found["stages"] if entry["state"] in _TROUBLE]
    return Group(*parts, Text(f"  {folder / 'index.html'}"))


def _trouble(folder: Path, entry: dict) -> RenderableType:
    """In which cell a stage ended, and the last lines that the cell had put out."""
    status = read_status(folder / entry["folder"])
    cell, tail = status.get("cell"), (status.get("error") or {}).get("tail", "")
    where = f"in cell {cell['index'] + 1} of {cell['of']}: {cell['title']}" if cell else "before its first cell"
    lines = [Text.assemble((f"{entry['folder']}: {entry['state']} ", STATE_COLOURS.get(entry["state"], "")), where)]
    lines += [Text(f"  | {line}", style="dim") for line in tail.splitlines()[-_TAIL_LINES:]]
    return Padding(Group(*lines), (0, 0, 0, 2))
