import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.pipeline import doctor
from workbench.pipeline.files import read_json, write_json

NOTEBOOKS = Path(__file__).parent / "pipeline/notebooks"


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls the command line in this process, in an empty project."""
    (tmp_path / "notebooks").symlink_to(NOTEBOOKS)
    monkeypatch.chdir(tmp_path)

    def _call(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return _call


@pytest.fixture
def start(tmp_path):
    """Starts the real command, and waits for it."""
    (tmp_path / "notebooks").symlink_to(NOTEBOOKS)

    def _start(*arguments):
        command = [sys.executable, "-m", "workbench.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    return _start


def test_params_prints_names_defaults_help_and_types(call):
    shown = call("params", "collect")
    assert shown.exit_code == 0
    line = next(line for line in shown.output.splitlines() if "policy" in line)
    assert line.split() == ["policy", "'random'", "what", "plays", "(str)"]
    assert "0.5" in shown.output


def test_an_error_is_one_message_and_debug_shows_the_rest(start):
    plain = start("params", "colect")
    assert plain.returncode == 2
    assert plain.stderr.strip() == "no notebook 'colect'; did you mean '01_collect'?"
    traced = start("params", "colect", "--debug")
    assert "Traceback" in traced.stderr
    assert "no notebook 'colect'" in traced.stderr
    assert start("run", "nowhere.yaml").stderr.startswith("nowhere.yaml: no such experiment")


def test_status_of_nothing_and_of_something_unknown(call):
    assert "no experiments in outputs" in call("status").output
    entry = {
        "chain": "",
        "generation": 1,
        "stage": "a",
        "folder": "gen_001/a",
        "state": "finished",
        "why": "",
        "seconds": 2.0,
    }
    write = {"name": "night", "state": "finished", "message": "", "file": "x.yaml", "stages": [entry]}
    Path("outputs/night").mkdir(parents=True)
    write_json("outputs/night/experiment.json", write)
    shown = call("status", "night")
    assert "night: finished, 1 of 1 stages done" in shown.output
    assert "gen_001/a" in shown.output
    assert "did you mean 'night'" in str(call("status", "nihgt").exception)


def test_report_of_what_is_no_run(call, tmp_path):
    assert "there are none" in str(call("report", tmp_path).exception)
    write_json(
        "outputs/night/experiment.json",
        {"name": "night", "state": "finished", "message": "", "file": "x.yaml", "stages": []},
    )
    assert "no experiment 'nihgt' in outputs; did you mean 'night'?" in str(call("report", "nihgt").exception)
    assert "no experiment 'mine'" in str(call("report", "mine").exception)


@pytest.mark.parametrize("given", ["night", "outputs/night", "params/night.yaml", "elsewhere/night"])
def test_an_experiment_is_found_by_name_or_path(call, given):
    for folder in ("outputs", "elsewhere"):
        Path(folder, "night").mkdir(parents=True)
        write_json(
            f"{folder}/night/experiment.json",
            {"name": "night", "state": "finished", "message": "", "file": "x.yaml", "stages": []},
        )
    place = "elsewhere" if given.startswith("elsewhere") else "outputs"
    for command in ("status", "report"):
        shown = call(command, given)
        assert shown.exit_code == 0, shown.exception
        assert f"{place}/night/index.html" in shown.output
    assert Path(place, "night/index.html").is_file()


def test_run_report_and_rerun(start, tmp_path):
    (tmp_path / "x.yaml").write_text("name: x\nstages: {collect: {parameters: {rate: 1e-4}}}\n")
    ran = start("run", "x.yaml", "collect.games=5")
    assert ran.returncode == 0, ran.stderr
    assert "see outputs/x/index.html" in ran.stdout
    folder = tmp_path / "outputs/x/gen_001/01_collect"
    assert read_json(folder / "request.json")["parameters"]["rate"] == 1e-4
    assert "rate = 0.0001" in (folder / "notebook.ipynb").read_text()
    (folder / "report.html").unlink()
    assert start("report", "x").returncode == 0
    assert (folder / "report.html").exists()
    (folder / "report.html").unlink()
    assert start("report", "x/gen_001/01_collect").returncode == 0
    assert (folder / "report.html").exists()
    again = start("rerun", "x/gen_001/01_collect")
    assert again.returncode == 0, again.stderr
    assert "artifacts: 1 of 1 are equal" in again.stdout
    assert "metrics: 1 of 1 are equal" in again.stdout
    assert "the results agree" in again.stdout
    assert "nowhere: neither an executed notebook nor a stage's folder" in start("rerun", "nowhere").stderr
    refused = start("rerun", NOTEBOOKS / "talks.ipynb")
    assert refused.returncode == 2
    assert "carries no stamp" in refused.stderr


def test_doctor_names_the_command_that_mends(call, monkeypatch):
    failing = doctor.Check("Showdown", False, "not installed", "workbench setup")
    monkeypatch.setattr(doctor, "showdown", lambda: [failing])
    shown = call("doctor")
    assert shown.exit_code == 1
    assert "-> workbench setup" in shown.output
    assert "Python" in shown.output
    assert "GB free" in shown.output


def test_doctor_sees_packages_that_are_missing_or_too_old(monkeypatch):
    wanted = ["numpy>=99", "no-such-package", "open_spiel==0; extra == 'test'"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: wanted)
    [check] = doctor.packages()
    assert not check.ok
    assert "numpy>=99 asked for" in check.detail
    assert "no-such-package is not installed" in check.detail
    assert "open_spiel" not in check.detail


def test_setup_installs_showdown(call, monkeypatch):
    from workbench.envs.pokemon import showdown

    monkeypatch.setattr(showdown, "install", lambda say: Path("/there"))
    assert "Showdown is in /there" in call("setup").output


def test_iterations_are_generations(call, tmp_path):
    stages = "stages: {collect: {}, judge: {generations: [3], parameters: {players: ['${collect.policy}']}}}"
    (tmp_path / "x.yaml").write_text(stages)
    done = call("run", "x.yaml", "generations=2", "--iterations", "3")
    assert "--iterations 3 and generations=2: expected one of them" in str(done.exception)
    # only a run of three generations has the stage that is wrong
    assert "01_collect finishes with no 'policy'" in str(call("run", "x.yaml", "--iterations", "3").exception)
