"""Widgets of a stored notebook as they stood last: HTML without scripts, which shows the same trusted, untrusted and offline."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
STATE_MIME = "application/vnd.jupyter.widget-state+json"
_DEEPEST, _MOST = 12, 300
_BOX = "display: flex; flex-wrap: wrap; gap: 8px; align-items: center"
_FIELD = "border: 1px solid #c3cad2; border-radius: 3px; padding: 1px 8px; min-width: 60px; display: inline-block"
_TRACK = "display: inline-block; width: 180px; height: 8px; background: #e1e5ea; border-radius: 4px; overflow: hidden; vertical-align: middle"
_COLOURS = {"success": "#1a7f4b", "danger": "#b3261e", "warning": "#9a6200"}


class Widgets:
    """The widgets of a notebook, by the state that was saved with it.

    Args:
        state: what the notebook's metadata has under `widgets`; {} where nothing was saved.
        clean: makes HTML of others safe.
        output: renders one output of a cell, for the areas that hold some.
    """

    def __init__(self, state: dict, clean: Callable[[str], str], output: Callable[[Any], str]):
        held = state.get(STATE_MIME, {}) if isinstance(state, dict) else {}
        models = held.get("state", {}) if isinstance(held, dict) else {}
        self._models = models if isinstance(models, dict) else {}
        self._clean, self._output = clean, output
        self._drawn = 0

    def html(self, model_id: str) -> str:
        """A widget and all it contains; "" where its state was not saved."""
        self._drawn = 0
        inside = self._draw(model_id, 0)
        return f'<div style="margin: 4px 0">{inside}</div>' if inside else ""

    def _draw(self, model_id: Any, depth: int) -> str:
        model = self._models.get(str(model_id).removeprefix("IPY_MODEL_"))
        if not isinstance(model, dict) or depth > _DEEPEST or self._drawn > _MOST:
            return ""
        self._drawn += 1
        state = model.get("state", {})
        layout = self._models.get(str(state.get("layout", "")).removeprefix("IPY_MODEL_"), {})
        if layout.get("state", {}).get("display") == "none":
            return ""
        kind = str(model.get("model_name", "")).removesuffix("Model")
        draw = getattr(self, f"_{_word(kind)}", None) or self._other
        return draw(kind, state, model, depth)

    def _children(self, state: dict, depth: int) -> list[str]:
        found = state.get("children", [])
        return [self._draw(child, depth + 1) for child in found] if isinstance(found, list) else []

    def _boxes(self, kind, state, model, depth) -> str:
        along = "column; align-items: stretch" if kind == "VBox" else "row"
        inside = "".join(f"<div>{child}</div>" for child in self._children(state, depth) if child)
        return f'<div style="{_BOX}; flex-direction: {along}">{inside}</div>'

    def _pages(self, kind, state, model, depth) -> str:
        titles = state.get("titles") or state.get("_titles") or []
        named = titles if isinstance(titles, list) else [titles.get(str(index), "") for index in range(len(titles))]
        return "".join(
            f'<div style="border: 1px solid #e1e5ea; padding: 6px 10px; margin: 4px 0">'
            f"<b>{escape(str(named[index]) if index < len(named) else '')}</b>{child}</div>"
            for index, child in enumerate(self._children(state, depth))
        )

    def _bars(self, kind, state, model, depth) -> str:
        colour = _COLOURS.get(state.get("bar_style", ""), "#0b57a4")
        share = _share(state)
        bar = f'<span style="{_TRACK}"><span style="display: block; width: {100 * share:.0f}%; height: 8px; background-color: {colour}"></span></span>'
        shown = escape(str(state.get("value", ""))) if kind.endswith("Slider") else ""
        return f"{_label(state)}{bar} {shown}"

    def _texts(self, kind, state, model, depth) -> str:
        return f'{_label(state)}<span style="{_FIELD}">{escape(str(state.get("value", "")))}</span>'

    def _labels(self, kind, state, model, depth) -> str:
        value = str(state.get("value", ""))
        return self._clean(value) if kind.startswith("HTML") else f"<span>{escape(value)}</span>"

    def _choices(self, kind, state, model, depth) -> str:
        labels, index = state.get("_options_labels", []), state.get("index")
        chosen = index if isinstance(index, list) else [index]
        said = ", ".join(str(labels[one]) for one in chosen if isinstance(one, int) and 0 <= one < len(labels))
        return f'{_label(state)}<span style="{_FIELD}">{escape(said)}</span>'

    def _checks(self, kind, state, model, depth) -> str:
        return f"<span>{'☑' if state.get('value') else '☐'} {escape(str(state.get('description', '')))}</span>"

    def _buttons(self, kind, state, model, depth) -> str:
        return f'<span style="{_FIELD}; background-color: #eef1f4; color: #66717d">{escape(str(state.get("description", "")))}</span>'

    def _outputs(self, kind, state, model, depth) -> str:
        found = state.get("outputs", [])
        return "".join(self._output(output) for output in found) if isinstance(found, list) else ""

    def _images(self, kind, state, model, depth) -> str:
        for buffer in model.get("buffers", []):
            if buffer.get("path") == ["value"] and buffer.get("encoding") == "base64":
                content = (
                    {"image/png": buffer.get("data", "")}
                    if state.get("format") == "png"
                    else {"image/jpeg": buffer.get("data", "")}
                )
                return self._output({"output_type": "display_data", "data": content})
        return ""

    def _other(self, kind, state, model, depth) -> str:
        inside = "".join(self._children(state, depth))
        return inside or f'<span style="color: #66717d">{escape(kind)}</span>'


_KINDS = {
    "boxes": ("HBox", "VBox", "Box", "GridBox"),
    "pages": ("Tab", "Accordion", "Stack"),
    "bars": ("IntProgress", "FloatProgress", "IntSlider", "FloatSlider", "FloatLogSlider", "IntRangeSlider", "FloatRangeSlider", "Play"),
    "labels": ("Label", "HTML", "HTMLMath"),
    "choices": ("Dropdown", "Select", "SelectMultiple", "RadioButtons", "ToggleButtons", "SelectionSlider", "SelectionRangeSlider"),
    "checks": ("Checkbox", "Valid", "ToggleButton"),
    "buttons": ("Button", "FileUpload"),
    "texts": ("Text", "Textarea", "Combobox", "IntText", "FloatText", "BoundedIntText", "BoundedFloatText", "DatePicker", "ColorPicker", "Password"),
    "outputs": ("Output",),
    "images": ("Image",),
}  # fmt: skip


def _word(kind: str) -> str:
    return next((word for word, kinds in _KINDS.items() if kind in kinds), "other")


def _label(state: dict) -> str:
    described = str(state.get("description", ""))
    return f'<span style="margin-right: 8px">{escape(described)}</span>' if described else ""


def _share(state: dict) -> float:
    """How far along a bar or a slider is, between 0 and 1; of a range its upper end."""
    value = state.get("value")
    value = value[-1] if isinstance(value, list) and value else value
    low, high = state.get("min", 0), state.get("max", 100)
    numbers = [item for item in (value, low, high) if isinstance(item, (int, float)) and not isinstance(item, bool)]
    if len(numbers) < 3 or high <= low:
        return 0.0
    return min(1.0, max(0.0, (value - low) / (high - low)))


def model_of(data: dict) -> str:
    """The id of the widget that an output shows; "" where it shows none."""
    view = data.get(VIEW_MIME)
    found = view.get("model_id", "") if isinstance(view, dict) else ""
    return found if isinstance(found, str) and re.fullmatch(r"[\w-]+", found) else ""


def lay_under(notebook, widgets: Widgets) -> int:
    """Give every output that shows a widget an HTML picture of it too, for where widgets do not run.

    Returns:
        how many outputs were given one.
    """
    count = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            still = widgets.html(model_of(data)) if model_of(data) and "text/html" not in data else ""
            if still:
                data["text/html"] = still
                count += 1
    return count
