"""A folder with the fixture notebooks beside it, as a project has them."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from workbench.pipeline import status as states
from workbench.pipeline.combinations import combinations, read_axes
from workbench.pipeline.display import PlainView
from workbench.pipeline.files import hash_path, read_json, write_json
from workbench.pipeline.load import load_experiment
from workbench.pipeline.runner import run
from workbench.pipeline.settings import Settings
from workbench.pipeline.status import this_process

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


def make_sweep(
    folder: Path, texts: list[str], metrics, *, generations: int = 1, states: dict | None = None, state="finished"
):
    """Writes a sweep's files.

    Args:
        texts: as of `workbench sweep`.
        metrics: called with (values by key, generation), gives metrics by stage; None for a stage that did not finish.
        states: of combinations that did not finish, by name.
    """
    axes = read_axes(texts)
    entries = []
    for one in combinations(axes):
        how = (states or {}).get(one.name, "finished")
        entries.append(
            {"name": one.name, "values": one.values, "overrides": list(one.overrides), "state": how, "message": "",
             "done": 1, "of": 1, "shared": 0, "seconds": 12.0}
        )  # fmt: skip
        if how == "pending":
            continue
        stages = []
        for generation in range(1, generations + 1):
            for stage, made in metrics(one.values, generation).items():
                place = f"gen_{generation:03d}/{stage}"
                entry = {
                    "chain": "",
                    "generation": generation,
                    "stage": stage,
                    "folder": place,
                    "why": "",
                    "seconds": 3.0,
                }
                stages.append({**entry, "state": "finished" if made is not None else "failed"})
                if made is not None:
                    write_json(folder / one.name / place / "result.json", {"metrics": made, "artifacts": {}})
                    (folder / one.name / place / "report.html").write_text("a report")
        write_json(
            folder / one.name / "experiment.json", {"name": one.name, "state": how, "stages": stages, "file": "x.yaml"}
        )
    described = [{"key": axis.key, "values": list(axis.values), "seed": axis.is_seed} for axis in axes]
    about = {"name": folder.name, "file": "params/x.yaml", "state": state, "message": "", "process": this_process()}
    moments = {"started": "2026-01-01T22:00:00+00:00", "updated": "2026-01-02T06:30:00+00:00"}
    write_json(
        folder / "sweep.json",
        {**about, **moments, "jobs": 2, "options": [], "axes": described, "combinations": entries},
    )
    return folder


@pytest.fixture(name="make_sweep", scope="session")
def make_sweep_fixture():
    """Writes the files of a sweep that was never run, with figures that are known beforehand."""
    return make_sweep


class Pretended:
    """A stage that ends at once, in the next of the states that are laid down for it, or `finished`.

    Args:
        ends: states by the stage's name, used up one by one; a function is called with the stage's folder and the runner's
            `tick`, and gives the state.
        metrics: figures of each stage's results by its name, used up one by one.
    """

    def __init__(self, ends=(), metrics=()):
        self.ends = {name: list(listed) for name, listed in dict(ends).items()}
        self.metrics = {name: list(listed) for name, listed in dict(metrics).items()}
        self.began: list[str] = []

    def __call__(self, folder, time_limit):
        self.folder, self.request = folder, read_json(folder / "request.json")
        self.began.append(f"{self.request['stage']} {self.request['generation']}")
        return self

    def wait(self, tick):
        tick({})
        waiting = self.ends.get(self.request["stage"])
        state = waiting.pop(0) if waiting else states.FINISHED
        state = state(self.folder, tick) if callable(state) else state
        if state == states.FINISHED:
            self._finish()
        message = "" if state == states.FINISHED else f"was {state}"
        write_json(self.folder / "status.json", {"state": state, "message": message})
        return state

    def _finish(self):
        name = {"collect": "dataset", "judge": "leaderboard"}.get(self.request["stage"], "policy")
        place = self.folder / name
        place.write_text(f"made with {self.request['inputs']}")
        made = {"path": place.relative_to("outputs/x").as_posix(), "hash": hash_path(place)}
        figures = self.metrics.get(self.request["stage"]) or [{}]
        result = {"artifacts": {name: made}, "metrics": figures.pop(0), "provenance": {"wall_seconds": 1.0}}
        write_json(self.folder / "result.json", {**result, "fingerprint": self.request["fingerprint"]})

    def stop(self, number):
        write_json(self.folder / "status.json", {"state": states.INTERRUPTED, "message": "stopped"})
        return states.INTERRUPTED


class PretendedNights:
    """Runs experiments of pretended stages."""

    def __call__(self, file, ends=(), overrides=(), metrics=(), **settings):
        """The run's exit code, its entries by name (`train 1`), what began, and what was said."""
        said, launch = io.StringIO(), Pretended(ends, metrics)
        shown = PlainView(Console(file=said, width=200))
        code = run(load_experiment(file, overrides), Settings(launch=launch, **settings), shown)
        entries = {f"{entry['stage']} {entry['generation']}": entry for entry in self.found()["stages"]}
        return code, entries, launch.began, said.getvalue()

    def found(self):
        """The `experiment.json` of the last one."""
        return read_json("outputs/x/experiment.json")


@pytest.fixture
def go(project):
    return PretendedNights()
