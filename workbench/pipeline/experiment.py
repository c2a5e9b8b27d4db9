"""Experiments: chains of notebooks, repeated for generations, and the values each stage runs with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.pipeline.parameters import ParameterError, Schema, check, interpret, nearest
from workbench.pipeline.references import EVERY, METRICS, PREVIOUS, Reference, find_references, substitute
from workbench.pipeline.status import DONE, SKIPPED


class ExperimentError(ValueError):
    """An experiment that cannot be run as it is written."""


@dataclass(frozen=True)
class StagePlan:
    """One stage of a chain.

    Args:
        folder: what its folder in a generation's is called, e.g. `06_finetune`.
        parameters: as written, references and all; shared ones laid under.
        initial: laid over `parameters` in the first generation.
        generations: in which it runs.
        closing: whether it runs after all generations (`generations: last`), also where `stop_when` has ended them early.
        when: what must be true for it to run; None always.
        artifacts: names it hands on; None where the notebook does not let them be told.
        time_limit: seconds, None without one; of each attempt.
        cell_time_limit: seconds that each of its cells may take, None without one.
        retries: how often it is tried again after it failed, was killed or ran out of time.
        retry_delay: seconds before the first of these; doubled before each further one.
        wandb: a mode of Weights & Biases; None leaves it to the environment.
    """

    name: str
    folder: str
    notebook: Path
    schema: Schema
    parameters: dict[str, Any]
    initial: dict[str, Any]
    generations: tuple[int, ...]
    closing: bool = False
    when: Any = None
    artifacts: frozenset[str] | None = None
    time_limit: float | None = None
    cell_time_limit: float | None = None
    retries: int = 0
    retry_delay: float = 30.0
    wandb: str | None = None


@dataclass(frozen=True)
class Chain:
    """Stages in order, repeated for generations; its name is empty where the experiment has only one.

    `stop_when` is what ends them early: no generation begins after one for which it holds. None: nothing does.
    """

    name: str
    generations: int
    shared: dict[str, Any]
    stages: dict[str, StagePlan]
    description: str = ""
    stop_when: Any = None


@dataclass(frozen=True)
class Experiment:
    """What a YAML file says, with the overrides of the command line laid over it."""

    name: str
    file: Path
    chains: tuple[Chain, ...]
    description: str = ""
    overrides: tuple[str, ...] = field(default=())

    def runs(self) -> list[tuple[Chain, int, StagePlan]]:
        """(chain, generation, stage) in the order they run."""
        return [
            (chain, generation, stage)
            for chain in self.chains
            for generation in range(1, chain.generations + 1)
            for stage in chain.stages.values()
            if generation in stage.generations
        ]


def written_parameters(stage: StagePlan, generation: int) -> dict[str, Any]:
    """A stage's parameters as written for that generation."""
    return {**stage.parameters, **(stage.initial if generation == 1 else {})}


def constant(reference: Reference, chain: Chain, generation: int, experiment: str) -> Any:
    """What a reference that needs no stage's result stands for; the reference's own text where it does need one."""
    if not reference.is_constant:
        return reference.text
    if reference.stage == "generation":
        return generation
    if reference.stage == "experiment":
        return experiment
    value: Any = chain.shared
    for key in reference.path:
        value = value[key]
    return value


def truth(value: Any) -> bool:
    """What a `when` says.

    Raises:
        ParameterError: neither true nor false.
    """
    return check(interpret(value, bool), bool)


def latest_generation(reference: Reference, chain: Chain, stage: StagePlan, generation: int) -> tuple[bool, int]:
    """Whether the stage referred to comes before in a generation, and the last generation whose result is meant."""
    order = list(chain.stages)
    runs_before = order.index(reference.stage) < order.index(stage.name)
    return runs_before, generation if runs_before and reference.reach != PREVIOUS else generation - 1


def awaited(chain: Chain, stage: StagePlan, generation: int, state_of) -> tuple[str, int] | None:
    """The first run (stage, generation) whose result a stage refers to and that has none to give; None where all have.

    Args:
        state_of: the state of a (stage, generation) of this chain. What was skipped stands back for the one before it.
    """
    written = (*written_parameters(stage, generation).values(), stage.when)
    for reference in find_references(written):
        if reference.is_constant:
            continue
        target = chain.stages[reference.stage]
        _, latest = latest_generation(reference, chain, stage, generation)
        for number in sorted((number for number in target.generations if number <= latest), reverse=True):
            state = state_of(target.name, number)
            if state not in DONE:
                return target.name, number
            if state != SKIPPED and reference.reach != EVERY:
                break
    return None


