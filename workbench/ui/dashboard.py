"""Runs while they run: pick one, see how far it is, its curves, its leaderboard and its log; stop it, go on with it.

    Dashboard()                      # of outputs/, the newest run first

Everything is read from the files that runs leave, never from their kernels, and only as far as it is new.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

from workbench.markup import FONT
from workbench.pipeline import status as states
from workbench.pipeline.control import OUTPUT, ControlError, launch_of, runner_of, start_again, stop
from workbench.pipeline.stage import project_folder
from workbench.pipeline.text import duration, without_home
from workbench.ui.live import watched_by_a_person
from workbench.ui.runs import BY_HAND, DONE, Run, moment, read_run, runs, state_colour

_EVERY, _RUNS_EVERY = 0.5, 5.0  # seconds between two looks at a run, and at what runs there are
_ASKS_FOR = 10.0  # seconds in which a stop can be confirmed


class Dashboard:
    """Runs while they run. Show it as the last line of a cell; it goes on by itself until the kernel ends or `close`.

    Where there are no widgets, or nobody to use them (in batch, in an untrusted notebook), it shows how things stood
    when the cell ran.

    Args:
        outputs: the folder of runs; by default `outputs/` of the project.
        run: which is shown first, by its name; by default the one last heard of.
        panels: further panels, see `workbench.ui.panels`.
    """

    _open: Dashboard | None = None

    def __init__(self, outputs: Path | str | None = None, run: str = "", panels: Sequence = ()):
        self.outputs = Path(outputs) if outputs else project_folder() / "outputs"
        known = runs(self.outputs)
        names = [one.name for one in known]
        if run and run not in names:
            raise ValueError(f"no run {run!r} in {self.outputs}; there is {', '.join(names) or 'none'}")
        self.name = run or (names[0] if names else "")
        self._extra = list(panels)
        self.view = None

    # -- as text and HTML ------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return repr(runs(self.outputs))

    def html(self) -> str:
        """How things stand now, without widgets: all runs, and the chosen one's stages, curves and leaderboard."""
        from workbench.ui.panels import CurvesPanel, LeaderboardPanel, night_html

        parts = [runs(self.outputs)._repr_html_()]
        run = self._read()
        if run is not None:
            parts.append(f'<h4 style="{FONT};font-size:15px">{escape(run.name)}</h4>{headline(run)}{night_html(run)}')
            curves = CurvesPanel().look(run) or {}
            if curves.get("png"):
                picture = base64.b64encode(curves["png"]).decode()
                parts.append(f'<img alt="curves" src="data:image/png;base64,{picture}">')
            parts.append((LeaderboardPanel().look(run) or {}).get("html", ""))
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        note = f"As things stood at {when}; run the cell again, in a trusted notebook, to see and steer what runs."
        return "".join(parts) + f'<div style="{FONT};opacity:.75;padding:6px 0">{escape(note)}</div>'

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle = {"text/plain": repr(self), "text/html": self.html()}
        if watched_by_a_person() and _widgets_installed():
            bundle |= self.open()._repr_mimebundle_()
        return bundle

    # -- live ------------------------------------------------------------------------------------------------------

    def open(self):
        """The widget, which from now on follows the run; a dashboard opened earlier in this kernel stops."""
        if Dashboard._open is not None:
            Dashboard._open.close()
        Dashboard._open, self.view = self, _View(self)
        return self.view.widget

    def close(self) -> None:
        """Stop looking; what is shown stays as it is."""
        if self.view is not None:
            self.view.close()

    def _read(self) -> Run | None:
        return read_run(self.outputs / self.name, self.outputs) if self.name else None


