"""The notebook of fictitious self-play runs as a stage and hands on ordinary policies."""

import json

import pytest

from tests.test_notebooks import run
from workbench.arena import Matches
from workbench.pipeline import read_metrics
from workbench.policies import load_policy

EXPERIMENT = """
name: averages
stages:
  nfsp:
    parameters:
      {env: kuhn, backbone: gru, hidden: [8], games: 16, timesteps: 2560, rollout_length: 16, capacity: 400, longest_game: 2,
       average_batch: 32, measure_interval: 5, save_interval: 4, opponents: [kuhn/nash], evaluation_games: 20, workers: 1}
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_average_and_its_best_response_are_measured_and_saved(tmp_path):
    (stage,) = run(tmp_path, EXPERIMENT).glob("*/14_nfsp")
    average, response = (load_policy(stage / folder) for folder in ("policy", "best_response"))
    assert (average.id, response.id) == ("nfsp", "nfsp-best-response")
    assert average.lineage["trained_by"] == "NFSP" and average.lineage["role"] == "average"
    assert average.training_figures["frames"] == 2560 and average.state_size > 0
    rows = read_metrics(stage / "metrics.jsonl")
    assert [row["step"] for row in rows if "nash_conv/average" in row] == [1280, 2560]
    result = json.loads((stage / "result.json").read_text())
    metrics = result["metrics"]
    assert metrics["nash_conv/average"] == pytest.approx(rows[-1]["nash_conv/average"])
    assert set(Matches.load(stage / "evaluation").policies) == {"nfsp", "nfsp-best-response", "kuhn/nash"}
    assert len(metrics["payoff/kuhn/nash"]) == 3 and set(result["artifacts"]) == {
        "policy",
        "best_response",
        "matches",
    }
