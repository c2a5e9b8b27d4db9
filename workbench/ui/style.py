"""The look that all figures share: sizes, fonts, colours that everybody can tell apart, names that fit.

Figures are made without pyplot: none is left open, none is shown twice. In a notebook a figure shows itself.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as MatplotlibFigure

from workbench import markup

INK, MUTED, GRID = "#222222", "#6b6b6b", "#e3e3e3"
# Okabe and Ito's colours without yellow and black, which vanish on white or read as text: jfly.uni-koeln.de/color
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7A5195")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ((None, None), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (3, 1), (8, 3))
HATCHES = ("", "///", "...", "xxx")
NEUTRAL = "#8c8c8c"
DIVERGING = "RdBu"  # red loses, blue wins: told apart by everybody, white in the middle

_DPI = 110
_STYLE = {
    "figure.dpi": _DPI,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
    "font.size": 10,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#b0b0b0",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "text.color": INK,
}


class Figure(MatplotlibFigure):
    """A matplotlib figure that notebooks show as a sharp PNG, trusted or not."""

    def png(self, dpi: float = 150) -> bytes:
        content = io.BytesIO()
        with house_style():
            self.savefig(content, format="png", dpi=dpi)
        return content.getvalue()

    def _repr_png_(self):
        width, height = self.get_size_inches() * 96
        return self.png(dpi=2 * 96), {"width": int(width), "height": int(height)}


@contextmanager
def house_style():
    """Inside, matplotlib draws in the house's style; what the user has set outside stays as it is."""
    with matplotlib.rc_context(_STYLE):
        yield


def styled(draw):
    """Decorate a function that draws, so that it does in the house's style."""

    @wraps(draw)
    def drawn(*arguments, **options):
        with house_style():
            return draw(*arguments, **options)

    return drawn


def new_figure(width: float = 8.0, height: float = 4.5, title: str = "") -> Figure:
    """An empty figure, inches; its parts keep clear of each other."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def save_figure(figure: MatplotlibFigure, path: str | Path, dpi: float = 150) -> Path:
    """Write a figure as PNG, the file replaced in one step."""
    from workbench.files import replace_file

    with house_style():
        return replace_file(path, lambda temporary: figure.savefig(temporary, format="png", dpi=dpi))


def ink_on(colour) -> str:
    """White or near black, whichever reads better on a colour (relative luminance, WCAG 2)."""
    return markup.ink_on(to_hex(colour))


class Look(NamedTuple):
    """How a policy is drawn everywhere."""

    colour: str
    marker: str
    dashes: tuple
    hatch: str


class Palette:
    """One look a policy: colour first, then markers, dashes and hatches when colours run out.

    Two palettes of the same policies give the same looks, whatever order they come in; keep one for all the figures of
    a run and give it to each.

    >>> palette = Palette(["gen 1", "gen 2", "random"])
    >>> palette["gen 1"].colour
    '#0072B2'
    """

    def __init__(self, policies: Iterable[str] = ()):
        self._looks: dict[str, Look] = {}
        for policy in sorted(set(policies), key=natural):
            self[policy]

    def __getitem__(self, policy: str) -> Look:
        if policy not in self._looks:
            if policy == "random":
                self._looks[policy] = Look(NEUTRAL, "X", (2, 2), "")
            else:
                turn, colour = divmod(len(self._looks.keys() - {"random"}), len(COLOURS))
                kinds = (every[turn % len(every)] for every in (MARKERS, DASHES, HATCHES))
                self._looks[policy] = Look(COLOURS[colour], *kinds)
        return self._looks[policy]


def natural(name: str) -> tuple:
    """A key that sorts `gen 2` before `gen 10`."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def short_names(policies: Sequence[str], limit: int = 28) -> dict[str, str]:
    """A label of at most about `limit` characters for each policy; different policies keep different labels.

    Of long names that are paths, the folders that all of them share give way to an ellipsis; what is still too long
    loses its middle, since ends tell names apart. Where that makes two alike, all keep their names.
    """
    policies = list(dict.fromkeys(policies))
    labels = {policy: policy for policy in policies}
    paths = {policy: policy.split("/") for policy in policies if len(policy) > limit}
    if len(paths) > 1:
        before = _shared(paths.values())
        after = _shared([parts[before:][::-1] for parts in paths.values()])
        for policy, parts in paths.items():
            kept = "/".join(parts[before : len(parts) - after])
            labels[policy] = ("…/" if before else "") + kept + ("/…" if after else "")
    head = (limit - 1) // 3
    for policy, label in labels.items():
        if len(label) > limit:
            labels[policy] = f"{label[:head]}…{label[head + 1 - limit :]}"
    return labels if len(set(labels.values())) == len(policies) else {policy: policy for policy in policies}


def _shared(paths: Iterable[Sequence[str]]) -> int:
    """How many leading parts all paths share, leaving each at least one."""
    paths = list(paths)
    most = min(map(len, paths)) - 1
    return next((i for i in range(most) if len({path[i] for path in paths}) > 1), max(most, 0))


def moved_apart(values: Sequence[float], gap: float) -> np.ndarray:
    """Places for labels of `values`, as near to them as can be with `gap` between neighbours; float64 `[N]`, in their order."""
    order = np.argsort(values, kind="stable")
    places = np.asarray(values, np.float64)[order]
    for _ in range(200):
        push = np.maximum(gap - np.diff(places), 0) / 2
        if push.max(initial=0) < gap * 0.01:
            break
        places[:-1] -= push
        places[1:] += push
    found = np.empty_like(places)
    found[order] = places
    return found
