"""Which code a result depends on, read from the files that import it."""

import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.pipeline import dependencies
from workbench.pipeline.dependencies import code_files, code_reached
from workbench.pipeline.notebook_io import read_notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def used(imports, parameters=None):
    code = f"from workbench.pipeline.dependencies import code_used\n{imports}\nprint(*code_used({parameters!r}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def rooms(names):
    return {name.partition("/")[0] for name in names}


def notebook_of(*sources):
    return new_notebook(cells=[new_code_cell(source) for source in sources])


def test_code_that_was_used_is_what_was_imported_and_what_lies_beside_it():
    assert used("from workbench.pipeline import stage") == set()  # what only runs and reports does not count
    matrix = used("import workbench.envs.matrix")
    assert {"envs/__init__.py", "envs/core.py", "envs/matrix.py"} <= matrix
    assert not any(name.startswith(("envs/pokemon", "envs/melee", "learning")) for name in matrix)
    assert "envs/pokemon/node/package-lock.json" in used("import workbench.envs.pokemon.showdown")


def test_a_game_that_only_other_processes_played_was_used():
    physics = {
        name for name in code_files() if name.startswith("envs/melee/") and not name.startswith("envs/melee/replays")
    }
    assert "envs/melee/env.py" in physics
    assert not used("import workbench.envs") & physics
    assert physics <= used("import workbench.envs", {"env": "melee-mock", "games": 3})
    assert physics <= used("", {"players": ["random", "melee-mock/cpu1"]})
    leduc = used("", {"env": "leduc"})
    assert "envs/poker.py" in leduc
    assert not leduc & physics


@pytest.mark.parametrize(
    ("source", "expected", "others"),
    [
        ("import workbench as wb\nwb.ratings(1)", {"arena", "envs"}, {"learning", "metagame", "benchmarks"}),
        ("from workbench import PPO", {"learning", "envs"}, {"metagame", "benchmarks"}),
        ("from workbench.metagame import exploitability", {"metagame"}, {"benchmarks"}),
        (
            "import workbench as wb\nwb.stage(1)\nwb.plots.length_distributions(2)",
            set(),
            {"arena", "envs", "ui", "pipeline"},
        ),
        ("import json", set(), {"arena", "envs"}),
    ],
)
def test_a_notebook_reaches_what_its_imports_name(source, expected, others):
    found = rooms(code_reached(notebook_of(source), {}))
    assert expected <= found
    assert not others & found


def test_a_notebook_reaches_the_games_that_it_or_its_parameters_name():
    written = notebook_of("%matplotlib inline\nimport workbench as wb\nwb.make('leduc')")
    assert "envs/poker.py" in code_reached(written, {})
    assert "envs/matrix.py" not in code_reached(written, {})
    assert "envs/matrix.py" in code_reached(written, {"env": "rps"})
    written.cells.append(new_code_cell("not python at all"))
    assert code_reached(written, {}) == sorted(code_files())


def test_self_play_reaches_neither_benchmarks_nor_the_metagame():
    notebook = read_notebook(NOTEBOOKS / "03_self_play.ipynb")
    melee, leduc = (set(code_reached(notebook, {"env": env})) for env in ("melee-mock", "leduc"))
    assert {"learning/ppo.py", "arena/population.py", "policies/core.py"} <= melee & leduc
    assert "envs/melee/env.py" in melee - leduc
    assert not {"benchmarks", "metagame"} & rooms(melee)
    assert {"benchmarks", "metagame"} <= rooms(code_files())


def test_the_tables_of_lazily_imported_modules_are_the_ones_that_are_used():
    import workbench
    from workbench import envs

    assert dependencies._table("__init__.py", "_HOMES") == workbench._HOMES
    assert dependencies._table("envs/__init__.py", "_ENVS") == envs._ENVS
    with pytest.raises(LookupError, match=r"envs/core\.py: expected `_ENVS = "):
        dependencies._table("envs/core.py", "_ENVS")
