import asyncio
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import ipywidgets as widgets
import pytest

from workbench.pipeline import stage
from workbench.pipeline.files import write_json
from workbench.pipeline.status import this_process
from workbench.ui.dashboard import Dashboard
from workbench.ui.live import LIVE_VARIABLE
from workbench.ui.panels import LeaderboardPanel
from workbench.ui.runs import read_run, runs


def entry(name: str, state: str, generation: int = 1, **more) -> dict:
    return {
        "chain": "", "generation": generation, "stage": name, "folder": f"gen_{generation:03d}/{name}", "state": state,
        "why": "", "seconds": None, **more,
    }  # fmt: skip


def experiment(outputs, name: str, state: str, stages: list[dict], process: dict | None = None, **more):
    folder = outputs / name
    described = {
        "name": name, "description": "", "file": "x.yaml", "overrides": [], "state": state, "message": "", "stages": stages,
        "process": process or this_process(), "started": "2026-01-01T00:00:00.000+00:00", "updated": "2026-01-01T00:00:00.000+00:00",
        **more,
    }  # fmt: skip
    write_json(folder / "experiment.json", described)
    return folder


def running(folder, **progress) -> None:
    status = {"state": "running", "process": this_process(), "started": ago(4), "cell": None, "note": "", **progress}
    write_json(folder / "status.json", status)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def night(tmp_path):
    """An experiment whose second stage runs: done, running, to come, and one whose usual time nobody knows."""
    stages = [
        entry("collect", "finished", seconds=10.0, took=10.0),
        entry("train", "running", started=ago(4)),
        entry("collect", "pending", generation=2),
    ]
    folder = experiment(tmp_path, "night", "running", stages)
    running(folder / "gen_001/train", done=25, total=100, eta=30.0, pace=2.5, note="update 25")
    return folder


def test_time_left_by_hand(night, tmp_path):
    run = read_run(night, tmp_path)
    assert (run.name, run.state, run.done, len(run.stages)) == ("night", "running", 1, 3)
    assert run.current.title == "generation 1 · train" and run.current.words.startswith("update 25 · 25/100")
    assert run.left == pytest.approx(30 + 10)  # what the stage says, and what collecting took before
    assert run.current.seconds == pytest.approx(4, abs=2)
    write_json(night / "gen_001/train/status.json", {"state": "running", "process": this_process(), "started": ago(1)})
    assert read_run(night, tmp_path).left is None


def test_a_run_whose_process_is_gone_is_not_running(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "from workbench.pipeline.status import this_process as p; import json; print(json.dumps(p()))"], capture_output=True, text=True, check=True)  # fmt: skip
    folder = experiment(tmp_path, "night", "running", [entry("train", "running")], process=json.loads(gone.stdout))
    write_json(folder / "gen_001/train/status.json", {"state": "running", "process": json.loads(gone.stdout)})
    run = read_run(folder, tmp_path)
    assert (run.state, run.stages[0].state) == ("died", "died")
    assert "ended without a word" in run.message and run.left == 0


