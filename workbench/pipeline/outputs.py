"""Outputs of notebook cells as HTML that is safe to open: cleaned of scripts and of all that asks for the network."""

from __future__ import annotations

import base64
import io
import re
from html import escape

import bleach
import mistune
from bleach.css_sanitizer import CSSSanitizer
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from workbench.pipeline.in_notebook import RESULT_MIME
from workbench.pipeline.text import strip_colours
from workbench.pipeline.widgets import Widgets, model_of

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
_LONGEST_TEXT, _SHORTEST_TEXT = 60_000, 3_000  # of one output
_REDUCTIONS = ((1280, 80), (900, 65), (560, 45))  # width, quality
_LONGEST_HTML, _MOST_ROWS = 1_000_000, 2000  # beyond these a table is for the notebook, and cleaning it takes long


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "style":
        return "url(" not in value.lower() and "\\" not in value
    if tag == "img" and name == "src":
        return value.startswith("data:image/")
    if tag == "a" and name == "href":
        return value.startswith(
            ("#", "http://", "https://", "mailto:")
        )  # what lies beside a notebook does not beside a page
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


def shortened(text: str, most: int = 120_000) -> str:
    """Text of at most 240 lines and `most` characters: the first and the last ones, and how many were left out."""
    lines = [line if len(line) <= _COLUMNS else line[:_COLUMNS] + " ..." for line in strip_colours(text).splitlines()]
    if len(lines) > _LINES:
        kept = _LINES // 2
        lines = [
            *lines[:kept],
            f"... {len(lines) - 2 * kept:,} lines left out; notebook.ipynb has them ...",
            *lines[-kept:],
        ]
    short = "\n".join(lines)
    if len(short) <= most:
        return short
    left = len(short) - most
    return (
        f"{short[: most // 2]}\n... {left:,} characters left out; notebook.ipynb has them ...\n{short[-(most // 2) :]}"
    )


class Outputs:
    """Renders what cells put out, with an eye on how large the page grows.

    Pictures and words have room of their own, shared out by how many there are, so that what comes last is not left out
    for what came first. Where something is cut, the page says so in its place.

    Args:
        notebook: whose outputs these will be; its widgets are drawn as they stood last.
        pictures, words: characters that all images, and all text and tables, may take.
    """

    def __init__(self, notebook=None, *, pictures: int = 3_000_000, words: int = 1_500_000):
        found = [output for cell in notebook.cells for output in cell.get("outputs", [])] if notebook else []
        sizes = [len(_joined(data[kind])) for data in map(_data, found) for kind in _IMAGES if kind in data]
        self._pictures, self._words = pictures, words
        self._picture = pictures // max(1, len(sizes)) if sum(sizes) > pictures else pictures
        self._text = min(_LONGEST_TEXT, max(_SHORTEST_TEXT, words // max(1, len(found) + 1)))
        self.widgets = Widgets(notebook.metadata.get("widgets", {}) if notebook else {}, clean, self.html)

    def html(self, output) -> str:
        """One output of a cell."""
        kind = output.get("output_type")
        if kind == "stream":
            return self._pre(_joined(output.get("text", "")))
        if kind == "error":
            told = _joined(output.get("traceback", []), "\n") or f"{output.get('ename')}: {output.get('evalue')}"
            return self._pre(told, "error-text")
        return self._shown(_data(output))

    def code(self, source: str) -> str:
        """A cell's source, coloured."""
        if len(source) > _LONGEST_TEXT:
            return self._pre(source)
        return self._within(code(source), f"code of {_lines(source)}")

    def prose(self, source: str) -> str:
        """A cell's markdown."""
        if len(source) > _LONGEST_TEXT:
            return self._pre(source)
        return self._within(markdown(source), f"text of {_lines(source)}")

    def _shown(self, data: dict) -> str:
        if RESULT_MIME in data:  # the head of the page has it
            return ""
        for kind in _IMAGES:
            if kind in data:
                return self._image(kind, _joined(data[kind]))
        widget = self.widgets.html(model_of(data))
        if widget:
            return self._within(widget, "a widget")
        if "text/html" in data:
            raw = _joined(data["text/html"])
            if len(raw) <= _LONGEST_HTML and raw.count("<tr") <= _MOST_ROWS:
                html = clean(raw)
                if html.strip() and self._afford_words(len(html)):
                    return html
        if "text/markdown" in data:
            return self.prose(_joined(data["text/markdown"]))
        text = _joined(data.get("text/plain", ""))
        return self._pre(text) if text else ""

    def _pre(self, text: str, kind: str = "") -> str:
        shown = escape(shortened(text, self._text))
        return self._within(
            f'<pre class="{kind}">{shown}</pre>' if kind else f"<pre>{shown}</pre>", f"text of {_lines(text)}"
        )

    def _within(self, html: str, what: str) -> str:
        return html if self._afford_words(len(html)) else _left_out(what)

    def _image(self, kind: str, content: str) -> str:
        if kind == "image/svg+xml":
            content = base64.b64encode(content.encode()).decode()
        content = "".join(content.split())
        what = f"a figure of {len(content) * 3 // 4 // 1024:,} KB"
        if not re.fullmatch(r"[A-Za-z0-9+/=]*", content):
            return _left_out(what)
        note = ""
        if len(content) > self._picture and kind != "image/svg+xml":
            reduced = reduced_picture(content, self._picture)
            if reduced is None:
                return _left_out(what)
            kind, content = "image/webp", reduced
            note = f'<p class="faint small">{what}, reduced for this page; notebook.ipynb has it whole</p>'
        if len(content) > self._pictures:
            return _left_out(what)
        self._pictures -= len(content)
        return f'<img alt="figure" src="data:{kind};base64,{content}">{note}'

    def _afford_words(self, size: int) -> bool:
        if size > self._words:
            return False
        self._words -= size
        return True


def reduced_picture(content: str, most: int) -> str | None:
    """A picture (base64) as a smaller one of at most so many characters; None where it is none, or cannot be."""
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    for width, quality in _REDUCTIONS:
        smaller = picture.copy()
        smaller.thumbnail((width, 4 * width), reducing_gap=2.0)
        buffer = io.BytesIO()
        smaller.save(buffer, "WEBP", quality=quality, method=1)
        found = base64.b64encode(buffer.getvalue()).decode()
        if len(found) <= most:
            return found
    return None


def _left_out(what: str) -> str:
    return f'<p class="faint small">{escape(what)} is left out of this page; notebook.ipynb has it</p>'


def _lines(text: str) -> str:
    return f"{text.count(chr(10)) + 1:,} lines"


def _data(output) -> dict:
    found = output.get("data", {})
    return found if isinstance(found, dict) else {}


def _joined(text, separator: str = "") -> str:
    return text if isinstance(text, str) else separator.join(map(str, text))
