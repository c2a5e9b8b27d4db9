"""Outputs of notebook cells as HTML that is safe to open: cleaned of scripts and of all that asks for the network."""

from __future__ import annotations

import base64
import re
from html import escape

import bleach
import mistune
from bleach.css_sanitizer import CSSSanitizer
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from workbench.pipeline.stage import RESULT_MIME
from workbench.pipeline.text import strip_colours

_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details", "div", "dl", "dt", "em",
    "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "q", "s", "small",
    "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "class",
    "style",
    "title",
    "colspan",
    "rowspan",
    "align",
    "width",
    "height",
    "alt",
    "open",
    "scope",
    "id",
}
_PROPERTIES = [
    "background-color", "border", "border-bottom", "border-collapse", "border-color", "border-left", "border-radius", "border-right",
    "border-spacing", "border-top", "color", "display", "font-family", "font-size", "font-style", "font-weight", "gap", "height",
    "letter-spacing", "line-height", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top", "max-height", "max-width",
    "min-height", "min-width", "opacity", "overflow", "overflow-x", "padding", "padding-bottom", "padding-left", "padding-right",
    "padding-top", "text-align", "text-decoration", "vertical-align", "white-space", "width", "flex", "flex-wrap", "align-items",
    "justify-content", "grid-template-columns",
]  # fmt: skip
_HIDDEN = re.compile(r"<(style|script|head|template|iframe|object|svg|math)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml")
_LINES, _COLUMNS = 240, 2000
_LONGEST_HTML, _MOST_ROWS = 1_000_000, 2000  # beyond these a table is for the notebook, and cleaning it takes long


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "style":
        return "url(" not in value.lower() and "\\" not in value
    if tag == "img" and name == "src":
        return value.startswith("data:image/")
    if tag == "a" and name == "href":
        return value.startswith(("#", "http://", "https://", "mailto:")) or not re.match(
            r"\s*[a-z][a-z0-9+.-]*:", value, re.IGNORECASE
        )
    return name in _ATTRIBUTES


_cleaner = bleach.Cleaner(
    tags=_TAGS,
    attributes=_allowed,
    protocols={"http", "https", "mailto", "data"},
    css_sanitizer=CSSSanitizer(allowed_css_properties=_PROPERTIES),
    strip=True,
    strip_comments=True,
)


def clean(html: str) -> str:
    """HTML without scripts, styles of its own, and anything that would be fetched."""
    return _cleaner.clean(_HIDDEN.sub("", html))


def markdown(text: str) -> str:
    """Markdown as clean HTML."""
    return clean(mistune.html(text))


def code(text: str) -> str:
    """Python with its parts coloured."""
    return f"<pre>{highlight(text, PythonLexer(), HtmlFormatter(nowrap=True))}</pre>"


def shortened(text: str) -> str:
    """Text of at most 240 lines: the first and the last ones, and how many were left out."""
    lines = [line if len(line) <= _COLUMNS else line[:_COLUMNS] + " ..." for line in strip_colours(text).splitlines()]
    if len(lines) > _LINES:
        kept = _LINES // 2
        lines = [
            *lines[:kept],
            f"... {len(lines) - 2 * kept:,} lines left out; notebook.ipynb has them ...",
            *lines[-kept:],
        ]
    return "\n".join(lines)


class Outputs:
    """Renders outputs, with an eye on how large the page grows.

    Args:
        budget: characters that all images and tables together may take.
    """

    def __init__(self, budget: int = 4_000_000):
        self._left = budget

    def html(self, output) -> str:
        """One output of a cell."""
        if output.output_type == "stream":
            return f"<pre>{escape(shortened(_joined(output.text)))}</pre>"
        if output.output_type == "error":
            told = _joined(output.traceback, "\n") or f"{output.ename}: {output.evalue}"
            return f'<pre class="error-text">{escape(shortened(told))}</pre>'
        return self._data(output.get("data", {}))

    def _data(self, data: dict) -> str:
        if RESULT_MIME in data:  # the head of the page has it
            return ""
        for kind in _IMAGES:
            if kind in data:
                return self._image(kind, _joined(data[kind]))
        if "text/html" in data:
            raw = _joined(data["text/html"])
            if len(raw) <= _LONGEST_HTML and raw.count("<tr") <= _MOST_ROWS:
                html = clean(raw)
                if html.strip() and self._afford(len(html)):
                    return html
        if "text/markdown" in data:
            return markdown(_joined(data["text/markdown"]))
        text = _joined(data.get("text/plain", ""))
        return f"<pre>{escape(shortened(text))}</pre>" if text else ""

    def _image(self, kind: str, content: str) -> str:
        if kind == "image/svg+xml":
            content = base64.b64encode(content.encode()).decode()
        content = "".join(content.split())
        if not re.fullmatch(r"[A-Za-z0-9+/=]*", content) or not self._afford(len(content)):
            return f'<p class="faint small">a figure of {len(content) * 3 // 4 // 1024:,} KB is left out of this page; notebook.ipynb has it</p>'
        return f'<img alt="figure" src="data:{kind};base64,{content}">'

    def _afford(self, size: int) -> bool:
        if size > self._left:
            return False
        self._left -= size
        return True


def _joined(text, separator: str = "") -> str:
    return text if isinstance(text, str) else separator.join(text)
