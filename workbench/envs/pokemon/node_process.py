"""One Node process that plays battles: frames to its stdin, frames from its stdout.

A frame is a few little-endian int32 and a payload; `node/bridge.mjs` is the other end.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import struct
import subprocess
import tempfile
import time

from workbench.envs.pokemon import showdown

_log = logging.getLogger(__name__)

INIT, RESET, STEP, REPLAY, DESCRIBE = range(1, 6)
# Showdown allocates much and keeps little: a larger young generation makes its collections rare
NODE_FLAGS = ("--max-semi-space-size=8",)
_SCRIPT = showdown.LOCK_FOLDER / "bridge.mjs"
_REQUEST, _REPLY = struct.Struct("<ii"), struct.Struct("<iiii")
_PIPE_BYTES = 1 << 20
_STDERR_LINES = 30
_LONG_WORK = 120.0  # seconds that loading Showdown, or replaying long battles, may take on a busy machine


class SimulatorDied(RuntimeError):
    """A Node process ended, or said nothing for too long; holds its last words."""


class NodeProcess:
    """One Node process of battles: frames out, frames in.

    Args:
        config: what `bridge.mjs` wants to know, see there.
        timeout: seconds to wait for the answer to a step before the process counts as dead.
    """

    def __init__(self, config: dict, timeout: float):
        self.timeout = timeout
        self._patience: float | None = None  # seconds for the next answer only
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        command = [showdown.node_executable(), *NODE_FLAGS, _SCRIPT, showdown.showdown_folder()]
        # a session of its own: Ctrl-C interrupts Python, not the battles; the end of stdin ends them
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0,
            start_new_session=True,
        )  # fmt: skip
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._in, self._out):
            _enlarge(pipe)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self.send(INIT, json.dumps(config).encode())
        self.receive_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, operation: int, payload: bytes | memoryview) -> None:
        """Write one frame.

        Raises:
            SimulatorDied: the process no longer reads.
        """
        if self._process.returncode is not None:
            raise self._died("was stopped")
        if operation in (INIT, RESET, REPLAY):
            self._patience = max(self.timeout, _LONG_WORK)
        pending = memoryview(_REQUEST.pack(len(payload), operation) + bytes(payload))
        try:
            while pending:
                pending = pending[os.write(self._in, pending) :]
        except BrokenPipeError:
            raise self._died("no longer reads") from None

    def receive_head(self) -> tuple[int, int]:
        """Payload bytes and number of ended games of the next frame."""
        head = bytearray(_REPLY.size)
        self.receive_into([memoryview(head)])
        size, _, ended, _ = _REPLY.unpack(head)
        return size, ended

    def receive_into(self, buffers: list[memoryview]) -> None:
        """Fill the buffers, in order, from the pipe.

        Raises:
            SimulatorDied: the pipe ended or stayed silent for `timeout` seconds.
            BaseException: an interruption; the process is then stopped, for a frame read by half is of no use.
        """
        if self._process.returncode is not None:
            raise self._died("was stopped")
        try:
            self._read(buffers)
        except BaseException:
            self.kill()
            raise

    def _read(self, buffers: list[memoryview]) -> None:
        timeout, self._patience = self._patience or self.timeout, None
        deadline = time.monotonic() + timeout
        while buffers:
            if not self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise self._died(f"said nothing for {timeout:g} s")
            got = os.readv(self._out, buffers)
            if got == 0:
                raise self._died("ended")
            while buffers and got >= len(buffers[0]):
                got -= len(buffers[0])
                buffers = buffers[1:]
            if got:
                buffers = [buffers[0][got:], *buffers[1:]]

    def receive_text(self) -> str:
        size, _ = self.receive_head()
        text = bytearray(size)
        self.receive_into([memoryview(text)])
        return text.decode()

    def _died(self, how: str) -> SimulatorDied:
        self.kill()
        words = []
        if not self._stderr.closed:
            self._stderr.seek(0)
            words = self._stderr.read().decode(errors="replace").strip().splitlines()[-_STDERR_LINES:]
        code = self._process.returncode
        return SimulatorDied(f"Node process {self.pid} {how} (exit code {code}); it last wrote:\n" + "\n".join(words))

    def kill(self) -> None:
        """End the process at once; may be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()

    def close(self) -> None:
        """End the process and free what it held; may be called twice."""
        self.kill()
        self._stderr.close()


def _enlarge(pipe: int) -> None:
    """A pipe that holds a whole frame lets both sides go on without waiting for each other (Linux only)."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except PermissionError:
            _log.debug("the user's pipe memory is used up; pipes stay at their default size")
