import contextlib
import io
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from unittest import mock

import psutil
import pytest
from rich.console import Console

from workbench.pipeline import read_metrics, read_status, runner
from workbench.pipeline.display import PlainView
from workbench.pipeline.files import read_json, write_json
from workbench.pipeline.folder import clear
from workbench.pipeline.load import load_experiment
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.page import loads_from_outside
from workbench.pipeline.runner import Settings, run
from workbench.pipeline.stage import REQUEST_VARIABLE
from workbench.pipeline.supervise import Supervised

LOOP = {
    "collect": {"parameters": {"policy": "${previous.train.policy}"}, "initial": {"policy": "random"}},
    "train": {"parameters": {"dataset": "${collect.dataset}"}},
}


def go(file, *overrides, **settings):
    """Runs an experiment in this process; returns its exit code and what it said."""
    said = io.StringIO()
    code = run(load_experiment(file, overrides), Settings(**settings), PlainView(Console(file=said, width=200)))
    return code, said.getvalue()


def lines_about(said, stage):
    return [line.split(stage, 1)[1] for line in said.splitlines() if stage in line and "·" in line]


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def runs_in(folder):
    """Processes of stages below a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(folder) in process.environ().get(REQUEST_VARIABLE, ""):
                found.append(process)
    return found


def test_two_generations_then_only_what_changed(write, project):
    file = write(LOOP, generations=2, shared={"seed": 7})
    code, said = go(file)
    assert code == 0, said
    first = (project / "outputs/x/gen_001/02_train/policy.txt").read_text()
    second = (project / "outputs/x/gen_002/02_train/policy.txt").read_text()
    assert first.startswith("random|3 games, seed 7, generation 1|")
    assert second.startswith(first + "|3 games, seed 7, generation 2|")
    found = read_json("outputs/x/experiment.json")
    assert found["state"] == "finished"
    assert [entry["state"] for entry in found["stages"]] == ["finished"] * 4
    executed = read_notebook("outputs/x/gen_002/02_train/notebook.ipynb")
    assert executed.metadata.workbench.provenance.seed == 7
    assert "outputs/x/gen_002/01_collect/dataset" in executed.cells[2].source
    for written in (project / "outputs").rglob("*.*"):
        if written.suffix in (".json", ".html", ".ipynb"):
            assert str(project) not in written.read_text(), written  # nor any other place of this machine

    code, said = go(file)
    assert code == 0, said
    assert said.count("up to date") == 5  # four stages, and the sum

    code, said = go(file, "train.steps=21", "generations=1", force=("collect",))
    assert code == 0, said
    assert lines_about(said, "generation 1/1 · collect")[0].startswith(": forced")
    assert "steps changed: 20 -> 21" in lines_about(said, "generation 1/1 · train")[0]

    (project / "outputs/x/gen_001/01_collect/dataset/games.txt").write_text("tampered")
    (project / "outputs/x/gen_001/02_train/result.json").write_text("{")
    code, said = go(file, "train.steps=21", "generations=1")
    assert code == 0, said
    assert "its dataset (gen_001/01_collect/dataset) was altered" in said
    assert "its result.json is damaged" in said


def test_a_stage_that_failed_after_its_result_runs_again(write, project):
    file = write({"late": {}})
    assert go(file)[0] == 1
    assert (project / "outputs/x/gen_001/late/result.json").exists()
    code, said = go(file)
    assert code == 1
    assert "failed before: going on from the start" in said


def test_another_chain_runs_on_when_asked_to(project):
    file = project / "x.yaml"
    file.write_text("name: x\nchains:\n  one: {stages: {fails: {}, talks: {}}}\n  two: {stages: {collect: {}}}\n")
    for keep_going, states in ((False, ["failed", "pending", "pending"]), (True, ["failed", "finished", "finished"])):
        code, _ = go(file, keep_going=keep_going)
        assert code == 1
        assert [entry["state"] for entry in read_json("outputs/x/experiment.json")["stages"]] == states
    assert (project / "outputs/x/two/gen_001/01_collect/report.html").exists()


def test_the_same_result_made_again_changes_nothing_after_it(write, project):
    file = write(LOOP)
    assert go(file)[0] == 0
    code, said = go(file, force=("collect",))
    assert code == 0, said
    assert lines_about(said, "train")[0].startswith(": up to date")


@pytest.mark.parametrize(
    ("notebook", "code", "state", "message"),
    [
        ("fails", 1, "failed", "ValueError: not what was expected"),
        ("dies", 4, "killed", "SIGKILL"),
        ("sleeps", 5, "timed out", "longer than its time limit of 8 s"),
        ("forgets", 1, "failed", "none called stage.finish"),
    ],
)
def test_how_a_stage_fails_is_told_everywhere(write, project, notebook, code, state, message):
    file = write({notebook: {"time_limit": "8s" if notebook == "sleeps" else "1h"}, "talks": {}})
    returned, said = go(file)
    assert returned == code, said
    folder = project / "outputs/x/gen_001" / notebook
    status = read_status(folder)
    assert status["state"] == state
    assert message in status["message"]
    found = read_json(project / "outputs/x/experiment.json")
    assert found["state"] == state
    assert [entry["state"] for entry in found["stages"]] == [state, "pending"]
    assert read_notebook(folder / "notebook.ipynb").metadata.workbench.outcome.state == state
    for page in (folder / "report.html", project / "outputs/x/index.html", project / "outputs/index.html"):
        html = page.read_text()
        assert state in html
        assert message in html or page.parent.name == "outputs"
        assert loads_from_outside(html) == []
    if notebook != "forgets":
        assert status["cell"]["index"] == 4
    assert runs_in(folder) == []


def test_a_night_without_its_runner_goes_on_and_ends_the_same(write, workbench, project):
    file = write({"train": {"parameters": {"steps": 30, "seed": 5}}})
    assert go(file, output_dir=project / "undisturbed")[0] == 0
    undisturbed = (project / "undisturbed/x/gen_001/02_train/policy.txt").read_text()

    folder = project / "outputs/x/gen_001/02_train"
    runner = workbench("run", file, "train.pause=0.1")
    wait_for(lambda: len(read_metrics(folder / "metrics.jsonl")) >= 12)
    runner.kill()
    wait_for(lambda: runs_in(folder) == [])  # the stage's processes do not outlive it
    assert 12 <= len(read_metrics(folder / "metrics.jsonl")) < 30
    assert read_status(folder)["state"] == "interrupted"

    said = workbench("status").communicate()[0]
    assert "x: died" in said
    (folder / "recorded").mkdir()
    (folder / "recorded/games.txt").write_text("played already")
    (folder / ".policy.txt.x1.part").write_text("half")
    code, said = go(file, "train.pause=0.1")
    assert code == 0, said
    assert "going on from its checkpoint" in said
    assert (folder / "recorded/games.txt").read_text() == "played already"
    assert not list(folder.glob(".*.part"))
    assert (folder / "policy.txt").read_text() == undisturbed
    assert [line["step"] for line in read_metrics(folder / "metrics.jsonl")] == list(range(1, 31))
    result = read_json(folder / "result.json")
    assert result["provenance"]["resumed"] is True
    assert read_json("outputs/x/experiment.json")["stages"][0]["attempt"] == 2


class KilledOnce(Supervised):
    """A stage whose process is killed in its first attempt, once it has a checkpoint and is some steps beyond it."""

    def wait(self, tick, interval=0.05):
        def kill(status):
            first = read_json(self.folder / "request.json")["try"]["number"] == 1
            if first and len(read_metrics(self.folder / "metrics.jsonl")) >= 12:
                self._process.kill()
            tick(status)

        return super().wait(kill, interval)


def test_a_retry_goes_on_from_the_checkpoint_and_ends_the_same(write, project):
    file = write({"train": {"retries": 1, "retry_delay": "0.1s", "parameters": {"steps": 30, "pause": 0.02}}})
    assert go(file, output_dir=project / "undisturbed")[0] == 0
    code, said = go(file, launch=KilledOnce)
    assert code == 0, said
    assert "attempt 2 of 2: killed before: going on from its checkpoint" in said
    made = [place / "x/gen_001/02_train" for place in (project / "undisturbed", project / "outputs")]
    assert made[0].joinpath("policy.txt").read_text() == made[1].joinpath("policy.txt").read_text()
    assert [line["step"] for line in read_metrics(made[1] / "metrics.jsonl")] == list(range(1, 31))
    assert read_json(made[1] / "result.json")["provenance"]["resumed"] is True
    assert read_json(made[1] / "status.json")["try"] == {"number": 2, "of": 2}
    [entry] = read_json("outputs/x/experiment.json")["stages"]
    assert [one["state"] for one in entry["tries"]] == ["killed"]


def test_everything_killed_at_once_is_told_and_resumed(write, workbench, project, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(project))
    monkeypatch.setattr(tempfile, "tempdir", None)  # read anew
    file = write({"train": {"parameters": {"steps": 30, "pause": 0.1}}})
    folder = project / "outputs/x/gen_001/02_train"
    runner = workbench("run", file)
    wait_for(lambda: len(read_metrics(folder / "metrics.jsonl")) >= 6)
    stage = psutil.Process(read_json(folder / "status.json")["process"]["pid"])
    for process in (psutil.Process(runner.pid), stage, *stage.children(recursive=True)):
        process.kill()
    wait_for(lambda: runs_in(folder) == [])
    assert read_json(folder / "status.json")["state"] == "running"  # nobody was left to write
    said = workbench("status").communicate()[0]
    assert "x: died" in said
    assert read_json(folder / "status.json")["state"] == "died"
    assert not list(project.glob("wb-*"))
    executed = read_notebook(folder / "notebook.ipynb")
    assert [cell.metadata.papermill.status for cell in executed.cells] == ["completed"] * 5 + ["failed", "pending"]
    assert "died" in (folder / "report.html").read_text()
    assert "died" in (project / "outputs/x/index.html").read_text()
    code, said = go(file)
    assert code == 0, said
    assert "died before: going on from its checkpoint" in said


def cut_off(write, library):
    """An experiment whose stage was cut off, and what it says its code was; the stage's folder."""
    file = write({"sleeps": {"time_limit": "7s", "parameters": {"seconds": 60}}})
    assert go(file)[0] == 5
    folder = Path("outputs/x/gen_001/sleeps")
    request = read_json(folder / "request.json")
    request["fingerprint"]["code"].update(library)
    write_json(folder / "request.json", {**request, "reached": ["envs/core.py"]})
    return file, folder


