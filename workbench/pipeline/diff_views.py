"""A comparison of two runs as a person reads it: in the terminal, and as a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from workbench.pipeline.diff import Comparison, Section
from workbench.pipeline.page import fold, page, table

_HASH = re.compile("[0-9a-f]{16}")
_MOST_ROWS, _MOST_LINES = 20, 120  # of a section, in the terminal; the page has all
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def in_terminal(found: Comparison) -> Iterator[RenderableType]:
    """What to print, piece by piece."""
    yield Text.assemble(("first   ", "dim"), found.first, "\n", ("second  ", "dim"), found.second)
    yield from _sections(found)
    for title, part in found.parts:
        yield Text(f"\n{title}", style="bold underline")
        yield from _sections(part)
    if not found.differs:
        yield Text("no differences", style="green")


def _sections(found: Comparison) -> Iterator[RenderableType]:
    for section in found.sections:
        if section.rows or section.text:
            yield Text(f"\n{section.title}{_equal(section)}", style="bold")
            yield from _section(section)


def _equal(section: Section) -> str:
    return f" ({section.equal:,} more are equal)" if section.equal else ""


def _section(section: Section) -> Iterator[RenderableType]:
    if section.rows:
        shown = Table("", "first", "second", "", box=None, padding=(0, 2, 0, 2), show_header=True)
        for column in shown.columns:
            column.overflow = "fold"
        rows = sorted(section.rows, key=lambda row: not row.differs)  # what differs first
        for row in rows[:_MOST_ROWS]:
            style = "" if row.differs else "dim"
            shown.add_row(*(Text(text, style=style) for text in (row.name, row.first, row.second, row.note)))
        yield shown
        if len(rows) > _MOST_ROWS:
            yield Text(f"  and {len(rows) - _MOST_ROWS} more; --html FILE shows all", style="dim")
    for line in section.text[:_MOST_LINES]:
        yield Text("  " + line, style=_COLOURS.get(line[:1], ""))
    if len(section.text) > _MOST_LINES:
        yield Text(f"  and {len(section.text) - _MOST_LINES} more lines; --html FILE shows all", style="dim")


def as_page(found: Comparison) -> str:
    """The comparison as one page that needs nothing else."""
    parts = [
        "<h1>What differs</h1>",
        table(
            ["", ""],
            [["first", f"<code>{escape(found.first)}</code>"], ["second", f"<code>{escape(found.second)}</code>"]],
        ),
        "" if found.differs else "<p>no differences</p>",
        _html_sections(found, "h2"),
    ]
    for title, part in found.parts:
        parts += [f"<h2>{escape(title)}</h2>", _html_sections(part, "h3")]
    return page(f"{found.first} and {found.second}", "\n".join(filter(None, parts)), wide=True)


def _html_sections(found: Comparison, heading: str) -> str:
    parts, same = [], []
    for section in found.sections:
        content = _html_section(section)
        if content:
            title = f'{escape(section.title)}<span class="faint small">{escape(_equal(section))}</span>'
            parts.append(f"<{heading}>{title}</{heading}>{content}")
        else:
            same.append(section.title)
    equal = f'<p class="small faint">no difference in: {escape(", ".join(same))}</p>' if same else ""
    return "".join(parts) + equal


def _html_section(section: Section) -> str:
    differing = [row for row in section.rows if row.differs]
    equal = [row for row in section.rows if not row.differs]
    head = ["", "first", "second", ""]

    def cells(rows) -> list[list[str]]:
        return [[_cell(text) for text in (row.name, row.first, row.second, row.note)] for row in rows]

    parts = [table(head, cells(differing)) if differing else ""]
    parts.append(fold(f"{len(equal)} that are equal, or a matter of time", table(head, cells(equal))) if equal else "")
    if section.text:
        lines = "\n".join(f'<span class="{_kind(line)}">{escape(line)}</span>' for line in section.text)
        parts.append(f'<pre class="difference">{lines}</pre>')
    return "".join(parts)


def _cell(text: str) -> str:
    """A hash stands in one piece; anything else may be broken to fit."""
    return f"<code>{text}</code>" if _HASH.fullmatch(text) else escape(text)


def _kind(line: str) -> str:
    return {"+": "added", "-": "removed", "@": "faint"}.get(line[:1], "same")
