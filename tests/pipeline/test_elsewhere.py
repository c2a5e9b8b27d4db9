"""Stages whose process runs on another machine, of which only their files are seen."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from workbench.pipeline import supervise
from workbench.pipeline.files import write_json
from workbench.pipeline.status import is_alive, is_elsewhere, read_status, this_process, timestamp
from workbench.pipeline.supervise import end_leftovers, wait_until_gone

ELSEWHERE = {"pid": 1, "started": 0.0, "machine": "another"}


def say(folder, state="running", updated=None):
    write_json(
        folder / "status.json", {"state": state, "process": ELSEWHERE, "updated": updated or timestamp(), "cell": None}
    )


def test_a_process_elsewhere_is_told_from_one_that_has_ended():
    here = this_process()
    assert is_alive(here) and not is_elsewhere(here)
    assert is_alive(ELSEWHERE) and is_elsewhere(ELSEWHERE)  # it is believed: nobody here can look
    ended = {**here, "started": 0.0}
    assert not is_alive(ended) and not is_elsewhere(ended)
    assert not is_elsewhere(None) and not is_elsewhere({"pid": 1, "started": 0.0})  # as older files have it


def test_one_that_is_silent_for_long_has_died(tmp_path):
    say(tmp_path)
    assert read_status(tmp_path)["state"] == "running"
    say(tmp_path, updated=(datetime.now(UTC) - timedelta(minutes=7)).isoformat())
    status = read_status(tmp_path)
    assert status["state"] == "died"
    assert "nothing was heard for 7 minutes" in status["message"]


def test_it_is_waited_until_one_elsewhere_has_fallen_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "_QUIET", 1.0)
    say(tmp_path)
    ended = []

    def go_on():
        for _ in range(10):
            time.sleep(0.1)
            say(tmp_path)
        ended.append(True)

    thread = threading.Thread(target=go_on)
    thread.start()
    assert wait_until_gone(tmp_path, seconds=60)
    assert ended  # not before
    thread.join()


def test_nobody_else_writes_where_one_elsewhere_goes_on(tmp_path, monkeypatch):
    say(tmp_path)
    assert not wait_until_gone(tmp_path, seconds=0.5)
    monkeypatch.setattr(supervise, "wait_until_gone", lambda folder: False)
    with pytest.raises(RuntimeError, match="still at work"):
        end_leftovers(tmp_path)
    monkeypatch.undo()
    say(tmp_path, state="interrupted")
    assert end_leftovers(tmp_path) == 0
