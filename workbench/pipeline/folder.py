"""A stage's folder between two runs: what is kept, what is written anew, what is put aside."""

from __future__ import annotations

import shutil
from pathlib import Path

from workbench.files import PARTIAL
from workbench.pipeline.status import STOP_NOTE

ABOUT_THE_RUN = {
    "request.json", "status.json", "progress.json", "result.json", "notebook.ipynb", "report.html", "thumbnail.png", "log.txt",
}  # fmt: skip
_TRACES = {"metrics.jsonl", "tensorboard", "wandb"}


def has_work(folder: Path) -> bool:
    """Whether a stage has left something there that would have to be made again."""
    if not folder.is_dir():
        return False
    made = [
        item for item in folder.iterdir() if item.name not in ABOUT_THE_RUN | _TRACES and not item.name.startswith(".")
    ]
    return any(item.is_file() or any(item.iterdir()) for item in made)


def has_checkpoint(folder: Path) -> bool:
    """Whether a checkpoint's folder holds a whole one: the first, cut off while it was written, leaves only parts."""
    return folder.is_dir() and any(not item.name.endswith((".new", PARTIAL)) for item in folder.iterdir())


def clear(folder: Path) -> None:
    """Remove all that is in a folder, first of all what would have a later run go on from it."""
    (folder / "request.json").unlink(missing_ok=True)
    for item in folder.iterdir():
        _remove(item)


def prepare_to_go_on(folder: Path) -> None:
    """Remove what says how an earlier run went, and files that it had not finished writing; its work stays."""
    for name in ABOUT_THE_RUN - {"request.json"}:  # which is replaced in one step
        (folder / name).unlink(missing_ok=True)
    (folder / STOP_NOTE).unlink(missing_ok=True)
    for unfinished in sorted(folder.rglob(f".*{PARTIAL}")):
        _remove(unfinished)


def place_aside(folder: Path) -> Path:
    """Where a folder may be moved out of the way: `06_finetune.before-1`, or the next number that is free."""
    number = 1
    while (place := folder.with_name(f"{folder.name}.before-{number}")).exists():
        number += 1
    return place


def _remove(item: Path) -> None:
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink(missing_ok=True)
