"""Tables as HTML whose style is inline. Below all rooms: everybody shows something.

A notebook that was executed elsewhere is untrusted: JupyterLab drops its `<style>`, scripts and SVG, and keeps `style=`
and `title=` attributes. So these are all that is used, and every text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

FONT = "font-family:system-ui,-apple-system,'Segoe UI',sans-serif;font-size:13px"
_TABLE = f"border-collapse:collapse;border:none;{FONT}"
_CAPTION = "text-align:left;padding:4px 0;font-weight:600;caption-side:top;white-space:nowrap"
_HEAD = "padding:4px 10px;border:none;border-bottom:2px solid #8c8c8c;font-weight:600;white-space:nowrap"
_CELL = "padding:3px 10px;border:none;border-bottom:1px solid rgba(128,128,128,.25);white-space:nowrap"
_SENTENCE = 60  # characters from which a cell's text is broken into lines
_NUMBERS = ";font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Cell:
    """One cell: its text, what a pointer resting on it reads, and further inline style."""

    text: str
    title: str = ""
    style: str = ""


def table_html(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    left: Sequence[int] = (0,),
    caption: str = "",
    note: str = "",
) -> str:
    """An HTML table; `left` are the columns aligned left, `note` stands under it; no head where no column has a name."""
    left = set(left)
    parts = [f'<div style="{FONT};overflow-x:auto"><table style="{_TABLE}">']
    if caption:
        parts.append(f'<caption style="{_CAPTION}">{escape(caption)}</caption>')
    if any(columns):
        parts.append("<thead><tr>")
        parts += [f'<th style="{_HEAD};{_align(i in left)}">{escape(str(name))}</th>' for i, name in enumerate(columns)]
        parts.append("</tr></thead>")
    parts.append("<tbody>")
    for row in rows:
        parts.append("<tr>")
        for i, cell in enumerate(row):
            cell = cell if isinstance(cell, Cell) else Cell(str(cell))
            style = f"{_CELL};{_align(i in left)}{_NUMBERS}" + (f";{cell.style}" if cell.style else "")
            style += ";white-space:normal" if len(cell.text) > _SENTENCE and " " in cell.text else ""
            title = f' title="{escape(cell.title)}"' if cell.title else ""
            parts.append(f'<td style="{escape(style)}"{title}>{escape(cell.text)}</td>')
        parts.append("</tr>")
    parts.append("</tbody></table>")
    if note:
        parts.append(f'<div style="{FONT};opacity:.75;padding:4px 0">{escape(note)}</div>')
    parts.append("</div>")
    return "".join(parts)


def _align(left: bool) -> str:
    return "text-align:left" if left else "text-align:right"


# ColorBrewer's RdBu, which matplotlib's of that name goes through: red loses, blue wins, white between
_RED_TO_BLUE = [
    bytes.fromhex("67001fb2182bd6604df4a582fddbc7f7f7f7d1e5f092c5de4393c32166ac053061")[3 * index : 3 * index + 3]
    for index in range(11)
]


def share_colour(share: float) -> str:
    """`#rrggbb` of a win rate, 0 to 1: as matplotlib's RdBu, without matplotlib."""
    place = min(max(share, 0.0), 1.0) * (len(_RED_TO_BLUE) - 1)
    index = min(int(place), len(_RED_TO_BLUE) - 2)
    low, high = _RED_TO_BLUE[index], _RED_TO_BLUE[index + 1]
    return "#" + "".join(f"{round(a + (b - a) * (place - index)):02x}" for a, b in zip(low, high, strict=True))


def ink_on(colour: str) -> str:
    """White or near black, whichever reads better on `#rrggbb` (relative luminance, WCAG 2)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (b / 255 for b in bytes.fromhex(colour[1:]))
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / (0.016 + 0.05) else "#222222"


def share_cell(share: float, title: str, *, sure: bool, text: str = "") -> Cell:
    """A win rate in its colour, bold where it is `sure` on which side of a half it lies; `text` instead of the percentage."""
    colour = share_colour(share)
    style = (
        f"background-color:{colour};color:{ink_on(colour)};font-weight:{'700' if sure else '400'};"
        "text-align:center;border:1px solid #ffffff"
    )
    return Cell(text or f"{share:.0%}", title, style)


def picture_html(svg: str) -> str:
    """An SVG picture as an image: as an element it would be dropped from untrusted notebooks."""
    return f'<img alt="" src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">'
