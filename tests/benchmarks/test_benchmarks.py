"""What the evidence notebooks compute: numbers worked by hand, and each measurement once, tiny."""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.benchmarks import (
    cartpole,
    collection,
    known_answers,
    meta_games,
    overhead,
    psro_runs,
    running,
    self_play,
    stepping,
    targets,
    timing,
)
from workbench.benchmarks.seeds import over_seeds


def test_figures_say_what_was_reached_and_leave_what_is_only_reported():
    table = timing.figures(
        [
            {"what": "speed", "measured": 2.0, "target": 1.5, "unit": "x"},
            {"what": "memory", "measured": 2.0, "target": 1.5, "unit": "GB", "more": False},
            {"what": "extra", "measured": 7.0, "unit": "x"},
        ]
    )
    assert table["reached"].tolist() == ["yes", "no", ""]
    assert np.isnan(table["target"][2])


def test_rate_is_the_best_stretch(monkeypatch):
    # three stretches of one step each, looked at when they begin, before and after the step, and at the end
    clock = iter([0.0, 0.0, 2.0, 2.0, 2.0, 2.0, 6.0, 6.0, 6.0, 6.0, 7.0, 7.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.rate(lambda: 10.0, seconds=3.0, warm_up=0, repeats=3) == pytest.approx(10.0)


def test_growth_is_the_rise_over_the_second_half():
    seconds = np.arange(12.0)
    table = pd.DataFrame({"seconds": seconds, "battles": np.minimum(seconds, 10) * 10})
    closing = table["battles"] == 100  # all are played, and processes end
    flat = table.assign(gigabytes=np.where(closing, 0.0, np.minimum(seconds, 5) / 5))
    assert collection.growth(flat) == pytest.approx(0.0)
    rising = table.assign(gigabytes=np.where(closing, 0.0, 0.1 * seconds))
    assert collection.growth(rising) == pytest.approx(0.4)  # 0.1 a second from the fifth to the ninth


def test_exact_values_agree_with_their_references():
    rows = known_answers.exact_rows(known_answers.exact_values())
    assert len(rows) == 7 and all(row["measured"] <= row["target"] for row in rows)


def test_openspiel_measures_the_same_exploitability():
    measured = known_answers.kuhn_self_play(frames=4096, seed=0, games=16, points=2)
    assert measured["frames"].tolist()[0] == 0 and len(measured) >= 3
    assert measured["exploitability"].to_numpy() == pytest.approx(measured["by_openspiel"].to_numpy(), abs=1e-9)


def test_stepping_reports_every_batch_observed_and_not():
    table = stepping.melee_stepping(batch_sizes=(1, 4), seconds=0.02)
    assert table[["batch_size", "observed"]].to_numpy().tolist() == [[1, False], [4, False], [1, True], [4, True]]
    assert (table["frames_per_second"] > 0).all()


def test_self_play_and_the_bare_network_count_decisions_alike():
    measured = self_play.melee_self_play(updates=1, games=4, steps=8, minibatches=1)
    assert measured["decisions_per_second"] == pytest.approx(2 * measured["frames_per_second"])
    assert 0 < measured["collecting"] < 1
    assert self_play.bare_network(rows=64, updates=1) > 0


def test_cartpole_is_evaluated_on_as_many_episodes_as_asked():
    policy, speed = cartpole.train_ours(cartpole.ZOO, frames=512, seed=0)
    returns = cartpole.evaluate(policy, episodes=5)
    assert returns.shape == (5,) and ((returns >= 1) & (returns <= 500)).all() and speed > 0


def test_an_mlp_recalls_no_better_than_chance():
    measured = known_answers.memory_task("mlp", frames=2304, seed=0)
    assert measured["backbone"] == "mlp" and abs(measured["recalled"] - 0.5) < 0.1


@pytest.mark.showdown
@pytest.mark.slow
def test_collecting_counts_its_decisions_and_its_memory():
    figures, memory = collection.collect_gen1ou(4, workers=1, batch_size=2)
    assert figures["decisions"] > 4 * 10 and figures["decisions_per_second"] > 0
    assert memory["battles"].is_monotonic_increasing and memory["gigabytes"].max() > 0.05


@pytest.mark.slow
def test_the_cost_of_running_compares_the_same_notebook():
    cost = running.cost_of_running(cells=3, rounds=1)
    assert cost["ratio"] == pytest.approx(cost["workbench run"] / cost["papermill"])


@pytest.mark.slow
def test_the_cost_of_a_task_is_measured_beside_the_bare_executor():
    cost = overhead.task_overhead(tasks=300, workers=2, rounds=1)
    assert cost.keys() == {"run_tasks", "bare"} and min(cost.values()) > 0
    assert overhead.shortest_task(rounds=2)["pickled"] > 100


def test_what_was_kept_is_not_computed_again(tmp_path):
    table = pd.DataFrame({"seed": [0, 1], "exploitability": [0.1, 1 / 3]})
    first = timing.kept(tmp_path / "runs" / "kuhn.parquet", lambda: table)
    again = timing.kept(tmp_path / "runs" / "kuhn.parquet", lambda: pytest.fail("computed again"))
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(again, table)


def test_double_oracle_and_its_sampled_form():
    curve = meta_games.oracle_curve("kuhn", 8)
    assert curve.iloc[0] == pytest.approx(11 / 12) and curve.iloc[8] < 1e-6
    found = pd.concat([meta_games.sampled_oracle("kuhn", 4, 300, resampled, seed=0) for resampled in (0, 10)])
    assert found["games"].iloc[0] == 300 * 25
    assert found["covered"].between(0.8, 1).all() and (found["nash_conv"] < 11 / 12).all()


def test_mirror_descent_is_measured_beside_its_control():
    table = meta_games.descent_curves("kuhn", 200, points=10)
    assert table.iloc[-1]["damped"] < 0.06 < 0.2 < table.iloc[-1]["undamped"]
    assert table.index[-1] == 200


def test_damped_self_play_is_measured_as_it_learns():
    arms = [
        over_seeds(meta_games.self_play_curve, "kuhn", arm, 8192, seeds=1, workers=1) for arm in ("damped", "undamped")
    ]
    table = pd.concat(arms)
    assert table["exploitability"].between(0, 1).all()
    assert table.groupby("arm")["step"].last().tolist() == [8192, 8192]
    rows = timing.figures(targets.self_play_rows("kuhn", table))
    assert rows["target"].tolist()[::2] == [0.03, 0.03] and rows["reached"].tolist()[1] == ""


def test_solving_a_made_up_population_is_timed():
    milliseconds, seconds = meta_games.solver_time(policies=10, resampled=5)
    rows = timing.figures(targets.solver_rows(10, 5, milliseconds, seconds))
    assert (rows["measured"] > 0).all() and rows["target"].tolist() == [50, 20]


def test_a_psro_experiment_is_read_off_iteration_by_iteration(tmp_path):
    def left(stage, folder, metrics, seconds=60):
        place = tmp_path / folder
        place.mkdir(parents=True)
        result = {"stage": stage, "metrics": metrics, "provenance": {"wall_seconds": seconds}}
        (place / "result.json").write_text(json.dumps(result))

    left("phase_0", "gen_001/10_phase_0", {"effective support": 1.0}, 600)
    left("best_response", "gen_001/11_best_response", {"gain": [0.4, 0.3, 0.5]}, 120)
    left("meta_game", "gen_001/10_meta_game", {"effective support": 1.5})
    left("best_response", "gen_002/11_best_response", {"gain": [0.1, -0.1, 0.3]})
    bounds = {"mixture-0": [0.7, 0.6, 0.8], "mixture-1": [0.1, -0.1, 0.3]}
    left("meta_game", "gen_002/10_meta_game", {"effective support": 2.0, "largest bounds": bounds})
    left(
        "best_response", "gen_003/11_best_response", {"gain": [0.2, 0.1, 0.3]}
    )  # its meta-game has not been solved yet
    table = psro_runs.psro_table(tmp_path)
    assert table.to_numpy().tolist() == [[1, 0.4, 0.3, 0.5, 0.7, 1.5, 3.0], [2, 0.1, -0.1, 0.3, 0.1, 2.0, 2.0]]
    rows = timing.figures(psro_runs.psro_rows("leduc", table))
    # .1 - .4 = -.3, and the root of .2² + .1² above it
    assert rows["measured"].tolist() == pytest.approx([1, -0.3 + 0.05**0.5, 2.0, 3.0])
    assert rows["reached"].tolist() == ["no", "yes", "yes", "yes"]
    with pytest.raises(FileNotFoundError, match="no finished iteration of PSRO there"):
        psro_runs.psro_table(tmp_path / "nowhere")
