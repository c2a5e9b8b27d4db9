"""Executes one notebook in a process of its own: `python -m workbench.pipeline.execute STAGE_FOLDER`.

The folder holds `request.json`; the process leaves `notebook.ipynb`, `status.json` and `report.html`. It ends when its
standard input does, so that it never outlives the runner that started it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from workbench.pipeline.notebook_io import nbformat, read_notebook

# isort: split

from nbformat.sign import NotebookNotary
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook

from workbench.pipeline import engine, writer
from workbench.pipeline import status as states
from workbench.pipeline.files import read_json, write_atomic, write_json
from workbench.pipeline.outcome import Outcome
from workbench.pipeline.outputs import Outputs
from workbench.pipeline.parameters import inject
from workbench.pipeline.provenance import spent_by_kernel
from workbench.pipeline.report import write_report
from workbench.pipeline.status import EXIT_CODES, STOP_NOTE, read_or_nothing, this_process, timestamp
from workbench.pipeline.widgets import lay_under

_PROGRESS = ("note", "done", "total", "pace", "eta")


class Supervisor:
    """Keeps `status.json` true while a notebook runs: which cell, how far inside it, since when, in which process."""

    def __init__(self, folder: Path, request: dict):
        self.folder = folder
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._seen: tuple = ()
        self.cells = 0
        self.status = {
            "state": states.RUNNING,
            "message": "",
            "stage": request["stage"],
            "experiment": request["experiment"],
            "generation": request["generation"],
            "attempt": request.get("attempt", 1),
            "try": request.get("try"),
            "process": this_process(),
            "started": timestamp(),
            "ended": None,
            "cell": None,
            "error": None,
        }

    def start(self) -> None:
        self.write()
        threading.Thread(target=self._beat, daemon=True).start()

    def watch(self, index: int, cell) -> None:
        """Called by the engine as a cell starts."""
        self.status["cell"] = {"index": index, "of": self.cells, "title": _title(cell), "started": timestamp()}
        self.write()

    def write(self) -> None:
        with self._lock:
            progress = read_or_nothing(self.folder / "progress.json")
            self.status.update({key: progress.get(key) for key in _PROGRESS}, updated=timestamp())
            write_json(self.folder / "status.json", self.status)

    def end(self, outcome: Outcome) -> None:
        """Write the final word."""
        self._ended.set()
        self.status.update(state=outcome.state, message=outcome.error, ended=timestamp())
        if outcome.state != states.FINISHED:
            self.status["error"] = {"cell": outcome.cell, "error": outcome.error, "tail": outcome.tail}
        self.write()

    def _beat(self) -> None:
        while not self._ended.wait(0.5):
            try:
                changed = (self.folder / "progress.json").stat().st_mtime_ns
            except FileNotFoundError:
                changed = 0
            if (changed, int(time.monotonic()) // 5) != self._seen:
                self._seen = (changed, int(time.monotonic()) // 5)
                with contextlib.suppress(OSError):  # a full disk: the last word has room of its own
                    self.write()


def execute(folder: Path) -> str:
    """Run the notebook that the folder's `request.json` asks for.

    Returns:
        the state it ended in.
    """
    request = read_json(folder / "request.json")
    writer.register()
    engine.register()
    supervisor = Supervisor(folder, request)
    outcome = Outcome()
    try:
        _raise_on_signals(folder, request.get("time_limit"))
        supervisor.start()
        _end_with_the_runner()
        _run(folder, request, supervisor, outcome)
    except PapermillExecutionError:
        pass  # a cell failed: the outcome has it
    except BaseException as error:
        if outcome.state == states.FINISHED:
            outcome = Outcome(engine.state_after(error), None, engine.words_for(error))
        traceback.print_exc()
    signal.setitimer(signal.ITIMER_REAL, 0)  # the limit was the notebook's; what follows, and the exit, are short
    _unless_it_fails(_stamp, folder, outcome)
    supervisor.end(outcome)
    _unless_it_fails(write_report, folder)
    return outcome.state


def _unless_it_fails(step, *arguments) -> None:
    """Do what makes a result nicer to look at; its failure goes to the log and takes nothing away from the result."""
    try:
        step(*arguments)
    except Exception:
        traceback.print_exc()


def _stamp(folder: Path, outcome: Outcome) -> None:
    """Write into the executed notebook where it comes from and how it ended, and sign it, so that JupyterLab trusts it."""
    path = folder / "notebook.ipynb"
    if not path.exists():
        return
    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    result, progress = (read_or_nothing(folder / name) for name in ("result.json", "progress.json"))
    origin = result.get("provenance") or {**progress.get("provenance", {}), **spent_by_kernel(notebook)}
    lay_under(notebook, Outputs(notebook).widgets)
    notebook.metadata.setdefault("workbench", {}).update(outcome=asdict(outcome), provenance=origin)
    write_atomic(path, nbformat.writes(notebook))
    NotebookNotary().sign(nbformat.reads(path.read_text(encoding="utf-8"), as_version=4))


def _run(folder: Path, request: dict, supervisor: Supervisor, outcome: Outcome) -> None:
    notebook = inject(read_notebook(request["notebook"]), request["injected"])
    notebook.metadata["workbench"] = {"request": {key: value for key, value in request.items() if key != "injected"}}
    supervisor.cells = len(notebook.cells)
    execute_notebook(
        notebook,
        str(folder / "notebook.ipynb"),
        engine_name=engine.ENGINE,
        kernel_name="python3",
        watch=supervisor.watch,
        outcome=outcome,
        execution_timeout=request.get("cell_time_limit"),
    )
    if not (folder / "result.json").exists():
        outcome.state, outcome.error = (
            states.FAILED,
            "all cells ran, but none called stage.finish(...): there is no result",
        )


def _raise_on_signals(folder: Path, limit: float | None) -> None:
    """Turn the first SIGTERM, SIGINT or end of the time limit into an exception; the runner's SIGKILL follows if need be."""

    def stop(number, frame):
        for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(ignored, signal.SIG_IGN)
        if number == signal.SIGALRM:
            raise engine.TimeLimit(f"the stage ran longer than its time limit of {limit:g} s")
        by = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        raise engine.Interrupted(_why_stopped(folder) or f"stopped by {by}")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, stop)
    if limit:
        signal.setitimer(signal.ITIMER_REAL, limit)


def _why_stopped(folder: Path) -> str:
    """What whoever stops this stage has left as the reason; empty where nothing."""
    note = folder / STOP_NOTE
    return note.read_text(encoding="utf-8").strip() if note.exists() else ""


def _end_with_the_runner() -> None:
    """Stop this process when its standard input ends: the runner holds the other end, and so does nobody else."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _title(cell) -> str:
    """What a cell is about: its first words."""
    lines = [line.strip("# ").strip() for line in cell.source.splitlines() if line.strip()]
    return lines[0][:80] if lines else ""


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m workbench.pipeline.execute STAGE_FOLDER", file=sys.stderr)
        return 2
    return EXIT_CODES[execute(Path(sys.argv[1]))]


if __name__ == "__main__":
    sys.exit(main())
