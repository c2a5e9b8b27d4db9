"""References between stages: `${filter.dataset}`, `${previous.finetune.policy}`, `${shared.seed}`, `${generation}`.

${stage.artifact}            what the stage finished with, in this generation or the last in which it ran
${stage.artifact.key}        one of several, where the artifact is a dict or (by number) a list
${stage.metrics.name}        a figure it finished with
${previous.stage.artifact}   the same, in the generation before
${every.stage.artifact}      a list: all generations so far, in order
${shared.name}               a shared parameter of the experiment
${generation}, ${experiment} the number (from 1) and the name
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

from workbench.pipeline.notebook_io import nbformat
from workbench.pipeline.plain_yaml import Plain

PREVIOUS, EVERY, METRICS = "previous", "every", "metrics"
CONSTANTS = ("generation", "experiment", "shared")
RESERVED = (PREVIOUS, EVERY, METRICS, *CONSTANTS)
_REFERENCE = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True)
class Reference:
    """`${[previous.|every.]stage.path...}`, taken apart."""

    text: str
    reach: str
    stage: str
    path: tuple[str, ...]

    @classmethod
    def parse(cls, inside: str) -> Reference:
        parts = [part.strip() for part in inside.split(".")]
        reach = parts.pop(0) if parts[0] in (PREVIOUS, EVERY) else ""
        return cls("${" + inside + "}", reach, parts[0] if parts else "", tuple(parts[1:]))

    @property
    def is_constant(self) -> bool:
        return not self.reach and self.stage in CONSTANTS


def find_references(value: Any) -> list[Reference]:
    """All references inside a value, nested lists and dicts included."""
    if isinstance(value, dict):
        return [found for item in value.values() for found in find_references(item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in find_references(item)]
    if isinstance(value, str):
        return [Reference.parse(inside) for inside in _REFERENCE.findall(value)]
    return []


def substitute(value: Any, look_up) -> Any:
    """The value with each reference replaced by `look_up(reference)`.

    A text that is one reference becomes what it refers to, whatever its type; a list item that is one reference to a
    list is replaced by that list's items; a reference inside longer text becomes text.
    """
    if isinstance(value, dict):
        return {key: substitute(item, look_up) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = []
        for item in value:
            found = substitute(item, look_up)
            spread = isinstance(found, (list, tuple)) and isinstance(item, str)
            items += found if spread else [found]
        return items
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value.strip())
    if whole:
        return look_up(Reference.parse(whole[1]))
    if not _REFERENCE.search(value):
        return value
    return Plain(_REFERENCE.sub(lambda match: str(look_up(Reference.parse(match[1]))), value))


def declared_artifacts(notebook: nbformat.NotebookNode) -> set[str] | None:
    """Names of the artifacts a notebook's `.finish(name=...)` calls hand on; None where they cannot be told from the code."""
    names: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:  # a magic; it may hide a call
            if ".finish(" in cell.source:
                return None
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "finish":
                if any(keyword.arg is None for keyword in node.keywords):
                    return None
                names |= {keyword.arg for keyword in node.keywords} - {METRICS}
    return names
