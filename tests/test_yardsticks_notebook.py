"""The yardsticks through the runner: too short to reach anything, and every figure stands in the table."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from workbench.cli import app

SHORT = """
name: short
stages:
  yardsticks:
    parameters:
      {{seeds: 1, cartpole_frames: 512, memory_frames: 2304, kuhn_frames: 4096, games: 2, oracle_iterations: 2,
       sampled_seeds: 1, descent_iterations: 10, damped_seeds: 2, damped_kuhn_frames: 4096, damped_leduc_frames: 4096,
       nfsp_kuhn_frames: 4096, nfsp_leduc_frames: 4096, psro_iterations: 1, psro_frames: 4096, policies: 10,
       psro_experiments: {{small: {psro}}}, workers: 1}}
"""


def finished_psro(folder):
    """As an experiment of PSRO leaves it: the first response earns .4 a game, the second cannot be told from nothing."""
    for generation, gain, support in ((1, [0.4, 0.3, 0.5], 1.0), (2, [0.0, -0.1, 0.1], 2.5)):
        metrics = {"best_response": {"gain": gain}, "meta_game": {"effective support": support}, "start": {}}
        for stage, figures in metrics.items():
            place = folder / f"gen_{generation:03d}" / stage
            place.mkdir(parents=True)
            result = {"stage": stage, "metrics": figures, "provenance": {"wall_seconds": 60.0 * generation}}
            (place / "result.json").write_text(json.dumps(result))


@pytest.mark.slow
@pytest.mark.showdown
@pytest.mark.timeout(600)
def test_every_yardstick_stands_in_the_table(tmp_path):
    finished_psro(tmp_path / "psro_small")
    (tmp_path / "short.yaml").write_text(SHORT.format(psro=tmp_path / "psro_small"))
    done = CliRunner().invoke(app, ["run", str(tmp_path / "short.yaml"), "--output-dir", str(tmp_path / "outputs")])
    assert done.exit_code == 0, done.output
    (stage,) = (tmp_path / "outputs").glob("*/*/91_yardsticks")
    table = pd.read_csv(stage / "figures.csv").set_index("what")
    small = table[table.index.str.startswith("PSRO on small")]
    assert small["measured"].tolist() == pytest.approx([1, -0.4 + 0.02**0.5, 2.5, 4.0])
    assert small["reached"].tolist() == ["no", "yes", "yes", "yes"]
    for name in (
        "CartPole",
        "memory task",
        "double oracle",
        "mirror descent",
        "damped",
        "NFSP",
        "PPO oracles",
        "resampled",
    ):
        assert table.index.str.contains(name).any(), name
