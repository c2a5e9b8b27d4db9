"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest
import torch

# Files that take minutes, the longest first: begun late, one of these would keep a single process busy at the end.
_LONG = (
    "test_notebooks.py", "browser/lab/test_notebooks.py", "faults", "pipeline/test_runner.py", "pipeline/test_sweep.py",
    "browser", "cluster", "arena/test_tournament.py", "test_yardsticks_notebook.py", "envs",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Long files first; each file's tests stay in one process (`--dist loadfile`) and share what it sets up."""

    def place(item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((number for number, part in enumerate(_LONG) if path.startswith(part)), len(_LONG))

    items.sort(key=place)


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    """Several torch threads on a busy machine slow small networks down many times over."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def signals_as_in_a_terminal():
    """Under `nohup`, or in a script's background, processes inherit that signals are ignored, and cannot be asked to stop."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    for number, handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if before[number] == signal.SIG_IGN:
            signal.signal(number, handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def replays() -> list[Path]:
    """Real Slippi replays (`.slp`), found beneath the folder that WORKBENCH_REPLAYS names."""
    folder = os.environ.get("WORKBENCH_REPLAYS")
    if not folder:
        pytest.skip("needs real replays: set WORKBENCH_REPLAYS to a folder of .slp files")
    found = sorted(Path(folder).rglob("*.slp"))
    assert found, f"WORKBENCH_REPLAYS={folder} holds no .slp files"
    return found
