"""Papermill's engine, telling the truth: the cell that failed is failed, the ones after it are pending, and why.

Papermill marks every cell completed when a kernel dies, a cell times out, or the run is interrupted, because the
status is set in a `finally`. Here an outcome is written down where it happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict

from jupyter_core.utils import ensure_async, ensure_event_loop, run_sync
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.log import logger
from traitlets import Any

from workbench.pipeline import status as states
from workbench.pipeline.kernel import SocketKernelManager
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.outcome import Outcome, tail_of
from workbench.pipeline.text import strip_colours, without_home

ENGINE = "workbench"
_HEEDS_WITHIN = 5.0  # seconds that a cell has to end after it was interrupted


class Interrupted(KeyboardInterrupt):
    """Raised in the executing process by SIGTERM or SIGINT."""


class TimeLimit(KeyboardInterrupt):
    """Raised in the executing process when the stage has used up its time."""


class TruthfulManager(NotebookExecutionManager):
    """Saves seldom and says only what is so.

    Args:
        watch: called with `(index, cell)` as a cell starts.
        outcome: filled in when the run ends.
    """

    def __init__(self, nb, *, watch=None, outcome=None, **settings):
        super().__init__(nb, **settings)
        self.watch = watch or (lambda index, cell: None)
        self.outcome = outcome or Outcome()
        self._save_cost, self._saved, self._unsaved = 0.0, float("-inf"), False

    def save(self, *, force: bool = False, **_):
        """Write the notebook; put off while the last write is recent, measured by the time that it took."""
        self._unsaved = True
        if not force and time.monotonic() - self._saved < max(1.0, 20 * self._save_cost):
            return
        begun = time.monotonic()
        super().save()
        self._saved, self._unsaved = time.monotonic(), False
        self._save_cost = self._saved - begun

    def save_if_due(self) -> None:
        """Write what was put off."""
        if self._unsaved:
            self.save()

    def cell_start(self, cell, cell_index=None, **_):
        self.watch(cell_index, cell)
        super().cell_start(cell, cell_index)

    def cell_complete(self, cell, cell_index=None, **_):
        _scrub(cell)
        super().cell_complete(cell, cell_index)

    def fail(self, cell, index: int, state: str, error: str) -> None:
        """Record where and how the run ended."""
        self.end(state, index, error, tail_of(cell))
        self.cell_exception(cell, cell_index=index)
        self.cell_complete(cell, cell_index=index)

    def end(self, state: str, cell: int | None, error: str, tail: str = "") -> None:
        self.outcome.state, self.outcome.cell, self.outcome.error, self.outcome.tail = (
            state,
            cell,
            without_home(error),
            tail,
        )

    def notebook_complete(self, **_):
        self.end_time = self.now()
        about = self.nb.metadata.papermill
        about["end_time"] = self.end_time.isoformat()
        about["duration"] = (self.end_time - self.start_time).total_seconds()
        self.nb.metadata.setdefault("workbench", {})["outcome"] = asdict(self.outcome)
        self.complete_pbar()
        self.cleanup_pbar()
        self.save(force=True)


class TruthfulClient(PapermillNotebookClient):
    """Executes cells until one fails, in whichever way, and leaves the rest pending."""

    kernel_manager_class = Any(SocketKernelManager)
    _timed_out: float | None = None
    _ended_with: int | None = None

    def execute(self, **arguments):
        self.reset_execution_trackers()
        began = False
        try:
            with self.setup_kernel(**arguments):
                began = True
                self._execute_and_describe()
        except RuntimeError:
            if not began and self._ended_with is not None:
                state = states.KILLED if self._ended_with < 0 else states.FAILED
                self.nb_man.end(state, None, f"{_how_it_ended(self._ended_with)}, before the first cell")
            raise
        return self.nb

    def _execute_and_describe(self) -> None:
        self.papermill_execute_cells()
        if self.nb_man.outcome.state in (states.FINISHED, states.FAILED):
            about = self.wait_for_reply(self.kc.kernel_info())
            self.nb.metadata["language_info"] = about["content"]["language_info"]
        else:
            self.shutdown_kernel = "immediate"
        self.set_widgets_metadata()

    def papermill_execute_cells(self):
        for index, cell in enumerate(self.nb.cells):
            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self._fail(index, states.FAILED, f"{error.ename}: {strip_colours(error.evalue)}")
                return
            except DeadKernelError:
                self._fail(index, states.KILLED, _how_it_ended(self._exit_code()))
                return
            except CellTimeoutError as error:
                self._fail(index, states.TIMED_OUT, str(error).splitlines()[0])
                return
            except KeyboardInterrupt as error:
                with contextlib.suppress(Exception):  # the kernel may be gone already
                    self._interrupt_kernel()
                state = states.TIMED_OUT if isinstance(error, TimeLimit) else states.INTERRUPTED
                self._fail(index, state, str(error) or "stopped by Ctrl-C")
                return
            if self._timed_out is not None:  # the cell took the interrupt for its end and went on
                self._fail(index, states.TIMED_OUT, "")
                return
            self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)

    def _fail(self, index: int, state: str, error: str) -> None:
        cell = self.nb.cells[index]
        if self._timed_out is not None:
            state, error = states.TIMED_OUT, f"the cell ran longer than its {self._timed_out:g} s"
        if not any(output.output_type == "error" for output in cell.get("outputs", [])):
            name = {states.KILLED: "DeadKernelError", states.TIMED_OUT: "CellTimeoutError"}.get(
                state, "KeyboardInterrupt"
            )
            cell.setdefault("outputs", []).append(
                nbformat.v4.new_output("error", ename=name, evalue=error, traceback=[f"{name}: {error}"])
            )
        self.nb_man.fail(cell, index, state, error)

    def _exit_code(self) -> int | None:
        """What the kernel's process has ended with; None while it runs, or where there is none."""
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        return process.poll() if process is not None else None

    async def _async_cleanup_kernel(self):
        self._ended_with = self._exit_code()  # while there is a process to ask
        await super()._async_cleanup_kernel()

    def _interrupt_kernel(self) -> None:
        """Interrupt the running cell, and give it some seconds to end in its own words."""
        ensure_event_loop().set_exception_handler(
            lambda loop, context: None
        )  # the abandoned cell's error is in its output
        run_sync(self.km.interrupt_kernel)()
        until = time.monotonic() + _HEEDS_WITHIN
        while time.monotonic() < until and not self.task_poll_for_reply.done():
            run_sync(asyncio.sleep)(0.05)  # the cell's own tasks go on reading its messages meanwhile

    async def _async_poll_kernel_alive(self):
        alive = asyncio.ensure_future(super()._async_poll_kernel_alive())
        try:
            while not alive.done():
                await asyncio.wait([alive], timeout=1)
                self.nb_man.save_if_due()
        finally:
            alive.cancel()

    async def _async_poll_for_reply(self, msg_id, cell, timeout, task_poll_output_msg, task_poll_kernel_alive):
        """Wait for a cell's end; interrupt it when its time is over, and give it up if it does not heed that."""
        reply = asyncio.ensure_future(
            super()._async_poll_for_reply(msg_id, cell, None, task_poll_output_msg, task_poll_kernel_alive)
        )
        try:
            await asyncio.wait([reply], timeout=timeout)
            if not reply.done():
                self._timed_out = timeout
                await ensure_async(self.km.interrupt_kernel())
                await asyncio.wait([reply], timeout=_HEEDS_WITHIN)
            if reply.done():
                return reply.result()
            raise CellTimeoutError.error_from_timeout_and_cell("Cell execution timed out", timeout, cell)
        finally:
            reply.cancel()
            if self._timed_out is not None:
                task_poll_kernel_alive.cancel()

    def output(self, outs, msg, display_id, cell_index):
        """Adds a stream's text to the same stream's last output, so that a talkative cell has one output."""
        content = msg["content"]
        last = outs[-1] if outs else None
        talks = msg["msg_type"] == "stream" and not self.clear_before_next_output
        hooked = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if (
            talks
            and not hooked
            and last is not None
            and last.get("name") == content["name"]
            and last.output_type == "stream"
        ):
            last["text"] += content["text"]
            return None
        return super().output(outs, msg, display_id, cell_index)


