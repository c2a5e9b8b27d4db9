"""Pages that need nothing but themselves: HTML with its style inside, no scripts, no network, all text escaped."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from html.parser import HTMLParser
from pathlib import Path

_ACTIVE = {"script", "iframe", "embed", "object", "link", "base", "form"}
_SOURCES = {"src", "srcset", "poster", "data", "background", "xlink:href"}
_LEADING = {*_SOURCES, "href", "action", "formaction"}
_OUTSIDE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_FETCHING_STYLE = re.compile(r"url\(\s*[\"']?\s*(?:https?:)?//|@import", re.IGNORECASE)


@cache
def _style() -> str:
    return (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def page(title: str, body: str, *, wide: bool = False, refresh: int = 0) -> str:
    """A whole document.

    Args:
        title: plain text.
        body: HTML, its text escaped by whoever made it.
        refresh: seconds after which a browser reads the page again; 0 never.
    """
    kind = ' class="wide"' if wide else ""
    again = f'<meta http-equiv="refresh" content="{refresh}">\n' if refresh else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">\n'
        f"{again}<title>{escape(title)}</title>\n<style>\n{_style()}</style></head>\n<body><main{kind}>\n{body}\n</main></body></html>\n"
    )


def loads_from_outside(html: str) -> list[str]:
    """Tags and styles of a page that would make a browser fetch something or run a script; a page of ours has none."""
    reader = _Reader()
    reader.feed(html)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag, attributes):
        self._in_style = tag == "style"
        loads = any(name in _SOURCES and _OUTSIDE.match(value or "") for name, value in attributes)
        styles = any(name == "style" and _FETCHING_STYLE.search(value or "") for name, value in attributes)
        acts = any(name.startswith("on") or (name in _LEADING and _is_script(value)) for name, value in attributes)
        if tag in _ACTIVE or loads or styles or acts:
            self.found.append(self.get_starttag_text() or tag)

    def handle_endtag(self, tag):
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data):
        if self._in_style and _FETCHING_STYLE.search(data):
            self.found.append(data)


def _is_script(value: str | None) -> bool:
    return (value or "").strip().lower().startswith("javascript:")


def chip(state: str) -> str:
    """A state as a small coloured label."""
    return f'<span class="chip {slug(state)}">{escape(state)}</span>'


def slug(state: str) -> str:
    """A state as a CSS class."""
    return re.sub(r"[^a-z]+", "-", state.lower())


def table(head: list[str], rows: list[list[str]], *, numbers: tuple[int, ...] = ()) -> str:
    """A table of cells that are HTML already.

    Args:
        numbers: columns that are aligned as numbers.
    """

    def cell(tag: str, index: int, content: str) -> str:
        kind = ' class="number"' if index in numbers else ""
        return f"<{tag}{kind}>{content}</{tag}>"

    lines = ["".join(cell("td", index, content) for index, content in enumerate(row)) for row in rows]
    top = "".join(cell("th", index, content) for index, content in enumerate(head))
    header = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return (
        f'<div class="scroll"><table>{header}<tbody>'
        + "".join(f"<tr>{line}</tr>" for line in lines)
        + "</tbody></table></div>"
    )


def fold(summary: str, content: str, *, open_: bool = False) -> str:
    """Content (HTML) behind a line (text) that unfolds it."""
    return f"<details{' open' if open_ else ''}><summary>{escape(summary)}</summary>{content}</details>"
