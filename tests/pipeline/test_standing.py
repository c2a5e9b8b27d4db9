"""How an experiment stands, in words, and how long it still takes."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from workbench.pipeline.files import write_json
from workbench.pipeline.record import expected, time_left
from workbench.pipeline.standing import standing


def entry(stage, generation, state, **more):
    return {
        "chain": "", "generation": generation, "stage": stage, "folder": f"gen_{generation:03d}/{stage}", "state": state,
        "why": "", "seconds": None, **more,
    }  # fmt: skip


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def shown(folder, state, stages, **settings):
    console = Console(file=io.StringIO(), width=120)
    console.print(standing({"name": "night", "state": state, "message": "", "stages": stages}, folder, **settings))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_what_a_stage_takes_is_what_it_took_or_else_the_latest_of_its_kind():
    entries = [
        entry("a", 1, "finished", took=10.0),
        entry("b", 1, "finished", took=99.0),
        entry("a", 2, "finished", took=20.0),
    ]
    assert expected(entries, entry("a", 3, "pending")) == 20.0
    assert expected(entries, entry("a", 1, "pending", took=10.0)) == 10.0
    assert expected(entries, entry("c", 1, "pending")) is None
    assert expected(entries, {**entry("a", 3, "pending"), "chain": "other"}) is None


def test_the_time_left_is_that_of_the_stage_and_of_all_after_it():
    usual = {"a": 100.0, "b": 30.0}.get
    now = entry("a", 2, "running", started=ago(60))
    entries = [entry("a", 1, "finished"), now, entry("b", 2, "pending"), entry("b", 3, "pending")]
    assert time_left(entries, now, None, lambda one: usual(one["stage"])) == pytest.approx(40 + 60, abs=2)
    assert time_left(entries, now, {"eta": 7.0}, lambda one: usual(one["stage"])) == 67.0  # the stage knows better
    late = entry("a", 2, "running", started=ago(500))
    assert time_left([late], late, None, lambda one: usual(one["stage"])) == 0.0
    assert time_left([now, entry("c", 2, "pending")], now, None, lambda one: usual(one["stage"])) is None


def test_a_night_that_runs_and_one_that_failed(tmp_path):
    stages = [
        entry("a", 1, "finished", took=100.0, seconds=100.0),
        entry("a", 2, "running", started=ago(60), progress={"cell": {"index": 1, "of": 3}, "note": "epoch 3"}),
        entry("b", 2, "blocked", why="blocked by generation 1/2 · b: failed"),
        entry("c", 2, "killed", error="killed", retry={"attempt": 2, "of": 3, "waits": 60.0}),
    ]
    lines = shown(tmp_path, "running", stages)
    assert lines[0] == "night: running, 1 of 4 stages done"
    assert lines[1].startswith("  about 4")
    assert lines[2:6] == [
        "  gen_001/a  finished  1 min 40 s",
        "  gen_002/a  running               cell 2/3 · epoch 3",
        "  gen_002/b  blocked               blocked by generation 1/2 · b: failed",
        "  gen_002/c  killed                attempt 2 of 3, waits 1 min 00 s; killed",
    ]


def test_the_cell_and_its_last_words(tmp_path):
    status = {
        "state": "failed", "message": "ValueError: [red]x[/red]", "cell": {"index": 4, "of": 7, "title": "train()"},
        "error": {"cell": 4, "error": "", "tail": "\n".join(f"line {number}" for number in range(30))},
    }  # fmt: skip
    write_json(tmp_path / "gen_001/a/status.json", status)
    lines = shown(tmp_path, "failed", [entry("a", 1, "failed", error=status["message"])], every_stage=False)
    assert lines == [
        "night: failed, 0 of 1 stages done",
        "  gen_001/a  failed    ValueError: [red]x[/red]",
        "  gen_001/a: failed in cell 5 of 7: train()",
        *(f"    | line {number}" for number in range(22, 30)),
        f"  {tmp_path}/index.html",
    ]
