"""An executed notebook as one HTML file that anyone can open: what was asked, what came out, where it is from."""

from __future__ import annotations

import base64
import binascii
import io
from html import escape
from pathlib import Path
from typing import Any

from workbench.pipeline import status as states
from workbench.pipeline.figures import tiles
from workbench.pipeline.files import read_json, write_atomic
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.outputs import Outputs, shortened
from workbench.pipeline.page import chip, fold, page, slug, table
from workbench.pipeline.parameters import INJECTED_TAG, TAG, ParameterError, literal, read_schema
from workbench.pipeline.status import read_status
from workbench.pipeline.text import duration

_ERROR_MARKER = "papermill-error-cell-tag"
_THUMBNAIL = (420, 256)
_BESIDE = ("notebook.ipynb", "result.json", "metrics.jsonl", "log.txt")
_MOST_LISTED = 60  # of what may be without end: inputs, artifacts, items of a list
_LONGEST_VALUE = 2000  # characters of a parameter's value
_ORIGIN = (
    ("notebook", "notebook"), ("seed", "seed"), ("device", "device"), ("python", "python"), ("system", "system"),
    ("processors", "processors"), ("resumed", "went on from a checkpoint"),
)  # fmt: skip
_SPENT = (("wall_seconds", "by the clock"), ("cpu_seconds", "of processor time, workers included"))


def write_report(folder: Path | str) -> Path:
    """Write `report.html` of a stage's folder, and `thumbnail.png` where the notebook drew a figure.

    Raises:
        FileNotFoundError: the folder has no `notebook.ipynb`.
    """
    folder = Path(folder)
    notebook = nbformat.reads((folder / "notebook.ipynb").read_text(encoding="utf-8"), as_version=4)
    status, result, request = (
        read_status(folder),
        read_json(folder / "result.json", {}),
        read_json(folder / "request.json", {}),
    )
    beside = tuple(name for name in _BESIDE if (folder / name).is_file() and (folder / name).stat().st_size)
    write_atomic(folder / "report.html", render(notebook, status, result, request, beside))
    picture = main_figure(notebook)
    if picture is not None:
        write_thumbnail(picture, folder / "thumbnail.png")
    return folder / "report.html"


def render(
    notebook: nbformat.NotebookNode, status: dict, result: dict, request: dict, beside: tuple[str, ...] = _BESIDE[:1]
) -> str:
    """The page.

    Args:
        status, result, request: the stage's files of those names; {} where there are none.
        beside: names of files in the page's folder that it links to.
    """
    about = notebook.metadata.get("workbench", {})
    request = request or about.get("request", {})
    provenance = result.get("provenance") or about.get("provenance", {})
    title = title_of(notebook) or request.get("stage", "Notebook")
    parts = [_head(title, request, beside)]
    parts += [banner(status, provenance), tiles(result.get("metrics", {}))]
    asked = _parameters(notebook, request)
    parts += [asked, _artifacts(result), _provenance(provenance)]
    outputs = Outputs(notebook)
    cells = [cell for cell in notebook.cells if _ERROR_MARKER not in cell.metadata.get("tags", [])]
    if asked:  # the head shows what they say
        cells = [cell for cell in cells if not {TAG, INJECTED_TAG} & set(cell.metadata.get("tags", [])) or cell.outputs]
    parts += [_cell(cell, index, outputs, skip_title=index == 0) for index, cell in enumerate(cells)]
    return page(title, "\n".join(filter(None, parts)))


def title_of(notebook: nbformat.NotebookNode) -> str:
    """The notebook's first heading, "" without one."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and _ERROR_MARKER not in cell.metadata.get("tags", []):
            first = cell.source.strip().splitlines()[0] if cell.source.strip() else ""
            return first.lstrip("# ").strip() if first.startswith("#") else ""
    return ""


def _head(title: str, request: dict, beside: tuple[str, ...]) -> str:
    crumbs = ""
    if request:
        up = "../" * (len(Path(request.get("experiment_folder", "..")).parts) or 1)
        names = [request.get("chain", ""), f"generation {request.get('generation', 1)}", request.get("stage", "")]
        top = f'<a href="{escape(up)}index.html">{escape(request.get("experiment", ""))}</a>'
        if request.get("replay"):  # it lies in a folder of its own, beside the experiments
            top = f'<a href="../../index.html">all experiments</a> / replay / {escape(request.get("experiment", ""))}'
        crumbs = " / ".join([top, *(escape(str(name)) for name in names if name)])
    links = " · ".join(f'<a href="{name}">{name}</a>' for name in beside)
    return f'<div class="crumbs">{crumbs}</div><h1>{escape(title)}</h1><div class="small faint">{links}</div>'


def banner(status: dict, provenance: dict) -> str:
    """How the run ended, in a coloured box; what went wrong with the cell's last lines."""
    if not status:
        return ""
    state = status["state"]
    words = [chip(state)]
    seconds = provenance.get("wall_seconds")
    if state in states.EXIT_CODES and seconds is not None:
        cpu = f" ({duration(provenance['cpu_seconds'])} of processor time)" if provenance.get("cpu_seconds") else ""
        words.append(f"{'in' if state == states.FINISHED else 'after'} {escape(duration(seconds) + cpu)}")
    if status.get("ended") or status.get("updated"):
        words.append(
            f'<span class="faint">{escape((status.get("ended") or status["updated"])[:16].replace("T", " "))} UTC</span>'
        )
    if status.get("attempt", 1) > 1:
        words.append(f'<span class="faint">attempt {status["attempt"]}, gone on from its checkpoint</span>')
    text = " ".join(words)
    if status.get("message") and state != states.FINISHED:
        cell = status.get("cell")
        where = (
            f"<div>in cell {cell['index'] + 1} of {cell['of']}: <code>{escape(cell['title'])}</code></div>"
            if cell
            else ""
        )
        text += f"<p><b>{escape(status['message'])}</b></p>{where}"
        tail = (status.get("error") or {}).get("tail")
        text += f"<pre>{escape(shortened(tail))}</pre>" if tail else ""
    return f'<div class="banner {slug(state)}">{text}</div>'


