"""Whole stages on a cluster: seen, stopped and resumed as here."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from workbench.pipeline import cluster as stages_elsewhere
from workbench.pipeline import read_metrics, read_status
from workbench.pipeline.cluster import StagesOnCluster
from workbench.pipeline.files import read_json
from workbench.pipeline.load import load_experiment
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.runner import run
from workbench.pipeline.settings import Settings

NOTEBOOKS = Path(__file__).parents[1] / "pipeline/notebooks"
TRAIN = "outputs/x/gen_001/02_train"


def enter(folder: Path, monkeypatch) -> None:
    """Makes a folder a project with an experiment of one stage that trains, and works there."""
    (folder / "notebooks").symlink_to(NOTEBOOKS)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(folder / "jupyter"))  # signatures of notebooks
    monkeypatch.chdir(folder)
    stages = {"train": {"parameters": {"steps": 40, "seed": 5}}}
    (folder / "x.yaml").write_text(yaml.safe_dump({"name": "x", "stages": stages}))


@pytest.fixture
def project(tmp_path, monkeypatch):
    enter(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the stage learns here."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(tmp_path_factory.mktemp("undisturbed"), monkeypatch)
        assert run(load_experiment("x.yaml")) == 0
        return Path(TRAIN, "policy.txt").read_text()


@pytest.fixture
def launch(project):
    """Starts `workbench run` on a cluster, slowly enough to be disturbed."""
    started = []

    def _start(address, pause=0.1):
        command = [
            sys.executable,
            "-m",
            "workbench.cli",
            "run",
            "x.yaml",
            f"train.pause={pause}",
            "--executor",
            address,
        ]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield _start
    for process in started:
        process.kill()
        process.stdout.close()
        process.wait()


def learned(steps: int) -> bool:
    return len(read_metrics(f"{TRAIN}/metrics.jsonl")) >= steps


def process_of_stage() -> psutil.Process:
    return psutil.Process(read_json(f"{TRAIN}/status.json")["process"]["pid"])


def test_a_stage_whose_worker_is_killed_goes_on_with_another(cluster, wait_for, launch, undisturbed):
    runner = launch(cluster.address)
    wait_for(lambda: learned(12))
    first = process_of_stage()
    worker = first.parent().pid
    assert worker in {process.pid for process in cluster.workers.values()}
    cluster.kill(worker)
    said = runner.communicate(timeout=120)[0]
    assert runner.returncode == 0, said
    assert not first.is_running()
    assert Path(TRAIN, "policy.txt").read_text() == undisturbed
    assert [line["step"] for line in read_metrics(f"{TRAIN}/metrics.jsonl")] == list(range(1, 41))
    assert read_json(f"{TRAIN}/result.json")["provenance"]["resumed"] is True
    assert read_status(TRAIN)["attempt"] == 2
    assert read_notebook(Path(TRAIN, "notebook.ipynb")).metadata.workbench.outcome.state == "finished"


def test_a_stage_elsewhere_is_stopped_as_here_and_goes_on_there(cluster, wait_for, launch, undisturbed):
    runner = launch(cluster.address)
    wait_for(lambda: learned(12))
    process = process_of_stage()
    runner.send_signal(signal.SIGINT)
    said = runner.communicate(timeout=60)[0]
    assert runner.returncode == 130, said
    assert "Traceback" not in said
    status = read_status(TRAIN)
    assert (status["state"], status["message"]) == ("interrupted", "stopped by Ctrl-C")
    assert status["cell"]["index"] == 5
    wait_for(lambda: not process.is_running())
    executed = read_notebook(Path(TRAIN, "notebook.ipynb")).cells
    assert [cell.metadata.papermill.status for cell in executed[-2:]] == ["failed", "pending"]

    runner = launch(cluster.address)
    said = runner.communicate(timeout=60)[0]
    assert runner.returncode == 0, said
    assert ("interrupted before" in said and "pause changed" in said) or "going on from its checkpoint" in said
    assert Path(TRAIN, "policy.txt").read_text() == undisturbed


def test_a_stage_waits_for_a_worker_and_ends_with_its_runner(new_cluster, wait_for, launch):
    empty = new_cluster()
    runner = launch(empty.address)
    wait_for(lambda: read_status(TRAIN).get("note") == "waits for a worker: none has joined yet")
    assert read_status(TRAIN)["state"] == "running"
    empty.have(1)
    wait_for(lambda: learned(6))
    process = process_of_stage()
    runner.kill()
    wait_for(lambda: not process.is_running())
    assert read_status(TRAIN)["state"] == "interrupted"
    assert empty.client.run(os.getpid)  # the worker is there for others


def test_a_stage_that_no_worker_can_run_is_run_here(cluster, project, monkeypatch, capsys):
    monkeypatch.setattr(stages_elsewhere, "code_files", lambda: {"arena/parallel.py": "other"})
    assert run(load_experiment("x.yaml"), Settings(launch=StagesOnCluster(cluster.address))) == 0
    assert "02_train runs here: tcp://127.0.0.1:" in (said := capsys.readouterr().out)
    assert "has other code of the library than here" in said


def test_stages_may_stay_here_while_their_matches_go_there(cluster, project, undisturbed):
    there = StagesOnCluster(f"{cluster.address}?stages=here")
    assert run(load_experiment("x.yaml"), Settings(launch=there)) == 0
    assert Path(TRAIN, "policy.txt").read_text() == undisturbed
    with pytest.raises(ValueError, match=r"there is \?stages=here"):
        StagesOnCluster(f"{cluster.address}?stages=there")
