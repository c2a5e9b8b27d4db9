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
    """The metrics of a stage as curves, from its `metrics.jsonl`, of which only what is new is read.

    Attributes:
        drawn: lines of the file that are in the picture shown now.
    """

    title = "Curves"

    def __init__(self):
        self._stage = widgets.Dropdown(options=[NEWEST], description="stage", layout=_WIDE)
        self._group = widgets.Dropdown(options=list(_GROUPS), description="show")
        self._note = widgets.HTML()
        self._image = widgets.Image(
            format="png", layout={"max_width": "100%", "height": "auto", "align_self": "flex-start"}
        )
        self.widget = widgets.VBox([widgets.HBox([self._stage, self._group]), self._note, self._image])
        self.controls = (self._stage, self._group)
        self.drawn = 0
        self._follower: MetricsFollower | None = None
        self._curves, self._shown, self._next = Curves(), None, 0.0

    @property
    def picture(self) -> bytes:
        """The PNG that is shown now; empty while there is none."""
        return self._image.value

    def look(self, run: Run) -> dict:
        stages = {stage.title: stage for stage in run.stages if self._has_metrics(stage)}
        seen = {"options": [NEWEST, *stages]}
        chosen = self._chosen(stages)
        if chosen is None:
            self._shown = None
            return {**seen, "note": "no metrics yet: they come with the first stage that trains", "png": b""}
        follower = self._follow(chosen.folder / "metrics.jsonl")
        changed = follower.read()
        seen["note"] = self._words(chosen)
        what = (follower.path, self._group.value)
        reading = follower.share_read < 1 and time.monotonic() < self._next
        if what == self._shown and (reading or not changed):
            return seen
        self._shown, lines, began = what, follower.lines, time.monotonic()
        names = self._names()
        picture = self._curves.png({name: follower.points(name) for name in names}) if names else b""
        self._next = time.monotonic() + 4 * (time.monotonic() - began)
        return {**seen, "png": picture, "lines": lines}

    def _has_metrics(self, stage: StageState) -> bool:
        path = stage.folder / "metrics.jsonl"
        return path.exists() or (self._follower is not None and self._follower.path == path)

    def _chosen(self, stages: dict[str, StageState]) -> StageState | None:
        if self._stage.value in stages:
            return stages[self._stage.value]
        running = [stage for stage in stages.values() if stage.state == states.RUNNING]
        return (running or list(stages.values()) or [None])[-1]

    def _follow(self, path: Path) -> MetricsFollower:
        if self._follower is None or self._follower.path != path:
            if self._follower is not None:
                self._follower.close()
            self._follower = MetricsFollower(path)
        return self._follower

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
        if not self._names():
            return f"{stage.title} logs nothing of this kind"
        reading = "" if follower.share_read >= 1 else f" · reading the older ones, {follower.share_read:.0%}"
        when = time.strftime("%H:%M:%S", time.localtime(follower.last["time"]))
        newest = f"the newest of step {figure(follower.last['step'])} at {when}"
        return f"{stage.title}: {follower.lines:,} lines, {newest}{reading}"

    def show(self, seen: dict) -> None:
        _offer(self._stage, seen["options"])
        self._note.value = f'<div style="{FONT};opacity:.8">{escape(seen["note"])}</div>'
        if "png" in seen:
            self._image.value, self.drawn = seen["png"], seen.get("lines", 0)
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
