"""A folder with the fixture notebooks beside it, as a project has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

NOTEBOOKS = Path(__file__).parent / "notebooks"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project: the working directory, with `notebooks/` in it."""
    (tmp_path / "notebooks").symlink_to(NOTEBOOKS)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))  # signatures of notebooks
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(project):
    """Writes an experiment of one chain, from its stages, and returns the file."""

    def _write(stages, **top):
        file = project / "x.yaml"
        file.write_text(yaml.safe_dump({"name": "x", **top, "stages": stages}, sort_keys=False))
        return file

    return _write


@pytest.fixture
def workbench(project):
    """Starts `workbench ...` in the project; the processes that a test has left are killed after it."""
    started = []

    def _start(*arguments):
        environment = {**os.environ, "COLUMNS": "160", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.cli", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=project,
        )  # fmt: skip
        started.append(process)
        return process

    yield _start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait()
