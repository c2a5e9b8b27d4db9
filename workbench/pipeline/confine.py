"""Which paths an experiment's parameters may name.

An experiment may come from somebody else. What its YAML says stays, links followed, inside the folder that results go to
(`--output-dir`) and the folder that the YAML itself lies in, with what was shipped beside it. A path that leads elsewhere,
an absolute one, one with `..` or `~`, has to be named on the command line: as an override (`filter.dataset=/data/games`),
or by the folder it lies in (`--allow-path /data`).

What is a path is told by its look, whatever the parameter's type: text that is absolute, begins with `~`, has a `..`
among its parts, or is the name of something that exists. Names such as `gen1ou/max-power` are none of these.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.pipeline.experiment import Experiment, ExperimentError, Resolved, StagePlan, written_parameters
from workbench.pipeline.parameters import parse_override
from workbench.pipeline.plain_yaml import resolve


def texts(value: Any) -> list[str]:
    """All texts inside a value, keys of dicts left out."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in texts(item)]
    return [str(value)] if isinstance(value, str) else []


def is_within(path: Path | str, roots: Iterable[Path]) -> bool:
    """Whether a path, links followed, is one of the roots or below one."""
    try:
        place = Path(path).expanduser().resolve()
    except (RuntimeError, OSError):  # the home of nobody; a loop of links
        return False
    return any(place.is_relative_to(root.expanduser().resolve()) for root in roots)


def outside(value: Any, roots: Iterable[Path]) -> list[str]:
    """The paths inside a value that lead out of all the roots, as written."""
    return [text for text in texts(value) if _is_path(text) and not is_within(text, roots)]


def _is_path(text: str) -> bool:
    if not text or "\n" in text or "\0" in text or len(text) > 4096:
        return False
    if text[0] in "/~" or ".." in Path(text).parts:
        return True
    try:
        return (("/" in text or "." in text) and Path(text).exists()) or Path(text).is_symlink()
    except OSError:  # too long a name
        return False


def named(overrides: Iterable[str]) -> list[Path]:
    """Paths that the values of overrides (`stage.parameter=value`) name: whoever typed them allows them."""
    values = [resolve(parse_override(text)[1]) for text in overrides]
    return [Path(text) for value in values for text in texts(value) if _is_path(text)]


def check_paths(experiment: Experiment, roots: list[Path]) -> None:
    """See that no path written in an experiment leads out of the roots.

    Raises:
        ExperimentError: those that do, one line each, with what to type for them.
    """
    problems = []
    for _, generation, stage in experiment.runs():
        for name, value in written_parameters(stage, generation).items():
            problems += [refusal(stage.name, name, path) for path in outside(resolve(value), roots)]
    if problems:
        raise ExperimentError("\n".join(dict.fromkeys(problems)))


def check_resolved(stage: StagePlan, resolved: Resolved, folder: Path, roots: list[Path]) -> None:
    """See that no value of a stage leads out of the roots, and no artifact it refers to out of the experiment's folder.

    A value may come from another stage's `result.json`, which is a file as any other. Defaults are the notebook's own.

    Raises:
        ExperimentError: those that do, one line each.
    """
    problems = [
        refusal(stage.name, name, path)
        for name, value in resolved.values.items()
        if value != stage.schema.parameters[name].default
        for path in outside(value, roots)
    ]
    problems += [
        f"stage {stage.name}: {label}: its path {path} leads out of {folder}"
        for label, path in resolved.paths.items()
        if not is_within(folder / path, [folder])
    ]
    if problems:
        raise ExperimentError("\n".join(problems))


def refusal(stage: str, parameter: str, path: str) -> str:
    """Why a path is refused, and what to type if it is meant."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    return (
        f"stage {stage}: {parameter}: {path} lies outside the folders of this experiment; if you mean it, say so on the "
        f"command line: --allow-path {shlex.quote(folder.as_posix())}, or {stage}.{parameter}=..."
    )
