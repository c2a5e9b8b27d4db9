"""Every notebook as a person runs it: opened in JupyterLab in a browser, Run All, stopped and gone on with."""

import time

import pytest

from workbench.arena import collect, round_robin
from workbench.arena.executors import SerialExecutor
from workbench.pipeline.files import read_json

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BAR, CURVES = "border-radius:4px", "data:image/png;base64,"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Recorded games, and a tournament's, of a game that costs nothing."""
    folder = tmp_path_factory.mktemp("data")
    players = ["random", "leduc/call", "leduc/raise"]
    recorded = collect(
        "leduc", "leduc/call", ["random"], games=80, folder=folder / "recorded", executor=SerialExecutor()
    )
    round_robin("leduc", players, games_per_pair=40, folder=folder / "tournament", executor=SerialExecutor())
    return {"recorded": str(recorded.folder), "tournament": str(folder / "tournament")}


SHORT = {
    "00_tour": {"games": 20, "frames": 16_384, "battles": 20, "updates": 20},
    "03_self_play": {
        "games": 16, "timesteps": 48_000, "rollout_length": 32, "hidden": [32], "rating_games": 4, "scripted": ["melee-mock/cpu1"],
        "env_options": {"frames_per_decision": 8, "frame_limit": 1200},
    },
    "04_collect": {"env": "leduc", "policy": "leduc/call", "opponents": ["random"], "games": 8000, "games_per_chunk": 100},
    "05_filter": {"min_turns": 1},
    "06_finetune": {"env": "leduc", "epochs": 40, "updates_per_epoch": 10, "hidden": [32], "batch_size": 16},
    "07_tournament": {"env": "leduc", "players": ["random", "leduc/call", "leduc/fold", "leduc/raise"], "games_per_pair": 4000},
    "08_ratings": {"bootstraps": 100},
    "10_meta_game": {
        "env": "kuhn", "policies": ["random", "kuhn/bet", "kuhn/pass"], "games_per_pair": 100, "further_games": 100,
        "resampled": 50,
    },
    "11_best_response": {
        "env": "kuhn", "mixture": "kuhn/bet", "games": 64, "timesteps": 200_000, "rollout_length": 16, "hidden": [16],
    },
    "12_nash_mixture": {
        "exploiter_timesteps": 20_000, "hidden": [16], "evaluation_games": 100, "distillation": {"games": 200, "epochs": 3},
    },
    "13_damping": {"games": 64, "seeds": 2, "timesteps": 40_000, "hidden": [16]},
    "15_league": {"games": 32, "seeds": 1, "timesteps": 40_000, "hidden": [16], "snapshot_frames": 5000, "member_games": 4},
}  # fmt: skip
INPUTS = {
    "05_filter": ("dataset", "recorded"),
    "06_finetune": ("datasets", "recorded"),
    "08_ratings": ("matches", "tournament"),
}
STOPPED = {  # where each works long, and what it shows meanwhile
    "03_self_play": ("while ppo.frames < timesteps", CURVES),
    "04_collect": ("wb.collect(", BAR),
    "06_finetune": ("while imitation.progress < 1", CURVES),
    "07_tournament": ("wb.round_robin(", BAR),
    "11_best_response": ("team.frames < timesteps", CURVES),
    "13_damping": ("run_trial(", CURVES),
    "15_league": ("run_trial(", BAR),
}


def prepared(lab, notebook: str, data: dict) -> None:
    parameters = dict(SHORT[notebook])
    if notebook in INPUTS:
        name, kind = INPUTS[notebook]
        parameters[name] = [data[kind]] if name.endswith("s") and name != "matches" else data[kind]
    lab.set(notebook, **parameters)


def look(opened, tmp_path, name: str, cell=None) -> None:
    """Keep a picture of the page, for whoever wants to see what the test saw."""
    if cell is not None:
        cell.scroll_into_view_if_needed()
    opened.tab.screenshot(path=tmp_path / f"{name}.png")


@pytest.mark.parametrize("notebook", sorted(SHORT.keys() - STOPPED.keys()))
def test_a_notebook_runs_from_top_to_bottom(lab, tab, data, tmp_path, notebook):
    prepared(lab, notebook, data)
    opened = lab.open(tab, notebook)
    opened.run_all()
    opened.wait_until_run(300)
    look(opened, tmp_path, notebook)
    assert opened.errors() == []
    assert lab.status(notebook)["state"] == "finished"
    assert read_json(lab.project / "outputs/manual" / notebook / "result.json")["metrics"]
    opened.shut_down()


@pytest.mark.parametrize("notebook", sorted(STOPPED))
def test_a_notebook_is_stopped_and_goes_on_when_its_cell_is_run_again(lab, tab, data, tmp_path, notebook):
    prepared(lab, notebook, data)
    cell_text, shown = STOPPED[notebook]
    opened = lab.open(tab, notebook)
    cell = tab.locator(".jp-CodeCell", has_text=cell_text).first
    opened.run_all()
    wait_for(lambda: (lab.status(notebook).get("done") or 0) > 0 or opened.errors(), 120)
    wait_for(lambda: BAR.replace(":", ": ") in cell.inner_html() or BAR in cell.inner_html(), 20)
    opened.interrupt()
    wait_for(opened.errors, 60)
    look(opened, tmp_path, f"{notebook} stopped", cell)
    (error,) = opened.errors()
    assert "KeyboardInterrupt" in error
    wait_for(lambda: lab.status(notebook)["state"] == "interrupted", 10)
    wait_for(lambda: "stopped by the user; run the cell again to go on" in cell.inner_text(), 10)
    reached = lab.status(notebook)["done"]
    assert 0 < reached < lab.status(notebook)["total"]

    opened.wait_until_idle(60)
    opened.run_from(cell_text)
    wait_for(lambda: lab.status(notebook)["state"] != "interrupted", 30)
    opened.wait_until_run(300)
    look(opened, tmp_path, f"{notebook} finished", cell)
    assert opened.errors() == []
    assert lab.status(notebook)["state"] == "finished"
    assert shown in cell.inner_html()
    opened.shut_down()


def wait_for(condition, seconds: float):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value
