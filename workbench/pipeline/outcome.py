"""How the execution of a notebook ended, and how an executed notebook is made to say so when its process could not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.files import write_atomic
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.text import strip_colours

_TAIL_LINES, _TRACEBACK_LINES = 20, 4


@dataclass
class Outcome:
    """How the execution of a notebook ended.

    Args:
        state: `finished`, `failed`, `killed`, `timed out` or `interrupted`.
        cell: index of the cell it ended in, None where all ran.
        error: one line: the exception, or what happened to the kernel.
        tail: the last lines that cell had put out.
    """

    state: str = states.FINISHED
    cell: int | None = None
    error: str = ""
    tail: str = ""


def mark_abandoned(path: Path, state: str, error: str, cell: int | None) -> str:
    """Correct an executed notebook whose process was killed before it could: the cell that ran failed, and says so.

    Args:
        cell: index of the cell that ran last, as `status.json` says; None where none had begun.

    Returns:
        the last lines which that cell had put out, as far as they were saved.
    """
    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    tail = ""
    for index, found in enumerate(notebook.cells):
        about = found.metadata.setdefault("papermill", {})
        if cell is not None and index < cell:
            about["status"] = "completed"
        elif index == cell:
            tail = tail_of(found)
            about.update(status="failed", exception=True)
            if found.cell_type == "code":
                said = nbformat.v4.new_output("error", ename="Abandoned", evalue=error, traceback=[f"{state}: {error}"])
                found.outputs.append(said)
    notebook.metadata.setdefault("workbench", {})["outcome"] = asdict(Outcome(state, cell, error, tail))
    notebook.metadata.setdefault("papermill", {})["exception"] = True
    write_atomic(path, nbformat.writes(notebook))
    return tail


def tail_of(cell) -> str:
    """The last lines of a cell's text output, without colours; of a traceback only its end, for it is in the notebook."""
    lines: list[str] = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            lines += strip_colours(output.text).splitlines()
        elif output.output_type == "error":
            traceback = strip_colours("\n".join(output.traceback)).splitlines()
            lines += [line for line in traceback if line.strip()][-_TRACEBACK_LINES:]
    return "\n".join(line[:300] for line in lines[-_TAIL_LINES:])
