"""A league that was killed outright goes on, and ends where an undisturbed one does."""

import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("resumable_league.py")


def test_killed_and_gone_on_with_it_ends_bit_for_bit_the_same(tmp_path):
    spec = importlib.util.spec_from_file_location("resumable_league", SCRIPT)
    resumable = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(resumable)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "killed"), "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < 21:
            pass
        process.send_signal(signal.SIGKILL)
        printed = process.stdout.read().split()
    assert process.returncode == -signal.SIGKILL
    reached = int(printed[-1]) if printed else 21
    resumed = resumable.train(tmp_path / "killed", reached + 14)
    undisturbed = resumable.train(tmp_path / "whole", reached + 14)
    described, arrays = resumed.state()
    expected, others = undisturbed.state()
    assert json.dumps(described) == json.dumps(expected)
    assert arrays.keys() == others.keys()
    assert [name for name in arrays if not np.array_equal(arrays[name], others[name], equal_nan=True)] == []
    assert resumed.met().equals(undisturbed.met()) and resumed.table().equals(undisturbed.table())
    # and much has happened: resets, copies that left
    assert resumed.agents["main-exploiter"].resets > 2 and any(one["left"] for one in resumed.roster.joined)
