"""Experiments: YAML files that chain notebooks into generations, checked before anything runs.

    name: quickstart
    shared: {seed: 0}                  # goes to every stage that has such a parameter
    generations: 2
    stages:
      collect:                         # notebook: 04_collect is found by its name
        parameters: {games: 200}
        initial: {policy: random}      # in the first generation, which has no previous one
      finetune:
        time_limit: 2h
        parameters:
          dataset: ${collect.dataset}

Several games in one file: `chains:`, each with `generations`, `shared` and `stages` of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.pipeline.parameters import (
    ParameterError,
    Schema,
    check,
    interpret,
    merge,
    nearest,
    parse_override,
    read_notebook,
    read_schema,
)
from workbench.pipeline.plain_yaml import Plain, load_text, resolve
from workbench.pipeline.references import (
    EVERY,
    METRICS,
    PREVIOUS,
    RESERVED,
    Reference,
    declared_artifacts,
    find_references,
    substitute,
)
from workbench.pipeline.text import parse_duration

SET_BY_RUNNER = "output_dir"
_TOP = ("name", "description", "generations", "shared", "stages", "chains", "time_limit")
_CHAIN = ("generations", "shared", "stages", "description")
_STAGE = ("notebook", "parameters", "initial", "generations", "once", "when", "time_limit", "description")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


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
        when: what must be true for it to run; None always.
        artifacts: names it hands on; None where the notebook does not let them be told.
        time_limit: seconds, None without one.
    """

    name: str
    folder: str
    notebook: Path
    schema: Schema
    parameters: dict[str, Any]
    initial: dict[str, Any]
    generations: tuple[int, ...]
    when: Any = None
    artifacts: frozenset[str] | None = None
    time_limit: float | None = None


@dataclass(frozen=True)
class Chain:
    """Stages in order, repeated for generations; its name is empty where the experiment has only one."""

    name: str
    generations: int
    shared: dict[str, Any]
    stages: dict[str, StagePlan]
    description: str = ""


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


def load_experiment(file: Path | str, overrides: tuple[str, ...] | list[str] = ()) -> Experiment:
    """Read an experiment and check all that can be known before it starts.

    Args:
        overrides: `stage.parameter=value`, `shared.seed=1`, `generations=3`, with the chain's name in front where only
            one of several chains is meant: `melee.tournament.games=50`.

    Raises:
        ExperimentError: all that is wrong, one line each: unknown keys, notebooks, parameters and references with the
            nearest names, ill-typed values.
    """
    file = Path(file)
    if not file.is_file():
        raise ExperimentError(f"{file}: no such experiment; they lie in params/ as a rule")
    document = load_text(file.read_text(encoding="utf-8"), str(file))
    try:
        return _Reader(file, tuple(overrides)).read(document)
    except ParameterError as error:
        raise ExperimentError(str(error)) from None


