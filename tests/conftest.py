"""What all tests share."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    """Several torch threads on a busy machine slow small networks down many times over."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def replays() -> list[Path]:
    """Real Slippi replays (`.slp`), found beneath the folder that WORKBENCH_REPLAYS names."""
    folder = os.environ.get("WORKBENCH_REPLAYS")
    if not folder:
        pytest.skip("needs real replays: set WORKBENCH_REPLAYS to a folder of .slp files")
    found = sorted(Path(folder).rglob("*.slp"))
    assert found, f"WORKBENCH_REPLAYS={folder} holds no .slp files"
    return found