def test_unfinished_work_is_put_aside_where_only_code_changed(write):
    file, folder = cut_off(write, {"envs/core.py": "other"})
    for number in (1, 2):
        said = go(file)[1]
        assert (
            f"timed out before, and the library's code changed: envs/core.py: from the start; its unfinished work is kept in sleeps.before-{number}"
            in said
        )
        assert (folder.with_name(f"sleeps.before-{number}") / "asleep").exists()
        assert read_json(folder / "request.json")["attempt"] == 1
        request = read_json(folder / "request.json")
        request["fingerprint"]["code"]["envs/core.py"] = "other"
        write_json(folder / "request.json", {**request, "reached": ["envs/core.py"]})
    (folder / "of before").touch()
    assert "seconds changed: 60.0 -> 1.0: from the start" in go(file, "sleeps.seconds=1")[1]
    assert not (folder / "of before").exists()
    assert len(list(folder.parent.iterdir())) == 3


def test_code_that_a_stage_cannot_reach_does_not_start_it_anew(write):
    file, folder = cut_off(write, {"metagame/exploitability.py": "other", "benchmarks/gone.py": "other"})
    (folder / "dataset").mkdir()
    (folder / "dataset/1.txt").touch()
    said = go(file)[1]
    assert "timed out before: going on from what it has done" in said
    assert (folder / "dataset/1.txt").exists()
    assert read_json(folder / "request.json")["attempt"] == 2


