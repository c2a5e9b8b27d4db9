"""Replays an executed notebook from its own stamp, and says whether the results agree."""

from __future__ import annotations

import os
import re
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.dependencies import code_files
from workbench.pipeline.diff import EQUAL, Run, artifacts, environment, metrics, read_run
from workbench.pipeline.display import PlainView
from workbench.pipeline.experiment import ExperimentError
from workbench.pipeline.files import read_json, write_atomic, write_json
from workbench.pipeline.fingerprint import differences, fingerprint
from workbench.pipeline.folder import clear
from workbench.pipeline.notebook_io import nbformat, read_notebook
from workbench.pipeline.overview import write_overview
from workbench.pipeline.parameters import INJECTED_TAG
from workbench.pipeline.report import title_of
from workbench.pipeline.status import read_status
from workbench.pipeline.supervise import Supervised, end_leftovers


def rerun(executed: Path | str, show: PlainView, outputs: Path = Path("outputs")) -> tuple[str, bool]:
    """Run an executed notebook again, with the parameters it was run with, in a folder of its own.

    Returns:
        the state it ended in, and whether the results agree; what agrees and what does not is said on `show`.

    Raises:
        ExperimentError: the notebook carries no stamp of the workbench.
    """
    executed = Path(executed)
    notebook = read_notebook(executed)
    request = notebook.metadata.get("workbench", {}).get("request")
    if not request:
        raise ExperimentError(f"{executed}: carries no stamp; it was not executed by `workbench run`")
    before = read_run(executed)
    folder = _place(outputs, executed, request)
    _prepare(folder, notebook, dict(request))
    show.say(f"{title_of(notebook) or request['stage']} again, in {folder}")
    for change in [
        *differences(request["fingerprint"], read_json(folder / "request.json")["fingerprint"]),
        *_gone(request["parameters"]),
    ]:
        show.say(f"  since then {change}")
    state = Supervised(folder, request.get("time_limit")).wait(lambda status: show.tick(status, None))
    write_overview(outputs)
    if state != states.FINISHED:
        show.say(f"{state}: {read_status(folder).get('message', '')}", state)
        return state, False
    if not before.result:
        show.say("there is no result.json beside the notebook to compare with")
        return state, False
    now = read_run(folder)
    for row in environment(before.provenance, now.provenance).rows:
        show.say(f"  {row.name}: {row.first} then, {row.second} now")
    agrees, lines = compare(before, now)
    for line in lines:
        show.say(line)
    show.say(
        "the results agree" if agrees else "the results do not agree", states.FINISHED if agrees else states.FAILED
    )
    return state, agrees


def _place(outputs: Path, executed: Path, request: dict) -> Path:
    """Where a replay goes: a folder of the run's own name, whatever characters that has, and never the run's own."""
    parts = (request["experiment"], request.get("chain"), f"{request['generation']:03d}", request["stage"])
    name = re.sub(r"[^\w=,.-]+|^\.+", "-", "-".join(str(part) for part in parts if part))[:120]
    folder = outputs / "reruns" / name
    return folder.with_name(f"{name}-again") if folder.resolve() == executed.resolve().parent else folder


def _gone(parameters: dict) -> list[str]:
    """Parameters that name a file or folder of an earlier run which is there no more."""
    texts = [
        (name, text)
        for name, value in parameters.items()
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str) and "/gen_" in text
    ]
    return [f"{name} is gone: {text}" for name, text in texts if not Path(text).exists()]


def _prepare(folder: Path, notebook: nbformat.NotebookNode, request: dict) -> None:
    """Lay out the folder: the notebook as it was before it ran, and what is asked of it."""
    folder.mkdir(parents=True, exist_ok=True)
    end_leftovers(folder)
    clear(folder)
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
        replay=True,
        wandb="off",  # the run that is replayed is there already
    )
    write_json(folder / "request.json", request)


def compare(before: Run, now: Run) -> tuple[bool, list[str]]:
    """Whether two results are the same but for what a clock says; and in words where they are and where not, with values."""
    found = artifacts(before, now)
    measured = metrics(before.result.get("metrics", {}), now.result.get("metrics", {}))
    differ = [row for row in measured if row.note != EQUAL]
    lines = [f"artifacts: {found.equal} of {found.equal + len(found.rows)} are equal"]
    lines += [f"  {row.name}: {row.note} ({row.first} then, {row.second} now)" for row in found.rows]
    lines.append(f"metrics: {len(measured) - len(differ)} of {len(measured)} are equal")
    lines += [f"  {row.name}: {row.first} then, {row.second} now ({row.note})" for row in differ]
    return not found.differs and not any(row.differs for row in measured), lines
