import math

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.pipeline.parameters import (
    ParameterError,
    inject,
    lay,
    literal,
    parse_cell,
    parse_override,
    read_schema,
)
from workbench.pipeline.plain_yaml import YAMLError, load_text, resolve

CELL = """
from typing import Literal
# Training
learning_rate: float = 3e-4  # step size of Adam
games: int = 4
mode: Literal["on", "mix"] = "mix"  # who plays whom
clock: str = "noon"
damping: bool = False
limit: int | None = None
policy: "str | None" = None
model: dict = {"hidden": 64, "heads": {"value": 1}}  # network
# Opponents
names: list[str] = ["random"]
sizes: tuple[int, ...] = (1, 2)
horizon: float = float("inf")
"""


@pytest.fixture
def schema():
    return parse_cell(CELL, "03_self_play")


def given(text):
    return load_text(text)


def test_the_cell_is_the_schema(schema):
    rate = schema.parameters["learning_rate"]
    assert (rate.annotation, rate.default, rate.help, rate.group) == ("float", 3e-4, "step size of Adam", "Training")
    assert schema.parameters["names"].group == "Opponents"
    assert list(schema.defaults())[:2] == ["learning_rate", "games"]
    assert schema.defaults()["horizon"] == math.inf


def test_the_help_of_a_value_in_brackets_is_found():
    (damping,) = parse_cell('damping: str = (\n    "off"  # holds it to its start\n)\n').parameters.values()
    assert (damping.default, damping.help) == ("off", "holds it to its start")


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("learning_rate: 1e-4", "learning_rate", 1e-4),
        ("learning_rate: 1", "learning_rate", 1.0),
        ("learning_rate: inf", "learning_rate", math.inf),
        ("games: 0x10", "games", 16),
        ("mode: on", "mode", "on"),
        ("clock: on", "clock", "on"),
        ("clock: 3:20", "clock", "3:20"),
        ("clock: 007", "clock", "007"),
        ("clock: null", "clock", "null"),
        ("clock: ''", "clock", ""),
        ("damping: on", "damping", True),
        ("damping: 'yes'", "damping", None),
        ("limit: null", "limit", None),
        ("limit: 12", "limit", 12),
        ("policy: null", "policy", None),
        ("policy: 12", "policy", "12"),
        ("policy: '12'", "policy", "12"),
        ("names: [on, 1e3]", "names", ["on", "1e3"]),
        ("sizes: [3]", "sizes", (3,)),
    ],
)
def test_text_is_read_as_its_type_asks(schema, line, name, value):
    if line == "damping: 'yes'":  # quoted: a text, and a text is no truth value
        with pytest.raises(ParameterError, match="expected bool, got 'yes'"):
            schema.validate(given(line))
        return
    found = schema.validate(given(line))[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("games: 1.5", "games: expected int, got 1.5"),
        ("games: 1e3", "games: expected int, got 1000.0"),
        ("games: true", "games: expected int, got True"),
        ("games: many", "games: expected int, got 'many'"),
        ("learning_rate: true", "expected float, got True"),
        ("learning_rate: '1e-4'", "expected float, got '1e-4'"),
        ("damping: 1", "expected bool, got 1"),
        ("mode: league", "expected one of 'on', 'mix', got 'league'"),
        ("sizes: [1, x]", "got .*at 1"),
        ("names: random", "expected list"),
        ("limit: x", "expected int or None"),
        ("learning_rte: 1", "no parameter 'learning_rte'; did you mean 'learning_rate'"),
    ],
)
def test_what_does_not_fit_is_refused(schema, line, message):
    with pytest.raises(ParameterError, match=message):
        schema.validate(given(line))


def test_all_that_is_wrong_is_said_at_once(schema):
    with pytest.raises(ParameterError) as error:
        schema.validate(given("gams: 1\nmode: x"))
    assert len(str(error.value).splitlines()) == 2


def test_a_dict_replaces_the_default_whole(schema):
    assert schema.validate(given("model: {heads: {policy: 2}}"))["model"] == {"heads": {"policy": 2}}
    assert schema.validate(given("model: {}"))["model"] == {}
    assert schema.defaults()["model"] == {"hidden": 64, "heads": {"value": 1}}


def test_a_value_is_laid_at_a_path_of_keys():
    base = {"a": {"b": 1, "c": 2}}
    assert lay(base, ["a", "b"], 3) == {"a": {"b": 3, "c": 2}}
    assert lay(base, ["d", "e"], 3) == {"a": {"b": 1, "c": 2}, "d": {"e": 3}}
    assert lay(None, ["a"], {}) == {"a": {}}
    assert base == {"a": {"b": 1, "c": 2}}
    with pytest.raises(ParameterError, match="expected a dict with a key 'd', found 1"):
        lay(base, ["a", "b", "d"], 3)


