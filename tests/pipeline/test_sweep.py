"""Sweeps as they are run: every combination once, what they have in common shared, through kills and failures."""

import contextlib
import io
import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from workbench.pipeline import read_status
from workbench.pipeline.experiment import ExperimentError
from workbench.pipeline.files import read_json
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.page import loads_from_outside
from workbench.pipeline.sweep import default_jobs, plan_sweep, run_sweep
from workbench.pipeline.sweep_state import read_sweep
from workbench.pipeline.sweep_view import LiveSweepView, PlainSweepView, drawn

CHAIN = {
    "collect": {"parameters": {"seed": 3}},
    "train": {"parameters": {"dataset": "${collect.dataset}"}},
}


def sweep(file, *values, jobs=2, **settings):
    """Runs a sweep in this process; returns its exit code and what it said."""
    said = io.StringIO()
    code = run_sweep(
        plan_sweep(file, list(values)), jobs=jobs, show=PlainSweepView(Console(file=said, width=200)), **settings
    )
    return code, said.getvalue()


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def runs_below(folder):
    """Processes of runners and stages that name something below a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(str(folder) in part for part in (*process.cmdline(), process.cwd())):
                found.append(process)
    return found


def states(folder="outputs/x-sweep"):
    return {entry["name"]: entry["state"] for entry in read_sweep(Path(folder))["combinations"]}


@pytest.mark.slow
def test_what_combinations_have_in_common_is_run_once(write, project):
    file = write(CHAIN)
    code, said = sweep(file, "train.steps=5,10", "train.seed=0,4", jobs=3)
    assert code == 0, said
    folder = project / "outputs/x-sweep"
    assert said.count("begins") == 4
    assert "x-sweep: finished; 4 of 4 finished" in said
    places = [folder / f"steps={steps},seed={seed}" for steps in (5, 10) for seed in (0, 4)]
    collected = [place / "gen_001/01_collect" for place in places]
    made_by = {read_json(place / "result.json").get("shared_from", {}).get("experiment") for place in collected}
    (owner,) = made_by - {None}
    assert len([place for place in collected if "shared_from" not in read_json(place / "result.json")]) == 1
    assert len({(place / "dataset/games.txt").stat().st_ino for place in collected}) == 1  # hard links
    assert not any("shared_from" in read_json(place / "gen_001/02_train/result.json") for place in places)

    # it is what each comes to alone
    for place, steps, seed in zip(places, (5, 5, 10, 10), (0, 4, 0, 4), strict=True):
        drawn_numbers = random.Random(seed)
        expected = sum(drawn_numbers.random() for _ in range(steps))
        learned = (place / "gen_001/02_train/policy.txt").read_text()
        assert learned == f"random|3 games, seed 3, generation 1|{expected:.17g}"

    # and valid in its new place: nothing is run again, and it can be replayed
    taken = next(place for place in places if place.name != owner)
    result = read_json(taken / "gen_001/01_collect/result.json")
    assert result["experiment"] == taken.name
    assert result["shared_from"] == {"experiment": owner, "folder": f"../../../{owner}/gen_001/01_collect"}
    assert (taken / "gen_001/01_collect" / result["shared_from"]["folder"]).is_dir()
    assert read_status(taken / "gen_001/01_collect")["state"] == "finished"
    executed = read_notebook(taken / "gen_001/01_collect/notebook.ipynb")
    assert executed.metadata.workbench.request.experiment == taken.name
    assert executed.metadata.workbench.shared_from.experiment == owner
    entry = read_json(taken / "experiment.json")["stages"][0]
    assert (entry["shared_from"], entry["why"]) == (owner, f"made by {owner}")
    assert sweep(file, "train.steps=5,10", "train.seed=0,4", jobs=3)[0] == 0
    assert [entry["state"] for entry in read_json(taken / "experiment.json")["stages"]] == ["up to date"] * 2

    html = (folder / "index.html").read_text()
    assert loads_from_outside(html) == []
    assert "3 stages taken over from another combination" in html
    assert (folder / "comparison.csv").read_text().startswith("train.steps,chain,stage,figure")
    assert "x-sweep/index.html" in (project / "outputs/index.html").read_text()


@pytest.mark.slow
def test_combinations_by_the_command_line(write, workbench, project):
    write(CHAIN)
    done = workbench("sweep", "x.yaml", "train.seed=0..1", "--jobs", 2)
    said = done.communicate(timeout=120)[0]
    assert done.returncode == 0, said
    shown = workbench("status", "x-sweep").communicate(timeout=60)[0]
    assert "x-sweep: finished, 2 of 2 finished" in shown
    assert "seed=1" in shown
    name = "outputs/x-sweep/seed=1"
    (taken,) = (
        place
        for place in (project / "outputs/x-sweep").glob("seed=*")
        if "shared_from" in read_json(place / "gen_001/01_collect/result.json")
    )
    again = workbench("run", taken.relative_to(project), "--force", "collect").communicate(timeout=60)[0]
    assert "collect: forced" in again
    assert "1 were up to date" in again
    assert "shared_from" not in read_json(taken / "gen_001/01_collect/result.json")
    (project / name / "gen_001/02_train/report.html").unlink()
    (project / "outputs/x-sweep/index.html").unlink()
    assert "outputs/x-sweep/index.html" in workbench("report", "x-sweep").communicate(timeout=60)[0]
    assert (project / name / "gen_001/02_train/report.html").exists()
    replayed = workbench("rerun", f"{name}/gen_001/02_train").communicate(timeout=60)[0]
    assert "the results agree" in replayed


@pytest.mark.slow
def test_one_waits_for_what_another_is_making_and_a_night_without_its_sweep_goes_on(write, workbench, project):
    write(
        {
            "train": {"parameters": {"steps": 60, "pause": 0.2}},
            "judge": {"parameters": {"players": ["${train.policy}"]}},
        }
    )
    command = ("sweep", "x.yaml", "judge.seed=0..1", "--jobs", 2)
    folder = project / "outputs/x-sweep"
    started = workbench(*command)
    waits = lambda: [read_status(folder / f"seed={seed}/gen_001/02_train").get("note", "") for seed in (0, 1)]  # noqa: E731
    wait_for(lambda: any(note.startswith("waits for seed=") for note in waits()))
    (maker,) = (note.split("waits for ")[1].split(",")[0] for note in waits() if note.startswith("waits"))
    metrics = folder / maker / "gen_001/02_train/metrics.jsonl"
    wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 11)
    shown = workbench("status", "x-sweep").communicate(timeout=60)[0]
    assert f"waits for {maker}, which makes the same" in shown

    started.kill()
    wait_for(lambda: runs_below(project) == [])  # nobody outlives it
    assert read_json(folder / "sweep.json")["state"] == "running"  # it could not say
    shown = workbench("status", "x-sweep").communicate(timeout=60)[0]
    assert "x-sweep: died" in shown
    assert read_json(folder / "sweep.json")["state"] == "died"
    assert "died" in (folder / "index.html").read_text()

    again = workbench(*command)
    said = again.communicate(timeout=120)[0]
    assert again.returncode == 0, said
    results = [read_json(folder / f"seed={seed}/gen_001/02_train/result.json") for seed in (0, 1)]
    (made,) = (result for result in results if "shared_from" not in result)
    assert made["provenance"]["resumed"] is True  # the steps before the kill were not done again
    assert len({result["artifacts"]["policy"]["hash"] for result in results}) == 1
    assert f"{made['experiment']}: finished" in said


@pytest.mark.slow
def test_one_that_fails_holds_back_the_rest_unless_told_otherwise(write, project):
    file = write({"sleeps": {"time_limit": "8s"}, "talks": {}})
    values = ("sleeps.seconds=0.1,60,0.2",)
    code, said = sweep(file, *values, jobs=1, on_finish="cat > told.json")
    assert code == 5, said
    told = read_json("told.json")
    assert (told["sweep"], told["state"], told["exit_code"]) == ("x-sweep", "timed out", 5)
    assert told["counts"] == {"finished": 1, "timed out": 1, "pending": 1}
    assert [one["name"] for one in told["combinations"]] == ["seconds=0.1", "seconds=60", "seconds=0.2"]
    assert states() == {"seconds=0.1": "finished", "seconds=60": "timed out", "seconds=0.2": "pending"}
    assert "longer than its time limit" in said
    assert "the same command goes on from here" in said
    html = (project / "outputs/x-sweep/index.html").read_text()
    assert "longer than its time limit" in html
    assert read_json("outputs/x-sweep/sweep.json")["state"] == "timed out"
    Path("outputs/x-sweep/sweep.json").write_text("{")
    code, _ = sweep(file, *values, jobs=2, keep_going=True)
    assert code == 5
    assert states() == {"seconds=0.1": "finished", "seconds=60": "timed out", "seconds=0.2": "finished"}


@pytest.mark.slow
def test_stopping_a_sweep_stops_everything_in_good_order(write, workbench, project):
    write({"sleeps": {}})
    started = workbench("sweep", "x.yaml", "sleeps.seconds=60,61,62", "--jobs", 2)
    folders = [project / f"outputs/x-sweep/seconds={seconds}" for seconds in (60, 61)]
    wait_for(lambda: all((folder / "gen_001/sleeps/asleep").exists() for folder in folders))
    second = workbench("sweep", "x.yaml", "sleeps.seconds=60,61,62")
    assert second.wait(60) == 3
    assert f"is being run by process {started.pid}" in second.stdout.read()
    started.send_signal(signal.SIGINT)
    said = started.communicate(timeout=60)[0]
    assert started.returncode == 130, said
    assert "stopping: 2 combinations write down where they are" in said
    assert states() == {"seconds=60": "interrupted", "seconds=61": "interrupted", "seconds=62": "pending"}
    assert read_json("outputs/x-sweep/sweep.json")["state"] == "interrupted"
    assert runs_below(project) == []


def test_what_is_wrong_in_any_combination_is_refused_before_anything_starts(write, project):
    file = write({"train": {}})
    with pytest.raises(ExperimentError, match=r"steps: expected int, got 'many'.* \(in steps=many\)"):
        plan_sweep(file, ["train.steps=1,many"])
    with pytest.raises(ExperimentError, match="no parameter 'stesp'") as refused:
        plan_sweep(file, ["train.stesp=1,2", "train.steps=no,never"])
    assert len(str(refused.value).splitlines()) == 3  # each thing once
    assert not (project / "outputs").exists()


def test_how_many_at_once():
    assert default_jobs(1) == 1
    assert 1 <= default_jobs(1000) <= 1000
    assert default_jobs(3, cluster_workers=64) <= 3
    assert default_jobs(10, cluster_workers=0) == 1


def test_the_live_view_has_a_line_for_each_that_runs():
    now = {
        "chain": "",
        "generation": 2,
        "stage": "train",
        "progress": {"cell": {"index": 4, "of": 7}, "done": 3, "total": 9},
    }
    waits = {**now, "stage": "collect", "progress": {"note": "waits for seed=0, which makes the same"}}
    sweep = {"combinations": [
        {"name": "seed=0", "state": "running", "done": 1, "of": 6, "now": now},
        {"name": "seed=1", "state": "running", "done": 0, "of": 6, "now": waits},
        {"name": "seed=2", "state": "pending"}, {"name": "seed=3", "state": "failed"}, {"name": "seed=4", "state": "finished"},
    ]}  # fmt: skip
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(drawn(sweep, 3700))
    lines = console.export_text().splitlines()
    assert len(lines) == 3
    assert "generation 2 · train · cell 5/7 · 3/9" in lines[0]
    assert "waits for seed=0" in lines[1]
    assert lines[2].strip() == "1 of 5 finished, 1 failed, 1 pending, 2 running · about 1 h 01 min to go"
    with LiveSweepView(Console(file=io.StringIO(), force_terminal=True)) as view:
        view.tick(sweep, None)
