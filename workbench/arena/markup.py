"""Tables as HTML whose style is inline.

A notebook that was executed elsewhere is untrusted: JupyterLab drops its `<style>`, scripts and SVG, and keeps `style=`
and `title=` attributes. So these are all that is used, and every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

FONT = "font-family:system-ui,-apple-system,'Segoe UI',sans-serif;font-size:13px"
_TABLE = f"border-collapse:collapse;border:none;{FONT}"
_CAPTION = "text-align:left;padding:4px 0;font-weight:600;caption-side:top"
_HEAD = "padding:4px 10px;border:none;border-bottom:2px solid #8c8c8c;font-weight:600;white-space:nowrap"
_CELL = "padding:3px 10px;border:none;border-bottom:1px solid rgba(128,128,128,.25);white-space:nowrap"
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
