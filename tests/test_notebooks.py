"""The stages as notebooks: every one runs through the runner, small and real, and leaves what its users look for."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from workbench.arena import Matches, SerialExecutor, collect
from workbench.cli import app
from workbench.data.datasets import Dataset
from workbench.pipeline import read_metrics
from workbench.pipeline.parameters import read_schema
from workbench.policies import load_policy

ROOT = Path(__file__).resolve().parents[1]

CHAIN = """
name: small
generations: 2
shared: {{env: {env}, workers: 1, batch_size: 8}}
stages:
  collect:
    parameters: {{policy: "${{previous.finetune.policy}}", opponents: [{teacher}], games: 24, games_per_chunk: 12}}
    initial: {{policy: random}}
  filter:
    parameters: {{dataset: "${{collect.dataset}}", min_turns: 1}}
  finetune:
    parameters:
      {{name: "generation-${{generation}}", policy: "${{previous.finetune.policy}}", datasets: ["${{filter.dataset}}"],
       epochs: 2, updates_per_epoch: 3, batch_size: 8, hidden: [16], validation_fraction: 0.3}}
    initial: {{policy: null}}
  tournament:
    parameters: {{players: [random, {teacher}], policies: ["${{every.finetune.policy}}"], games_per_pair: 8}}
  ratings:
    parameters: {{matches: "${{tournament.matches}}", bootstraps: 50, lineage: [generation-1, "generation-${{generation}}"]}}
    initial: {{lineage: [generation-1]}}
"""

LEARNERS = """
name: learners
stages:
  self_play:
    parameters:
      {{env: {env}, env_options: {options}, name: learner, games: 8, timesteps: 1024, rollout_length: 16, hidden: [16],
       scripted: [{teacher}], snapshot_interval: 2, save_interval: 2, rating_games: 4, minibatches: 2}}
"""


def write(tmp_path, text: str) -> Path:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "small.yaml").write_text(text)
    return tmp_path / "small.yaml"


def start(tmp_path, text: str, *options) -> Path:
    """Sets the real command off in the background; the experiment's folder as soon as it is there."""
    command = [
        sys.executable,
        "-m",
        "workbench.cli",
        "run",
        write(tmp_path, text),
        "--output-dir",
        tmp_path / "outputs",
        *options,
    ]
    subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (file,) = wait_for(lambda: list((tmp_path / "outputs").glob("*/experiment.json")))
    return file.parent


