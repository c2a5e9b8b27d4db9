import math
from pathlib import Path

import pytest

from workbench.pipeline.experiment import ExperimentError, resolve_parameters
from workbench.pipeline.load import load_experiment
from workbench.pipeline.notebook_io import read_notebook
from workbench.pipeline.notebooks import find_notebook
from workbench.pipeline.references import declared_artifacts

TWO_GENERATIONS = """
name: loop
generations: 2
shared: {seed: 7}
stages:
  collect:
    parameters:
      policy: ${previous.train.policy}
      rate: 1e-4
    initial: {policy: random}
  train:
    parameters: {dataset: "${collect.dataset}"}
  judge:
    generations: last
    parameters:
      players:
        - random
        - ${every.train.policy}
"""


@pytest.fixture
def load(project):
    def _load(text, *overrides):
        (project / "x.yaml").write_text(text)
        return load_experiment(project / "x.yaml", overrides)

    return _load


def refused(load, text, *overrides):
    with pytest.raises(ExperimentError) as error:
        load(text, *overrides)
    return str(error.value)


def values(experiment, stage, generation, results=()):
    chain = experiment.chains[0]
    resolved = resolve_parameters(
        experiment, chain, chain.stages[stage], generation, dict(results), lambda path: "out/" + path
    )
    return resolved.values, resolved.inputs, resolved.holds


def result(name, path):
    return {"artifacts": {name: {"path": path, "hash": "h-" + path}}, "metrics": {"losses/total": 2.5, "kept": 3}}


def test_stages_run_in_order_generation_after_generation(load):
    runs = [(generation, stage.name) for _, generation, stage in load(TWO_GENERATIONS).runs()]
    assert runs == [(1, "collect"), (1, "train"), (2, "collect"), (2, "train"), (2, "judge")]


def test_references_become_paths_and_hashes(load):
    experiment = load(TWO_GENERATIONS)
    found, inputs, _ = values(experiment, "collect", 1)
    assert found["policy"] == "random"
    assert found["seed"] == 7
    assert found["rate"] == 1e-4
    assert inputs == {}
    results = {("train", 1): result("policy", "p1"), ("train", 2): result("policy", "p2")}
    found, inputs, _ = values(experiment, "collect", 2, results)
    assert found["policy"] == "out/p1"
    assert inputs == {"${previous.train.policy}@1": "h-p1"}
    assert values(experiment, "judge", 2, results)[0]["players"] == ["random", "out/p1", "out/p2"]


def test_a_stage_that_ran_once_serves_later_generations(load):
    text = """
generations: 3
stages:
  collect: {once: true}
  train:
    parameters: {dataset: "${collect.dataset}", steps: "${collect.metrics.kept}", seed: "${shared.seed}${generation}"}
shared: {seed: 4}
"""
    experiment = load(text)
    assert [generation for _, generation, stage in experiment.runs() if stage.name == "collect"] == [1]
    found, inputs, _ = values(experiment, "train", 3, {("collect", 1): result("dataset", "d1")})
    assert (found["dataset"], found["steps"], found["seed"]) == ("out/d1", 3, 43)
    assert list(inputs) == ["${collect.dataset}@1"]


def test_two_games_in_one_file_are_two_chains(load):
    text = """
shared: {seed: 1}
chains:
  pokemon: {generations: 2, stages: {collect: {}, train: {}}}
  melee: {shared: {seed: 2}, stages: {train: {parameters: {steps: 3}}}}
"""
    experiment = load(text, "melee.train.steps=9", "train.pause=0.5", "collect.seed=5")
    assert [(chain.name, generation, stage.name) for chain, generation, stage in experiment.runs()] == [
        ("pokemon", 1, "collect"), ("pokemon", 1, "train"), ("pokemon", 2, "collect"), ("pokemon", 2, "train"), ("melee", 1, "train"),
    ]  # fmt: skip
    pokemon, melee = experiment.chains
    assert pokemon.stages["train"].parameters == {"seed": "1", "pause": "0.5"}
    assert melee.stages["train"].parameters == {"seed": "2", "steps": "9", "pause": "0.5"}
    assert pokemon.stages["collect"].parameters["seed"] == "5"


