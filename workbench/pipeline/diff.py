"""What differs between two runs: parameters, code, inputs, packages, machine, outcomes.

A run is a stage, an executed notebook, or a whole experiment, whose stages are compared one by one.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.pipeline.alike import differing_files, is_clocked
from workbench.pipeline.figures import gathered, is_number, words
from workbench.pipeline.files import read_json
from workbench.pipeline.notebook_io import nbformat, read_notebook
from workbench.pipeline.overview import read_experiment
from workbench.pipeline.parameters import INJECTED_TAG, literal
from workbench.pipeline.status import read_status
from workbench.pipeline.summary import flattened
from workbench.pipeline.text import duration

EQUAL, CLOCK = "equal", "a matter of time"
_ERROR_MARKER = "papermill-error-cell-tag"
_MACHINE = ("python", "system", "processors", "device")
_SHOWN_FILES = 3


@dataclass(frozen=True)
class Row:
    """Something that two runs both have, or one of them: as text, with a word on how the two compare."""

    name: str
    first: str
    second: str
    note: str = ""

    @property
    def differs(self) -> bool:
        return self.note != EQUAL and not self.note.endswith(CLOCK)


@dataclass(frozen=True)
class Section:
    """What differs in one respect.

    Args:
        rows: what differs; of outcomes also what is equal.
        equal: how many more things there are that do not differ.
        text: a readable diff of text, line by line.
    """

    title: str
    rows: tuple[Row, ...] = ()
    equal: int = 0
    text: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return bool(self.text) or any(row.differs for row in self.rows)


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side; `parts` are those of an experiment's stages that differ somewhere."""

    first: str
    second: str
    sections: tuple[Section, ...] = ()
    parts: tuple[tuple[str, Comparison], ...] = ()

    @property
    def differs(self) -> bool:
        return any(section.differs for section in self.sections) or any(part.differs for _, part in self.parts)


@dataclass(frozen=True)
class Run:
    """One run of a notebook, as its files tell it; `base` is the folder that its artifacts' paths begin in."""

    name: str
    notebook: nbformat.NotebookNode | None = None
    request: dict = field(default_factory=dict)
    result: dict = field(default_factory=dict)
    status: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)
    base: Path | None = None


def compare(first: Path | str, second: Path | str) -> Comparison:
    """Compare two runs.

    Args:
        first, second: folders of stages, executed notebooks, or folders of experiments; both of one kind.

    Raises:
        ValueError: an experiment on one side only, or something that is no run.
    """
    first, second = Path(first), Path(second)
    whole = [(path / "experiment.json").is_file() for path in (first, second)]
    if all(whole):
        return compare_experiments(first, second)
    if any(whole):
        stage, experiment = (second, first) if whole[0] else (first, second)
        raise ValueError(f"{experiment} is an experiment and {stage} is not; compare two of a kind")
    return compare_runs(read_run(first), read_run(second))


def read_run(path: Path | str) -> Run:
    """A run from a stage's folder or from an executed notebook; what lies beside the notebook is read too, if it is its own.

    Raises:
        ValueError: neither an executed notebook nor a stage's folder.
    """
    path = Path(path)
    folder = path.parent if path.is_file() else path
    file = path if path.is_file() else folder / "notebook.ipynb"
    if path.is_dir() and not any(
        (folder / name).is_file() for name in ("notebook.ipynb", "result.json", "request.json")
    ):
        raise ValueError(
            f"{path}: no stage has run there; expected a stage's folder, an executed notebook or an experiment"
        )
    notebook = read_notebook(file) if file.is_file() else None
    stamp = notebook.metadata.get("workbench", {}) if notebook else {}
    if path.is_file() and not stamp:
        raise ValueError(f"{path}: carries no stamp; it was not executed by `workbench run`")
    own = path.is_dir() or file.name == "notebook.ipynb"
    result = read_json(folder / "result.json", {}) if own else {}
    request = stamp.get("request") or (read_json(folder / "request.json", {}) if own else {})
    status = (read_status(folder) if own else {}) or stamp.get("outcome", {})
    origin = result.get("provenance") or stamp.get("provenance") or {}
    base = folder / request.get("experiment_folder", ".") if own else None
    return Run(path.as_posix(), notebook, dict(request), result, dict(status), dict(origin), base)