def test_all_runs_are_listed_and_a_damaged_one_says_so(night, tmp_path, monkeypatch):
    experiment(tmp_path, "sweep/a-1", "finished", [entry("train", "finished", seconds=3.0)])
    monkeypatch.chdir(tmp_path)
    stage("manual/03_self_play", name="03_self_play").finish(metrics={"a": 1})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/experiment.json").write_text("{")
    found = {run.name: run for run in runs(tmp_path)}
    assert {name: run.state for name, run in found.items()} == {
        "night": "running", "sweep/a-1": "finished", "manual/03_self_play": "finished", "broken": "damaged",
    }  # fmt: skip
    assert found["manual/03_self_play"].kind == "by hand"
    html = runs(tmp_path)._repr_html_()
    assert "update 25" in html and "not readable as JSON" in html
    assert "No runs yet" in runs(tmp_path / "nothing")._repr_html_()
    assert read_run(tmp_path / "nowhere", tmp_path) is None


def test_without_widgets_it_shows_how_things_stand(night, tmp_path, few):
    (night / "gen_001/train/metrics.jsonl").write_text('{"step": 1, "time": 1.0, "losses/policy_loss": 0.5}\n' * 3)
    few.save(night / "gen_001/collect/tournament")
    bundle = Dashboard(tmp_path)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    html = bundle["text/html"]
    for wanted in (
        "night",
        "generation 1 · train",
        "data:image/png;base64,",
        "Win rate of the row",
        "As things stood at",
    ):
        assert wanted in html
    assert not any(tag in html for tag in ("<style", "<script", "<svg", "class=", "onclick"))
    with pytest.raises(ValueError, match="no run 'nigth'"):
        Dashboard(tmp_path, run="nigth")
    assert "no runs yet" in repr(Dashboard(tmp_path / "nothing"))


def test_text_of_others_is_escaped(tmp_path):
    evil = '"><script>alert(1)</script>'
    folder = experiment(tmp_path, "night", "failed", [entry(evil, "failed", error=evil)], message=evil)
    (folder / "run.log").write_text(evil)
    bundle = Dashboard(tmp_path)._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"] and "&lt;script&gt;" in bundle["text/html"]
    seen = watched(tmp_path, lambda view: view.tabs.set_trait("selected_index", 3))
    assert "&lt;script&gt;" in seen and "<script>" not in seen


def watched(outputs, *steps, panels=()) -> str:
    """All that an open dashboard shows as HTML after these steps, each given the view and some time."""

    async def watch() -> str:
        board = Dashboard(outputs, panels=panels)
        board.open()
        try:
            for step in (lambda view: None, *steps):
                step(board.view)
                await asyncio.sleep(0.9)
            return texts(board.view.widget)
        finally:
            board.close()

    return asyncio.run(watch())


def texts(widget) -> str:
    own = getattr(widget, "value", "") if isinstance(widget, widgets.HTML) else ""
    return own + "".join(texts(child) for child in getattr(widget, "children", ()))


def test_an_open_dashboard_follows_what_happens(night, tmp_path):
    seen = []

    def finish(view) -> None:
        seen.append(texts(view.widget))
        stages = [entry("collect", "finished", seconds=10.0), entry("train", "finished", seconds=20.0)]
        experiment(tmp_path, "night", "finished", stages)

    def delete(view) -> None:
        seen.append(texts(view.widget))
        assert view.steering.resume.disabled and view.steering.stop.disabled
        shutil.rmtree(night)

    last = watched(tmp_path, finish, delete)
    assert "update 25" in seen[0] and "about 40 s left" in seen[0]
    assert ">finished</b>" in seen[1] and "2 of 2 stages done" in seen[1]
    assert "was deleted while it was watched" in last
    assert "generation 1 · train" in last  # the last that was seen stays


def test_buttons_make_sense(night, tmp_path):
    lock = night / "run.lock"
    write_json(lock, {**this_process(), "since": "now"})

    def press(view) -> None:
        assert not view.steering.stop.disabled and view.steering.resume.disabled
        view.steering.stop.click()
        assert view.steering.really.layout.display is None and view.steering.stop.layout.display == "none"
        view.steering.no.click()
        assert "Not stopped." in view.steering.said.value

    def press_in_earnest(view) -> None:
        assert view.steering.really.layout.display == "none"
        view.steering.stop.click()
        view.steering.really.click()
        assert "Not stopped: this very process runs it" in view.steering.said.value
        lock.write_text("")
        stages = [entry("train", "interrupted")]
        experiment(tmp_path, "night", "interrupted", stages)
        write_json(night / ".launch.json", {"arguments": ["run", "nowhere.yaml"], "directory": ".."})

    def resume(view) -> None:
        assert view.steering.stop.disabled and not view.steering.resume.disabled
        assert view.steering.resume.tooltip == "start it again: workbench run nowhere.yaml"
        view.steering.resume.click()
        assert "Started process" in view.steering.said.value
        view.steering._process.wait(60)

    seen = watched(tmp_path, press, press_in_earnest, resume)
    assert "has ended with code 2: nowhere.yaml: no such experiment" in seen


def test_a_panel_of_ones_own(night, tmp_path):
    class Lab:
        title = "Lab"

        def __init__(self):
            self.widget = widgets.HTML()

        def look(self, run):
            return f"seen {run.name}"

        def show(self, seen):
            self.widget.value = seen

    assert "seen night" in watched(tmp_path, lambda view: view.tabs.set_trait("selected_index", 4), panels=[Lab()])


def test_opening_another_dashboard_stops_the_first(night, tmp_path):
    async def open_two():
        first, second = Dashboard(tmp_path), Dashboard(tmp_path)
        first.open()
        await asyncio.sleep(0.1)
        second.open()
        await asyncio.sleep(0.1)
        try:
            return first.view._task.done(), second.view._task.done()
        finally:
            second.close()

    assert asyncio.run(open_two()) == (True, False)


def test_the_leaderboard_counts_the_pairs_that_are_done(night, tmp_path, few):
    panel, run = LeaderboardPanel(), read_run(night, tmp_path)
    assert "they come with a tournament" in panel.look(run)["html"]
    tournament = night / "gen_001/train/tournament"
    few.save(tournament / "pairs/a_vs_b-1")
    html = panel.look(run)["html"]
    assert "so far: 1 pairs have finished" in html and "gen_001 against random" in html
    assert "html" not in panel.look(run)  # nothing new, nothing computed
    few.save(tournament)
    assert "so far" not in panel.look(run)["html"]


def test_it_is_alive_only_where_somebody_watches(night, tmp_path, monkeypatch):
    monkeypatch.setenv(LIVE_VARIABLE, "1")  # but there is no kernel here
    assert "application/vnd.jupyter.widget-view+json" not in Dashboard(tmp_path)._repr_mimebundle_()
    assert os.environ[LIVE_VARIABLE] == "1"