def test_a_changed_game_runs_a_stage_again_that_names_it_and_no_other(write, project):
    file = write({"collect": {"parameters": {"policy": "melee-mock/cpu1"}}, "other": {"notebook": "01_collect"}})
    assert go(file)[0] == 0
    results = [project / "outputs/x/gen_001" / name / "result.json" for name in ("01_collect", "01_other")]
    game, nothing = (read_json(result)["fingerprint"]["code"] for result in results)
    assert "envs/melee/env.py" in game
    assert nothing == {}
    found = read_json(results[0])
    found["fingerprint"]["code"]["envs/melee/env.py"] = "as it was then"
    write_json(results[0], found)
    said = go(file)[1]
    assert "the library's code changed: envs/melee/env.py" in lines_about(said, "collect")[0]
    assert lines_about(said, "other")[0].startswith(": up to date")


def test_a_folder_that_was_half_emptied_is_not_gone_on_from(tmp_path, monkeypatch):
    for name in ("checkpoint", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "request.json").touch()
    monkeypatch.setattr(shutil, "rmtree", mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        clear(tmp_path)
    assert not (tmp_path / "request.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_stage_starts_is_told(write, monkeypatch, number):
    class Slow(runner.Supervised):
        def __init__(self, *arguments):
            os.kill(os.getpid(), number)
            super().__init__(*arguments)

    monkeypatch.setattr(runner, "Supervised", Slow)
    code, _ = go(write({"sleeps": {}}))
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    folder = Path("outputs/x/gen_001/sleeps").resolve()
    assert read_json(folder / "status.json")["state"] == "interrupted"
    assert read_json("outputs/x/experiment.json")["stages"][0]["state"] == "interrupted"
    assert runs_in(folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopping_the_runner_stops_everything_in_good_order(write, workbench, project, number, code):
    file = write({"sleeps": {}, "talks": {}})
    folder = project / "outputs/x/gen_001/sleeps"
    runner = workbench("run", file)
    wait_for(lambda: (folder / "asleep").exists())
    second = workbench("run", file)
    assert second.wait(60) == 3
    assert f"is being run by process {runner.pid}" in second.stdout.read()
    runner.send_signal(number)
    said, _ = runner.communicate(timeout=60)
    assert runner.returncode == code
    assert "Traceback" not in said
    assert read_status(folder)["state"] == "interrupted"
    assert read_json("outputs/x/experiment.json")["state"] == "interrupted"
    assert runs_in(folder) == []
    statuses = [
        cell.metadata.get("papermill", {}).get("status") for cell in read_notebook(folder / "notebook.ipynb").cells
    ]
    assert statuses[-2:] == ["failed", "pending"]


def test_a_night_goes_on_when_nobody_reads_what_it_says(write, workbench, project):
    runner = workbench("run", write({"talks": {}, "collect": {}}))
    assert "talks" in runner.stdout.readline()
    runner.stdout.close()
    assert runner.wait(120) == 0
    assert read_json("outputs/x/experiment.json")["state"] == "finished"


def test_a_stages_process_that_is_killed_is_told(write, workbench, project, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(project))
    file = write({"sleeps": {}})
    folder = project / "outputs/x/gen_001/sleeps"
    runner = workbench("run", file)
    wait_for(lambda: (folder / "asleep").exists())
    os.kill(read_json(folder / "status.json")["process"]["pid"], signal.SIGKILL)
    said, _ = runner.communicate(timeout=60)
    assert runner.returncode == 4, said
    assert not list(project.glob("wb-*"))  # nor is anything left of its kernel's sockets
    assert "its process was killed (SIGKILL)" in read_status(folder)["message"]
    assert runs_in(folder) == []
    assert read_notebook(folder / "notebook.ipynb").cells[4].metadata.papermill.status == "failed"


def test_what_is_wrong_is_refused_before_anything_starts(write, workbench, project):
    file = write(LOOP)
    for overrides, message in (
        ("train.stesp=3", "no parameter 'stesp'; did you mean 'steps'"),
        ("train.pause=long", "pause: expected float, got 'long'"),
    ):
        process = workbench("run", file, overrides)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert message in said
        assert "Traceback" not in said
    assert not (project / "outputs").exists()


def test_a_reader_never_sees_a_torn_status(write, workbench, project):
    file = write({"train": {"parameters": {"steps": 60, "pause": 0.02}}})
    runner = workbench("run", file)
    places = [
        project / "outputs/x" / name
        for name in (
            "experiment.json",
            "gen_001/02_train/status.json",
            "gen_001/02_train/progress.json",
            "gen_001/02_train/notebook.ipynb",
        )
    ]
    reads = 0
    while runner.poll() is None:
        for place in places:
            with contextlib.suppress(FileNotFoundError):
                json.loads(place.read_text())
                reads += 1
    assert runner.returncode == 0
    assert reads > 200


def test_a_signal_after_the_end_changes_nothing_of_it(write, workbench, project):
    """What runs then is the user's command; the experiment has ended, and says so."""
    file = write({"train": {"parameters": {"steps": 1}}})
    runner = workbench("run", file, "--on-finish", "touch told; sleep 60")
    wait_for(lambda: (project / "told").exists())
    runner.terminate()
    assert runner.wait(20) == 143
    assert read_json("outputs/x/experiment.json")["state"] == "finished"
    code, said = go(file)
    assert code == 0 and "ended without a word" not in said and "up to date" in said
