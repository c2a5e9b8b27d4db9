"""The live view of a night: what it shows, and that it fits."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from workbench.pipeline.experiment import Chain, Experiment, StagePlan
from workbench.pipeline.night import LiveView, view
from workbench.pipeline.record import Record
from workbench.pipeline.status import timestamp

STAGES = ("collect", "filter", "finetune", "tournament", "ratings")
STATUS = {"cell": {"index": 6, "of": 14}, "note": "epoch 3", "done": 1200, "total": 3000, "pace": 12.5, "eta": 144}


@pytest.fixture
def night(tmp_path):
    """Makes an experiment that has got so far; the stage after that runs."""

    def _make(generations, chains=("",), done=0):
        plans = {
            name: StagePlan(name, name, Path(name), None, {}, {}, tuple(range(1, generations + 1))) for name in STAGES
        }
        experiment = Experiment("night", Path("x.yaml"), tuple(Chain(name, generations, {}, plans) for name in chains))
        record = Record(experiment, tmp_path, print)
        for entry in record.entries[:done]:
            entry.update(state="finished", seconds=90.0, took=90.0)
        record.entries[done].update(state="running", started=timestamp())
        return experiment, record

    return _make


def drawn(experiment, record, width=110, height=40, left=None):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    shown = LiveView(console)
    shown.follow(experiment, record)
    shown.stage_started("generation 2/3 · finetune", "first run", left)
    shown.tick(STATUS, left)
    console.file.truncate(0)
    console.file.seek(0)
    console.print(shown._render())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def row(lines, stage):
    """A stage's cells, as one text."""
    return " ".join(next(line for line in lines if line.startswith(stage)).split()[1:])


def test_every_stage_of_every_generation_is_there(night):
    experiment, record = night(3, done=7)
    record.entries[3].update(state="failed")
    record.entries[4].update(state="blocked", seconds=None)
    lines = drawn(experiment, record, left=3600.0)
    assert lines[1] == "night · 5 of 15 stages done · 9 min 00 s of work · 2 in trouble"
    over = datetime.now() + timedelta(hours=1)
    assert lines[2].startswith("about 1 h 00 min to go, until ")
    assert lines[2].endswith((over.strftime("%H:%M"), (over - timedelta(minutes=1)).strftime("%H:%M")))
    assert row(lines, "collect") == "✓ 1 min 30 s ✓ 1 min 30 s · (1 min 30 s)"
    assert row(lines, "finetune") == "✓ 1 min 30 s ▶ 40% · (1 min 30 s)"
    assert row(lines, "tournament") == "✗ 1 min 30 s · (1 min 30 s) · (1 min 30 s)"
    assert row(lines, "ratings") == "⊘ blocked · (1 min 30 s) · (1 min 30 s)"
    assert lines[-1].startswith("cell 7/14 · epoch 3 · 1,200/3,000 · 12.5/s · 2 min 24 s left · 0.")
    assert lines[-1].endswith("in this stage")


@pytest.mark.parametrize(
    ("generations", "chains", "width", "height"),
    [(40, ("",), 100, 24), (2, ("a", "b", "c", "d"), 80, 24), (300, ("a", "b"), 80, 24), (1, ("",), 60, 20)],
)
def test_it_fits_into_the_terminal_whatever_there_is_to_show(night, generations, chains, width, height):
    experiment, record = night(generations, chains, done=5 * generations * (len(chains) - 1))
    lines = drawn(experiment, record, width, height, left=600.0)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert any("▶" in line for line in lines)  # what runs is always there


def test_waiting_for_a_retry_is_shown(night):
    experiment, record = night(1, done=1)
    record.entries[1].update(state="killed", error="out of memory", retry={"attempt": 2, "of": 3, "waits": 60.0})
    shown = LiveView(Console(file=io.StringIO(), width=100, height=30, force_terminal=True, color_system=None))
    shown.follow(experiment, record)
    shown.console.print(shown._render())
    assert "filter: attempt 2 of 3, waits 1 min 00 s; out of memory" in shown.console.file.getvalue()


def test_plain_lines_where_there_is_no_terminal(night):
    assert not isinstance(view(Console(file=io.StringIO())), LiveView)
    assert isinstance(view(Console(file=io.StringIO(), force_terminal=True)), LiveView)
