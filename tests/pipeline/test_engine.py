import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook

from workbench.pipeline import engine, read_status, writer
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.outcome import Outcome, mark_abandoned
from workbench.pipeline.parameters import inject

NOTEBOOKS = Path(__file__).parent / "notebooks"


@pytest.fixture
def execute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer.register()
    engine.register()

    def _execute(name, parameters=None, **settings):
        outcome = Outcome()
        values = {"output_dir": "out", **(parameters or {})}
        notebook = inject(
            read_notebook(NOTEBOOKS / f"{name}.ipynb"), {key: repr(value) for key, value in values.items()}
        )
        with contextlib.suppress(PapermillExecutionError, RuntimeError):
            execute_notebook(
                notebook,
                "executed.ipynb",
                engine_name=engine.ENGINE,
                kernel_name="python3",
                outcome=outcome,
                **settings,
            )
        return outcome, nbformat.read("executed.ipynb", as_version=4)

    return _execute


def states(notebook):
    """What the executed notebook says of each cell, papermill's own notes left out."""
    return [cell.metadata.papermill.status for cell in notebook.cells if "papermill" in cell.metadata]


FAILED_IN_THE_FIFTH = ["completed"] * 4 + ["failed", "pending"]


def test_a_talkative_cell_has_one_output(execute):
    outcome, notebook = execute("talks")
    assert outcome.state == "finished"
    assert set(states(notebook)) == {"completed"}
    [output] = notebook.cells[4].outputs
    assert output.text.splitlines() == [f"line {line}" for line in range(200)]
    assert notebook.metadata.papermill.exception is None
    assert notebook.metadata.workbench.outcome.state == "finished"
    assert read_status("out")["state"] == "finished"  # by hand, the notebook keeps its own status


def test_an_exception(execute):
    outcome, notebook = execute("fails")
    assert (outcome.state, outcome.cell, outcome.error) == ("failed", 4, "ValueError: not what was expected")
    assert outcome.tail.splitlines()[0] == "before the end"
    assert states(notebook) == FAILED_IN_THE_FIFTH
    assert "An Exception was encountered" in notebook.cells[0].source
    assert (read_status("out")["state"], read_status("out")["message"]) == (
        "failed",
        "ValueError: not what was expected",
    )


def test_a_kernel_that_is_killed(execute):
    outcome, notebook = execute("dies")
    assert (outcome.state, outcome.cell) == ("killed", 4)
    assert "SIGKILL" in outcome.error
    assert "last words" in outcome.tail
    assert states(notebook) == FAILED_IN_THE_FIFTH
    assert notebook.metadata.papermill.exception is True
    assert read_status("out")["state"] == "died"


@pytest.mark.parametrize(
    ("ending", "state", "words"),
    [
        ("os.kill(os.getpid(), 9)", "killed", "the kernel was killed (SIGKILL)"),
        ("os._exit(7)", "failed", "the kernel ended by itself with exit code 7"),
    ],
)
def test_a_kernel_that_dies_as_it_starts(execute, monkeypatch, ending, state, words):
    command = [sys.executable, "-c", f"import os; {ending}"]
    monkeypatch.setattr(engine.SocketKernelManager, "format_kernel_cmd", lambda self, extra_arguments=None: command)
    outcome, notebook = execute("talks")
    assert (outcome.state, outcome.cell) == (state, None)
    assert words in outcome.error and outcome.error.endswith("before the first cell")
    assert set(states(notebook)) == {"pending"}


def test_a_cell_beyond_its_time(execute):
    outcome, notebook = execute("sleeps", execution_timeout=9)
    assert (outcome.state, outcome.cell, outcome.error) == ("timed out", 4, "the cell ran longer than its 9 s")
    assert "asleep" in outcome.tail
    assert states(notebook) == FAILED_IN_THE_FIFTH


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_cell_beyond_its_time_that_does_not_heed_being_interrupted(execute, monkeypatch, goes_on):
    monkeypatch.setattr(engine, "_HEEDS_WITHIN", 1.0)
    outcome, notebook = execute("stubborn", execution_timeout=9, parameters={"goes_on": goes_on})
    assert (outcome.state, outcome.cell, outcome.error) == ("timed out", 4, "the cell ran longer than its 9 s")
    assert "busy" in outcome.tail
    assert states(notebook) == FAILED_IN_THE_FIFTH


@pytest.fixture
def listens_to_ctrl_c():
    """Python's own answer to SIGINT, which a shell turns off for what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c(execute, tmp_path, listens_to_ctrl_c):
    def interrupt():
        while not (tmp_path / "out/asleep").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    outcome, notebook = execute("sleeps")
    assert (outcome.state, outcome.cell, outcome.error) == ("interrupted", 4, "stopped by Ctrl-C")
    assert states(notebook) == FAILED_IN_THE_FIFTH
    assert read_status("out")["state"] == "interrupted"
    assert any(
        output.output_type == "error" and output.ename == "KeyboardInterrupt" for output in notebook.cells[6].outputs
    )


def test_an_abandoned_notebook_is_corrected(tmp_path):
    notebook = read_notebook(NOTEBOOKS / "sleeps.ipynb")
    for cell, state in zip(notebook.cells, ["completed", "completed", "running", "pending", "pending"], strict=True):
        cell.metadata["papermill"] = {"status": state}
    nbformat.write(notebook, tmp_path / "n.ipynb")
    mark_abandoned(tmp_path / "n.ipynb", "died", "the machine went off", 3)
    corrected = read_notebook(tmp_path / "n.ipynb")
    assert states(corrected) == ["completed", "completed", "completed", "failed", "pending"]
    assert corrected.cells[3].outputs[0].evalue == "the machine went off"
    assert corrected.metadata.workbench.outcome.cell == 3


def test_home_folders_are_not_told(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    cell = nbformat.v4.new_code_cell(
        outputs=[
            nbformat.v4.new_output("stream", text="read /home/ada/x, not /home/adam"),
            nbformat.v4.new_output("display_data", data={"text/html": "<b>/home/ada</b>", "image/png": "/home/ada/"}),
            nbformat.v4.new_output("error", ename="E", evalue="/home/ada", traceback=["in /home/ada/x.py"]),
        ]
    )
    engine._scrub(cell)
    stream, display, error = cell.outputs
    assert stream.text == "read ~/x, not /home/adam"
    assert display.data == {"text/html": "<b>~</b>", "image/png": "/home/ada/"}
    assert (error.evalue, error.traceback) == ("~", ["in ~/x.py"])