def headline(run: Run) -> str:
    """A run in a line: its state, how far it is, how long it still takes, and what there is to say of it."""
    left = f" · about {duration(run.left)} left for all of it" if run.state == states.RUNNING and run.left else ""
    state = f'<b style="color:{state_colour(run.state)}">{escape(run.state)}</b>'
    text = f"{run.done} of {len(run.stages)} stages done{left} · last heard of {moment(run.updated)} UTC"
    words = f'<div style="{FONT}">{escape(run.message)}</div>' if run.message else ""
    return f'<div style="{FONT};line-height:1.6">{state} · {escape(text)}</div>{words}'


def _widgets_installed() -> bool:
    import importlib.util

    return importlib.util.find_spec("ipywidgets") is not None


class _View:
    """The widgets of an open dashboard, and the task that keeps them true."""

    def __init__(self, board: Dashboard):
        import ipywidgets as widgets

        from workbench.ui.panels import CurvesPanel, LeaderboardPanel, LogPanel, NightPanel

        self.board = board
        self.panels = [NightPanel(), CurvesPanel(), LeaderboardPanel(), LogPanel(), *board._extra]
        self.runs = widgets.Dropdown(description="run", layout=widgets.Layout(width="420px"))
        self.state = widgets.HTML()
        self.steering = _Steering()
        self.following = widgets.ToggleButton(
            value=True, description="Following", icon="refresh", tooltip="look for news twice a second"
        )
        self.tabs = widgets.Tab([panel.widget for panel in self.panels], titles=[panel.title for panel in self.panels])
        top = widgets.HBox([self.runs, self.following, *self.steering.buttons])
        self.widget = widgets.VBox([top, self.state, self.steering.said, self.tabs])
        self._wake, self._next_runs = asyncio.Event(), 0.0
        self._offer_runs()
        for control in (
            self.runs,
            self.following,
            *(c for panel in self.panels for c in getattr(panel, "controls", ())),
        ):
            control.observe(self._on_change, "value")
        self.tabs.observe(self._on_change, "selected_index")
        self._task = asyncio.get_running_loop().create_task(self._follow())

    def close(self) -> None:
        self._task.cancel()
        self.following.value = False
        self.following.disabled = True

    def _on_change(self, change) -> None:
        self.board.name = self.runs.value or ""
        self.following.description = "Following" if self.following.value else "Paused"
        self._wake.set()

    def _offer_runs(self) -> None:
        """Offer what runs there are; one that was deleted while it is watched stays in the list until another is chosen."""
        found = runs(self.board.outputs)
        options = [(_label(run), run.name) for run in found]
        if self.board.name and self.board.name not in [name for _, name in options]:
            options.insert(0, (f"{self.board.name} (deleted)", self.board.name))
        if list(self.runs.options) != options:
            chosen = self.board.name or (options[0][1] if options else None)
            self.runs.options = options
            self.runs.value = chosen
        self._next_runs = time.monotonic() + _RUNS_EVERY

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # shown, and tried again: a file may be half-way gone
                self.state.value = _line(f"{type(error).__name__}: {without_home(str(error))}", "#b3261e")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _EVERY if self.following.value else None)
            self._wake.clear()

    async def _look(self) -> None:
        if time.monotonic() >= self._next_runs:
            self._offer_runs()
        run = await asyncio.to_thread(self.board._read)
        if run is None:
            gone = Run(self.board.name, "", self.board.outputs / self.board.name, "deleted")
            self.steering.update(gone)
            words = "this run was deleted while it was watched; what is shown below is the last that was seen"
            self.state.value = _line(words if self.board.name else "no runs yet: workbench run params/quickstart.yaml")
            return
        if (_label(run), run.name) not in self.runs.options:
            self._offer_runs()
        self.steering.update(run)
        self.state.value = headline(run)
        panel = self.panels[self.tabs.selected_index or 0]
        seen = await asyncio.to_thread(panel.look, run)
        if seen is not None:
            panel.show(seen)


def _label(run: Run) -> str:
    return f"{run.name} ({run.state})"


