import json
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from workbench.pipeline import loggers, read_metrics, read_status, stage
from workbench.pipeline.files import hash_path, read_json, to_plain, write_atomic, write_json
from workbench.pipeline.stage import REQUEST_VARIABLE, StageError
from workbench.pipeline.status import Pace


def test_a_stage_by_hand_from_opening_to_result(project):
    opened = stage("out", 3)
    first = (random.random(), np.random.rand())  # noqa: NPY002
    opened.log({"losses/policy_loss": np.float32(0.5), "charts/SPS": float("nan")}, 1)
    opened.progress(1, 2)
    opened.path("policy/weights.txt").write_text("w")
    assert read_status("out")["state"] == "running"
    opened.finish(
        metrics={"win_rate": np.float64(0.75)},
        policy=opened.folder / "policy",
        snapshots=[opened.folder / "policy/weights.txt"],
    )
    assert read_status("out")["state"] == "finished"
    assert read_status("out")["done"] == 1
    result = read_json("out/result.json")
    assert result["metrics"] == {"win_rate": 0.75}
    assert result["artifacts"]["policy"] == {"path": "policy", "hash": hash_path("out/policy")}
    assert result["artifacts"]["snapshots"][0]["path"] == "policy/weights.txt"
    assert result["provenance"]["seed"] == 3
    assert result["provenance"]["packages"]["numpy"] == np.__version__
    [line] = read_metrics("out/metrics.jsonl")
    assert (line["step"], line["losses/policy_loss"], line["charts/SPS"]) == (1, 0.5, None)
    stage("out2", 3)
    assert (random.random(), np.random.rand()) == first  # noqa: NPY002


def test_torch_is_seeded_whether_imported_before_or_after():
    code = (
        "import sys, tempfile\nfrom workbench.pipeline.seeding import seed_everything\n"
        "{before}\nseed_everything(5)\nimport torch\nprint(torch.rand(1).item())"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code.format(before=before)], capture_output=True, text=True, check=True
        ).stdout
        for before in ("import torch", "")
    }
    assert len(drawn) == 1


def test_a_run_by_hand_starts_afresh_or_resumes_as_asked(project):
    opened = stage("out")
    assert not opened.resuming
    write_json(opened.checkpoint_folder / "state.json", {"done": 3})
    for step in range(1, 6):
        opened.log({"a": step}, step)
    again = stage("out", resume=True)
    assert again.resuming
    again.rewind(3)
    again.log({"a": 40}, 4)
    assert [line["a"] for line in read_metrics("out/metrics.jsonl")] == [1, 2, 3, 40]
    afresh = stage("out")
    assert not afresh.resuming
    assert read_metrics("out/metrics.jsonl") == []
    assert not (afresh.folder / "checkpoint").exists()


def test_a_run_by_hand_that_resumes_without_a_checkpoint_keeps_its_work_and_logs_anew(project):
    opened = stage("out")
    opened.path("dataset/games.txt").write_text("played")
    opened.log({"a": 1}, 1)
    again = stage("out", resume=True)
    assert not again.resuming
    assert (again.folder / "dataset/games.txt").read_text() == "played"
    again.log({"a": 2}, 1)
    assert [line["a"] for line in read_metrics("out/metrics.jsonl")] == [2]


