import json
import time

import numpy as np
import pandas as pd
import pytest

from workbench.arena import Matches, elo, ratings


def test_one_table_with_both_ratings(from_wins):
    rated = ratings(from_wins([[0, 3], [1, 0]], ["a", "b"]), prior=0, bootstraps=200)
    row = rated.table.iloc[0]
    assert (row["rank"], row["policy"], row["games"], row["wins"], row["draws"], row["losses"]) == (1, "a", 4, 3, 0, 1)
    assert row["bradley_terry"] == pytest.approx(1500 + 190.8485 / 2, abs=1e-4)
    assert row["low"] < row["bradley_terry"] < row["high"]
    assert (row["win_rate"], row["average_length"]) == (0.75, 10)
    assert row["elo"] > 1500


def test_files_have_the_columns_users_know(results, tmp_path):
    lengths = [10, 20, 30, 40]
    matches = results(("a", "b", 1), ("b", "a", -1), ("b", "a", 1), ("a", "b", 0), lengths=lengths)
    ratings(matches, bootstraps=50).save(tmp_path)

    stored = json.loads((tmp_path / "elo_results_ratings.json").read_text())
    assert list(stored) == ["k_factor", "initial_rating", "ratings"]
    assert (stored["k_factor"], stored["initial_rating"]) == (32, 1500)
    assert {name: entry["rank"] for name, entry in stored["ratings"].items()} == {"a": 1, "b": 2}
    assert stored["ratings"]["a"]["elo"] + stored["ratings"]["b"]["elo"] == pytest.approx(3000)

    progression = pd.read_csv(tmp_path / "elo_results_progression.csv")
    assert list(progression.columns) == [
        "battle_num",
        "player",
        "opponent",
        "result",
        "player_rating_before",
        "player_rating_after",
        "opponent_rating_before",
        "opponent_rating_after",
    ]
    assert len(progression) == 4

    matrix = pd.read_csv(tmp_path / "elo_results_matchup_matrix.csv", index_col=0)
    assert matrix.loc["a"].tolist() == ["-", "2-1"]
    assert matrix.loc["b"].tolist() == ["1-2", "-"]

    statistics = pd.read_csv(tmp_path / "elo_results_statistics.csv")
    assert list(statistics.columns) == ["Model", "Wins", "Losses", "Total Battles", "Win Rate", "Avg Turn Count"]
    assert statistics.iloc[0].tolist() == ["a", 2, 1, 4, "62.5%", 25.0]

    summary = pd.read_csv(tmp_path / "tournament_summary.csv")
    assert list(summary.columns) == ["Model", "Rank", "ELO", "ELO Change", "Win Rate", "W-L", "Avg Turns"]
    assert summary["W-L"].tolist() == ["2-1", "1-2"]
    assert summary["Rank"].tolist() == [1, 2]


def test_checkpoints_of_one_run_stay_apart(results, tmp_path):
    names = [f"Gen1BinaryV0_Epoch{i}" for i in range(0, 12, 2)]
    matches = results(*[(name, "SyntheticRLV2", 1) for name in names])
    ratings(matches, bootstraps=0).save(tmp_path)
    stored = json.loads((tmp_path / "elo_results_ratings.json").read_text())["ratings"]
    assert sorted(stored) == sorted([*names, "SyntheticRLV2"])
    statistics = pd.read_csv(tmp_path / "elo_results_statistics.csv")
    assert statistics["Total Battles"].sum() == 2 * len(matches)


def test_games_against_oneself_do_not_count(results):
    rated = ratings(results(("a", "a", 1), ("a", "b", 1), ("c", "c", 0)), bootstraps=20)
    assert rated.table["policy"].tolist() == ["a", "b"]
    assert rated.table["games"].tolist() == [1, 1]


def test_nobody_played():
    rated = ratings(Matches.empty())
    assert rated.table.empty
    assert "nobody" in repr(rated)
    assert "<table" in rated._repr_html_()


def test_standings_find_the_true_order(results):
    generator = np.random.default_rng(0)
    strength = dict(zip("abcde", [2.0, 1.0, 0.0, -1.0, -2.0], strict=True))
    rows = []
    for a in strength:
        for b in strength:
            if a != b:
                won = generator.random(150) < 1 / (1 + np.exp(strength[b] - strength[a]))
                rows += [(a, b, 1 if w else -1) for w in won]
    rated = ratings(results(*rows))
    assert rated.table["policy"].tolist() == list("abcde")
    gaps = -np.diff(rated.table["bradley_terry"])
    assert gaps == pytest.approx(np.full(4, 400 / np.log(10)), rel=0.25)


@pytest.mark.parametrize("seed", range(3))
def test_elo_and_bradley_terry_agree_whatever_the_last_rounds_were(from_wins, seed):
    # each beats the next 55:45, whoever is two below 60:40 and so on; the weak win their games last, the strong first
    wins = [[max(0, 50 + 5 * (j - i)) if i != j else 0 for j in range(6)] for i in range(6)]
    matches = from_wins(wins, list("abcdef"))
    rated = ratings(matches, bootstraps=0, seed=seed)
    assert rated.elo.shuffles == 100
    assert rated.elo.ratings.index.tolist() == rated.table["policy"].tolist() == list("abcdef")
    assert rated.table["elo"].to_numpy() == pytest.approx(rated.table["bradley_terry"].to_numpy(), abs=20)
    last_wins = ratings(matches, bootstraps=0, seed=seed, order="table", shuffles=0)
    assert last_wins.elo.ratings.index.tolist() != list("abcdef")
    assert last_wins.elo.ratings.max() - last_wins.elo.ratings.min() > 150


def test_progression_is_one_random_order_of_all_games(from_wins):
    matches = from_wins([[0, 40], [20, 0]], ["a", "b"])
    rated, other = ratings(matches, bootstraps=0, seed=1), ratings(matches, bootstraps=0, seed=2)
    assert sorted(rated.elo.progression["player"]) == ["a"] * 40 + ["b"] * 20
    assert rated.elo.progression["player"].tolist() != other.elo.progression["player"].tolist()
    assert rated.elo.progression["player_rating_before"][0] == 1500
    assert "mean over 100 random orders" in rated._repr_html_()


def test_a_hundred_orders_of_two_thousand_games_take_no_time(results):
    generator = np.random.default_rng(0)
    rows = [(*generator.choice(8, 2, replace=False).astype(str), int(generator.choice((-1, 1)))) for _ in range(2000)]
    matches = results(*rows)
    began = time.process_time()
    elo(matches, shuffles=100)
    assert time.process_time() - began < 1


def test_html_is_inline_and_escaped(results):
    html = ratings(results(("<b>bold</b>", "b", 1)), bootstraps=10)._repr_html_()
    assert "<b>" not in html
    assert "<style" not in html
    assert "title=" in html