def compare_experiments(first: Path, second: Path) -> Comparison:
    """Compare two experiments stage by stage; stages that only one of them has are named."""
    experiments = [read_experiment(folder) for folder in (first, second)]
    stages = [
        {(entry["chain"], entry["generation"], entry["stage"]): entry for entry in experiment["stages"]}
        for experiment in experiments
    ]
    rows = _differing(
        {"file": experiments[0].get("file"), "overrides": " ".join(experiments[0].get("overrides", [])), "state": experiments[0]["state"]},
        {"file": experiments[1].get("file"), "overrides": " ".join(experiments[1].get("overrides", [])), "state": experiments[1]["state"]},
    )  # fmt: skip
    alone = []
    parts = []
    for key in sorted(stages[0].keys() | stages[1].keys()):
        title = " · ".join(filter(None, (key[0], f"generation {key[1]}", key[2])))
        have = [found.get(key) for found in stages]
        if None in have:
            alone.append(Row(title, *(("there" if entry else "–") for entry in have)))
            continue
        runs = [read_run(folder / entry["folder"]) if _has_run(folder / entry["folder"]) else Run(entry["folder"])
                for folder, entry in zip((first, second), have, strict=True)]  # fmt: skip
        parts.append((title, compare_runs(*runs)))
    same = sum(not part.differs for _, part in parts)
    sections = (Section("the experiment", tuple(rows)), Section("stages that only one has", tuple(alone)),
                Section("stages", equal=same))  # fmt: skip
    differing = tuple((title, part) for title, part in parts if part.differs)
    return Comparison(first.as_posix(), second.as_posix(), sections, differing)


def _has_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("notebook.ipynb", "result.json", "request.json"))


def compare_runs(first: Run, second: Run) -> Comparison:
    """Compare two runs of a notebook."""
    prints = [run.request.get("fingerprint") or run.result.get("fingerprint") or {} for run in (first, second)]
    used = [(run.result.get("fingerprint") or {}).get("code") or found.get("code", {}) for run, found in zip((first, second), prints, strict=True)]  # fmt: skip
    parameters = [
        {name: literal(value) for name, value in run.request.get("parameters", {}).items() if name != "output_dir"}
        for run in (first, second)
    ]
    origins = (first.provenance, second.provenance)
    places = [_without_experiment(found, run) for found, run in zip(parameters, (first, second), strict=True)]
    inputs = [
        _named(found.get("inputs") or origin.get("inputs") or {}) for found, origin in zip(prints, origins, strict=True)
    ]
    sections = [
        _section("parameters", *parameters, compared=places),
        Section("code of the notebook", text=notebook_diff(first.notebook, second.notebook)),
        _section("library", *(({**_revision(origin), **code}) for origin, code in zip(origins, used, strict=True))),
        _section("inputs", *inputs),
        environment(*origins),
        outcomes(first, second),
        artifacts(first, second),
    ]
    return Comparison(first.name, second.name, tuple(sections))


def _named(inputs: dict[str, str]) -> dict[str, str]:
    """Inputs by what they refer to; with the generation that made them only where it takes that to tell two apart."""
    plain = [name.partition("@")[0] for name in inputs]
    return {
        short if name.startswith("${") and plain.count(short) == 1 else name: found
        for (name, found), short in zip(inputs.items(), plain, strict=True)
    }


def _revision(origin: dict) -> dict[str, str]:
    git = origin.get("git") or {}
    return {"git commit": git.get("sha", "–")[:12], "uncommitted changes": git.get("dirty") or "none"} if git else {}


def _without_experiment(parameters: dict[str, str], run: Run) -> dict[str, str]:
    """Parameters in which the folder of the run's own experiment is not told from another's."""
    name = run.request.get("experiment")
    return {key: value.replace(f"/{name}/", "/*/") for key, value in parameters.items()} if name else parameters


def _section(title: str, first: dict, second: dict, compared: list[dict] | None = None) -> Section:
    """What differs between two dicts.

    Args:
        compared: the two as they are to be compared, where that is not as they are shown.
    """
    one, other = compared or (first, second)
    rows = [row for row in _differing(first, second) if one.get(row.name) != other.get(row.name)]
    return Section(title, tuple(rows), equal=len(first.keys() | second.keys()) - len(rows))


def _differing(first: dict, second: dict) -> list[Row]:
    names = list(dict.fromkeys([*first, *second]))
    return [Row(name, _text(first, name), _text(second, name)) for name in names if first.get(name) != second.get(name)]


def _text(found: dict, name: str) -> str:
    return str(found[name]) if found.get(name) is not None else "–"