def test_overrides_win_over_initial_values_and_merge_nested_ones(load):
    experiment = load(
        TWO_GENERATIONS,
        "collect.policy=strong",
        "collect.tags.size.small=5",
        "generations=3",
        "shared.seed=9",
        "train.time_limit=1h30m",
    )
    found, _, _ = values(experiment, "collect", 1)
    assert found["policy"] == "strong"
    assert found["tags"] == {"size": {"small": 5, "large": 2}}
    assert found["seed"] == 9
    assert experiment.chains[0].generations == 3
    assert experiment.chains[0].stages["train"].time_limit == 5400


TAGS = """
generations: 2
shared: {tags: {deep: {a: 1, b: 2}}}
stages:
  collect: {initial: {tags: {first: 1}}}
  again: {notebook: 01_collect, parameters: {tags: {own: 1}}}
"""


def tags(experiment, stage, generation=2):
    return values(experiment, stage, generation)[0]["tags"]


def test_a_dict_of_the_document_replaces_the_one_before_it(load):
    plain = "stages: {collect: {parameters: {tags: {other: 1}}}, again: {notebook: 01_collect, parameters: {tags: {}}}}"
    assert tags(load(plain), "collect", 1) == {"other": 1}  # nothing of the notebook's {"size": ...}
    assert tags(load(plain), "again", 1) == {}
    experiment = load(TAGS)
    assert tags(experiment, "collect", 1) == {"first": 1}
    assert tags(experiment, "collect") == {"deep": {"a": 1, "b": 2}}
    assert tags(experiment, "again") == {"own": 1}
    chains = load("shared: {tags: {a: 1}}\nchains: {one: {shared: {tags: {b: 1}}, stages: {collect: {}}}}").chains
    assert chains[0].shared == {"tags": {"b": 1}}


def test_only_dotted_overrides_change_single_keys(load):
    experiment = load(TAGS, "collect.tags.deep.b=3", "again.tags.deep.b=3")
    assert tags(experiment, "collect", 1) == {"first": 1, "deep": {"b": 3}}
    assert tags(experiment, "collect") == {"deep": {"a": 1, "b": 3}}
    assert tags(experiment, "again") == {"own": 1, "deep": {"b": 3}}
    assert tags(load("stages: {collect: {}}", "collect.tags.size.small=5"), "collect", 1) == {
        "size": {"small": 5, "large": 2}
    }
    assert tags(load(TAGS, "shared.tags.deep.a=9"), "collect") == {"deep": {"a": 9, "b": 2}}
    whole = load(TAGS, "collect.tags.deep.b=3", "collect.tags={new: 1}", "collect.tags.more=2")
    assert tags(whole, "collect", 1) == tags(whole, "collect") == {"new": 1, "more": 2}


