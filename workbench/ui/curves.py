"""Curves that are drawn again and again while a run goes on: small panels, quickly, as one PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import EngFormatter, MaxNLocator

from workbench.ui.series import Points
from workbench.ui.style import COLOURS, INK, Figure, house_style
from workbench.ui.training_plots import PANELS

_WIDTH, _HEIGHT, _DPI = 3.6, 1.75, 96  # inches of a panel, dots an inch
_COLUMNS = 3
_MARKED = 20  # up to so many points are marked one by one

# what a person watches first; what else was logged comes after it
WATCHED = (
    "charts/episodic_return",
    "losses/policy_loss",
    "losses/value_loss",
    "losses/entropy",
    "losses/approx_kl",
    "validation/loss",
    "validation/accuracy",
    "population/elo",
    "losses/explained_variance",
    "charts/SPS",
)


def watched(names: Sequence[str], most: int = 6) -> list[str]:
    """Which of the metrics are worth watching: the known ones in a fixed order, or the first ones where none is known."""
    known = [name for name in WATCHED if name in names]
    return (known or list(names))[:most]


class Curves:
    """Panels of metrics over steps; the figure is kept and only its lines change from one drawing to the next."""

    def __init__(self):
        self._names: tuple[str, ...] = ()
        self._figure: Figure | None = None
        self._panels: dict = {}

    def png(self, points: Mapping[str, Points]) -> bytes:
        """A picture of some metrics: their means as a line, what lies between the lowest and highest value shaded.

        Args:
            points: of each metric; at least one.
        """
        with house_style():
            if tuple(points) != self._names:
                self._lay_out(tuple(points))
            for name, found in points.items():
                self._draw(name, found)
            content = io.BytesIO()
            self._figure.savefig(content, format="png", dpi=_DPI, pil_kwargs={"compress_level": 3})
        return content.getvalue()

    def _lay_out(self, names: tuple[str, ...]) -> None:
        columns = min(_COLUMNS, len(names))
        rows = -(-len(names) // columns)
        width, height = _WIDTH * columns, _HEIGHT * rows + 0.1
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        figure.subplots_adjust(
            left=0.6 / width,
            right=1 - 0.15 / width,
            top=1 - 0.35 / height,
            bottom=0.3 / height,
            wspace=0.28,
            hspace=0.5,
        )
        for axes, name in zip(panels, names, strict=False):
            axes.set_title(PANELS.get(name, name), fontsize=9, color=INK, pad=4)
            axes.tick_params(labelsize=7.5, length=2)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.ticklabel_format(axis="y", scilimits=(-3, 5))
            axes.yaxis.get_offset_text().set_fontsize(7)
            (line,) = axes.plot([], [], color=COLOURS[0], linewidth=1.4)
            self._panels[name] = (axes, line)
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        self._names, self._figure = names, figure

    def _draw(self, name: str, points: Points) -> None:
        axes, line = self._panels[name]
        line.set_data(points.step, points.mean)
        line.set_marker("o" if len(points.step) <= _MARKED else "")
        line.set_markersize(3)
        for old in list(axes.collections):
            old.remove()
        if (points.high > points.low).any():
            axes.fill_between(points.step, points.low, points.high, color=COLOURS[0], alpha=0.2, linewidth=0)
        else:
            axes.update_datalim(list(zip(points.step, points.mean, strict=True)))
        axes.relim()
        if len(points.step):
            axes.update_datalim([(points.step[0], points.low.min()), (points.step[-1], points.high.max())])
        axes.autoscale_view()
