"""The project's own files agree with each other."""

import json
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_environment_file_and_pyproject_agree():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]

    (python,) = [entry for entry in plain if entry.startswith("python ")]
    assert python.removeprefix("python ") == PYPROJECT["project"]["requires-python"]
    assert "pip" in plain

    (editable,) = pip
    extras = re.fullmatch(r"--editable \.\[([\w,]+)\]", editable).group(1).split(",")
    assert set(extras) == set(PYPROJECT["project"]["optional-dependencies"])


def test_torch_is_pinned_exactly():
    assert "torch==2.13.0" in PYPROJECT["project"]["dependencies"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_stripped_and_thin(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert "papermill" not in notebook.metadata
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert len(code) <= 18
    assert not any("injected-parameters" in cell.metadata.get("tags", []) for cell in code)


def test_no_lock_file_names_a_registry_of_its_own():
    lock = json.loads((ROOT / "workbench/envs/pokemon/node/package-lock.json").read_text())
    hosts = {
        re.match(r"https?://([^/]+)", package["resolved"]).group(1)
        for package in lock["packages"].values()
        if "resolved" in package
    }
    assert hosts <= {"registry.npmjs.org"}