BOUNDED = """
epochs: int = 4  # passes over the data (>= 1)
rate: float = 1e-3  # of Adam (> 0)
share: float | None = None  # held out (0 to 1)
widths: list[int] = [8]  # of layers (>= 1)
mix: dict[str, float] = {}  # by name (-0.5 to 1e1)
prose: int = -7  # (>= 1) is no bound here
name: str = "x"  # for people (2 to 4)
"""


@pytest.mark.parametrize(
    "line",
    [
        "epochs: 1",
        "rate: 1e-9",
        "share: 0",
        "share: 1",
        "share: null",
        "widths: []",
        "widths: [1, 2]",
        "mix: {a: 10, b: -0.5}",
        "prose: -8",
        "name: long one",
    ],
)
def test_numbers_within_their_bounds_pass(line):
    asked = given(line)
    assert parse_cell(BOUNDED).validate(asked).keys() >= asked.keys()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epochs: -3", "train: epochs: expected a number from 1 on, got -3"),
        ("epochs: 0", "got 0"),
        ("rate: 0", "rate: expected a number above 0, got 0.0"),
        ("rate: .nan", "rate: expected a number above 0, got nan"),
        ("share: 1.01", "share: expected 0 to 1, got 1.01"),
        ("share: -0.1", "share: expected 0 to 1"),
        ("widths: [8, 0]", "widths: expected a number from 1 on, got 0"),
        ("mix: {a: 1, b: -0.6}", "mix: expected -0.5 to 10, got -0.6"),
    ],
)
def test_numbers_out_of_their_bounds_are_refused(line, message):
    with pytest.raises(ParameterError, match=message):
        parse_cell(BOUNDED, "train").validate(given(line))


def test_bounds_stay_in_the_help_and_hold_for_the_default():
    assert parse_cell(BOUNDED).parameters["epochs"].help == "passes over the data (>= 1)"
    with pytest.raises(ParameterError, match="line 1: a: the default is out of its bounds: expected 1 to 2, got 3"):
        parse_cell("a: int = 3  # (1 to 2)")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("games = 3", "line 1: expected `name: type = default"),
        ("games: int", "line 1: expected"),
        ("games: int = 'x'", "games: the default does not fit: expected int"),
        ("games: Games = 3", "annotation `Games` is not known"),
        ("games: int = len([1])", "expected a plain value"),
        ("games: int = 1\ngames: int = 2", "line 2: 'games' is there twice"),
        ("games: int = (", "line 1"),
        ("__import__('os').system('true')", "expected `name: type"),
    ],
)
def test_lines_that_are_no_parameters_are_refused(source, message):
    with pytest.raises(ParameterError, match=message):
        parse_cell(source)


def test_exactly_one_cell_is_tagged():
    tagged = {"tags": ["parameters"]}
    with pytest.raises(ParameterError, match="no cell is tagged"):
        read_schema(new_notebook(cells=[new_code_cell("a: int = 1")]))
    with pytest.raises(ParameterError, match="2 cells are tagged"):
        read_schema(
            new_notebook(
                cells=[new_code_cell("a: int = 1", metadata=tagged), new_code_cell("b: int = 1", metadata=tagged)]
            )
        )


def test_injected_values_come_back_as_they_were(schema):
    values = schema.validate(given('learning_rate: 1e-4\nsizes: [7]\nmodel: {limit: .inf}\nclock: "it\'s"'))
    notebook = new_notebook(cells=[new_code_cell(CELL, metadata={"tags": ["parameters"]}), new_code_cell("later")])
    sources = {name: literal(value) for name, value in values.items()}
    for _ in range(2):  # a second injection replaces the first
        notebook = inject(notebook, sources)
    nbformat.validate(notebook)
    assert [cell.metadata.get("tags", []) for cell in notebook.cells] == [["parameters"], ["injected-parameters"], []]
    namespace = {}
    exec(notebook.cells[1].source, namespace)
    assert {name: namespace[name] for name in values} == values


def test_overrides_of_the_command_line():
    assert parse_override("finetune.model.hidden=64") == (["finetune", "model", "hidden"], "64")
    assert parse_override("a.b=")[1] == ""
    keys, value = parse_override("a.players=[random, 'x=y']")
    assert keys == ["a", "players"]
    assert resolve(value) == ["random", "x=y"]
    with pytest.raises(ParameterError, match=r"expected `stage\.parameter=value`"):
        parse_override("a.b")


def test_yaml_says_where_it_is_wrong():
    with pytest.raises(YAMLError, match=r"x\.yaml, line 2.*'a' is there twice"):
        load_text("a: 1\na: 2", "x.yaml")
    with pytest.raises(YAMLError, match=r"x\.yaml, line 1"):
        load_text("a: [1", "x.yaml")
    with pytest.raises(YAMLError, match="could not determine a constructor"):
        load_text("a: !!python/object/apply:os.system ['true']", "x.yaml")
    assert resolve(load_text("[1_000, 1.5e3, -2, ~, true, on, 3:20, 2026-11-20, .5]")) == [
        1000,
        1500.0,
        -2,
        None,
        True,
        "on",
        "3:20",
        "2026-11-20",
        0.5,
    ]