@dataclass(frozen=True)
class Resolved:
    """What a stage runs with, once what it refers to has been made.

    Args:
        values: all parameters, validated.
        inputs: content hashes of the artifacts referred to, by reference.
        paths: where these lie, relative to the experiment's folder.
        holds: whether the stage's `when` does.
    """

    values: dict[str, Any]
    inputs: dict[str, str]
    paths: dict[str, str]
    holds: bool


def resolve_parameters(
    experiment: Experiment, chain: Chain, stage: StagePlan, generation: int, results: dict[tuple[str, int], dict], place
) -> Resolved:
    """The values a stage runs with.

    Args:
        results: `result.json` by (stage, generation), of this chain.
        place: turns a path relative to the experiment's folder into the path a notebook is given.

    Raises:
        ExperimentError: an artifact that the stage referred to did not finish with, or a value that does not fit.
    """
    inputs: dict[str, str] = {}
    paths: dict[str, str] = {}

    def look_up(reference: Reference):
        if reference.is_constant:
            return constant(reference, chain, generation, experiment.name)
        target = chain.stages[reference.stage]
        _, latest = latest_generation(reference, chain, stage, generation)
        made = [number for number in target.generations if number <= latest and (target.name, number) in results]
        if not made:
            raise ExperimentError(f"stage {stage.name}: {reference.text}: stage {target.name!r} has no result yet")
        chosen = made if reference.reach == EVERY else made[-1:]
        where = f"stage {stage.name}"
        found = [
            _artifact(results[target.name, number], reference, where, place, (inputs, paths), number)
            for number in chosen
        ]
        return found if reference.reach == EVERY else found[0]

    written = {key: substitute(value, look_up) for key, value in written_parameters(stage, generation).items()}
    try:
        values = stage.schema.validate(written)
        return Resolved(values, inputs, paths, stage.when is None or truth(substitute(stage.when, look_up)))
    except ParameterError as error:
        raise ExperimentError(f"stage {stage.name}: {error}") from None


def is_over(experiment: Experiment, chain: Chain, generation: int, results: dict[tuple[str, int], dict]) -> bool:
    """Whether a chain's `stop_when` holds after a generation; it does not while nothing it refers to has a result.

    Args:
        results: as of `resolve_parameters`.

    Raises:
        ExperimentError: a figure that the stage referred to did not finish with, or that is neither true nor false.
    """
    if chain.stop_when is None:
        return False

    def look_up(reference: Reference):
        if reference.is_constant:
            return constant(reference, chain, generation, experiment.name)
        return _artifact(results[reference.stage, generation], reference, "stop_when", None, ({}, {}), generation)

    asked = [reference.stage for reference in find_references(chain.stop_when) if not reference.is_constant]
    if any((stage, generation) not in results for stage in asked):
        return False
    try:
        return truth(substitute(chain.stop_when, look_up))
    except ParameterError as error:
        raise ExperimentError(f"stop_when: {error}") from None


def _artifact(result: dict, reference: Reference, where: str, place, noted: tuple[dict, dict], generation: int):
    if reference.path[0] == METRICS:
        found: Any = result["metrics"]
        keys = reference.path[1:]
        joined = ".".join(keys)
        keys = (joined,) if isinstance(found, dict) and joined in found else keys
    else:
        found, keys = result["artifacts"], reference.path
    for key in keys:
        index = int(key) if isinstance(found, list) and re.fullmatch(r"-?\d+", key) else key
        try:
            found = found[index]
        except (KeyError, IndexError, TypeError):
            known = found if isinstance(found, dict) else [f"0 to {len(found) - 1}"] if isinstance(found, list) else []
            raise ExperimentError(
                f"{where}: {reference.text}: {reference.stage} finished with no {key!r}; {nearest(key, known)}"
            ) from None
    return found if reference.path[0] == METRICS else _placed(found, place, noted, f"{reference.text}@{generation}")


def _placed(found, place, noted: tuple[dict, dict], label: str):
    """Paths out of an artifact's description, noting hashes and paths."""
    if isinstance(found, list):
        return [_placed(item, place, noted, f"{label}[{index}]") for index, item in enumerate(found)]
    if "path" not in found:
        return {key: _placed(item, place, noted, f"{label}.{key}") for key, item in found.items()}
    inputs, paths = noted
    inputs[label], paths[label] = found["hash"], found["path"]
    return place(found["path"])
