"""Signals that ask a run to stop, and until when they are heeded."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopped_by(handler: Callable) -> Iterator[None]:
    """Within, `handler` gets the signals that stop a run. A SIGHUP that is ignored, as under nohup, stays ignored."""
    before = {
        number: signal.signal(number, handler)
        for number in STOPPING
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def heed_no_more() -> None:
    """From now on they stop nothing: what is left to do is short, and has to be done."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Within, a process that SIGTERM or SIGHUP ends where nobody else heeds them ends with 143 or 129, and cleans up.

    After it they are ignored: the process has its exit code and is about to leave.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)
    try:
        yield
    finally:
        heed_no_more()


def _leave(number, frame) -> None:
    sys.exit(128 + number)
