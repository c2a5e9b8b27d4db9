"""Where a stage's metrics go: `metrics.jsonl`, the source of truth, and TensorBoard, which may fail and be missed by none."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
import warnings
from pathlib import Path

from workbench.pipeline.event_file import EventFile
from workbench.pipeline.files import write_atomic

_FLUSH_EVERY = 1.0  # seconds between two writes of TensorBoard's file


class MetricsFile:
    """`metrics.jsonl`: one JSON object a line, with `step` and `time` (Unix seconds); a line is one write.

    What is appended are plain values, see `to_plain`.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._handle = None

    def append(self, metrics: dict, step: int, moment: float) -> None:
        line = json.dumps({"step": int(step), "time": round(moment, 3), **metrics}, allow_nan=False) + "\n"
        if self._handle is None:
            self._drop_torn_line()
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        written = os.write(self._handle, line.encode())
        if written < len(line):  # json.dumps writes ASCII
            raise OSError(errno.ENOSPC, "the disk is full: a line could not be written whole", str(self.path))

    def rewind(self, step: int) -> None:
        """Drop the lines of later steps, which a stage that goes on from its checkpoint will write again."""
        self.close()
        if self.path.exists():
            kept = [json.dumps(line) + "\n" for line in read_metrics(self.path) if line["step"] <= step]
            write_atomic(self.path, "".join(kept))

    def _drop_torn_line(self) -> None:
        if self.path.exists():
            content = self.path.read_bytes()
            if content and not content.endswith(b"\n"):
                write_atomic(self.path, content[: content.rfind(b"\n") + 1])

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_metrics(path: Path | str) -> list[dict]:
    """The complete lines of a `metrics.jsonl`, whether or not somebody is writing another one."""
    path = Path(path)
    if not path.exists():
        return []
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    return [json.loads(line) for line in complete.splitlines() if line.strip()]


class TensorBoardFile:
    """Scalars as TensorBoard event files, written without torch and named without the host.

    They are on the disk within a second; what a killed process had not written yet, `metrics.jsonl` has.
    """

    def __init__(self, folder: Path):
        self._folder = Path(folder)
        self._records: EventFile | None = None
        self._timer: threading.Timer | None = None

    def append(self, metrics: dict, step: int, moment: float) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in metrics.items()
            if isinstance(value, (int, float))
        ]
        self._write(wall_time=moment, step=int(step), summary=Summary(value=values))

    def rewind(self, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog

        restart = SessionLog(status=SessionLog.START)  # tells TensorBoard to forget what it saw from this step on
        self._write(wall_time=time.time(), step=int(step) + 1, session_log=restart)

    def _write(self, **event) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        if self._records is None:
            self._folder.mkdir(exist_ok=True)
            moment = time.time()
            self._records = EventFile(self._folder / f"events.out.tfevents.{moment:.3f}.{os.getpid()}")
            self._records.write(Event(wall_time=moment, file_version="brain.Event:2").SerializeToString())
        self._records.write(Event(**event).SerializeToString())
        if self._timer is None:
            self._timer = threading.Timer(_FLUSH_EVERY, self._flush)
            self._timer.daemon = True
            self._timer.start()

    def _flush(self) -> None:
        self._timer, records = None, self._records
        with contextlib.suppress(OSError, ValueError):  # a full disk says so again at the end; a closed file has all
            if records is not None:
                records.flush()

    def close(self, finished: bool = False) -> None:
        if self._records is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._records.close()
            self._records = self._timer = None


class Forgiving:
    """A logger that is dropped, with one warning, when it fails: it never stops a run."""

    def __init__(self, logger):
        self._logger = logger

    def __getattr__(self, verb: str):
        def attempt(*arguments) -> None:
            if self._logger is None:
                return
            try:
                getattr(self._logger, verb)(*arguments)
            except Exception as error:
                name = type(self._logger).__name__
                self._logger = None
                warnings.warn(f"{name} failed and is off for the rest of the run: {error}", stacklevel=3)

        return attempt
