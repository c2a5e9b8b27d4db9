"""The dashboard as a person uses it, on a run that is really running; and what everything shows where nothing is trusted."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from workbench.pipeline.control import runner_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[3]
NIGHT = """
name: night
stages:
  tournament:
    parameters: {env: leduc, players: [random, leduc/call, leduc/raise], games_per_pair: 40, workers: 1}
  train:
    notebook: ../toys/02_train.ipynb
    parameters: {steps: 100000, pause: 0.05}
"""


@pytest.fixture
def night(lab):
    """A run in the lab's project: a tournament that is finished, and training that goes on as long as it is let."""
    shutil.copytree(ROOT / "tests/pipeline/notebooks", lab.project / "toys")
    (lab.project / "params").mkdir()
    (lab.project / "params/night.yaml").write_text(NIGHT)
    command = [sys.executable, "-m", "workbench.cli", "run", "params/night.yaml"]
    process = subprocess.Popen(command, cwd=lab.project, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    folder = lab.project / "outputs/night"
    wait_for(lambda: (folder / "gen_001/02_train/checkpoint/state.json").exists(), 120)
    yield folder, process
    for left in (process, *started_from_here(folder)):
        kill(left)


def kill(process) -> None:
    """SIGKILL to a process and all its children."""
    try:
        family = [process, *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def started_from_here(folder: Path) -> list:
    holder = runner_of(folder)
    return [psutil.Process(holder["pid"])] if holder else []


def wait_for(condition, seconds: float):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value


def test_the_dashboard_shows_a_run_stops_it_and_goes_on(lab, night, tab, tmp_path):
    folder, process = night
    opened = lab.open(tab, "20_dashboard")
    opened.run_all()
    opened.wait_until_run(120)
    board = tab.locator(".jp-CodeCell", has_text="wb.Dashboard").locator(".jp-OutputArea-output").first

    def to(panel: str):
        board.locator(".lm-TabBar-tab", has_text=panel).click()
        time.sleep(1)

    def press(button: str):
        board.locator("button:visible", has_text=re.compile(rf"^\s*{button}\s*$")).click()

    def says(*texts: str, seconds: float = 30) -> None:
        for text in texts:
            board.get_by_text(text).locator("visible=true").first.wait_for(timeout=1000 * seconds)

    def look(name: str) -> None:
        tab.screenshot(path=tmp_path / f"{name}.png")

    says("running", "1 of 2 stages done", "generation 1 · train")
    look("progress")

    to("Curves")
    picture = board.locator("img.widget-image")
    wait_for(lambda: picture.get_attribute("src"), 30)
    before = picture.get_attribute("src")
    wait_for(lambda: picture.get_attribute("src") != before, 30)  # by itself, while the run goes on
    assert picture.evaluate("image => image.naturalWidth") > 300
    board.locator("select").nth(2).select_option("held-out games")
    says("logs nothing of this kind")
    board.locator("select").nth(2).select_option("losses")
    board.locator("select").nth(1).select_option("generation 1 · train")
    says("lines, the newest of step")
    wait_for(picture.is_visible, 30)
    look("curves")

    to("Leaderboard")
    says("Bradley–Terry", "Win rate of the row against the column")
    cell = board.locator('td[title*="leduc/call against random"]').first
    cell.hover()
    assert "95% interval" in cell.get_attribute("title")
    look("leaderboard")

    to("Log")
    says("cell 6 of 7")
    board.locator("select").nth(4).select_option("the stage's process")
    says("log.txt")
    look("log")

    to("Progress")
    press("Following")
    says("Paused")
    press("Paused")
    says("Following")

    press("Stop")
    says("Really?")
    look("really")
    press("No")
    says("Not stopped.")
    press("Stop")
    press("Really stop")
    says(f"asked process {process.pid} to stop")
    assert process.wait(60) == 130
    says("interrupted")
    look("stopped")

    press("Resume")
    says("workbench run params/night.yaml; what it says is in run.log")
    (again,) = wait_for(lambda: started_from_here(folder), 60)
    says("running")
    wait_for(lambda: "going on from its checkpoint" in (folder / "run.log").read_text(), 60)
    look("resumed")
    wait_for(lambda: again.children(), 60)
    kill(again)
    says("died", "ended without a word")
    look("died")

    shutil.rmtree(folder)
    says("was deleted while it was watched")
    look("deleted")
    assert opened.errors() == []
    opened.shut_down()


REPRS = """
import numpy as np
import workbench as wb
from workbench.arena.executors import SerialExecutor
from workbench.ui.dashboard import Dashboard
from workbench.ui.live import bar_html
from workbench.ui.tables import Html, figures_table
""", """
env = wb.make("leduc", batch_size=8)
matches = wb.play(env, "leduc/call", "random", games=40)
matches
""", """
standings = wb.ratings(matches)
standings
""", "matches.counts", """
learner = wb.Policy.create(env.spec, wb.PolicySettings(hidden=(16,)), seed=0)
learner
""", """
population = wb.Population(scripted=["leduc/call"], spec=env.spec)
population
""", """
recorded = wb.collect("leduc", "leduc/call", ["random"], games=20, folder="recorded", executor=SerialExecutor())
recorded
""", """
dataset = wb.Dataset(recorded.folder)
dataset
""", "next(iter(dataset))", """
melee = wb.make("melee-mock", batch_size=2)
melee.reset(0)
melee
""", """
stage = wb.stage("outputs/one", name="one")
stage
""", "wb.runs('outputs')", "Dashboard('outputs')", """
Html(bar_html({"done": 3, "total": 4}, "running", "three of four"))
""", "figures_table({'a': 1.5})", "wb.plots.winrate_heatmap(matches, standings)"  # fmt: skip
SEEN = (
    "40 games of leduc", "Bradley–Terry", "Win rate of the row", "network", "Population, mode", "seen from",
    "One player's view", "stages done", "As things stood at", "three of four", "writing to",
)  # fmt: skip


def test_everything_shows_itself_alike_trusted_or_not(lab, tab, tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in REPRS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    path = lab.project / "notebooks/reprs.ipynb"
    nbformat.write(notebook, path)

    def shown(name: str) -> tuple[list[str], list[bool]]:
        opened = lab.open(tab, "reprs")
        outputs = tab.locator(".jp-OutputArea-output")
        wait_for(lambda: outputs.count() >= len(REPRS) - 1, 20)
        images = outputs.locator("img")
        drawn = [image.evaluate("image => image.complete && image.naturalWidth > 0") for image in images.all()]
        for number in range(outputs.count()):
            outputs.nth(number).screenshot(path=tmp_path / f"{name} {number:02d}.png")
        texts = outputs.all_inner_texts()
        opened.shut_down()
        return texts, drawn

    untrusted, pictures = shown("untrusted")
    assert len(pictures) == 3 and all(pictures)  # two of Melee, one figure
    for text in SEEN:
        assert any(text in one for one in untrusted), text
    lab.trust(path)
    trusted, as_many = shown("trusted")
    assert trusted == untrusted and as_many == pictures
