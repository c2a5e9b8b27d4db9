"""Weights & Biases, for real but offline; and all the ways in which it may fail without harming a run."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path

import psutil
import pytest

from workbench.pipeline import read_metrics, stage, wandb_mirror
from workbench.pipeline.files import read_json
from workbench.pipeline.load import load_experiment
from workbench.pipeline.wandb_mirror import WANDB_VARIABLE, wandb_mode

installed = pytest.mark.skipif(
    shutil.which("wandb", path=str(Path(sys.executable).parent)) is None,
    reason="wandb is not installed (pip install -e '.[wandb]')",
)

TRAINING = """
import os, sys
from workbench.pipeline import stage
first, last, resume, end = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "resume", sys.argv[4]
opened = stage("out", 3, name="03_self_play", resume=resume)
(opened.checkpoint_folder / "state").write_text("3")
if opened.resuming:
    opened.rewind(3)
for step in range(first, last + 1):
    opened.log({"losses/policy_loss": 1 / step, "charts/SPS": float("nan") if step == 1 else 100.0 * step}, step)
opened.finish() if end == "finish" else os.kill(os.getpid(), 9)
"""


def train(*arguments: str) -> int:
    environment = {**os.environ, WANDB_VARIABLE: "offline"}
    return subprocess.run([sys.executable, "-c", TRAINING, *arguments], env=environment, check=False).returncode


def mirrors(folder) -> list[psutil.Process]:
    """The processes that follow the metrics of the stage in `folder`; other tests may follow one of the same name."""
    ours = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = process.info["cmdline"] or []
        if "workbench.pipeline.wandb_process" in line:
            place = Path(process.info["cwd"] or "/")
            if Path(folder).resolve() in {(place / word).resolve() for word in line}:
                ours.append(process)
    return ours


def records(folder) -> list:
    """What W&B has written offline, in order: its files are LevelDB logs of protobuf records."""
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        content, place, whole = file.read_bytes(), 7, b""
        while place + 7 <= len(content):
            if 32768 - place % 32768 < 7:
                place += 32768 - place % 32768
                continue
            _, length, kind = struct.unpack("<IHB", content[place : place + 7])
            whole += content[place + 7 : place + 7 + length]
            place += 7 + length
            if kind in (1, 4):  # a whole record, or the last part of one
                found.append(Record.FromString(whole))
                whole = b""
    return found


def history(folder) -> list[dict[str, float]]:
    rows = []
    for record in records(folder):
        if record.HasField("history"):
            rows.append({(item.key or item.nested_key[0]): float(item.value_json) for item in record.history.item})
    return rows


@installed
def test_a_run_that_was_killed_goes_on_as_the_same_run_and_sends_nothing_twice(project):
    assert train("1", "5", "anew", "kill") == -9
    wait_for(lambda: not mirrors("out"))
    assert [row["global_step"] for row in history(project / "out")] == [1, 2, 3, 4, 5]
    assert train("4", "8", "resume", "finish") == 0
    rows = history(project / "out")
    assert [row["global_step"] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "charts/SPS" not in rows[0] and rows[1]["charts/SPS"] == 200.0
    assert [row["losses/policy_loss"] for row in rows] == pytest.approx([1 / step for step in range(1, 9)])
    assert [line["step"] for line in read_metrics("out/metrics.jsonl")] == list(range(1, 9))

    identities = {record.run.run_id for record in records(project / "out") if record.HasField("run")}
    assert identities == {read_json("out/wandb/run.json")["id"]}
    codes = [record.exit.exit_code for record in records(project / "out") if record.HasField("exit")]
    assert codes == [1, 0]
    written = b"".join(file.read_bytes() for file in (project / "out/wandb").glob("offline-run-*/*.wandb"))
    assert str(project).encode() not in written and bytes(Path.home()) + b"/" not in written


@installed
def test_an_upload_that_hangs_holds_nobody_up(project, monkeypatch):
    monkeypatch.setattr(wandb_mirror, "_AT_THE_END", 0.5)
    with socket.socket() as silent:  # takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv(WANDB_VARIABLE, "online")
        opened = stage("out", 3)
        for step in range(200):
            opened.log({"a": step}, step)
        with pytest.warns(UserWarning, match="W&B is still sending"):
            opened.finish(metrics={"a": 1})
        assert read_json("out/result.json")["metrics"] == {"a": 1}
        assert len(read_metrics("out/metrics.jsonl")) == 200
        for process in mirrors("out"):
            process.kill()
            process.wait()


@pytest.mark.parametrize("broken", ["raises", "cannot write", "is not installed"])
def test_a_wandb_that_fails_is_off_and_the_run_goes_on(project, monkeypatch, broken):
    monkeypatch.setenv(WANDB_VARIABLE, "offline")
    monkeypatch.setattr(wandb_mirror, "_LOOK_EVERY", 0.0)
    said = {"raises": "RuntimeError: out of order", "cannot write": "File exists", "is not installed": "pip install"}[
        broken
    ]
    if broken == "raises":
        (project / "fake/wandb").mkdir(parents=True)
        (project / "fake/wandb/__init__.py").write_text("raise RuntimeError('out of order')")
        monkeypatch.setenv("PYTHONPATH", str(project / "fake"))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    elif broken == "is not installed":
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    opened = stage("out", 3)
    if broken == "cannot write":
        (project / "out/wandb").write_text("in the way")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(30):
            opened.log({"a": step}, step)
            time.sleep(0.01)
        opened.finish(metrics={"a": 1})
    (warning,) = [str(one.message) for one in caught if "WandbMirror failed and is off" in str(one.message)]
    assert said in warning
    assert len(read_metrics("out/metrics.jsonl")) == 30
    assert read_json("out/result.json")["metrics"] == {"a": 1}


def test_the_mode_comes_from_the_experiment_then_from_the_environment(project, write, monkeypatch):
    monkeypatch.delenv(WANDB_VARIABLE, raising=False)
    assert wandb_mode() == "off"
    monkeypatch.setenv(WANDB_VARIABLE, "online")
    assert (wandb_mode(), wandb_mode("off"), wandb_mode("offline")) == ("online", "off", "offline")
    with pytest.raises(ValueError, match="expected one of off, offline, online, got 'yes'"):
        wandb_mode("yes")
    file = write({"collect": {}, "again": {"notebook": "collect", "wandb": "off"}}, wandb="offline")
    assert {plan.name: plan.wandb for _, _, plan in load_experiment(file).runs()} == {
        "collect": "offline",
        "again": "off",
    }
    asked = load_experiment(file, ["wandb=online"])
    assert {plan.name: plan.wandb for _, _, plan in asked.runs()} == {"collect": "online", "again": "off"}
    with pytest.raises(ValueError, match="wandb: expected one of off, offline, online, got 'yes'"):
        load_experiment(write({"collect": {}}, wandb="yes"))


def test_nothing_of_wandb_runs_unless_it_is_asked_for(project, monkeypatch):
    monkeypatch.delenv(WANDB_VARIABLE, raising=False)
    opened = stage("out", 3)
    opened.log({"a": 1}, 1)
    opened.finish()
    assert not (project / "out/wandb").exists() and not mirrors("out")


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value
