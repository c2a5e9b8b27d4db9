"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest
import torch

# What takes minutes, the longest first: begun late, one of these would keep a single process busy at the end.
_LONG = (
    "test_notebooks.py", "browser/lab/test_notebooks.py", "faults", "browser", "pipeline/test_sweep.py", "cluster",
    "envs/melee",
)  # fmt: skip
_TOGETHER = "envs/melee"  # each process that runs some of them compiles the game


def pytest_collection_modifyitems(items):
    """Long files first; a file's tests stay in one process, and so do those of `_TOGETHER`."""
    paths = {item: item.path.relative_to(Path(__file__).parent).as_posix() for item in items}
    places = {
        path: next((n for n, part in enumerate(_LONG) if path.startswith(part)), len(_LONG)) for path in paths.values()
    }
    items.sort(key=lambda item: places[paths[item]])
    for item in items:
        path = paths[item]
        item.add_marker(pytest.mark.xdist_group(_TOGETHER if path.startswith(_TOGETHER) else path))


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