class _Steering:
    """The buttons that stop a run and go on with it, and what came of pressing them."""

    def __init__(self):
        import ipywidgets as widgets

        button = lambda words, icon, style="": widgets.Button(description=words, icon=icon, button_style=style)  # noqa: E731
        self.stop, self.really, self.no = (
            button("Stop", "stop"),
            button("Really stop", "stop", "danger"),
            button("No", "times"),
        )
        self.resume = button("Resume", "play")
        self.buttons = (self.stop, self.really, self.no, self.resume)
        self.said = widgets.HTML()
        self._run: Run | None = None
        self._asked_until, self._process, self._from = 0.0, None, 0
        self.stop.on_click(self._ask)
        self.really.on_click(self._stop)
        self.no.on_click(self._keep)
        self.resume.on_click(self._resume)

    def update(self, run: Run) -> None:
        """Offer what makes sense for the run as it stands now."""
        if self._run is not None and self._run.folder != run.folder:
            self._asked_until, self._process, self.said.value = 0.0, None, ""
        self._run = run
        self._look_after_the_new_one()
        held = runner_of(run.folder) is not None
        launch = None if held else launch_of(run.folder)
        asking = held and time.monotonic() < self._asked_until
        _set(self.stop, disabled=not held, tooltip=_why_not_stop(run, held))
        self.stop.layout.display = "none" if asking else None
        for one in (self.really, self.no):
            one.layout.display = None if asking else "none"
        ready = launch is not None and run.state not in DONE and self._process is None
        _set(self.resume, disabled=not ready, tooltip=_why_not_resume(run, held, launch))

    def _ask(self, _) -> None:
        self._asked_until = time.monotonic() + _ASKS_FOR
        self._say("It will stop in good order: what is finished stays, and Resume goes on from there. Really?")
        self.update(self._run)

    def _keep(self, _) -> None:
        self._asked_until = 0.0
        self._say("Not stopped.")
        self.update(self._run)

    def _stop(self, _) -> None:
        self._asked_until = 0.0
        try:
            self._say(stop(self._run.folder))
        except ControlError as error:
            self._say(f"Not stopped: {error}")
        self.update(self._run)

    def _resume(self, _) -> None:
        folder = self._run.folder
        try:
            self._from = (folder / OUTPUT).stat().st_size if (folder / OUTPUT).exists() else 0
            self._process = start_again(folder)
            self._say(
                f"Started process {self._process.pid}: {launch_of(folder).words}; what it says is in {OUTPUT}, under Log"
            )
        except (ControlError, OSError) as error:
            self._say(f"Not started: {error}")
        self.update(self._run)

    def _look_after_the_new_one(self) -> None:
        """Notice the end of a process started here: say with which code, and its last words if it was refused."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        with (self._run.folder / OUTPUT).open("rb") as log:
            log.seek(self._from)
            lines = log.read().decode(errors="replace").strip().splitlines()
        self._process = None
        self._say(
            f"The process that was started here has ended with code {code}: {lines[-1] if lines else 'it said nothing'}"
        )

    def _say(self, words: str) -> None:
        self.said.value = _line(f"{time.strftime('%H:%M:%S')}  {without_home(words)}")


def _why_not_stop(run: Run, held: bool) -> str:
    if held:
        return "ask the runner to stop, as Ctrl-C would"
    if run.kind == BY_HAND and run.state == states.RUNNING:
        return "a notebook runs it by hand: use that notebook's stop button"
    return "nobody runs it now"


def _why_not_resume(run: Run, held: bool, launch) -> str:
    if held:
        return "it is running"
    if run.state in DONE:
        return "it has finished"
    if run.kind == BY_HAND:
        return "it was run by hand: run its notebook's cell again"
    return (
        f"start it again: {launch.words}" if launch else "it is not known how this run was started; use workbench run"
    )


def _set(widget, **values) -> None:
    for name, value in values.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)


def _line(words: str, colour: str = "inherit") -> str:
    return f'<div style="{FONT};color:{colour};line-height:1.5">{escape(words)}</div>'
