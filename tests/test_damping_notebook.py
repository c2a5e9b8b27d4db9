"""The damping notebook through the runner, where exploitability is not known: both arms meet, and players of no arm."""

import json

import pytest
from typer.testing import CliRunner

from workbench.arena import Matches
from workbench.cli import app
from workbench.envs import make
from workbench.policies import Policy, PolicySettings

SMALL = """
name: small
stages:
  damping:
    parameters:
      {{env: rps, games: 16, seeds: 2, timesteps: 512, rollout_length: 8, epochs: 1, rating_games: 6, workers: 1,
       policy: {policy}, held_out: [{policy}, rps/paper]}}
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_arms_meet_and_policies_are_called_by_their_ids(tmp_path):
    with make("rps") as env:
        beginner = Policy.create(env.spec, PolicySettings(hidden=(8,)), seed=0)
    beginner.id = "beginner"
    beginner.save(tmp_path / "some" / "policy")
    (tmp_path / "small.yaml").write_text(SMALL.format(policy=tmp_path / "some" / "policy"))
    done = CliRunner().invoke(app, ["run", str(tmp_path / "small.yaml"), "--output-dir", str(tmp_path / "outputs")])
    assert done.exit_code == 0, done.output
    (stage,) = (tmp_path / "outputs").glob("*/*/13_damping")
    matches = Matches.load(stage / "tournament")
    arms = {f"{arm}-{seed}" for arm in ("undamped", "damped") for seed in (0, 1)}
    assert set(matches.policies) == arms | {"beginner", "rps/paper"}
    metrics = json.loads((stage / "result.json").read_text())["metrics"]
    expected = sum(matches.score(f"damped-{seed}", "beginner").rate for seed in (0, 1)) / 2
    assert metrics["win rate against/beginner, damped"][0] == pytest.approx(expected)
    assert "win rate against/the undamped, damped less even play" in metrics
