"""What a stage knows of the notebook it runs in: its name, its cells' ends, where to show what came out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workbench.pipeline.text import figure

RESULT_MIME = "application/vnd.workbench.result+json"


class Watch:
    """Tells the open stage when a cell of the notebook begins, and how it ended; one stage a notebook, the last opened.

    Args:
        running: the IPython shell.
        opened: what has `cell_begins()` and `cell_ended(error)`, error None where there was none.
    """

    _installed: Watch | None = None

    def __init__(self, running, opened):
        self._shell, self._stage = running, opened

    @classmethod
    def install(cls, running, opened) -> None:
        if cls._installed is not None:
            cls._installed._shell.events.unregister("pre_run_cell", cls._installed.before)
            cls._installed._shell.events.unregister("post_run_cell", cls._installed.after)
        cls._installed = cls(running, opened)
        running.events.register("pre_run_cell", cls._installed.before)
        running.events.register("post_run_cell", cls._installed.after)

    def before(self, info) -> None:
        self._stage.cell_begins()

    def after(self, result) -> None:
        self._stage.cell_ended(result.error_in_exec or result.error_before_exec)


def live_view(folder: Path):
    """What shows a person how far a cell is; None where nobody looks."""
    if shell() is None:
        return None
    from workbench.ui.live import LiveView, watched_by_a_person

    return LiveView(folder) if watched_by_a_person() else None


def shell():
    """The IPython shell this code runs in, or None."""
    if "IPython" not in sys.modules:
        return None
    return sys.modules["IPython"].get_ipython()


def show_result(result: dict) -> None:
    """Show a result in the notebook: for machines as a bundle of its own, for people as text."""
    lines = [f"{result['stage']} finished in {result['provenance']['wall_seconds']:.1f} s"]
    lines += [f"  {name}: {_words(value)}" for name, value in result["metrics"].items()]
    lines += [f"  {name} -> {_where(value)}" for name, value in result["artifacts"].items()]
    text = "\n".join(lines)
    if shell() is None:
        print(text)
    else:
        from IPython.display import display

        display({RESULT_MIME: result, "text/plain": text}, raw=True)


def _words(metric) -> str:
    """A metric in a few words: a number, a number with its interval, or how much there is of it."""
    if not isinstance(metric, (dict, list)):
        return figure(metric)
    if isinstance(metric, list) and len(metric) == 3 and all(isinstance(part, (int, float)) for part in metric):
        return f"{figure(metric[0])} [{figure(metric[1])}, {figure(metric[2])}]"
    return f"{len(metric)} entries"


def _where(artifact) -> str:
    if isinstance(artifact, list):
        return f"{len(artifact)} of {_where(artifact[0])} ..." if artifact else "none"
    if "path" not in artifact:
        return ", ".join(artifact)
    return artifact["path"]


def notebook_name() -> str | None:
    """The name of the notebook this kernel runs, as JupyterLab or VS Code tell it."""
    running = shell()
    told = os.environ.get("JPY_SESSION_NAME") or (running and running.user_ns.get("__vsc_ipynb_file__"))
    return Path(told).stem if told else None
