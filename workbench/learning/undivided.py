"""Updates that the stop button does not cut in two."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable


class _Waiting:
    """Takes the place of a handler of SIGINT: keeps the first interrupt, hands on the second."""

    def __init__(self, handler: Callable):
        self.handler, self.came = handler, False

    def __call__(self, number, frame) -> None:
        if self.came:
            self.handler(number, frame)
        self.came = True


def undivided(method: Callable) -> Callable:
    """A method that an interrupt from the keyboard stops only when it is done, a second one at once.

    A trainer that is stopped amid an update has games half a step ahead of what it knows of them, and cannot go on when
    its cell is run again. Within another such method the outer one waits. Only the main thread is ever interrupted.
    """

    @functools.wraps(method)
    def whole(*arguments, **named):
        handler = signal.getsignal(signal.SIGINT)
        if (
            threading.current_thread() is not threading.main_thread()
            or isinstance(handler, _Waiting)
            or not callable(handler)
        ):
            return method(*arguments, **named)
        waiting = _Waiting(handler)
        signal.signal(signal.SIGINT, waiting)
        try:
            result = method(*arguments, **named)
        finally:
            signal.signal(signal.SIGINT, handler)
        if waiting.came:
            handler(signal.SIGINT, None)
        return result

    return whole