class _Reader:
    """Goes through a document and gathers what is wrong with it."""

    def __init__(self, file: Path, overrides: tuple[str, ...]):
        self.file, self.overrides = file, overrides
        self.problems: list[str] = []

    def read(self, document) -> Experiment:
        if not isinstance(document, dict):
            raise ExperimentError(f"{self.file}: expected keys such as name, generations and stages")
        self._known(document, _TOP, "the experiment")
        name = str(document.get("name", self.file.stem))
        if not _NAME.fullmatch(name):
            self.problems.append(f"{self.file}: name: {name!r} must be letters, digits, - and _")
        chains = self._chains(document)
        self._override(chains)
        self._raise()
        limit = document.get("time_limit")
        built = tuple(self._chain(key, chain, document.get("shared") or {}, limit) for key, chain in chains.items())
        self._raise()
        return Experiment(name, self.file, built, str(document.get("description", "")), self.overrides)

    def _raise(self) -> None:
        if self.problems:
            raise ExperimentError("\n".join(dict.fromkeys(self.problems)))

    def _known(self, given: dict, known: tuple[str, ...], where: str) -> None:
        for key in given:
            if key not in known:
                self.problems.append(f"{self.file}: {where} has no key {str(key)!r}; {nearest(key, known)}")

    def _mapping(self, value, where: str) -> dict:
        if value is None or value == "":
            return {}
        if not isinstance(value, dict):
            self.problems.append(f"{self.file}: {where}: expected `name: value` lines, got {value!r}")
            return {}
        return value

    def _chains(self, document: dict) -> dict[str, dict]:
        if ("stages" in document) == ("chains" in document):
            self.problems.append(f"{self.file}: expected either stages: or chains:, found {'both' if 'stages' in document else 'neither'}")
            return {}
        if "stages" in document:
            plain = {key: document[key] for key in ("generations", "stages") if key in document}
            return {"": {**plain, "shared": {}}}
        chains = {}
        for name, chain in self._mapping(document["chains"], "chains").items():
            chain = self._mapping(chain, f"chain {name}")
            self._known(chain, _CHAIN, f"chain {name}")
            chains[str(name)] = {"generations": document.get("generations", Plain("1")), "shared": {}, **chain}
        return chains

    # -- overrides -------------------------------------------------------------------------------------------------

    def _override(self, chains: dict[str, dict]) -> None:
        """Lay the command line's values over the document's, in place."""
        for name, chain in chains.items():
            stages = self._mapping(chain.get("stages"), f"stages {name}")
            chain["stages"] = {str(key): dict(self._mapping(stage, f"stage {key}")) for key, stage in stages.items()}
            chain["shared"] = dict(self._mapping(chain.get("shared"), "shared"))
        for text in self.overrides:
            keys, value = parse_override(text)
            within = chains
            if len(keys) > 1 and keys[0] in chains and keys[0]:
                within = {keys[0]: chains[keys.pop(0)]}
            self._override_one(text, keys, value, within)

    def _override_one(self, text: str, keys: list[str], value, chains: dict[str, dict]) -> None:
        if keys == ["generations"]:
            for chain in chains.values():
                chain["generations"] = value
            return
        if keys[0] == "shared" and len(keys) > 1:
            for chain in chains.values():
                chain["shared"] = merge(chain["shared"], _nest(keys[1:], value))
            return
        having = [chain["stages"][keys[0]] for chain in chains.values() if keys[0] in chain["stages"]]
        if not having or len(keys) < 2:
            known = [stage for chain in chains.values() for stage in chain["stages"]]
            known += ["shared", "generations", *(name for name in chains if name)]
            self.problems.append(f"override {text!r}: no stage {keys[0]!r}; {nearest(keys[0], dict.fromkeys(known))}")
        for stage in having if len(keys) > 1 else []:
            if keys[1:] in (["time_limit"], ["when"], ["notebook"]):
                stage[keys[1]] = value
                continue
            parameters = self._mapping(stage.get("parameters"), f"stage {keys[0]}: parameters")
            stage["parameters"] = merge(parameters, _nest(keys[1:], value))
            stage["initial"] = {key: item for key, item in (stage.get("initial") or {}).items() if key != keys[1]}

    # -- building --------------------------------------------------------------------------------------------------

    def _chain(self, name: str, chain: dict, shared: dict, limit) -> Chain:
        where = f"chain {name}: " if name else ""
        generations = self._count(chain.get("generations", Plain("1")), f"{where}generations")
        shared = merge(self._mapping(shared, "shared"), chain["shared"])
        stages: dict[str, StagePlan] = {}
        for key, written in chain["stages"].items():
            stage = self._stage(key, written, shared, generations, f"{where}stage {key}", limit)
            if stage is not None:
                stages[key] = stage
        if not chain["stages"]:
            self.problems.append(f"{self.file}: {where}stages: there are none")
        built = Chain(name, generations, resolve(shared), stages, str(chain.get("description", "")))
        for key in shared:
            if stages and not any(key in stage.schema for stage in stages.values()):
                known = {parameter for stage in stages.values() for parameter in stage.schema.parameters}
                self.problems.append(f"{self.file}: {where}shared: no stage has a parameter {key!r}; {nearest(key, sorted(known))}")
        if not self.problems:
            for stage in stages.values():
                self._check(built, stage, f"{where}stage {stage.name}")
        return built

    def _stage(self, name: str, written: dict, shared: dict, generations: int, where: str, limit) -> StagePlan | None:
        self._known(written, _STAGE, where)
        if not _NAME.fullmatch(name) or name in RESERVED:
            self.problems.append(f"{self.file}: {where}: a stage cannot be called {name!r}; use letters, digits, - and _")
        try:
            path = find_notebook(str(written.get("notebook", name)), self.file.parent)
            schema, artifacts = read_schema(path), declared_artifacts(read_notebook(path))
        except (ParameterError, FileNotFoundError) as error:
            self.problems.append(f"{self.file}: {where}: {error}")
            return None
        parameters = self._mapping(written.get("parameters"), f"{where}: parameters")
        initial = self._mapping(written.get("initial"), f"{where}: initial")
        for key in (*parameters, *initial):
            if key == SET_BY_RUNNER:
                self.problems.append(f"{self.file}: {where}: {key} is set by the runner; leave it out")
        if SET_BY_RUNNER not in schema:
            self.problems.append(f'{path}: the parameters cell needs `{SET_BY_RUNNER}: str = ""`, by which the runner says where to write')
        laid = {key: value for key, value in shared.items() if key in schema}
        number = re.match(r"\d+", path.stem)
        return StagePlan(
            name=name,
            folder=f"{number[0]}_{name}" if number else name,
            notebook=path,
            schema=schema,
            parameters=merge(laid, parameters),
            initial=initial,
            generations=self._generations(written, generations, where),
            when=written.get("when"),
            artifacts=None if artifacts is None else frozenset(artifacts),
            time_limit=self._limit(written.get("time_limit", limit), where),
        )

    def _count(self, value, where: str) -> int:
        count = resolve(value)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            self.problems.append(f"{self.file}: {where}: expected a whole number from 1, got {value!r}")
            return 1
        return count

    def _limit(self, value, where: str) -> float | None:
        if value is None or resolve(value) is None:
            return None
        try:
            return parse_duration(value)
        except ValueError as error:
            self.problems.append(f"{self.file}: {where}: time_limit: {error}")
            return None

    def _generations(self, written: dict, total: int, where: str) -> tuple[int, ...]:
        given = resolve(written.get("generations"))
        if resolve(written.get("once")) not in (None, True, False):
            self.problems.append(f"{self.file}: {where}: once: expected true or false, got {written['once']!r}")
        if resolve(written.get("once")) is True:
            given = "first"
        words = {None: range(1, total + 1), "all": range(1, total + 1), "first": (1,), "last": (total,), "later": range(2, total + 1)}
        if not isinstance(given, list) and given in words:
            return tuple(words[given])
        listed = given if isinstance(given, list) else [given]
        if not all(isinstance(item, int) and item >= 1 for item in listed):
            self.problems.append(f"{self.file}: {where}: generations: expected first, last, later, all or a list of numbers from 1, got {given!r}")
            return ()
        return tuple(sorted(item for item in set(listed) if item <= total))

    # -- checking --------------------------------------------------------------------------------------------------

    def _check(self, chain: Chain, stage: StagePlan, where: str) -> None:
        for generation in stage.generations:
            values = written_parameters(stage, generation)
            if stage.when is not None:
                values = {**values, "when": stage.when}
            for key, value in values.items():
                for reference in find_references(value):
                    problem = _check_reference(reference, chain, stage, generation)
                    if problem:
                        self.problems.append(f"{self.file}: {where}: {key}: {reference.text}: {problem}")
            values.pop("when", None)
            self._check_values(chain, stage, generation, values, where)

    def _check_values(self, chain: Chain, stage: StagePlan, generation: int, values: dict, where: str) -> None:
        known = {}
        for key, value in values.items():
            constant = substitute(value, lambda reference: _constant(reference, chain, generation, self.file.stem))
            if key not in stage.schema or not find_references(constant):
                known[key] = constant
        try:
            stage.schema.validate(known)
        except ParameterError as error:
            self.problems += [f"{self.file}: {where}: {line}" for line in str(error).splitlines()]


