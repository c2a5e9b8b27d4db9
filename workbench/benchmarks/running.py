"""What running a notebook as a stage costs, beside papermill run bare."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import yaml

_PARAMETERS = """\
seed: int = 0  # of nothing
output_dir: str = ""  # where this run writes
resume: bool = False  # unused"""
_OPEN = "import workbench as wb\n\nstage = wb.stage(output_dir, seed, name='cells', resume=resume)"
_CLOSE = "stage.finish(metrics={'cells': 1.0})"


def cost_of_running(cells: int = 10, rounds: int = 3) -> dict[str, float]:
    """Seconds that a stage of so many cells takes, each way from a shell's command to its end, taken in turns.

    The notebook is the same: it opens a stage, prints a few numbers, finishes. Papermill writes the executed notebook;
    the runner also resolves the experiment, keeps the status, stamps the provenance, and writes report and index.

    Returns:
        medians over the rounds: `papermill`, `workbench run`; and `ratio`, the median of the rounds' own ratios.

    Raises:
        subprocess.CalledProcessError: one of them failed.
    """
    took: dict[str, list[float]] = {"papermill": [], "workbench run": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        notebook = _notebook(folder, cells)
        experiment = folder / "running.yaml"
        experiment.write_text(yaml.safe_dump({"name": "running", "stages": {"cells": {"notebook": str(notebook)}}}))
        for number in range(rounds):
            executed = [
                str(notebook),
                str(folder / "executed.ipynb"),
                "-p",
                "output_dir",
                str(folder / f"bare-{number}"),
            ]
            commands = {
                "papermill": ["papermill", *executed, "--no-progress-bar"],
                "workbench run": [
                    "workbench.cli",
                    "run",
                    str(experiment),
                    "--output-dir",
                    str(folder / f"run-{number}"),
                ],
            }
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
                took[name].append(time.perf_counter() - began)
    ratios = [ours / bare for bare, ours in zip(*took.values(), strict=True)]
    return {name: statistics.median(seconds) for name, seconds in took.items()} | {"ratio": statistics.median(ratios)}


def _notebook(folder: Path, cells: int) -> Path:
    sources = [_PARAMETERS, _OPEN, *(f"print({number})" for number in range(cells - 3)), _CLOSE]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "01_cells.ipynb")
    return folder / "01_cells.ipynb"