def wait_for(condition, seconds: float = 60):
    """The condition's first true value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


def kill_everything(folder: Path) -> None:
    """SIGKILL to the runner, its stages and their kernels, as when the machine is switched off."""
    mark = str(folder.parent)
    ours = [one for one in psutil.process_iter(["cmdline"]) if any(mark in part for part in one.info["cmdline"] or [])]
    for one in ours + [child for parent in ours for child in parent.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(ours, timeout=10)


def run(tmp_path, text: str, *options) -> Path:
    """The experiment's folder after the command line has run it."""
    file = write(tmp_path, text)
    done = CliRunner().invoke(app, ["run", str(file), "--output-dir", str(tmp_path / "outputs"), *map(str, options)])
    assert done.exit_code == 0, done.output
    (folder,) = (path.parent for path in (tmp_path / "outputs").glob("*/experiment.json"))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("env", "teacher"),
    [("leduc", "leduc/call"), pytest.param("gen1ou", "gen1ou/max-power", marks=pytest.mark.showdown)],
)
def test_a_chain_of_two_generations(tmp_path, env, teacher):
    folder = run(tmp_path, CHAIN.format(env=env, teacher=teacher))
    for generation in ("gen_001", "gen_002"):
        results = {
            path.parent.name: json.loads(path.read_text()) for path in folder.glob(f"{generation}/*/result.json")
        }
        assert sorted(results) == ["04_collect", "05_filter", "06_finetune", "07_tournament", "08_ratings"]
        for stage in results:
            assert (folder / generation / stage / "report.html").stat().st_size > 10_000
    second = folder / "gen_002"
    assert Dataset(second / "04_collect" / "dataset").games == 24
    stats = json.loads((second / "05_filter" / "dataset" / "filtering_stats.json").read_text())
    assert stats["input_count"] == 48 == stats["output_count"] + sum(stats["failed_reasons"].values())
    assert load_policy(second / "06_finetune" / "policy").lineage["parent"] == "generation-1"
    matches = Matches.load(second / "07_tournament" / "tournament")
    assert set(matches.policies) == {"random", teacher, "generation-1", "generation-2"} and len(matches) == 6 * 8
    assert (second / "07_tournament" / "tournament" / "tournament_results.json").is_file()
    ratings = second / "08_ratings"
    for name in ("ratings.json", "progression.csv", "matchup_matrix.csv", "statistics.csv"):
        assert (ratings / f"elo_results_{name}").is_file()
    figures = {path.name for path in (ratings / "visualizations").iterdir()}
    assert {
        f"{name}.png" for name in ("elo_rankings", "elo_progression", "winrate_heatmap", "statistics_comparison")
    } <= figures
    assert (folder / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_self_play(tmp_path):
    options = "{frames_per_decision: 8, frame_limit: 600}"
    folder = run(tmp_path, LEARNERS.format(env="melee-mock", teacher="melee-mock/cpu1", options=options))
    (stage,) = folder.glob("*/03_self_play")
    result = json.loads((stage / "result.json").read_text())
    assert result["metrics"]["frames"] == 1024
    assert load_policy(stage / "policy").id == "learner"
    logged = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    assert [row["charts/frames"] for row in logged] == list(range(128, 1025, 128))
    assert len(Matches.load(stage / "tournament")) == 4 * 6


def test_self_play_covers_what_its_users_can_set_elsewhere():
    schema = read_schema(ROOT / "notebooks" / "03_self_play.ipynb")
    # options of the self-play guide users come from, under our names
    asked = {
        "--pretrained": "policy", "--game-type": "env", "--timesteps": "timesteps", "--num-games": "games",
        "--checkpoint": "output_dir", "--save-interval": "save_interval", "--rollout-length": "rollout_length",
        "--batch-size": "minibatches", "--ppo-epochs": "epochs", "--ppo-clip": "clip", "--gamma": "discount",
        "--learning-rate": "learning_rate", "--gae-lambda": "trace", "--character": "env_options",
        "--track-elo": "track_elo", "--max-episode-frames": "env_options", "--mode": "mode",
    }  # fmt: skip
    assert {ours for ours in asked.values() if ours not in schema} == set()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_self_play_killed_outright_goes_on_and_ends_the_same(tmp_path):
    options = "{frames_per_decision: 8, frame_limit: 600}"
    text = LEARNERS.format(env="melee-mock", teacher="melee-mock/cpu1", options=options)
    text = text.replace("timesteps: 1024", "timesteps: 20480").replace("rating_games: 4", "track_elo: false")
    undisturbed = run(tmp_path / "a", text)

    folder = start(tmp_path / "b", text)
    (stage,) = wait_for(lambda: list(folder.glob("*/03_self_play")))
    wait_for(lambda: (stage / "checkpoint").is_dir() and any((stage / "checkpoint").glob("*.json")))
    logged = (stage / "metrics.jsonl").read_text().count("\n")
    kill_everything(folder)
    assert not (stage / "result.json").exists() and logged < 160

    assert run(tmp_path / "b", text) == folder
    for name in ("policy/policy.safetensors", "first/policy.safetensors"):
        (whole,) = undisturbed.glob(f"*/03_self_play/{name}")
        assert (stage / name).read_bytes() == whole.read_bytes()
    steps = [json.loads(line)["step"] for line in (stage / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(128, 20481, 128))
    assert json.loads((stage / "result.json").read_text())["provenance"]["resumed"] is True


COLLECT = """
name: collecting
stages:
  collect:
    parameters:
      {env: leduc, policy: leduc/call, opponents: [random, leduc/fold], games: 6000, games_per_chunk: 500, workers: 1, batch_size: 8}
"""

EPOCHS = 60

FINETUNE = """
name: learning
stages:
  finetune:
    parameters:
      {{env: leduc, datasets: ["{dataset}"], name: pupil, epochs: {epochs}, updates_per_epoch: 5, batch_size: 8, hidden: [16],
       validation_fraction: 0.2}}
"""


def marks(folder: Path) -> dict[str, tuple[int, int]]:
    """What tells whether a file was written again: its inode and when it was changed."""
    return {
        str(file.relative_to(folder)): (file.stat().st_ino, file.stat().st_mtime_ns)
        for file in folder.rglob("*")
        if file.suffix == ".parquet"
    }


def views(folder: Path) -> list[tuple]:
    """All that was recorded of all games, in the order of their ids."""
    return sorted(
        (one.game.match_id, one.game.seat, one.game.policy, one.action.tolist(), one.reward.tolist())
        for one in Dataset(folder)
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_collecting_killed_outright_plays_no_chunk_twice_and_ends_the_same(tmp_path):
    (undisturbed,) = run(tmp_path / "a", COLLECT).glob("*/04_collect/dataset")

    folder = start(tmp_path / "b", COLLECT)
    dataset = folder / "gen_001/04_collect/dataset"
    wait_for(lambda: len(list(dataset.glob("chunks/*/*.parquet"))) >= 3)
    kill_everything(folder)
    assert not (dataset.parent / "result.json").exists()
    finished = marks(dataset / "chunks")
    assert 3 <= len(finished) < 12

    assert run(tmp_path / "b", COLLECT) == folder
    after = marks(dataset / "chunks")
    assert {name: after[name] for name in finished} == finished and len(after) == 12
    tables = [Matches.load(place).table.drop(columns=["started", "seconds"]) for place in (dataset, undisturbed)]
    assert tables[0].equals(tables[1]) and len(tables[0]) == 6000
    assert views(dataset) == views(undisturbed) != []
    assert json.loads((dataset.parent / "result.json").read_text())["metrics"]["games"] == 6000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_finetuning_killed_outright_goes_on_and_ends_the_same(tmp_path):
    recorded = collect(
        "leduc", "leduc/call", ["random"], games=60, folder=tmp_path / "recorded", executor=SerialExecutor()
    ).folder
    text = FINETUNE.format(dataset=recorded, epochs=EPOCHS)
    allowed = ("--allow-path", recorded)
    (undisturbed,) = run(tmp_path / "a", text, *allowed).glob("*/06_finetune")

    folder = start(tmp_path / "b", text, *allowed)
    stage = folder / "gen_001/06_finetune"
    wait_for(lambda: (stage / "epochs/003").is_dir() and any((stage / "checkpoint").glob("*.json")))
    kill_everything(folder)
    assert not (stage / "result.json").exists()
    first = (stage / "epochs/001/policy.safetensors").stat()

    assert run(tmp_path / "b", text, *allowed) == folder
    again = (stage / "epochs/001/policy.safetensors").stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    names = ["policy", "start", *(f"epochs/{epoch:03d}" for epoch in range(1, EPOCHS + 1))]
    assert sorted(place.name for place in (stage / "epochs").iterdir()) == [name[7:] for name in names[2:]]
    for name in names:
        assert (stage / name / "policy.safetensors").read_bytes() == (
            undisturbed / name / "policy.safetensors"
        ).read_bytes(), name
    logged = [
        [
            (row["step"], row.get("losses/policy_loss"), row.get("validation/loss"))
            for row in read_metrics(place / "metrics.jsonl")
        ]
        for place in (stage, undisturbed)
    ]
    assert logged[0] == logged[1]
    assert json.loads((stage / "result.json").read_text())["provenance"]["resumed"] is True


PSRO = """
name: psro
generations: 3
stop_when: ${meta_game.metrics.converged}
shared: {env: kuhn, workers: 1, batch_size: 8, policies: [kuhn/bet, random], games_per_pair: 8}
stages:
  best_response:
    parameters:
      {mixture: "${previous.meta_game.mixture}", opponents: ["${previous.meta_game.opponents}"],
       starts: ["${previous.best_response.policy}"], name: "response-${generation}", responses: 2, timesteps: 1024, games: 8,
       rollout_length: 16, hidden: [8], evaluation_games: 20}
    initial: {mixture: kuhn/bet, opponents: [], starts: []}
  meta_game:
    parameters:
      {responses: ["${every.best_response.responses}"], resampled: 20, averaged: true, selector: uniform,
       stop_below: 2.5,
       gains: ["${every.best_response.metrics.gain}"]}
  nash_mixture:
    generations: last
    parameters:
      {mixture: "${meta_game.mixture}", responses: ["${every.best_response.responses}"], register: sigma, evaluation_games: 8,
       exploiter_start: "${best_response.policy}", exploiter_timesteps: 1024, games: 8, rollout_length: 16, hidden: [8], distillation: {games: 40, epochs: 2}}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_psro_with_several_responses_ends_early_and_examines_its_mixture(tmp_path):
    folder = run(tmp_path, PSRO)  # no interval is wider than what is at stake, so the first response ends it
    stages = json.loads((folder / "experiment.json").read_text())
    states = {(entry["generation"], entry["stage"]): entry["state"] for entry in stages["stages"]}
    assert [states[generation, "best_response"] for generation in (1, 2, 3)] == ["finished", "skipped", "skipped"]
    assert states[3, "nash_mixture"] == "finished"
    assert stages["message"].startswith("generation 1 of 3 was the last") and stages["state"] == "finished"
    population = json.loads((folder / "gen_001/10_meta_game/analysis/population.json").read_text())
    assert list(population["policies"]) == ["kuhn/bet", "random", "response-1-a", "response-1-b"]
    strategy = json.loads((folder / "gen_001/10_meta_game/analysis/meta_strategy.json").read_text())
    assert strategy["metadata"]["method"] == "nash, averaged" and sum(strategy["meta_strategy"]) == pytest.approx(1)
    opponents = load_policy(folder / "gen_001/10_meta_game/opponents/000")
    assert opponents.id == "uniform-0" and opponents.weights.tolist() == [0.25] * 4
    trained = load_policy(folder / "gen_001/11_best_response/policies/response-1-a")
    assert trained.lineage["against"] == "always-kuhn/bet"
    result = json.loads((folder / "gen_003/12_nash_mixture/result.json").read_text())["metrics"]
    assert result["exploitability, exact/mixture-0"] >= 0 and "fresh exploiter earns from/distilled" in result
    exploiter = load_policy(folder / "gen_003/12_nash_mixture/exploiter/policy")
    assert exploiter.id == "fresh-exploiter" and exploiter.lineage["parent"].startswith("response-1-")
    assert load_policy("sigma", root=folder.parent).id == "sigma"
    assert load_policy("sigma-distilled", root=folder.parent).lineage["imitates"] == "mixture-0"