def _nest(keys: list[str], value) -> dict:
    for key in reversed(keys):
        value = {key: value}
    return value


def written_parameters(stage: StagePlan, generation: int) -> dict[str, Any]:
    """A stage's parameters as written for that generation."""
    return merge(stage.parameters, stage.initial) if generation == 1 else dict(stage.parameters)


def _constant(reference: Reference, chain: Chain, generation: int, experiment: str) -> Any:
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


def _check_reference(reference: Reference, chain: Chain, stage: StagePlan, generation: int) -> str:
    """What is wrong with a reference, in words; empty where nothing is."""
    if reference.is_constant:
        if reference.stage != "shared":
            return f"expected ${{{reference.stage}}} without more" if reference.path else ""
        value: Any = chain.shared
        for key in reference.path:
            if not isinstance(value, dict) or key not in value:
                return f"no shared parameter {'.'.join(reference.path)!r}; {nearest(key, value if isinstance(value, dict) else [])}"
            value = value[key]
        return ""
    if reference.stage not in chain.stages:
        return f"no stage {reference.stage!r}; {nearest(reference.stage, chain.stages)}"
    target = chain.stages[reference.stage]
    order = list(chain.stages)
    runs_before = order.index(target.name) < order.index(stage.name)
    latest = generation if runs_before and reference.reach != PREVIOUS else generation - 1
    if not any(number <= latest for number in target.generations):
        if generation == 1 and (reference.reach == PREVIOUS or not runs_before):
            return "the first generation has no previous one; say under `initial:` what it takes instead"
        return f"stage {target.name!r} has not run by then; it runs in generations {list(target.generations)}"
    if not runs_before and not reference.reach:
        return f"stage {target.name!r} comes later in a generation; for the one before, write ${{previous.{'.'.join((target.name, *reference.path))}}}"
    if not reference.path:
        return f"expected an artifact of {target.name!r}; {nearest('', sorted(target.artifacts or ()))}"
    artifact = reference.path[0]
    if artifact != METRICS and target.artifacts is not None and artifact not in target.artifacts:
        return f"{target.notebook.stem} finishes with no {artifact!r}; {nearest(artifact, sorted(target.artifacts))}"
    return ""


