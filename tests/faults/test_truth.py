"""What really happened is what every file, page and command says, after each way in which a night can go wrong."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest

EXPERIMENT = """
name: x
stages:
  long: {{notebook: long, {control}}}
  after: {{notebook: 01_collect}}
"""
CELL = 5  # of the seven of the notebook as executed, its injected parameters counted
LAST = "line 29"


@pytest.fixture
def watched(nights):
    """Starts a night, with a reader that looks at all of its files as fast as it can; they are never torn."""
    torn, over = [], threading.Event()

    def read(folder: Path) -> None:
        reads = 0
        while not over.is_set():
            files: list[Path] = []
            with contextlib.suppress(FileNotFoundError):  # a folder may go while it is listed
                files = [*folder.rglob("*.json"), *folder.rglob("notebook.ipynb"), *folder.rglob("*.html")]
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    text = file.read_text()
                    whole = text.endswith("</html>\n") if file.suffix == ".html" else _is_json(text)
                    torn.extend([] if whole else [f"{file.name} after {reads} reads: {text[-80:]!r}"])
                    reads += 1
            time.sleep(0.005)

    readers = []

    def _start(control="", overrides=(), **settings):
        night = nights("truth", experiment=EXPERIMENT.format(control=control), options=overrides, **settings)
        readers.append(threading.Thread(target=read, args=(night.folder,), daemon=True))
        readers[-1].start()
        night.start()
        return night

    yield _start
    over.set()
    for reader in readers:
        reader.join()
    assert torn == []


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def in_the_long_cell(night) -> None:
    """Wait until the long cell runs and what it has put out is in the notebook."""
    executed = night.folder / "gen_001/long/notebook.ipynb"
    assert night.until(lambda: executed.exists() and LAST in executed.read_text()), night.said()


def status_command(night) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "workbench.cli", "status", "--output-dir", str(night.outputs)],
        cwd=night.project, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout


def tells(night, code: int, state: str, message: str, *, run_state: str = "") -> None:
    """The run has ended so, and everything says it: the command, the status, the notebook, the pages."""
    assert night.ended() == code, night.said()
    said = status_command(night)
    folder = night.folder / "gen_001/long"
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["cell"]["index"], status["error"]["cell"]) == (state, CELL, CELL)
    assert message in status["message"]
    assert LAST in status["error"]["tail"]
    executed = nbformat.read(folder / "notebook.ipynb", as_version=4)
    assert [cell.metadata.papermill.status for cell in executed.cells if "papermill" in cell.metadata][-3:] == [
        "completed", "failed", "pending",
    ]  # fmt: skip
    outcome = executed.metadata.workbench.outcome
    assert (outcome.state, outcome.cell) == (state, CELL)
    assert message in outcome.error
    assert any(LAST in output.get("text", "") for cell in executed.cells for output in cell.get("outputs", []))
    entries = json.loads((night.folder / "experiment.json").read_text())["stages"]
    assert [entry["state"] for entry in entries] == [state, "pending"]
    words = " ".join(said.split())
    assert f"x: {run_state or state}, 0 of 2 stages done" in words
    assert f"gen_001/long: {state} in cell {CELL + 1} of 7" in words
    assert LAST in words
    assert message in words
    for page in ("index.html", "gen_001/long/report.html"):
        text = (night.folder / page).read_text()
        assert state in text
        assert message in text
        assert LAST in text
    assert not [one for one in psutil.process_iter() if str(folder) in _request_of(one)]


def _request_of(process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.environ().get("WORKBENCH_STAGE_REQUEST", "")
    return ""


def test_a_kernel_that_is_killed(watched):
    night = watched()
    in_the_long_cell(night)
    night.kill(night.kernels())
    tells(night, 4, "killed", "the kernel was killed (SIGKILL)")


@pytest.fixture
def memory_group():
    """A control group of 150 megabytes: who takes more is killed by the system, as when a machine's memory is used up."""
    top = Path("/sys/fs/cgroup/memory") if Path("/sys/fs/cgroup/memory").is_dir() else Path("/sys/fs/cgroup")
    group = top / f"workbench-test-{os.getpid()}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if top.name == "memory" else "memory.max")
        limit.write_text("150000000")
        with contextlib.suppress(FileNotFoundError):  # no swap to escape to
            (group / "memory.swap.max").write_text("0")
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        yield None
        return
    yield group
    for _ in range(100):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.05)


def test_a_kernel_that_runs_out_of_memory(watched, memory_group):
    if memory_group is not None:  # the system's own out-of-memory killer
        night = watched(overrides=(f"long.memory_group={memory_group}",))
        tells(night, 4, "killed", "out of memory")
    else:  # where no control group can be made: its address space ends, which Python reports itself
        night = watched(overrides=("long.memory_limit=2000000000",))
        tells(night, 1, "failed", "MemoryError")


def test_a_cell_beyond_its_limit(watched):
    night = watched(control="cell_time_limit: 10s")
    tells(night, 5, "timed out", "the cell ran longer than its 10 s")


def test_ctrl_c(watched):
    night = watched()
    in_the_long_cell(night)
    os.killpg(night.runner.pid, signal.SIGINT)  # as a terminal does it: to all of its foreground
    tells(night, 130, "interrupted", "stopped by Ctrl-C")


def test_sigterm(watched):
    night = watched()
    in_the_long_cell(night)
    night.runner.terminate()
    tells(night, 143, "interrupted", "stopped by SIGTERM")


def test_the_hour(watched):
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 25))
    night = watched(overrides=("--until", at))
    in_the_long_cell(night)
    tells(night, 6, "interrupted", "has come (--until)", run_state="paused")


def test_everything_killed_at_once(watched):
    night = watched()
    in_the_long_cell(night)
    night.kill(night.everything())
    tells(night, -9, "died", "without a word")


def test_a_full_disk(watched, disk):
    night = watched(overrides=(f"long.fills={disk.folder}/filler", "--min-disk", "0"), output_dir=disk.folder)
    in_the_long_cell(night)
    if not disk.is_real:
        disk.fill(night)
    tells(night, 1, "failed", disk.error)


def test_a_disk_that_is_about_to_be_full(watched, disk):
    if not disk.is_real:
        pytest.skip("needs leave to mount a small file system: what is free is that of a file system of its own")
    night = watched(overrides=("--min-disk", "4M"), output_dir=disk.folder)
    in_the_long_cell(night)
    (disk.folder / "filler").write_bytes(b"1" * 12_500_000)
    tells(night, 7, "interrupted", "have to stay free (--min-disk", run_state="out of room")
