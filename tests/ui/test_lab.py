import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.ui import lab
from workbench.ui.lab import lab_arguments


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    for name in ("00_tour", "20_dashboard"):
        (tmp_path / f"notebooks/{name}.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path


def test_it_opens_the_tour_on_this_machine_only(project):
    arguments = lab_arguments(browser=False, port=8899)
    assert "--ServerApp.ip=127.0.0.1" in arguments and "--no-browser" in arguments
    assert f"--ServerApp.root_dir={project}" in arguments
    assert "--LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb" in arguments
    assert "--ServerApp.port=8899" in arguments
    assert not any("token" in one.lower() or "password" in one.lower() for one in arguments)  # Jupyter draws one itself
    assert "--no-browser" not in lab_arguments("20_dashboard")
    assert "/lab/tree/notebooks/20_dashboard.ipynb" in lab_arguments("dashboard")[2]


def test_settings_of_ours_lie_under_everybody_elses(project, tmp_path, monkeypatch):
    installed = tmp_path / "share/settings"
    installed.mkdir(parents=True)
    theirs = {"@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 300}, "other": {"a": 1}}
    (installed / "overrides.json").write_text(json.dumps(theirs))
    monkeypatch.setattr("jupyterlab.commands.get_app_dir", lambda: str(tmp_path / "share"))
    (folder,) = [one.split("=", 1)[1] for one in lab_arguments() if "app_settings_dir" in one]
    laid = json.loads((Path(folder) / "overrides.json").read_text())
    assert laid["@jupyterlab/docmanager-extension:plugin"] == {"autosave": True, "autosaveInterval": 300}
    assert laid["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert laid["other"] == {"a": 1}
    assert json.loads((installed / "overrides.json").read_text()) == theirs
    assert Path(folder).is_relative_to(tmp_path / "runtime")


def test_a_notebook_that_is_not_there_or_not_in_the_project_is_refused(project, tmp_path_factory):
    with pytest.raises(FileNotFoundError, match="no notebook 'turo'"):
        lab_arguments("turo")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.ipynb"
    elsewhere.write_text("{}")
    with pytest.raises(ValueError, match="lies outside the project"):
        lab_arguments(str(elsewhere))


def test_the_command_becomes_jupyterlab(project, monkeypatch):
    became = []
    monkeypatch.setattr(lab.os, "execv", lambda program, arguments: became.append(arguments))
    done = CliRunner().invoke(app, ["lab", "dashboard", "--no-browser"])
    assert done.exit_code == 0, done.output
    assert became[0][1:3] == ["-m", "jupyterlab"] and "--no-browser" in became[0]