def resolve_parameters(
    experiment: Experiment, chain: Chain, stage: StagePlan, generation: int, results: dict[tuple[str, int], dict], place
) -> tuple[dict[str, Any], dict[str, str], bool]:
    """The values a stage runs with, once what it refers to has been made.

    Args:
        results: `result.json` by (stage, generation), of this chain.
        place: turns a path relative to the experiment's folder into the path a notebook is given.

    Returns:
        all parameters, validated; content hashes of the artifacts referred to, by reference; whether the stage's
        `when` holds.

    Raises:
        ExperimentError: an artifact that the stage referred to did not finish with, or a value that does not fit.
    """
    inputs: dict[str, str] = {}

    def look_up(reference: Reference):
        if reference.is_constant:
            return _constant(reference, chain, generation, experiment.name)
        target = chain.stages[reference.stage]
        order = list(chain.stages)
        runs_before = order.index(target.name) < order.index(stage.name)
        latest = generation if runs_before and reference.reach != PREVIOUS else generation - 1
        made = [number for number in target.generations if number <= latest and (target.name, number) in results]
        if not made:
            raise ExperimentError(f"stage {stage.name}: {reference.text}: stage {target.name!r} has no result yet")
        chosen = made if reference.reach == EVERY else made[-1:]
        found = [_artifact(results[target.name, number], reference, stage, place, inputs, number) for number in chosen]
        return found if reference.reach == EVERY else found[0]

    written = {key: substitute(value, look_up) for key, value in written_parameters(stage, generation).items()}
    holds = True
    if stage.when is not None:
        holds = check(interpret(substitute(stage.when, look_up), bool), bool)
    try:
        return stage.schema.validate(written), inputs, holds
    except ParameterError as error:
        raise ExperimentError(f"stage {stage.name}: {error}") from None


def _artifact(result: dict, reference: Reference, stage: StagePlan, place, inputs: dict[str, str], generation: int):
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
                f"stage {stage.name}: {reference.text}: {reference.stage} finished with no {key!r}; {nearest(key, known)}"
            ) from None
    return found if reference.path[0] == METRICS else _placed(found, place, inputs, f"{reference.text}@{generation}")


def _placed(found, place, inputs: dict[str, str], label: str):
    """Paths out of an artifact's description, noting the hashes."""
    if isinstance(found, list):
        return [_placed(item, place, inputs, f"{label}[{index}]") for index, item in enumerate(found)]
    if "path" not in found:
        return {key: _placed(item, place, inputs, f"{label}.{key}") for key, item in found.items()}
    inputs[label] = found["hash"]
    return place(found["path"])


def find_notebook(name: str, near: Path | str = ".") -> Path:
    """A notebook by path or by name: `notebooks/04_collect.ipynb`, `04_collect`, or `collect`.

    Looked for where the command runs, then in `near`, `near/notebooks` and `notebooks/` beside it and above.

    Raises:
        FileNotFoundError: there is none, or several; the message gives the nearest names.
    """
    near = Path(near)
    given = Path(name if name.endswith(".ipynb") else name + ".ipynb")
    folders = [Path(), near]
    for folder in (near.resolve(), *near.resolve().parents[:2], Path.cwd()):
        folders.append(folder / "notebooks")
    for folder in folders:
        if (folder / given).is_file():
            return _shortest(folder / given)
    if given.parent == Path():
        for folder in folders:
            matches = sorted(path for path in folder.glob("*.ipynb") if re.sub(r"^\d+_", "", path.name) == given.name)
            if len(matches) == 1:
                return _shortest(matches[0])
            if matches:
                raise FileNotFoundError(f"notebook {name!r} may be any of {', '.join(path.stem for path in matches)}; say which")
    known = {path.stem for folder in folders for path in folder.glob("*.ipynb")}
    raise FileNotFoundError(f"no notebook {name!r}; {nearest(name, sorted(known))}")


def _shortest(path: Path) -> Path:
    """The path relative to where the command runs, where it lies below."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

