import os
import subprocess
import sys
import time

import pytest

from workbench.pipeline import control
from workbench.pipeline.control import ControlError, launch_of, remember_launch, runner_of, start_again, stop
from workbench.pipeline.files import write_json
from workbench.pipeline.status import this_process

RUNNER = """
import sys, time
from pathlib import Path
from workbench.pipeline.lock import Lock
with Lock(Path("run.lock")):
    try:
        print("holds it", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopped in good order", flush=True)
"""


@pytest.fixture
def runner(tmp_path):
    """A process that holds an experiment's lock."""
    process = subprocess.Popen([sys.executable, "-c", RUNNER], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "holds it\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_stopping_asks_the_process_that_holds_the_lock(tmp_path, runner):
    assert runner_of(tmp_path)["pid"] == runner.pid
    with pytest.raises(ControlError, match=f"process {runner.pid} runs it already"):
        start_again(tmp_path)
    assert f"asked process {runner.pid} to stop" in stop(tmp_path)
    assert runner.stdout.readline() == "stopped in good order\n"
    runner.wait(20)
    assert runner_of(tmp_path) is None
    with pytest.raises(ControlError, match="nobody runs this experiment now"):
        stop(tmp_path)


def test_another_process_under_the_same_number_is_left_alone(tmp_path, runner):
    write_json(tmp_path / "run.lock", {"pid": runner.pid, "started": 1.0e9, "since": "long ago"})
    assert runner_of(tmp_path) is None
    with pytest.raises(ControlError, match="nobody runs"):
        stop(tmp_path)
    assert runner.poll() is None


def test_this_very_process_is_not_interrupted(tmp_path):
    write_json(tmp_path / "run.lock", this_process())
    with pytest.raises(ControlError, match="this very process runs it"):
        stop(tmp_path)


def test_a_run_is_started_again_as_it_was_started(tmp_path, monkeypatch):
    folder = tmp_path / "outputs/x"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/somewhere/workbench", "status", "--output-dir", "my outputs"])
    remember_launch(folder)
    assert (folder / control.LAUNCH).stat().st_mode & 0o777 == 0o600  # it may hold a webhook's secret
    launch = launch_of(folder)
    assert launch.words == "workbench status --output-dir 'my outputs'"
    assert launch.directory == tmp_path.resolve()
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    process = start_again(folder)
    assert process.wait(60) == 0
    assert "no experiments in my outputs" in (folder / control.OUTPUT).read_text()
    assert os.getsid(0) != process.pid


def test_what_was_not_started_by_the_command_line_is_not_started_again(tmp_path):
    remember_launch(tmp_path)  # by pytest
    assert launch_of(tmp_path) is None
    with pytest.raises(ControlError, match="not known how this run was started"):
        start_again(tmp_path)
    write_json(tmp_path / control.LAUNCH, {"arguments": ["doctor"], "directory": "gone"})
    with pytest.raises(ControlError, match="gone, which is no more"):
        start_again(tmp_path)


@pytest.mark.timeout(120)
def test_a_real_run_is_stopped_and_goes_on(project, write, workbench):
    file = write({"train": {"parameters": {"steps": 2000, "pause": 0.05}}})
    running = workbench("run", file)
    folder = project / "outputs/x"
    wait_for(lambda: (folder / "gen_001/02_train/checkpoint/state.json").exists())
    stop(folder)
    assert running.wait(40) == 130
    again = start_again(folder)
    wait_for(lambda: "interrupted before: going on from its checkpoint" in (folder / control.OUTPUT).read_text())
    assert runner_of(folder)["pid"] == again.pid
    stop(folder)
    assert again.wait(40) == 130


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