def test_a_folder_of_somebody_else_is_left_alone(project):
    (project / "mine").mkdir()
    (project / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(StageError, match="not empty, and not written by a stage"):
        stage("mine")
    assert (project / "mine/thesis.txt").exists()


def test_without_a_folder_it_writes_below_the_project(project):
    (project / "pyproject.toml").touch()
    assert stage(name="03_self_play").folder == project / "outputs/manual/03_self_play"


@pytest.mark.parametrize("value", ["nowhere", 3, None])
def test_an_artifact_that_does_not_exist_is_refused(project, value):
    opened = stage("out")
    with pytest.raises(StageError, match=r"finish\(policy=\.\.\.\): expected the path"):
        opened.finish(policy=value)
    assert not (opened.folder / "result.json").exists()
    opened.finish()
    with pytest.raises(StageError, match="was called before"):
        opened.finish()


def test_under_the_runner_it_takes_the_runners_word(project, monkeypatch):
    folder = project / "outputs/x/gen_002/02_train"
    folder.mkdir(parents=True)
    request = {
        "stage": "train",
        "experiment": "x",
        "generation": 2,
        "experiment_folder": "../..",
        "resuming": False,
        "fingerprint": {"code": {}},
    }
    write_json(folder / "request.json", request)
    monkeypatch.setenv(REQUEST_VARIABLE, str(folder / "request.json"))
    opened = stage("outputs/x/gen_002/02_train")
    assert (opened.name, opened.experiment, opened.generation) == ("train", "x", 2)
    opened.path("policy.txt").write_text("p")
    opened.finish(policy=opened.folder / "policy.txt")
    assert read_json(folder / "result.json")["artifacts"]["policy"]["path"] == "gen_002/02_train/policy.txt"
    assert not (folder / "status.json").exists()  # that one is the supervisor's
    assert read_json(folder / "progress.json")["state"] == "finished"
    assert stage("elsewhere").experiment == "manual"


def test_tensorboard_shows_the_same_and_forgets_what_was_rewound(project):
    opened = stage("out")
    for step in range(1, 5):
        opened.log({"losses/value_loss": step / 2, "note": "text"}, step)
    opened.rewind(2)
    opened.log({"losses/value_loss": 9.0}, 3)
    opened.finish()
    board = EventAccumulator("out/tensorboard")
    board.Reload()
    assert [(event.step, event.value) for event in board.Scalars("losses/value_loss")] == [(1, 0.5), (2, 1.0), (3, 9.0)]


def test_a_dead_logger_never_stops_a_run(project, monkeypatch):
    def broken(self, metrics, step, moment):
        raise OSError("no more event files")

    monkeypatch.setattr(loggers.TensorBoardFile, "append", broken)
    opened = stage("out")
    with pytest.warns(UserWarning, match="TensorBoardFile failed and is off") as warned:
        for step in range(3):
            opened.log({"a": step}, step)
    assert len(warned) == 1
    assert len(read_metrics("out/metrics.jsonl")) == 3


def test_a_torn_last_line_is_neither_read_nor_kept(project):
    opened = stage("out")
    opened.log({"a": 1}, 1)
    opened._metrics.close()
    with (opened.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "a"')
    assert len(read_metrics("out/metrics.jsonl")) == 1
    opened.log({"a": 3}, 3)
    assert [line["step"] for line in read_metrics("out/metrics.jsonl")] == [1, 3]


def test_no_reader_ever_sees_a_torn_file(tmp_path):
    path, torn, stop = tmp_path / "status.json", [], threading.Event()
    write_json(path, {"n": -1, "padding": "x" * 20000})

    def poll():
        while not stop.is_set():
            try:
                assert len(json.loads(path.read_text())["padding"]) == 20000
            except Exception as error:
                torn.append(error)

    reader = threading.Thread(target=poll)
    reader.start()
    for number in range(300):
        write_json(path, {"n": number, "padding": "x" * 20000})
    stop.set()
    reader.join()
    assert torn == []
    assert [item.name for item in tmp_path.iterdir()] == ["status.json"]


def test_a_write_that_fails_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        write_json(path, {"new": object()})
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new", durable=True)
    assert read_json(path) == {"old": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]
    path.write_text("{")
    with pytest.raises(ValueError, match=r"a\.json: not readable as JSON"):
        read_json(path)


def test_plain_values():
    assert to_plain({"a": np.arange(2), 3: (np.bool_(True), float("inf"))}) == {"a": [0, 1], "3": [True, None]}


def test_hashes_follow_names_and_contents(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_text("1")
    before = hash_path(tmp_path / "a")
    (tmp_path / "a/one").rename(tmp_path / "a/two")
    renamed = hash_path(tmp_path / "a")
    (tmp_path / "a/two").write_text("2")
    assert len({before, renamed, hash_path(tmp_path / "a")}) == 3


def test_pace_and_time_left():
    clock = iter([0.0, 10.0, 20.0, 200.0])
    pace = Pace(window=120, clock=lambda: next(clock))
    assert pace.update(0, 100) == {"done": 0, "total": 100, "pace": None, "eta": None}
    assert pace.update(20, 100) == {"done": 20, "total": 100, "pace": 2.0, "eta": 40.0}
    assert pace.update(40, 100)["eta"] == 30.0
    assert pace.update(49, 100) == {
        "done": 49,
        "total": 100,
        "pace": 0.05,
        "eta": pytest.approx(1020),
    }  # the old pace is out of sight


def test_a_status_whose_process_is_gone_says_so(project):
    code = "import os\nfrom workbench.pipeline import stage\nopened = stage('out')\nopened.progress(1, 9)\nos.kill(os.getpid(), {signal})"
    for signal, state in ((9, "died"), (15, "interrupted")):
        subprocess.run([sys.executable, "-c", code.format(signal=signal)], check=False)
        assert read_status("out")["state"] == state
    subprocess.run([sys.executable, "-c", "from workbench.pipeline import stage\nstage('out')"], check=True)
    assert read_status("out")["message"] == "the kernel ended before stage.finish()"


def test_a_result_says_its_figures_with_their_intervals(project, capsys):
    opened = stage("out", name="tour")
    opened.finish(metrics={"wins": [0.75, 0.5, 0.875], "games": 1200, "curve": [1, 2, 3, 4]})
    said = capsys.readouterr().out.splitlines()[1:]
    assert said == ["  wins: 0.75 [0.5, 0.875]", "  games: 1,200", "  curve: 4 entries"]
