import json
import os
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.pipeline import stage
from workbench.ui import live
from workbench.ui.curves import Curves, watched
from workbench.ui.live import LIVE_VARIABLE, LiveView, bar_html
from workbench.ui.series import Series

SOURCE = """
from workbench.pipeline import stage
opened = stage("out", 0, name="training")
opened
""", """
for step in range(1, 9):
    opened.log({"losses/policy_loss": 1 / step}, step)
    opened.progress(step, 8, note=f"update {step}")
""", "1 / 0", "opened.progress(1, 2, 'something else')", "opened.finish(metrics={'a': 1})"  # fmt: skip


def executed(tmp_path, **environment) -> list[list]:
    """The outputs of the notebook's cells, executed in a kernel of its own."""
    cells = [nbformat.v4.new_code_cell(source) for source in SOURCE]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env={**os.environ, **environment})
    return [cell.outputs for cell in notebook.cells]


def test_in_batch_nothing_is_shown_while_it_runs(tmp_path):
    _, loop, *_ = executed(tmp_path)
    assert loop == []
    assert json.loads((tmp_path / "out/status.json").read_text())["state"] == "finished"


def test_a_person_sees_a_bar_and_curves_in_place(tmp_path):
    opening, loop, failure, quiet, _ = executed(tmp_path, **{LIVE_VARIABLE: "1"})
    assert "training" in opening[0].data["text/html"]
    bar, curves = loop  # two displays, however often they were replaced
    assert "update 8" in bar.data["text/html"] and "8/8" in bar.data["text/plain"]
    assert "width:100.00%" in bar.data["text/html"]
    assert curves.data["text/html"].startswith('<img alt="curves" src="data:image/png;base64,')
    assert [output.output_type for output in failure] == ["error"]  # a cell that makes no progress shows none
    (bar,) = quiet  # and one that logs nothing shows no curves of another's
    assert "1/2" in bar.data["text/plain"]


def test_a_bar_by_hand():
    html = bar_html({"done": 3, "total": 12}, "running", 'update "3" <b>')
    assert "width:25.00%" in html and "update &quot;3&quot; &lt;b&gt;" in html
    assert "width:100.00%" in bar_html({"done": 3, "total": None}, "running", "")
    assert "width:100.00%" in bar_html({"done": 13, "total": 12}, "finished", "")
    assert "<style" not in html and "<script" not in html and "<svg" not in html


def test_nobody_watches_a_test_or_a_batch(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/x.ipynb")
    assert not live.watched_by_a_person()


def test_a_view_that_fails_is_off_and_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["workbench.pipeline.stage"], "live_view", lambda folder: LiveView(folder))
    monkeypatch.setattr("workbench.ui.live.bar_html", lambda *arguments: 1 / 0)
    opened = stage("out")
    with pytest.warns(UserWarning, match="LiveView failed and is off"):
        opened.progress(1, 2, "begins")
    opened.finish(metrics={"a": 1})


def test_an_interrupt_comes_after_the_drawing():
    code = """
import os, signal
from workbench.ui.live import interrupts_held_back
try:
    with interrupts_held_back():
        os.kill(os.getpid(), signal.SIGINT)
        print("drawn")
except KeyboardInterrupt:
    print("stopped")
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["drawn", "stopped"] and "KeyboardInterrupt" in done.stderr


def test_curves_are_drawn_again_as_they_grow_and_as_others_are_asked_for():
    series, curves = Series(), Curves()
    series.extend([0, 1], [1.0, 0.5])
    first = curves.png({"losses/policy_loss": series.points()})
    series.extend([2, 3], [0.2, 0.1])
    second = curves.png({"losses/policy_loss": series.points()})
    third = curves.png({"losses/policy_loss": series.points(), "charts/SPS": series.points()})
    assert all(picture.startswith(b"\x89PNG") for picture in (first, second, third))
    assert len({first, second, third}) == 3
    assert second == Curves().png({"losses/policy_loss": series.points()})  # what is kept leaves no trace


def test_what_is_watched_first():
    assert watched(["x", "charts/SPS", "losses/entropy", "losses/policy_loss"]) == [
        "losses/policy_loss",
        "losses/entropy",
        "charts/SPS",
    ]
    assert watched(["b", "a"], most=1) == ["b"]
