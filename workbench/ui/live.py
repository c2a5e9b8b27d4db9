"""What a person sees under a running cell of a stage: a bar with pace and time left, and curves that grow.

In batch (under the runner, papermill or nbconvert) there is none of it: the figures that the notebook draws are all.
"""

from __future__ import annotations

import base64
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from html import escape
from pathlib import Path

from workbench.markup import FONT
from workbench.pipeline import status as states
from workbench.pipeline.display import progress_words
from workbench.pipeline.text import duration
from workbench.ui.curves import Curves, watched
from workbench.ui.follow import MetricsFollower

LIVE_VARIABLE = "WORKBENCH_LIVE"
"""Environment variable that turns the live view off (`0`), or on (`1`) where a notebook's front end cannot be told."""
_BAR_EVERY, _CURVES_EVERY = 0.5, 2.0  # seconds
_SHARE = 20  # curves take at most this part of the time: a twentieth
_COLOURS = {
    states.RUNNING: "#0072B2",
    states.FINISHED: "#009E73",
    states.INTERRUPTED: "#E69F00",
    states.FAILED: "#D55E00",
}


def watched_by_a_person() -> bool:
    """Whether this is the kernel of a notebook that somebody has open: JupyterLab and VS Code say so."""
    asked = os.environ.get(LIVE_VARIABLE)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel") or asked == "0":
        return False
    return asked == "1" or "JPY_SESSION_NAME" in os.environ or "__vsc_ipynb_file__" in shell.user_ns


class LiveView:
    """The bar and the curves of the cell that runs now.

    Args:
        folder: the stage's; curves are drawn from its `metrics.jsonl`, of which only new lines are read.
    """

    def __init__(self, folder: Path):
        self._follower, self._curves = MetricsFollower(folder / "metrics.jsonl"), Curves()
        self._parts: dict[str, _Part] = {}
        self._status: dict = {}
        self._logged_before = 0

    def begin_cell(self) -> None:
        """A cell starts: what it shows is its own, and curves only where it logs something."""
        self._parts, self._status = {}, {}
        self._follower.read()
        self._logged_before = self._follower.lines

    def progress(self, status: dict) -> None:
        """Show how far the stage is, now and then; cheap enough for every update."""
        if not self._status:
            self._parts = {"bar": _Part(_BAR_EVERY), "curves": _Part(_CURVES_EVERY)}
            self._began = time.monotonic()
        self._status = status
        with interrupts_held_back():
            self._show()

    def end_cell(self, state: str, words: str = "") -> None:
        """The cell has ended: show for the last time how far it came, and how it ended."""
        if self._status:
            self._status = {**self._status, "eta": None}
            self._show(state, words)
            self._status = {}

    def _show(self, state: str = states.RUNNING, words: str = "") -> None:
        bar, curves = self._parts["bar"], self._parts["curves"]
        if state == states.RUNNING:
            bar_due, curves_due = bar.due(), curves.due()
        else:  # for the last time; but nothing that was not there before appears under an error
            bar_due, curves_due = True, curves.shown or state == states.FINISHED
        if bar_due:
            spent = duration(time.monotonic() - self._began)
            said = " · ".join(filter(None, (progress_words(self._status), spent, words)))
            bar.show({"text/html": bar_html(self._status, state, said), "text/plain": said})
        if curves_due:
            picture = self._picture()
            if picture:
                image = f'<img alt="curves" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
                curves.show({"text/html": image, "text/plain": "curves"})

    def _picture(self) -> bytes | None:
        self._follower.read()
        if self._follower.lines in (0, 1, self._logged_before):
            return None
        return self._curves.png({name: self._follower.points(name) for name in watched(self._follower.names)})


@contextmanager
def interrupts_held_back():
    """The stop button's KeyboardInterrupt comes at the end of the block: half a drawing would be there for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
    if asked:
        raise KeyboardInterrupt


class _Part:
    """One display of a cell, replaced in place, no more often than it is worth."""

    def __init__(self, every: float):
        self._every, self._handle = every, None
        self._next, self._asked = 0.0, 0.0

    @property
    def shown(self) -> bool:
        return self._handle is not None

    def due(self) -> bool:
        self._asked = time.monotonic()
        if self._asked < self._next:
            return False
        self._next = self._asked + self._every
        return True

    def show(self, bundle: dict) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        now = time.monotonic()
        self._next = now + max(self._every, _SHARE * (now - self._asked))


def bar_html(status: dict, state: str, said: str) -> str:
    """A bar and a line under it, in inline style: untrusted notebooks show it too.

    Args:
        status: with `done` and `total`; without a total the bar is full and pale.
        state: of the stage, which gives the colour.
        said: the line, as text.
    """
    done, total = status.get("done") or 0, status.get("total")
    share = min(1.0, max(0.0, done / total)) if total else 1.0
    colour = _COLOURS.get(state, _COLOURS[states.FAILED])
    style = f"width:{share:.2%};height:8px;border-radius:4px;background-color:{colour}" + (
        "" if total else ";opacity:.35"
    )
    return (
        f'<div style="{FONT};max-width:720px;padding:2px 0">'
        f'<div style="background-color:rgba(128,128,128,.25);height:8px;border-radius:4px"><div style="{style}"></div></div>'
        f'<div style="padding:3px 0">{escape(said)}</div></div>'
    )
