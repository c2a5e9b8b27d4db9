"""Where parallel work goes: processes of this machine, none at all, or whatever else learns to be an executor."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future

from workbench.pipeline.parameters import nearest


class SerialExecutor(Executor):
    """Does the work at once, in this process: for debugging, and where processes cost more than they bring."""

    def submit(self, function, /, *arguments, **keywords) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except Exception as error:  # as an executor must: the caller meets it in result()
            future.set_exception(error)
        return future


def _one_thread() -> None:
    """Keep a worker to one processor: several of them share the machine already."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"


def _local(workers: int | None) -> Executor:
    from joblib.externals.loky import ProcessPoolExecutor

    count = workers or os.cpu_count() or 1
    return ProcessPoolExecutor(max_workers=count, initializer=_one_thread)


def _serial(workers: int | None) -> Executor:
    return SerialExecutor()


_kinds: dict[str, Callable[[int | None], Executor]] = {"local": _local, "serial": _serial}


def executor(spec: str = "local", workers: int | None = None) -> Executor:
    """An executor to submit work to; use it in a `with` block.

    Args:
        spec: `local` (processes of this machine, as many as it has processors), `local:4`, or `serial`.
        workers: how many at once, where the spec does not say.

    Raises:
        ValueError: an unknown kind, or a number of workers below 1.
    """
    kind, _, count = spec.partition(":")
    if kind not in _kinds:
        raise ValueError(f"executor {spec!r}: no such kind; {nearest(kind, _kinds)}")
    if count and not (count.isdigit() and int(count) > 0):
        raise ValueError(f"executor {spec!r}: expected a number of workers from 1 after the colon")
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected a number from 1, got {workers}")
    return _kinds[kind](int(count) if count else workers)
