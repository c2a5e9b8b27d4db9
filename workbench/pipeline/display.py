"""What a person reads in the terminal while an experiment runs, where that is no terminal: plain lines; and its words."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from workbench.pipeline import status as states
from workbench.pipeline.text import duration, figure

STATE_COLOURS = {
    "finished": "green",
    "up to date": "green",
    "failed": "red",
    "killed": "red",
    "timed out": "red",
    "interrupted": "yellow",
    "died": "red",
    "out of room": "red",
    "blocked": "yellow",
    "paused": "yellow",
    "unknown": "yellow",
}


def progress_words(status: dict) -> str:
    """A stage's `status.json` in one line: cell, what it does, how far, how fast, how long still."""
    parts = []
    if status.get("cell"):
        parts.append(f"cell {status['cell']['index'] + 1}/{status['cell']['of']}")
    if status.get("note"):
        parts.append(status["note"])
    if status.get("done") is not None:
        total = f"/{figure(status['total'])}" if status.get("total") is not None else ""
        parts.append(f"{figure(status['done'])}{total}")
    if status.get("pace"):
        pace = status["pace"]
        parts.append(f"{figure(pace)}/s" if pace >= 0.5 else f"{duration(1 / pace)} each")
    if status.get("eta") is not None:
        parts.append(f"{duration(status['eta'])} left")
    return " · ".join(parts)


def entry_words(entry: dict) -> str:
    """What there is to say of a stage in an experiment: how far it is, what went wrong, why it waits."""
    retry = entry.get("retry") or {}
    attempt = f"attempt {retry['attempt']} of {retry['of']}" if retry else ""
    if entry["state"] == states.RUNNING:
        now = progress_words(entry.get("progress", {}))
        return " · ".join(filter(None, (attempt if retry.get("attempt", 1) > 1 else "", now)))
    if retry.get("waits"):
        return f"{attempt}, waits {duration(retry['waits'])}; {entry.get('error', '')}"
    if entry["state"] in (states.BLOCKED, states.PENDING):
        return entry.get("why", "")
    return entry.get("error", "")


class PlainView:
    """Lines, one an event, and one a minute while a stage runs."""

    def __init__(self, console: Console, every: float = 60.0):
        self.console, self._every = console, every
        self._said = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def follow(self, experiment, record) -> None:
        """Be told what runs: the experiment, and the record whose entries say how far it is."""

    def say(self, text: str, state: str = "") -> None:
        try:
            self.console.print(Text(text, style=STATE_COLOURS.get(state, "")), soft_wrap=True)
        except (OSError, SystemExit):  # the terminal was closed, or who read the lines has gone: the night goes on
            self.console.quiet = True

    def stage_started(self, title: str, why: str, left: float | None) -> None:
        self._said = time.monotonic()
        self.say(f"{time.strftime('%H:%M:%S')}  {title}: {why}" + (f" (about {duration(left)} to go)" if left else ""))

    def tick(self, status: dict, left: float | None) -> None:
        if time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            night = f" · about {duration(left)} for all of it" if left else ""
            self.say(f"{time.strftime('%H:%M:%S')}    {progress_words(status)}{night}")

    def stage_ended(self, title: str, state: str, seconds: float, words: str) -> None:
        self.say(
            f"{time.strftime('%H:%M:%S')}  {title}: {state}"
            + (f" in {duration(seconds)}" if seconds else "")
            + (f"; {words}" if words else ""),
            state,
        )
