"""What a person sees in the terminal while a sweep runs: a live view, or plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workbench.pipeline.display import STATE_COLOURS, PlainView, progress_words
from workbench.pipeline.text import duration

_WIDEST = 48  # columns of a combination's name


def standing(sweep: dict) -> str:
    """`7 of 12 finished, 1 failed, 2 running, 2 pending`."""
    entries = sweep["combinations"]
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry["state"]] = counts.get(entry["state"], 0) + 1
    finished = counts.pop("finished", 0)
    order = ("running", "pending")
    rest = sorted(counts.items(), key=lambda item: (item[0] in order, item[0]))
    return ", ".join([f"{finished} of {len(entries)} finished", *(f"{count} {state}" for state, count in rest)])


def doing(entry: dict) -> str:
    """What a combination that runs is doing: its stage, and how far that is."""
    now = entry.get("now")
    if not now:
        return f"{entry.get('done', 0)}/{entry['of']} stages" if entry.get("of") else "starts"
    where = " · ".join(filter(None, (now["chain"], f"generation {now['generation']}", now["stage"])))
    return " · ".join(filter(None, (where, progress_words(now.get("progress", {})))))


class PlainSweepView(PlainView):
    """Lines, one an event, and one every few minutes for each combination that runs."""

    def __init__(self, console: Console, every: float = 300.0):
        super().__init__(console, every)

    def began(self, entry: dict) -> None:
        self.say(f"{time.strftime('%H:%M:%S')}  {entry['name']}: begins")

    def ended(self, entry: dict, sweep: dict, left: float | None) -> None:
        taken = f", {entry['shared']} of {entry['of']} stages taken over" if entry.get("shared") else ""
        words = f"; {entry['message']}" if entry.get("message") else ""
        about = f", about {duration(left)} to go" if left else ""
        self.say(
            f"{time.strftime('%H:%M:%S')}  {entry['name']}: {entry['state']} in {duration(entry['seconds'])}{taken}{words} "
            f"({standing(sweep)}{about})",
            entry["state"],
        )

    def tick(self, sweep: dict, left: float | None) -> None:
        if time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            for entry in sweep["combinations"]:
                if entry["state"] == "running":
                    self.say(f"{time.strftime('%H:%M:%S')}    {entry['name']}: {doing(entry)}")


class LiveSweepView(PlainSweepView):
    """The same lines, and under them what runs now: one line a combination."""

    def __init__(self, console: Console):
        super().__init__(console)
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self):
        self._live.start()
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(OSError, SystemExit):  # the terminal was closed
            self._live.stop()

    def tick(self, sweep: dict, left: float | None) -> None:
        self._live.update(drawn(sweep, left))


def drawn(sweep: dict, left: float | None) -> Group:
    """The combinations that run, and how far the sweep is."""
    running = [entry for entry in sweep["combinations"] if entry["state"] == "running"]
    lines = Table.grid(padding=(0, 2))
    lines.add_column(no_wrap=True, min_width=min(_WIDEST, max((len(entry["name"]) for entry in running), default=0)))
    lines.add_column(width=12)
    lines.add_column(no_wrap=True, overflow="ellipsis")
    for entry in running:
        bar = ProgressBar(total=entry.get("of") or 1, completed=entry.get("done", 0), width=12)
        lines.add_row(Text(entry["name"], style="bold"), bar, Text(doing(entry)))
    about = f" · about {duration(left)} to go" if left else ""
    return Group(lines, Text(standing(sweep) + about, style="dim"))


def listed(sweep: dict, *, every_combination: bool) -> Group:
    """A sweep as `workbench status` shows it.

    Args:
        every_combination: those too that are finished or have not begun.
    """
    title = Text.assemble((sweep["name"], "bold"), ": ", (sweep["state"], STATE_COLOURS.get(sweep["state"], "")))
    title.append(f", {standing(sweep)}")
    if sweep["state"] == "died":
        title.append(f"\n  {sweep['message']}")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for entry in sweep["combinations"]:
        if every_combination or entry["state"] not in ("finished", "pending"):
            words = doing(entry) if entry["state"] == "running" else entry.get("message", "")
            took = duration(entry["seconds"]) if entry.get("seconds") else ""
            state = Text(entry["state"], style=STATE_COLOURS.get(entry["state"], ""))
            table.add_row("  " + entry["name"], state, took, Text(words))
    return Group(title, *([table] if table.row_count else []))


def sweep_view(console: Console | None = None) -> PlainSweepView:
    """The live view on a terminal, plain lines elsewhere."""
    console = console or Console(highlight=False)
    return LiveSweepView(console) if console.is_terminal else PlainSweepView(console)
