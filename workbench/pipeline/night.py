"""The live view of a night in a terminal: every stage of every generation, the one that runs, and when all will be over.

quickstart · 7 of 15 stages done · 12 min 40 s of work · about 31 min to go, until 07:12

                 1            2          3
collect          ✓ 1 min 02 s ✓ 58 s     ·
finetune         ✓ 4 min 10 s ▶ 42%      ·
tournament       ✓ 2 min 31 s · 2 min    ·

generation 2/3 · finetune ━━━━━━━━━━━╸──────────────
cell 7/14 · epoch 3 · 1,200/3,000 · 12.5/s · 2 min 24 s left
"""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workbench.pipeline import status as states
from workbench.pipeline.display import STATE_COLOURS, PlainView, entry_words, progress_words
from workbench.pipeline.experiment import Chain, Experiment
from workbench.pipeline.record import Record
from workbench.pipeline.status import BLOCKED, DONE, PENDING, SKIPPED, UP_TO_DATE
from workbench.pipeline.text import duration

_MARKS = {
    states.FINISHED: "✓", UP_TO_DATE: "✓", states.RUNNING: "▶", SKIPPED: "–", PENDING: "·", BLOCKED: "⊘",
    states.FAILED: "✗", states.KILLED: "✗", states.TIMED_OUT: "✗", states.DIED: "✗", states.INTERRUPTED: "◼",
}  # fmt: skip
_AROUND = 9  # lines that are not stages: the sums, the stage that runs, empty ones
_BAR = 40  # columns


class LiveView(PlainView):
    """Lines, one an event, and under them the whole night as it stands."""

    def __init__(self, console: Console):
        super().__init__(console, every=float("inf"))
        self._experiment: Experiment | None = None
        self._record: Record | None = None
        self._status: dict = {}
        self._left: float | None = None
        self._title, self._since = "", time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._render)

    def __enter__(self):
        self._live.start()
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(OSError, SystemExit):  # the terminal was closed
            self._live.stop()

    def follow(self, experiment: Experiment, record: Record) -> None:
        self._experiment, self._record = experiment, record

    def stage_started(self, title: str, why: str, left: float | None) -> None:
        super().stage_started(title, why, None)
        self._title, self._since, self._status, self._left = title, time.monotonic(), {}, left

    def tick(self, status: dict, left: float | None) -> None:
        self._status, self._left = status, left

    def stage_ended(self, title: str, state: str, seconds: float, words: str) -> None:
        self._title, self._status = "", {}
        super().stage_ended(title, state, seconds, words)

    def _render(self) -> RenderableType:
        if self._record is None or self._experiment is None:  # no experiment is followed: one stage, run for itself
            return Group(*self._now()) if self._title else Text("")
        night = Night(self._experiment, self._record, self._status, self._left if self._title else None)
        return Group(Text(""), night, Text(""), *self._now())

    def _now(self) -> list[RenderableType]:
        """The stage that runs: how far it is, what it does."""
        if not self._title:
            waiting = [entry for entry in (self._record.entries if self._record else ()) if _waits(entry)]
            return [Text(f"{entry['stage']}: {entry_words(entry)}", style="yellow") for entry in waiting[:1]]
        total, done = self._status.get("total"), self._status.get("done") or 0
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=total, completed=done, width=_BAR, pulse=not total)
        line.add_row(Text(self._title, style="bold"), bar)
        words = progress_words(self._status) or "starts"
        return [line, Text(f"{words} · {duration(time.monotonic() - self._since)} in this stage")]


