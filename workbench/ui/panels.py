"""The panels of the dashboard. Each looks at a run in a thread of its own and shows what it saw; none touches the run.

A panel of another kind (a policy lab, a game viewer) is a class with the same four names, given to
`Dashboard(panels=[...])`.
"""

from __future__ import annotations

import time
from collections import deque
from html import escape
from pathlib import Path
from typing import Protocol

import ipywidgets as widgets

from workbench.arena import Matches, ratings
from workbench.markup import FONT, Cell, table_html
from workbench.pipeline import status as states
from workbench.pipeline.control import OUTPUT
from workbench.pipeline.display import progress_words
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.outcome import tail_of
from workbench.pipeline.text import duration, figure, strip_colours, without_home
from workbench.ui.curves import Curves, watched
from workbench.ui.follow import MetricsFollower
from workbench.ui.live import bar_html
from workbench.ui.runs import Run, StageState, state_cell
from workbench.ui.tables import leaderboard, winrate_table

NEWEST = "the newest"
_GROUPS = {
    "what matters most": "",
    "losses": "losses/",
    "charts": "charts/",
    "held-out games": "validation/",
    "population": "population/",
    "everything": "*",
}
_MOST_PANELS = 12
_LINES = 60
_WIDE = {"width": "420px"}


class Panel(Protocol):
    """What the dashboard asks of a panel.

    Attributes:
        title: of its tab.
        widget: what is in it.
    """

    title: str
    widget: widgets.Widget

    def look(self, run: Run) -> object | None:
        """Gather what is to be shown, in a worker thread; None where nothing is new."""

    def show(self, seen: object) -> None:
        """Show what `look` returned, in the kernel's own thread."""


class NightPanel:
    """How far the run is: every stage with its state and time, and when all will be done."""

    title = "Progress"

    def __init__(self):
        self.widget = widgets.HTML()

    def look(self, run: Run) -> str:
        return night_html(run)

    def show(self, seen: str) -> None:
        if self.widget.value != seen:
            self.widget.value = seen


def night_html(run: Run) -> str:
    """The bar of the stage that runs now, and a table of all stages."""
    parts = []
    current = run.current
    if current is not None and current.state == states.RUNNING:
        words = f"{current.title} · {progress_words(current.status)}"
        parts.append(bar_html(current.status, states.RUNNING, words))
    rows = [
        (
            Cell(stage.title, str(stage.folder)),
            state_cell(stage.state),
            duration(stage.seconds) if stage.seconds else "",
            duration(stage.usual) if stage.usual else "",
            Cell(stage.words[:120], stage.words),
        )
        for stage in run.stages
    ]
    head = ("stage", "state", "time", "usual time", "")
    table = table_html(head, rows, left=(0, 1, 4))
    return "".join(parts) + f'<div style="max-height:420px;overflow-y:auto">{table}</div>'


class CurvesPanel:
    """The metrics of a stage as curves, from its `metrics.jsonl`, of which only what is new is read."""

    title = "Curves"

    def __init__(self):
        self._stage = widgets.Dropdown(options=[NEWEST], description="stage", layout=_WIDE)
        self._group = widgets.Dropdown(options=list(_GROUPS), description="show")
        self._note = widgets.HTML()
        self._image = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))
        self.widget = widgets.VBox([widgets.HBox([self._stage, self._group]), self._note, self._image])
        self.controls = (self._stage, self._group)
        self._follower: MetricsFollower | None = None
        self._curves, self._drawn = Curves(), None
        self._next = 0.0

    def look(self, run: Run) -> dict | None:
        stages = {stage.title: stage for stage in run.stages if (stage.folder / "metrics.jsonl").exists()}
        seen = {"options": [NEWEST, *stages]}
        if self._follower is not None and self._stage.value == NEWEST and not stages:
            self._follower.read()  # notices that the file is gone
        chosen = self._chosen(stages)
        if chosen is None:
            self._drawn = None
            return {**seen, "note": "no metrics yet: they come with the first stage that trains", "png": b""}
        if self._follower is None or self._follower.path != chosen.folder / "metrics.jsonl":
            if self._follower is not None:
                self._follower.close()
            self._follower = MetricsFollower(chosen.folder / "metrics.jsonl")
        changed = self._follower.read()
        what = (chosen.folder, self._group.value)
        if not self._follower.lines or (not changed and self._drawn == what):
            return {**seen, "note": self._words(chosen)} if not self._follower.lines or self._drawn == what else seen
        if self._drawn == what and time.monotonic() < self._next and self._follower.share_read < 1:
            return {**seen, "note": self._words(chosen)}
        names = self._names()
        if not names:
            self._drawn = what
            return {**seen, "note": f"nothing of this kind was logged by {chosen.title}", "png": b""}
        began = time.monotonic()
        picture = self._curves.png({name: self._follower.points(name) for name in names})
        self._drawn, self._next = what, time.monotonic() + 4 * (time.monotonic() - began)
        return {**seen, "note": self._words(chosen), "png": picture}

    def _chosen(self, stages: dict[str, StageState]) -> StageState | None:
        if self._stage.value in stages:
            return stages[self._stage.value]
        running = [stage for stage in stages.values() if stage.state == states.RUNNING]
        return (running or list(stages.values()) or [None])[-1]

    def _names(self) -> list[str]:
        names, prefix = self._follower.names, _GROUPS[self._group.value]
        if not prefix:
            return watched(names, 9)
        return [name for name in names if prefix == "*" or name.startswith(prefix)][:_MOST_PANELS]

    def _words(self, stage: StageState) -> str:
        follower = self._follower
        if follower.gone:
            return f"{stage.title}: its metrics were deleted; these are the last that were seen"
        if not follower.lines:
            return f"{stage.title}: no metrics yet"
        reading = "" if follower.share_read >= 1 else f" · reading the older ones, {follower.share_read:.0%}"
        when = time.strftime("%H:%M:%S", time.localtime(follower.last.get("time", 0)))
        return f"{stage.title}: {follower.lines:,} lines, the newest of step {figure(follower.last['step'])} at {when}{reading}"

    def show(self, seen: dict) -> None:
        _offer(self._stage, seen["options"])
        if "note" in seen:
            self._note.value = f'<div style="{FONT};opacity:.8">{escape(seen["note"])}</div>'
        if "png" in seen:
            self._image.value = seen["png"]
            self._image.layout.display = None if seen["png"] else "none"


