"""Experiments as YAML files, checked before anything runs.

    name: quickstart
    shared: {seed: 0}                  # goes to every stage that has such a parameter
    generations: 2
    stages:
      collect:                         # notebook: 04_collect is found by its name
        parameters: {games: 200}
        initial: {policy: random}      # in the first generation, which has no previous one
      finetune:
        time_limit: 2h                 # of an attempt; cell_time_limit: 30m of each of its cells
        retries: 2                     # after it failed, was killed or ran out of time; going on from its checkpoint
        retry_delay: 30s               # before the first retry, doubled before each further one, 15 minutes at most
        parameters:
          dataset: ${collect.dataset}

`wandb: offline` (or `online`) sends metrics to Weights & Biases too; `off`, the default, does not.
`time_limit`, `cell_time_limit`, `retries`, `retry_delay` and `wandb` may stand at the top and then hold for all stages.
A stage that was interrupted, by a person or by `--until`, is not retried.

A stage of `generations: first` (or `once: true`) runs before all others of its chain's later generations, one of
`generations: last` after all of them. `stop_when: ${train.metrics.converged}` ends a chain early: after a generation for
which it holds the following ones are skipped, and what runs last follows.

Several games in one file: `chains:`, each with `generations`, `shared` and `stages` of its own.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from workbench.pipeline.experiment import (
    Chain,
    Experiment,
    ExperimentError,
    StagePlan,
    constant,
    latest_generation,
    truth,
    written_parameters,
)
from workbench.pipeline.notebook_io import NotebookError, read_notebook
from workbench.pipeline.notebooks import find_notebook
from workbench.pipeline.parameters import ParameterError, lay, nearest, parse_override, read_schema
from workbench.pipeline.plain_yaml import Plain, load_text, resolve
from workbench.pipeline.references import (
    METRICS,
    PREVIOUS,
    RESERVED,
    Reference,
    declared_artifacts,
    find_references,
    substitute,
)
from workbench.pipeline.text import parse_duration
from workbench.pipeline.wandb_mirror import MODES

SET_BY_RUNNER = "output_dir"
_CONTROL = ("time_limit", "cell_time_limit", "retries", "retry_delay", "wandb")
_TOP = ("name", "description", "generations", "stop_when", "shared", "stages", "chains", *_CONTROL)
_CHAIN = ("generations", "stop_when", "shared", "stages", "description")
_STAGE = ("notebook", "parameters", "initial", "generations", "once", "when", "description", *_CONTROL)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


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
        self.control: dict = {}  # limits and retries that hold for all stages
        self.dotted: list[tuple[str, dict, list[str], object]] = []  # overrides of keys inside dicts, with their stage

    def read(self, document) -> Experiment:
        if not isinstance(document, dict):
            raise ExperimentError(f"{self.file}: expected keys such as name, generations and stages")
        self._known(document, _TOP, "the experiment")
        self.name = name = str(document.get("name", self.file.stem))
        if not _NAME.fullmatch(name):
            self.problems.append(f"{self.file}: name: {name!r} must be letters, digits, - and _")
        chains = self._chains(document)
        self._override(chains, self._mapping(document.get("shared"), "shared"))
        self._raise()
        self.control = {key: document[key] for key in _CONTROL if key in document} | self.control
        built = tuple(self._chain(key, chain) for key, chain in chains.items())
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
            self.problems.append(
                f"{self.file}: expected either stages: or chains:, found {'both' if 'stages' in document else 'neither'}"
            )
            return {}
        if "stages" in document:
            plain = {key: document[key] for key in ("generations", "stop_when", "stages") if key in document}
            return {"": {**plain, "shared": {}}}
        chains = {}
        for name, chain in self._mapping(document["chains"], "chains").items():
            chain = self._mapping(chain, f"chain {name}")
            self._known(chain, _CHAIN, f"chain {name}")
            above = {"generations": document.get("generations", Plain("1")), "stop_when": document.get("stop_when")}
            chains[str(name)] = {**above, "shared": {}, **chain}
        return chains

    # -- overrides -------------------------------------------------------------------------------------------------

    def _override(self, chains: dict[str, dict], shared: dict) -> None:
        """Lay the command line's values over the document's, in place; `shared` is what all chains share."""
        for name, chain in chains.items():
            stages = self._mapping(chain.get("stages"), f"stages {name}")
            chain["stages"] = {str(key): dict(self._mapping(stage, f"stage {key}")) for key, stage in stages.items()}
            chain["shared"] = {**shared, **self._mapping(chain.get("shared"), "shared")}
        for text in self.overrides:
            keys, value = parse_override(text)
            within = chains
            if len(keys) > 1 and keys[0] in chains and keys[0]:
                within = {keys[0]: chains[keys.pop(0)]}
            self._override_one(text, keys, value, within)

    def _override_one(self, text: str, keys: list[str], value, chains: dict[str, dict]) -> None:
        if keys in (["generations"], ["stop_when"]):
            for chain in chains.values():
                chain[keys[0]] = value
            return
        if len(keys) == 1 and keys[0] in _CONTROL:
            self.control[keys[0]] = value
            return
        if keys[0] == "shared" and len(keys) > 1:
            having = [chain for chain in chains.values() if len(keys) == 2 or keys[1] in chain["shared"]]
            for chain in having:
                chain["shared"] = self._laid(text, chain["shared"], keys[1:], value)
            if not having:
                self.problems.append(
                    f"override {text!r}: there is no shared {keys[1]!r} to change; name a stage: `stage.{'.'.join(keys[1:])}=...`"
                )
            return
        having = [chain["stages"][keys[0]] for chain in chains.values() if keys[0] in chain["stages"]]
        if not having or len(keys) < 2:
            known = [stage for chain in chains.values() for stage in chain["stages"]]
            known += ["shared", "generations", *(name for name in chains if name)]
            self.problems.append(f"override {text!r}: no stage {keys[0]!r}; {nearest(keys[0], dict.fromkeys(known))}")
        for stage in having if len(keys) > 1 else []:
            if keys[1:] in ([key] for key in ("when", "notebook", *_CONTROL)):
                stage[keys[1]] = value
                continue
            if len(keys) > 2:
                self.dotted.append((text, stage, keys[1:], value))
                continue
            parameters = self._mapping(stage.get("parameters"), f"stage {keys[0]}: parameters")
            self.dotted = [
                (*one, inside, item)
                for *one, inside, item in self.dotted
                if one[1] is not stage or inside[0] != keys[1]
            ]
            stage["parameters"] = {**parameters, keys[1]: value}
            stage["initial"] = {key: item for key, item in (stage.get("initial") or {}).items() if key != keys[1]}

    def _lay_dotted(self, written: dict, schema, parameters: dict, initial: dict) -> None:
        """Lay overrides such as `stage.env_options.stage=battlefield` over what the document or the default gives."""
        for text, stage, keys, value in self.dotted:
            if stage is not written:
                continue
            name = keys[0]
            if name not in parameters and name in schema:
                parameters[name] = schema.parameters[name].default
            for values in (parameters, initial) if name in initial else (parameters,):
                values.update(self._laid(text, values, keys, value))

    def _laid(self, text: str, values: dict, keys: list[str], value) -> dict:
        try:
            return lay(values, keys, value)
        except ParameterError as error:
            self.problems.append(f"override {text!r}: {error}")
            return values

    # -- building --------------------------------------------------------------------------------------------------

    def _chain(self, name: str, chain: dict) -> Chain:
        where = f"chain {name}: " if name else ""
        generations = self._count(chain.get("generations", Plain("1")), f"{where}generations")
        shared = chain["shared"]
        stages: dict[str, StagePlan] = {}
        for key, written in chain["stages"].items():
            stage = self._stage(key, written, shared, generations, f"{where}stage {key}")
            if stage is not None:
                stages[key] = stage
        if not chain["stages"]:
            self.problems.append(f"{self.file}: {where}stages: there are none")
        stop_when = None if resolve(chain.get("stop_when")) is None else chain["stop_when"]
        built = Chain(name, generations, resolve(shared), stages, str(chain.get("description", "")), stop_when)
        for key in shared:
            if stages and not any(key in stage.schema for stage in stages.values()):
                known = {parameter for stage in stages.values() for parameter in stage.schema.parameters}
                self.problems.append(
                    f"{self.file}: {where}shared: no stage has a parameter {key!r}; {nearest(key, sorted(known))}"
                )
        if not self.problems:
            for stage in stages.values():
                self._check(built, stage, f"{where}stage {stage.name}")
            self.problems += [f"{self.file}: {where}stop_when: {problem}" for problem in _check_stop(built)]
        return built

    def _stage(self, name: str, written: dict, shared: dict, generations: int, where: str) -> StagePlan | None:
        self._known(written, _STAGE, where)
        if not _NAME.fullmatch(name) or name in RESERVED:
            self.problems.append(
                f"{self.file}: {where}: a stage cannot be called {name!r}; use letters, digits, - and _"
            )
        try:
            path = find_notebook(str(written.get("notebook", name)), self.file.parent)
            schema, artifacts = read_schema(path), declared_artifacts(read_notebook(path))
        except (ParameterError, NotebookError, FileNotFoundError) as error:
            self.problems.append(f"{self.file}: {where}: {error}")
            return None
        parameters = self._mapping(written.get("parameters"), f"{where}: parameters")
        initial = self._mapping(written.get("initial"), f"{where}: initial")
        for key in (*parameters, *initial):
            if key == SET_BY_RUNNER:
                self.problems.append(f"{self.file}: {where}: {key} is set by the runner; leave it out")
        if SET_BY_RUNNER not in schema:
            self.problems.append(
                f'{path}: the parameters cell needs `{SET_BY_RUNNER}: str = ""`, by which the runner says where to write'
            )
        laid = {**{key: value for key, value in shared.items() if key in schema}, **parameters}
        self._lay_dotted(written, schema, laid, initial)
        number = re.match(r"\d+", path.stem)
        return StagePlan(
            name=name,
            folder=f"{number[0]}_{name}" if number else name,
            notebook=path,
            schema=schema,
            parameters=laid,
            initial=initial,
            generations=self._generations(written, generations, where),
            closing=resolve(written.get("generations")) == "last",
            when=written.get("when"),
            artifacts=None if artifacts is None else frozenset(artifacts),
            **self._limits({**self.control, **written}, where),
        )

    def _count(self, value, where: str) -> int:
        count = resolve(value)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            self.problems.append(f"{self.file}: {where}: expected a whole number from 1, got {value!r}")
            return 1
        return count

    def _limits(self, written: dict, where: str) -> dict:
        """Time limits, retries and logging, as `StagePlan` takes them."""
        found: dict = {"wandb": self._wandb(resolve(written.get("wandb")), where)}
        for key in ("time_limit", "cell_time_limit", "retry_delay"):
            if resolve(written.get(key)) is not None:
                try:
                    found[key] = parse_duration(written[key])
                except ValueError as error:
                    self.problems.append(f"{self.file}: {where}: {key}: {error}")
        retries = resolve(written.get("retries", 0))
        if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
            self.problems.append(f"{self.file}: {where}: retries: expected a whole number from 0, got {retries!r}")
            return found
        return {**found, "retries": retries}

    def _wandb(self, mode, where: str) -> str | None:
        mode = "off" if mode is False else mode  # as YAML reads a bare `off`
        if mode not in (None, *MODES):
            self.problems.append(f"{self.file}: {where}: wandb: expected one of {', '.join(MODES)}, got {mode!r}")
        return mode

    def _generations(self, written: dict, total: int, where: str) -> tuple[int, ...]:
        given = resolve(written.get("generations"))
        if resolve(written.get("once")) not in (None, True, False):
            self.problems.append(f"{self.file}: {where}: once: expected true or false, got {written['once']!r}")
        if resolve(written.get("once")) is True:
            given = "first"
        words = {
            None: range(1, total + 1),
            "all": range(1, total + 1),
            "first": (1,),
            "last": (total,),
            "later": range(2, total + 1),
        }
        if not isinstance(given, list) and given in words:
            return tuple(words[given])
        listed = given if isinstance(given, list) else [given]
        if not all(isinstance(item, int) and item >= 1 for item in listed):
            self.problems.append(
                f"{self.file}: {where}: generations: expected first, last, later, all or a list of numbers from 1, got {given!r}"
            )
            return ()
        return tuple(sorted(item for item in set(listed) if item <= total))

    # -- checking --------------------------------------------------------------------------------------------------

    def _check(self, chain: Chain, stage: StagePlan, where: str) -> None:
        """Check a stage's references, and of its values all that do not wait for another stage's result."""
        for generation in stage.generations:
            values = written_parameters(stage, generation)
            asked = values if stage.when is None else {**values, "when": stage.when}
            broken = [
                f"{self.file}: {where}: {key}: {reference.text}: {problem}"
                for key, value in asked.items()
                for reference in find_references(value)
                if (problem := _check_reference(reference, chain, stage, generation))
            ]
            self.problems += broken
            if not broken:
                self._check_values(
                    stage, values, where, partial(constant, chain=chain, generation=generation, experiment=self.name)
                )

    def _check_values(self, stage: StagePlan, values: dict, where: str, look_up) -> None:
        partly = {key: substitute(value, look_up) for key, value in values.items()}
        known = {key: value for key, value in partly.items() if key not in stage.schema or not find_references(value)}
        try:
            stage.schema.validate(known)
        except ParameterError as error:
            self.problems += [f"{self.file}: {where}: {line}" for line in str(error).splitlines()]
        when = substitute(stage.when, look_up)
        if when is not None and not find_references(when):
            try:
                truth(when)
            except ParameterError as error:
                self.problems.append(f"{self.file}: {where}: when: {error}")


def _check_reference(reference: Reference, chain: Chain, stage: StagePlan, generation: int) -> str:
    """What is wrong with a reference, in words; empty where nothing is."""
    if reference.is_constant:
        if reference.stage != "shared":
            return f"expected ${{{reference.stage}}} without more" if reference.path else ""
        value = chain.shared
        for key in reference.path:
            if not isinstance(value, dict) or key not in value:
                return f"no shared parameter {'.'.join(reference.path)!r}; {nearest(key, value if isinstance(value, dict) else [])}"
            value = value[key]
        return ""
    if reference.stage not in chain.stages:
        return f"no stage {reference.stage!r}; {nearest(reference.stage, chain.stages)}"
    target = chain.stages[reference.stage]
    runs_before, latest = latest_generation(reference, chain, stage, generation)
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


def _check_stop(chain: Chain) -> list[str]:
    """What is wrong with a chain's `stop_when`, in words."""
    found = find_references(chain.stop_when)
    if chain.stop_when is not None and not any(not reference.is_constant for reference in found):
        return [f"expected a figure of a stage, such as ${{train.metrics.converged}}, got {chain.stop_when!r}"]
    problems = []
    for reference in found:
        if reference.is_constant:
            continue
        if reference.stage not in chain.stages:
            problems.append(f"{reference.text}: no stage {reference.stage!r}; {nearest(reference.stage, chain.stages)}")
        elif reference.reach or reference.path[:1] != (METRICS,) or len(reference.path) < 2:
            problems.append(
                f"{reference.text}: expected a figure of a generation, ${{{reference.stage}.{METRICS}.<name>}}"
            )
    return problems
