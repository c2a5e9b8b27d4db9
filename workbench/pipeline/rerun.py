"""Replays an executed notebook from its own stamp, and says whether the results agree."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.dependencies import code_files
from workbench.pipeline.display import PlainView
from workbench.pipeline.experiment import ExperimentError
from workbench.pipeline.files import read_json, write_atomic, write_json
from workbench.pipeline.fingerprint import differences, fingerprint
from workbench.pipeline.notebook_io import nbformat, read_notebook
from workbench.pipeline.parameters import INJECTED_TAG
from workbench.pipeline.report import title_of
from workbench.pipeline.status import read_status
from workbench.pipeline.supervise import Supervised, end_leftovers


def rerun(executed: Path | str, show: PlainView, outputs: Path = Path("outputs")) -> str:
    """Run an executed notebook again, with the parameters it was run with, in a folder of its own.

    Returns:
        the state it ended in; what agrees and what does not is said on `show`.

    Raises:
        ExperimentError: the notebook carries no stamp of the workbench.
    """
    executed = Path(executed)
    notebook = read_notebook(executed)
    request = notebook.metadata.get("workbench", {}).get("request")
    if not request:
        raise ExperimentError(f"{executed}: carries no stamp; it was not executed by `workbench run`")
    folder = outputs / "reruns" / f"{request['experiment']}-{request['generation']:03d}-{request['stage']}"
    _prepare(folder, notebook, dict(request))
    show.say(f"{title_of(notebook) or request['stage']} again, in {folder}")
    for change in differences(request["fingerprint"], read_json(folder / "request.json")["fingerprint"]):
        show.say(f"  since then {change}")
    state = Supervised(folder, request.get("time_limit")).wait(lambda status: show.tick(status, None))
    if state != states.FINISHED:
        show.say(f"{state}: {read_status(folder).get('message', '')}", state)
        return state
    before = read_json(executed.parent / "result.json", {})
    for line in compare(before, read_json(folder / "result.json")):
        show.say(line)
    return state


def _prepare(folder: Path, notebook: nbformat.NotebookNode, request: dict) -> None:
    """Lay out the folder: the notebook as it was before it ran, and what is asked of it."""
    folder.mkdir(parents=True, exist_ok=True)
    end_leftovers(folder)
    for name in ("result.json", "status.json", "progress.json"):
        (folder / name).unlink(missing_ok=True)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if not {INJECTED_TAG, "papermill-error-cell-tag"} & set(cell.metadata.get("tags", []))
    ]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("workbench", None)
    write_atomic(folder / "source.ipynb", nbformat.writes(notebook))
    parameters = {name: value for name, value in request["parameters"].items() if name != "output_dir"}
    asked = fingerprint(notebook, parameters, request["inputs"], code_files())
    asked["parameters"] = request["fingerprint"]["parameters"]
    injected = {**asked["parameters"], "output_dir": repr(Path(os.path.relpath(folder)).as_posix())}
    request.update(
        notebook=(folder / "source.ipynb").as_posix(),
        experiment_folder=".",
        resuming=False,
        attempt=1,
        fingerprint=asked,
        injected=injected,
    )
    write_json(folder / "request.json", request)


def compare(before: dict, now: dict) -> list[str]:
    """In words, what two results have in common and where they differ."""
    lines = []
    for kind in ("artifacts", "metrics"):
        first, second = before.get(kind, {}), now.get(kind, {})
        names = sorted(first.keys() | second.keys())
        differ = [name for name in names if _content(first.get(name)) != _content(second.get(name))]
        lines.append(f"{kind}: {len(names) - len(differ)} of {len(names)} agree")
        if kind == "metrics":
            lines += [f"  {name}: {first.get(name)} then, {second.get(name)} now" for name in differ]
        else:
            lines += [f"  {name}: other content" for name in differ]
    return lines


def _content(value):
    """A metric as it is, an artifact by its hashes alone: a rerun writes to another place."""
    if isinstance(value, list):
        return [_content(item) for item in value]
    if isinstance(value, dict):
        return (
            value["hash"] if {"path", "hash"} == value.keys() else {key: _content(item) for key, item in value.items()}
        )
    return value
