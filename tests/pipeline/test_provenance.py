"""Everything that a result has to say about where it comes from, after real runs: in result.json, notebook and report."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.pipeline.files import read_json
from workbench.pipeline.notebook_io import read_notebook

SPENT = ("wall_seconds", "cpu_seconds")
ORIGIN = ("code", "python", "system", "packages", "device", "processors", "seed", "git")


STAGES = """
name: x
shared: {seed: 5}
stages:
  collect: {parameters: {games: 4}}
  train: {parameters: {dataset: "${collect.dataset}", steps: 3}}
  fails: {notebook: notebooks/fails.ipynb}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two stages, one made from the other, and one that fails."""
    project = tmp_path_factory.mktemp("project")
    (project / "notebooks").symlink_to(Path(__file__).parent / "notebooks")
    (project / "x.yaml").write_text(STAGES)
    environment = {**os.environ, "JUPYTER_DATA_DIR": str(project / "jupyter")}
    command = [sys.executable, "-m", "workbench.cli", "run", "x.yaml"]
    assert subprocess.run(command, cwd=project, env=environment, capture_output=True).returncode == 1
    return project / "outputs/x/gen_001"


def test_where_results_come_from(ran):
    folder = ran / "02_train"
    result = read_json(folder / "result.json")
    origin = result["provenance"]
    stamped = read_notebook(folder / "notebook.ipynb").metadata.workbench
    assert stamped.provenance == origin
    assert stamped.outcome.state == "finished"
    assert not [name for name in (*ORIGIN, *SPENT) if name not in origin]
    assert origin["seed"] == 5
    assert {**origin["parameters"], "output_dir": ""} == {
        "output_dir": "", "seed": 5, "dataset": "outputs/x/gen_001/01_collect/dataset", "steps": 3, "pause": 0.0,
    }  # fmt: skip
    made = read_json(ran / "01_collect/result.json")["artifacts"]["dataset"]["hash"]
    assert origin["inputs"] == {"${collect.dataset}@1": made}
    assert origin["parents"] == ["collect of generation 1"]
    assert re.fullmatch(r"\d+(\.\d+)+.*", origin["packages"]["numpy"])
    assert re.fullmatch(r"[0-9a-f]{40}", origin["git"]["sha"])
    assert origin["wall_seconds"] > 0
    report = (folder / "report.html").read_text()
    for said in (
        "where this comes from",
        "collect of generation 1",
        made,
        origin["code"],
        "numpy " + origin["packages"]["numpy"],
    ):
        assert said in report, said


def test_where_a_failure_comes_from(ran):
    (folder,) = [path for path in ran.iterdir() if path.name.endswith("fails")]
    assert not (folder / "result.json").exists()
    stamped = read_notebook(folder / "notebook.ipynb").metadata.workbench
    assert stamped.outcome.state == "failed"
    missing = [name for name in (*ORIGIN, *SPENT) if name not in stamped.provenance]
    assert not missing
    assert stamped.provenance.cpu_seconds > 0
