"""The league's notebook through the runner: where exploitability is known, and where the arms' last policies meet."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.arena import Matches
from workbench.cli import app
from workbench.pipeline import read_metrics
from workbench.policies import load_policy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SMALL = """
name: small
stages:
  league:
    parameters:
      {{env: {env}, games: 16, seeds: 2, timesteps: 2560, rollout_length: 8, hidden: [8], snapshot_frames: 512, epochs: 1,
       member_games: {member_games}, rating_games: 6, workers: 1, scripted: {scripted}, held_out: {held_out}}}
"""


def run(tmp_path, **values) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.format(**values))
    done = CliRunner().invoke(app, ["run", str(file), "--output-dir", str(tmp_path / "outputs")])
    assert done.exit_code == 0, done.output
    (stage,) = (tmp_path / "outputs").glob("*/*/15_league")
    return stage


def test_where_exploitability_is_known(tmp_path):
    stage = run(tmp_path, env="kuhn", member_games=2, scripted="[]", held_out="[]")
    result = json.loads((stage / "result.json").read_text())
    names = ["simple_mix", "pfsp", "league", "league less simple_mix", "league less pfsp"]
    measures = ("exploitability", "exploitability of its mixture")
    assert list(result["metrics"]) == [f"{what}, {name}" for what in measures for name in names]
    assert all(len(interval) == 3 for interval in result["metrics"].values())
    histories = {path.parent.name: json.loads(path.read_text()) for path in stage.glob("runs/*/history.json")}
    assert set(histories) == {f"{name}-{seed}" for name in names[:3] for seed in (0, 1)}
    assert all(rows[-1]["step"] == 2560 for rows in histories.values())
    rows = read_metrics(stage / "metrics.jsonl")
    assert [row["step"] for row in rows] == [128 * (n + 1) for n in range(6 * 20)]
    assert {"league/main/win_rate", "league/main-exploiter/elo", "league/size", "population/elo", "losses/entropy"} <= {
        name for row in rows for name in row
    }
    members = Matches.load(stage / "members_tournament")
    folders = {path.name for path in (stage / "members").iterdir()}
    assert {"main", "main@0", "main@1", "league-exploiter@0"} <= folders == set(members.policies)
    assert load_policy(stage / "members/main@1").lineage == {"trained_by": "PPO in a league, as main", "parent": "main"}


def test_where_the_last_policies_meet(tmp_path):
    stage = run(tmp_path, env="rps", member_games=0, scripted="[rps/rock]", held_out="[rps/paper]")
    matches = Matches.load(stage / "tournament")
    arms = {f"{name}-{seed}" for name in ("simple_mix", "pfsp", "league") for seed in (0, 1)}
    assert set(matches.policies) == arms | {"rps/rock", "rps/paper"} and len(matches) == 28 * 6
    metrics = json.loads((stage / "result.json").read_text())["metrics"]
    (rate,) = [value for name, value in metrics.items() if name.endswith("players, league")]
    expected = [
        sum(
            sum(matches.score(f"league-{seed}", one).rate for one in some) / len(some)
            for some in (["simple_mix-0", "simple_mix-1"], ["pfsp-0", "pfsp-1"], ["rps/rock"], ["rps/paper"])
        )
        / 4
        for seed in (0, 1)
    ]
    assert rate[0] == pytest.approx(sum(expected) / 2)
    assert not (stage / "members_tournament").exists()