def _parameters(notebook: nbformat.NotebookNode, request: dict) -> str:
    values = request.get("parameters", {})
    try:
        schema = read_schema(notebook)
    except ParameterError:
        return ""
    rows, changed = [], 0
    for name, parameter in schema.parameters.items():
        if name == "output_dir":
            continue
        value = values.get(name, parameter.default)
        differs = _plain(value) != _plain(parameter.default)
        changed += differs
        said = escape(_short(literal(value)))
        shown = f"<b>{said}</b>" if differs else said
        default = escape(_short(literal(parameter.default))) if differs else ""
        rows.append(
            [
                f"<code>{escape(name)}</code>",
                shown,
                f'<span class="faint">{default}</span>',
                f'<span class="faint">{escape(parameter.help)}</span>',
            ]
        )
    return (
        fold(
            f"parameters: {len(rows)}, of which {changed} differ from their defaults",
            table(["", "value", "default", ""], rows),
        )
        if rows
        else ""
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} ... ({len(text):,} characters)"


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _artifacts(result: dict) -> str:
    if not result.get("artifacts"):
        return ""

    def words(item) -> str:
        if isinstance(item, list):
            return "<br>".join(_limited([words(one) for one in item]))
        if "path" not in item:
            return "<br>".join(_limited([f"{escape(key)}: {words(one)}" for key, one in item.items()]))
        return f'<code>{escape(item["path"])}</code> <span class="faint small">{escape(item["hash"])}</span>'

    return fold(
        "what it hands on", table(["", ""], [[escape(name), words(item)] for name, item in result["artifacts"].items()])
    )


def _provenance(provenance: dict) -> str:
    if not provenance:
        return ""
    rows = [["code", _code(provenance)]] if _code(provenance) else []
    for key, word in _ORIGIN:
        if provenance.get(key) is not None:
            rows.append([word, escape(str(provenance[key]))])
    spent = [f"{duration(provenance[key])} {word}" for key, word in _SPENT if provenance.get(key) is not None]
    if spent:
        rows.append(["took", escape(", ".join(spent))])
    if provenance.get("inputs"):
        named = [f"{escape(name)} <code>{escape(str(found))}</code>" for name, found in provenance["inputs"].items()]
        rows.append(["made from", "<br>".join(_limited(named))])
    if provenance.get("parents"):
        rows.append(["by", escape(", ".join(_limited(provenance["parents"])))])
    packages = ", ".join(f"{name} {version}" for name, version in provenance.get("packages", {}).items())
    rows.append(["packages", escape(packages)])
    return fold("where this comes from: code, inputs, packages, machine, time", table(["", ""], rows))


def _code(provenance: dict) -> str:
    """The commit, whether there were uncommitted changes, and the hash of the library's files."""
    git, library = provenance.get("git"), provenance.get("code")
    parts = []
    if git:
        dirty = f" with uncommitted changes <code>{escape(git['dirty'])}</code>" if git.get("dirty") else ""
        parts.append(f"commit <code>{escape(git['sha'][:12])}</code>{dirty}")
    if library:
        parts.append(f"library <code>{escape(str(library))}</code>")
    return ", ".join(parts)


def _limited(items: list[str]) -> list[str]:
    """The first of many, and how many there are more."""
    more = [f"and {len(items) - _MOST_LISTED} more; result.json has them"] if len(items) > _MOST_LISTED else []
    return items[:_MOST_LISTED] + more


def _cell(cell, index: int, outputs: Outputs, *, skip_title: bool) -> str:
    state = cell.metadata.get("papermill", {}).get("status", "")
    if cell.cell_type == "markdown":
        source = "\n".join(cell.source.splitlines()[1:]) if skip_title and cell.source.startswith("#") else cell.source
        return f'<div class="cell prose">{outputs.prose(source)}</div>' if source.strip() else ""
    if cell.cell_type != "code":
        return ""
    tags = cell.metadata.get("tags", [])
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    words = "the values of this run" if INJECTED_TAG in tags else "the parameters cell" if TAG in tags else first[:90]
    shown = "".join(f'<div class="output">{html}</div>' for output in cell.outputs if (html := outputs.html(output)))
    note = ' <span class="small faint">not run</span>' if state == "pending" else ""
    return f'<div class="cell {slug(state)}" id="cell-{index + 1}">{fold("code: " + words, outputs.code(cell.source))}{note}{shown}</div>'


def main_figure(notebook: nbformat.NotebookNode) -> bytes | None:
    """The PNG that stands for the notebook: of the cell tagged `main-figure`, else the first there is."""
    pictures = [
        (("main-figure" in cell.metadata.get("tags", [])), output.data["image/png"])
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    chosen = next((picture for main, picture in pictures if main), pictures[0][1] if pictures else None)
    if chosen is None:
        return None
    try:
        return base64.b64decode("".join(chosen), validate=False)
    except binascii.Error:
        return None


def write_thumbnail(picture: bytes, path: Path) -> None:
    """A PNG scaled to fit 420 x 256 pixels."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail(_THUMBNAIL)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    write_atomic(path, buffer.getvalue())
