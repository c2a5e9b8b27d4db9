"""Metrics on the disk: complete after every death, mirrored in TensorBoard, and no mirror ever in the way."""

import json
import os
import subprocess
import sys
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c as reference

from workbench.pipeline import read_metrics, stage
from workbench.pipeline.event_file import crc32c


def test_checksums_of_the_standard():
    # RFC 3720, appendix B.4
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


@given(st.binary(max_size=40), st.sampled_from([0, 2044, 2047, 2048, 4095, 5000]))
def test_checksums_agree_with_tensorboards_own(content, padding):
    assert crc32c(bytes(padding) + content) == reference(bytes(padding) + content)


def test_metrics_are_complete_up_to_the_last_line_when_the_process_is_killed(project):
    code = """
import os, sys
from workbench.pipeline import stage
opened = stage("out", 0)
for step in range(100000):
    opened.log({"losses/policy_loss": 1 / (step + 1), "text": "x" * 300}, step)
    sys.stdout.write(f"{step}\\n")
    sys.stdout.flush()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == 500:
            process.kill()
            break
    told = [int(line) for line in process.stdout]
    process.wait()
    lines = (project / "out/metrics.jsonl").read_bytes().splitlines(keepends=True)
    whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
    assert [row["step"] for row in whole] == list(range(len(whole)))
    assert len(whole) > max([500, *told])  # all that the process said it had logged
    assert len(whole) >= len(lines) - 1


def test_tensorboard_has_a_line_soon_though_no_other_follows(project):
    opened = stage("out")
    opened.log({"charts/SPS": 12.5}, 7)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        board = EventAccumulator("out/tensorboard")
        board.Reload()
        if "charts/SPS" in board.Tags()["scalars"]:
            break
        time.sleep(0.2)
    assert [(event.step, event.value) for event in board.Scalars("charts/SPS")] == [(7, 12.5)]
    opened.finish()


@pytest.mark.parametrize("when", ["from the start", "later"])
def test_a_tensorboard_that_cannot_be_written_is_off_and_the_run_goes_on(project, when):
    opened = stage("out")
    if when == "from the start":
        (project / "out/tensorboard").write_text("in the way")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(300):
            opened.log({"a": step}, step)
            if when == "later" and step == 100:
                stream = opened._mirrors[0]._logger._records._stream
                os.close(stream.fileno())  # as when the disk goes away under it
        opened.finish(metrics={"a": 1})
    said = [str(one.message) for one in caught if "TensorBoardFile failed and is off" in str(one.message)]
    assert len(said) == 1
    assert len(read_metrics("out/metrics.jsonl")) == 300
    assert opened.result["metrics"] == {"a": 1}


def test_a_disk_that_is_full_stops_the_metrics_with_a_clear_word(project):
    opened = stage("out")
    opened.log({"a": 1}, 1)
    opened._metrics.close()
    opened._metrics._handle = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left on device"):
        opened.log({"a": 2}, 2)


def test_notes_that_count_are_not_news(project):
    opened = stage("out")
    opened.progress(1, 10, "update 1")
    opened.progress(2, 10, "update 2")
    assert json.loads((project / "out/status.json").read_text())["done"] == 1
    opened.progress(3, 10, "validating")
    assert json.loads((project / "out/status.json").read_text())["note"] == "validating"