def environment(first: dict, second: dict) -> Section:
    """Packages, machine and seed of two provenances."""
    described = []
    for origin in (first, second):
        packages = {f"package {name}": version for name, version in origin.get("packages", {}).items()}
        described.append({**packages, **{key: origin[key] for key in (*_MACHINE, "seed") if key in origin}})
    return _section("packages and machine", *described)


def notebook_diff(first: nbformat.NotebookNode | None, second: nbformat.NotebookNode | None) -> tuple[str, ...]:
    """The code of two notebooks, cell by cell, as a unified diff; outputs and injected values do not count."""
    if first is None or second is None:
        return ()
    lines = [_code(notebook) for notebook in (first, second)]
    return tuple(difflib.unified_diff(*lines, "first", "second", lineterm="", n=2))


def _code(notebook: nbformat.NotebookNode) -> list[str]:
    lines: list[str] = []
    number = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and not {INJECTED_TAG, _ERROR_MARKER} & set(cell.metadata.get("tags", [])):
            number += 1
            lines += [f"# ---- code cell {number} ----", *cell.source.splitlines()]
    return lines


def outcomes(first: Run, second: Run) -> Section:
    """How two runs ended, what they took, and all their metrics side by side."""
    rows = []
    for name in ("state", "message"):
        one, other = (str(run.status.get(name) or "–") for run in (first, second))
        rows += [Row(name, one, other, EQUAL if one == other else "")] if one != "–" or other != "–" else []
    for name, word in (("wall_seconds", "took"), ("cpu_seconds", "processor time")):
        one, other = (run.provenance.get(name) for run in (first, second))
        if one is not None and other is not None:
            rows.append(Row(word, duration(one), duration(other), CLOCK))
    rows += metrics(first.result.get("metrics", {}), second.result.get("metrics", {}))
    return Section("outcome", tuple(rows))


def metrics(first: dict, second: dict) -> list[Row]:
    """The metrics of two results side by side, and how each pair compares."""
    one, other = (_single(gathered(found)) for found in (first, second))
    return [
        Row(name, _words(one, name), _words(other, name), comparison(name, one.get(name), other.get(name)))
        for name in dict.fromkeys([*one, *other])
    ]


def _single(found: dict) -> dict:
    """Gathered metrics with tables of them taken apart again."""
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            flat |= {f"{name}/{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    return flat


def _words(found: dict, name: str) -> str:
    value = found.get(name)
    if name not in found or isinstance(value, tuple) or is_number(value) or value is None:
        return words(value)
    return str(value)


def comparison(name: str, first: Any, second: Any) -> str:
    """How two values of a metric compare, in words."""
    if first == second:
        return EQUAL
    if first is None or second is None:
        return "only one has it"
    if isinstance(first, tuple) and isinstance(second, tuple):
        return "intervals overlap" if first[1] <= second[2] and second[1] <= first[2] else "intervals apart"
    if is_number(first) and is_number(second):
        change = f"{100 * (second - first) / abs(first):+.3g}%" if first else f"{second - first:+.3g}"
        return f"{change}, {CLOCK}" if is_clocked(name) else change
    return "differs"


def artifacts(first: Run, second: Run) -> Section:
    """The artifacts of two results by the hash of their content; where it differs, whether in more than times and places."""
    hashes = [{label: found for label, (_, found) in _described(run).items()} for run in (first, second)]
    plain = _section("artifacts", *hashes)
    rows = tuple(Row(row.name, row.first, row.second, _alike(row.name, first, second)) for row in plain.rows)
    return Section(plain.title, rows, plain.equal)


def _alike(label: str, first: Run, second: Run) -> str:
    paths = [_described(run).get(label, ("", ""))[0] for run in (first, second)]
    if not all(paths) or first.base is None or second.base is None:
        return "only one has it" if not all(paths) else ""
    found = differing_files(first.base / paths[0], second.base / paths[1])
    if found is None:
        return "gone, or too large to be looked into"
    if not found:
        return f"the same but for times and places, {CLOCK}"
    more = f" and {len(found) - _SHOWN_FILES} more" if len(found) > _SHOWN_FILES else ""
    return "differs: " + ", ".join(found[:_SHOWN_FILES]) + more


def _described(run: Run) -> dict[str, tuple[str, str]]:
    """(path, hash) of a result's artifacts by name, those of lists and dicts one by one."""
    return dict(flattened(run.result.get("artifacts", {})))
