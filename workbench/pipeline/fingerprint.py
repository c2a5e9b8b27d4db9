"""What a stage's result depends on, as hashes: why it runs again, or why it need not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.pipeline.files import hash_json, hash_path
from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.parameters import INJECTED_TAG, literal


def notebook_hash(notebook: nbformat.NotebookNode) -> str:
    """Hash of a notebook's code; its outputs, its prose and its metadata do not count."""
    cells = [
        (cell.source, sorted(cell.metadata.get("tags", [])))
        for cell in notebook.cells
        if cell.cell_type == "code" and INJECTED_TAG not in cell.metadata.get("tags", [])
    ]
    return hash_json(cells)


def fingerprint(
    notebook: nbformat.NotebookNode, parameters: dict[str, Any], inputs: dict[str, str], code: dict[str, str]
) -> dict:
    """`{"notebook", "parameters", "inputs", "code"}`: the parameters' values by name, the rest as hashes.

    Args:
        inputs: content hashes of the artifacts the parameters refer to, by reference. Files and folders that a
            parameter names by path are hashed here.
        code: hashes of the library's files.
    """
    files = {f"{name}={path}": hash_path(path) for name, value in parameters.items() for path in _paths(value)}
    referred = set(inputs.values())
    return {
        "notebook": notebook_hash(notebook),
        "parameters": {name: literal(value) for name, value in parameters.items()},
        "inputs": {**inputs, **{name: found for name, found in files.items() if found not in referred}},
        "code": code,
    }


def _paths(value: Any) -> list[str]:
    """Texts inside a value that are paths of files or folders that exist."""
    if isinstance(value, dict):
        return [path for item in value.values() for path in _paths(item)]
    if isinstance(value, (list, tuple)):
        return [path for item in value for path in _paths(item)]
    if not isinstance(value, str) or not ("/" in value or "." in value.strip(".")):
        return []
    try:
        return [value] if Path(value).exists() else []
    except OSError:  # too long for a path
        return []


def differences(before: dict | None, now: dict) -> list[str]:
    """In words, what changed since a result was made; empty where nothing did.

    Of the library's code those files count that `before` lists: the ones a finished stage has used.
    """
    if not before:
        return ["its result does not say what it was made from"]
    found = []
    if before["notebook"] != now["notebook"]:
        found.append("the notebook's code changed")
    for kind, word in (("parameters", ""), ("inputs", "input ")):
        for name in sorted(before[kind].keys() | now[kind].keys()):
            old, new = before[kind].get(name), now[kind].get(name)
            if old != new:
                found.append(f"{word}{name} changed" + (f": {old} -> {new}" if kind == "parameters" else ""))
    changed = sorted(name for name, found_then in before["code"].items() if now["code"].get(name) != found_then)
    if changed:
        more = f" and {len(changed) - 2} more files" if len(changed) > 2 else ""
        found.append(f"the library's code changed: {', '.join(changed[:2])}{more}")
    return found


def only_code_differs(before: dict, now: dict) -> bool:
    """Whether notebook, parameters and inputs are the same: a difference there may be is the library's."""
    return all(before[kind] == now[kind] for kind in ("notebook", "parameters", "inputs"))


def damage(result: dict, experiment_folder: Path) -> str:
    """Which artifact of a result is missing or altered, in words; empty where all are as they were."""

    def look(name: str, item) -> str:
        if isinstance(item, list):
            return next(filter(None, (look(f"{name}[{index}]", one) for index, one in enumerate(item))), "")
        if "path" not in item:
            return next(filter(None, (look(f"{name}.{key}", one) for key, one in item.items())), "")
        path = experiment_folder / item["path"]
        if not path.exists():
            return f"its {name} ({item['path']}) is gone"
        return "" if hash_path(path) == item["hash"] else f"its {name} ({item['path']}) was altered"

    return next(filter(None, (look(name, item) for name, item in result["artifacts"].items())), "")