class Night:
    """All stages of an experiment, a row a stage and a column a generation, as far as the terminal has room.

    Args:
        status: of the stage that runs.
        left: seconds until all is over; None while that is not known.
    """

    def __init__(self, experiment: Experiment, record: Record, status: dict, left: float | None):
        self.experiment, self.record, self.status, self.left = experiment, record, status, left

    def __rich_console__(self, console: Console, options: ConsoleOptions):
        yield from self._sums()
        room = console.height - _AROUND
        blocks = [block for chain in self.experiment.chains for block in self._block(chain, options)]
        lines = sum(block.row_count + 2 if isinstance(block, Table) else 1 for block in blocks)
        if lines <= room:
            yield from blocks
        else:
            running = next((entry["chain"] for entry in self.record.entries if entry["state"] == states.RUNNING), None)
            yield Text("")
            for chain in self.experiment.chains:
                among = [entry for entry in self.record.entries if entry["chain"] == chain.name]
                if chain.name == running and self._fits(chain, room - len(self.experiment.chains) - 1):
                    yield from self._block(chain, options)
                else:
                    done = sum(entry["state"] in DONE for entry in among)
                    yield Text(f"{chain.name or self.experiment.name}: {done} of {len(among)} stages done", style="dim")

    def _fits(self, chain: Chain, room: int) -> bool:
        return len(chain.stages) + 3 <= room

    def _sums(self) -> list[Text]:
        """What is done, and when all will be."""
        entries = self.record.entries
        done = sum(entry["state"] in DONE for entry in entries)
        spent = sum(entry.get("seconds") or 0 for entry in entries if entry["state"] != UP_TO_DATE)
        parts = [f"{done} of {len(entries)} stages done", f"{duration(spent)} of work"]
        troubles = sum(entry["state"] not in (*DONE, PENDING, states.RUNNING) for entry in entries)
        if troubles:
            parts.append(f"{troubles} in trouble")
        lines = [Text.assemble((self.experiment.name, "bold"), *(f" · {part}" for part in parts))]
        if self.left:
            over = datetime.now() + timedelta(seconds=self.left)
            day = "" if over.date() == datetime.now().date() else f"{over:%a} "
            lines.append(Text(f"about {duration(self.left)} to go, until {day}{over:%H:%M}", style="bold cyan"))
        return lines

    def _block(self, chain: Chain, options: ConsoleOptions) -> list[RenderableType]:
        """One chain: its name, and its stages by generation."""
        name = max((len(stage) for stage in chain.stages), default=0)
        wide = (options.max_width - name - 4) // max(1, chain.generations)  # columns for each generation
        shown = self._generations(chain, (options.max_width - name - 4) // 2)
        table = Table(box=None, padding=(0, 1, 0, 0), show_header=True, header_style="dim")
        table.add_column("")
        for generation in shown:
            table.add_column(str(generation) if wide >= 4 or generation % 5 == 0 else "", no_wrap=True)
        by_place = {
            (entry["stage"], entry["generation"]): entry
            for entry in self.record.entries
            if entry["chain"] == chain.name
        }
        for stage in chain.stages:
            cells = [self._cell(by_place.get((stage, generation)), wide) for generation in shown]
            table.add_row(stage, *cells)
        return [Text(""), *([Text(chain.name, style="bold")] if chain.name else []), table]

    def _generations(self, chain: Chain, most: int) -> list[int]:
        """The generations that there is room for: those around the one that runs."""
        now = next(
            (e["generation"] for e in self.record.entries if e["chain"] == chain.name and e["state"] not in DONE),
            chain.generations,
        )
        first = max(1, min(now - most // 2, chain.generations - most + 1))
        return list(range(first, min(chain.generations, first + most - 1) + 1))

    def _cell(self, entry: dict | None, wide: int) -> Text:
        if entry is None:
            return Text("")
        state, mark = entry["state"], _MARKS.get(entry["state"], "?")
        style = {states.RUNNING: "bold cyan", UP_TO_DATE: "dim green", PENDING: "dim"}.get(
            state, STATE_COLOURS.get(state, "")
        )
        words = ""
        if wide >= 14:
            words = self._took(entry)
        elif wide >= 7 and state == states.RUNNING:
            words = self._share()
        return Text(f"{mark} {words}".rstrip(), style=style)

    def _took(self, entry: dict) -> str:
        if entry["state"] == states.RUNNING:
            return self._share()
        if entry["state"] == PENDING:
            expected = self.record.expected(entry)
            return f"({duration(expected)})" if expected else ""
        if entry["state"] in (SKIPPED, BLOCKED):
            return entry["state"]
        return duration(entry["seconds"]) if entry.get("seconds") else ""

    def _share(self) -> str:
        """How much of the stage that runs is done."""
        total, done = self.status.get("total"), self.status.get("done")
        return f"{100 * done / total:.0f}%" if total and done is not None else ""


def _waits(entry: dict) -> bool:
    return bool((entry.get("retry") or {}).get("waits"))


def view(console: Console | None = None) -> PlainView:
    """The live view on a terminal, plain lines elsewhere."""
    console = console or Console(highlight=False)
    return LiveView(console) if console.is_terminal else PlainView(console)