def test_when_decides_whether_a_stage_runs(load):
    text = "shared: {games: 0}\nstages:\n  collect: {when: on}\n  train: {when: off}\n"
    experiment = load(text)
    assert values(experiment, "collect", 1)[2] is True
    assert values(experiment, "train", 1)[2] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: {colect: {}}", "no notebook 'colect'; did you mean '01_collect'"),
        ("stages: {collect: {parameters: {gmes: 3}}}", "no parameter 'gmes'; did you mean 'games'"),
        ("stages: {collect: {parameters: {games: 1.5}}}", "games: expected int, got 1.5"),
        ("stages: {collect: {params: {games: 1}}}", "has no key 'params'; did you mean 'parameters'"),
        ("stagse: {}", "has no key 'stagse'; did you mean 'stages'"),
        ("stages: {}", "there are none"),
        ("shared: {sede: 1}\nstages: {collect: {}}", "no stage has a parameter 'sede'; did you mean 'seed'"),
        ("generations: 0\nstages: {collect: {}}", "generations: expected a whole number from 1, got '0'"),
        ("stages: {collect: {generations: never}}", "expected first, last, later, all or a list"),
        ("stages: {collect: {when: maybe}}", "when: expected bool, got 'maybe'"),
        ("stages: {collect: {time_limit: soon}}", "expected a duration such as"),
        ("stages: {collect: {parameters: {output_dir: x}}}", "output_dir is set by the runner"),
        ("stages: {previous: {notebook: 01_collect}}", "a stage cannot be called 'previous'"),
        ("stages: {bad: {notebook: bad_parameters}}", "expected `name: type = default"),
        ("stages: {collect: {}, train: {parameters: {dataset: '${colect.dataset}'}}}", "no stage 'colect'; did you mean 'collect'"),
        ("stages: {collect: {}, train: {parameters: {dataset: '${collect.datset}'}}}", "01_collect finishes with no 'datset'; did you mean 'dataset'"),
        ("stages: {collect: {parameters: {policy: '${train.policy}'}}, train: {}}", "say under `initial:`"),
        ("generations: 2\nstages: {collect: {generations: later, parameters: {policy: '${train.policy}'}}, train: {}}", "comes later in a generation"),
        ("stages: {collect: {parameters: {policy: '${previous.train.policy}'}}, train: {}}", "the first generation has no previous one"),
        ("stages: {collect: {parameters: {seed: '${shared.sed}'}}}\nshared: {seed: 1}", "no shared parameter 'sed'; did you mean 'seed'"),
        ("stages: {collect: {parameters: {games: '${shared.seed}.5'}}}\nshared: {seed: 1}", "games: expected int, got 1.5"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_before_anything_starts(load, text, message):
    assert message in refused(load, text)


def test_all_that_is_wrong_is_said_at_once(load):
    said = refused(
        load, "stages:\n  collect: {parameters: {gmes: 1, rate: x}}\n  train: {parameters: {steps: yes please}}\n"
    )
    assert len(said.splitlines()) == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("colect.games=1", "no stage 'colect'; did you mean 'collect'"),
        ("collect.gmes=1", "no parameter 'gmes'; did you mean 'games'"),
        ("collect.games=x", "games: expected int, got 'x'"),
        ("collect=1", "no stage 'collect'"),
        ("shared.rate.x=1", "there is no shared 'rate' to change; name a stage: `stage.rate.x=...`"),
        ("shared.seed.x=1", "expected a dict with a key 'x', found '"),
        ("collect.games.x=1", "expected a dict with a key 'x', found 3; give the whole value instead"),
        ("games", "expected `stage.parameter=value`"),
    ],
)
def test_overrides_are_checked_like_the_file(load, override, message):
    assert message in refused(load, TWO_GENERATIONS, override)


def test_a_missing_artifact_of_a_result_is_named(load):
    experiment = load(TWO_GENERATIONS)
    with pytest.raises(ExperimentError, match=r"train finished with no 'policy'; did you mean 'policies'"):
        values(experiment, "collect", 2, {("train", 1): result("policies", "p")})


def test_infinite_values_pass_from_yaml_to_the_notebook(load):
    experiment = load("stages: {collect: {parameters: {rate: .inf}}}")
    assert values(experiment, "collect", 1)[0]["rate"] == math.inf


def test_artifacts_are_read_from_the_code_of_finish():
    folder = Path(__file__).parent / "notebooks"
    assert declared_artifacts(read_notebook(folder / "01_collect.ipynb")) == {"dataset"}
    notebook = read_notebook(folder / "forgets.ipynb")
    assert declared_artifacts(notebook) == set()
    notebook.cells[-1].source += "\nstage.finish(**artifacts)"
    assert declared_artifacts(notebook) is None


def test_notebooks_are_found_by_number_and_name_or_name_alone(project):
    folder = Path(__file__).parent
    assert find_notebook("collect", folder).name == "01_collect.ipynb"
    assert find_notebook("01_collect", folder).name == "01_collect.ipynb"
    assert find_notebook(str(folder / "notebooks/talks.ipynb")).name == "talks.ipynb"


SHIPPED = sorted((Path(__file__).resolve().parents[2] / "params").glob("*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_experiment_that_is_shipped_can_be_run_as_it_is_written(file):
    assert load_experiment(file).runs()