class LeaderboardPanel:
    """Ratings with intervals and who beats whom, of a tournament that is finished or still played."""

    title = "Leaderboard"

    def __init__(self):
        self._tournament = widgets.Dropdown(options=[NEWEST], description="games of", layout=_WIDE)
        self._html = widgets.HTML()
        self.widget = widgets.VBox([self._tournament, self._html])
        self.controls = (self._tournament,)
        self._shown: tuple | None = None

    def look(self, run: Run) -> dict | None:
        played = {
            stage.title: stage.folder / "tournament" for stage in run.stages if (stage.folder / "tournament").is_dir()
        }
        seen = {"options": [NEWEST, *played]}
        folder = played.get(self._tournament.value) or (list(played.values()) or [None])[-1]
        if folder is None:
            self._shown = None
            return {**seen, "html": _words("no games between policies yet: they come with a tournament")}
        files = _tables(folder)
        what = (folder, tuple((file, file.stat().st_mtime_ns) for file in files))
        if what == self._shown:
            return seen
        self._shown = what
        return {**seen, "html": board_html(files)}

    def show(self, seen: dict) -> None:
        _offer(self._tournament, seen["options"])
        if "html" in seen:
            self._html.value = seen["html"]


def _tables(folder: Path) -> list[Path]:
    """The table of a finished tournament; of one that is played, those of the pairs that are done."""
    whole = folder / "matches.parquet"
    return [whole] if whole.exists() else sorted(folder.glob("pairs/*/matches.parquet"))


def board_html(files: list[Path]) -> str:
    """The leaderboard and the match-up table of the games in some files."""
    if not files:
        return _words("the first pair is still playing")
    matches = Matches.concat(Matches.load(file) for file in files)
    standings = ratings(matches, bootstraps=300)
    if standings.table.empty:
        return _words(f"{len(matches)} games, none of them between different policies")
    so_far = _words(f"so far: {len(files)} pairs have finished") if files[0].parent.parent.name == "pairs" else ""
    return f'{so_far}{leaderboard(standings)}<div style="height:14px"></div>{winrate_table(matches, standings)}'


class LogPanel:
    """The last lines of what was said: by the notebook's cell, by the stage's process, by the runner."""

    title = "Log"

    def __init__(self):
        self._source = widgets.Dropdown(options=["the cell that ran last"], description="of", layout=_WIDE)
        self._html = widgets.HTML()
        self.widget = widgets.VBox([self._source, self._html])
        self.controls = (self._source,)
        self._shown: tuple | None = None

    def look(self, run: Run) -> dict | None:
        current = run.current
        sources: dict[str, Path] = {}
        if current is not None:
            sources["the cell that ran last"] = current.folder / "notebook.ipynb"
            sources["the stage's process"] = current.folder / "log.txt"
        sources["the runner, started from here"] = run.folder / OUTPUT
        seen = {"options": list(sources)}
        file = sources.get(self._source.value) or next(iter(sources.values()))
        try:
            what = (file, file.stat().st_mtime_ns)
        except FileNotFoundError:
            what = (file, None)
        if what == self._shown:
            return seen
        self._shown = what
        return {**seen, "html": log_html(file, current)}

    def show(self, seen: dict) -> None:
        _offer(self._source, seen["options"])
        if "html" in seen:
            self._html.value = seen["html"]


def log_html(file: Path, stage: StageState | None) -> str:
    """The last lines of a log, or of what the last cell that ran in an executed notebook has put out."""
    if not file.exists():
        return _words("nothing was written")
    if file.suffix == ".ipynb":
        lines, about = _cell_tail(file, stage)
    else:
        with file.open(encoding="utf-8", errors="replace") as opened:
            lines, about = [line.rstrip("\n")[:400] for line in deque(opened, _LINES)], file.name
    text = without_home(strip_colours("\n".join(lines)))
    style = "max-height:460px;overflow:auto;font-size:12px;line-height:1.4;white-space:pre-wrap;margin:0"
    return _words(about) + f'<pre style="{style}">{escape(text) or "(nothing was put out)"}</pre>'


def _cell_tail(file: Path, stage: StageState | None) -> tuple[list[str], str]:
    cells = nbformat.reads(file.read_text(encoding="utf-8"), as_version=4).cells
    index = ((stage.status.get("cell") or {}) if stage is not None else {}).get("index")
    ran = [number for number, cell in enumerate(cells) if cell.get("outputs")]
    if index is None or index >= len(cells):
        index = ran[-1] if ran else 0
    title = cells[index].source.strip().split("\n")[0][:90] if cells else ""
    return tail_of(cells[index]).splitlines() if cells else [], f"cell {index + 1} of {len(cells)}: {title}"


def _words(text: str) -> str:
    return f'<div style="{FONT};opacity:.8;padding:4px 0">{escape(text)}</div>'


def _offer(dropdown: widgets.Dropdown, options: list[str]) -> None:
    """Give a dropdown other options; what was chosen stays where it is still there."""
    if list(dropdown.options) != options:
        chosen = dropdown.value
        dropdown.options = options
        dropdown.value = chosen if chosen in options else options[0]