class TruthfulEngine(NBClientEngine):
    """Papermill's nbclient engine with `TruthfulManager` and `TruthfulClient`."""

    @classmethod
    def execute_notebook(cls, nb, kernel_name, output_path=None, *, watch=None, outcome=None, **settings):
        manager = TruthfulManager(
            nb, watch=watch, outcome=outcome, output_path=output_path, progress_bar=False, autosave_cell_every=5
        )
        for unused in ("progress_bar", "log_output", "autosave_cell_every"):
            settings.pop(unused, None)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, **settings)
        except BaseException as error:  # before or between cells: the kernel did not start, or the run was interrupted
            if manager.outcome.state == states.FINISHED:
                manager.end(state_after(error), None, words_for(error))
            raise
        finally:
            manager.notebook_complete()
        return manager.nb

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout=60, execution_timeout=None, **settings):
        for unused in ("input_path", "timeout", "startup_timeout", "stdout_file", "stderr_file"):
            settings.pop(unused, None)
        client = TruthfulClient(
            nb_man,
            kernel_name=kernel_name,
            log=logger,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            coalesce_streams=True,
            **settings,
        )
        return client.execute()


def _how_it_ended(code: int | None) -> str:
    """How a kernel ended, by its process's exit code."""
    if code == -9:
        return "the kernel was killed (SIGKILL): out of memory, or somebody's kill -9"
    if code is not None and code < 0:
        return f"the kernel was killed by signal {-code}"
    return f"the kernel ended by itself with exit code {code}" if code is not None else "the kernel died"


def words_for(error: BaseException) -> str:
    """An exception in a line; our own say all in their message."""
    return str(error) if isinstance(error, (Interrupted, TimeLimit)) else f"{type(error).__name__}: {error}"


def state_after(error: BaseException) -> str:
    """The state that a run ends in by an exception outside its cells."""
    if isinstance(error, TimeLimit):
        return states.TIMED_OUT
    return states.INTERRUPTED if isinstance(error, KeyboardInterrupt) else states.FAILED


def register() -> None:
    """Make the engine known to papermill as `workbench`."""
    papermill_engines.register(ENGINE, TruthfulEngine)


def _scrub(cell) -> None:
    """Take the path of the user's home out of what a cell has put out as text."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            output.text = without_home(output.text)
        elif output.output_type == "error":
            output.evalue = without_home(output.evalue)
            output.traceback = [without_home(line) for line in output.traceback]
        else:
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/") and isinstance(content, str):
                    output.data[kind] = without_home(content)
