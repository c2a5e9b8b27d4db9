"""The files that users of PSRO know, from games counted by hand."""

import json

import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench.metagame.analysis import equilibrium
from workbench.metagame.files import population_table, write_iteration
from workbench.metagame.payoffs import EmpiricalGame

PLACES = {"a": "gen1ou/max-power", "b": "gen1ou/boss"}


def test_an_iterations_files(tmp_path):
    game = EmpiricalGame.of(played(*won("a", "b", 8, 2)))
    files = write_iteration(
        tmp_path, equilibrium(game), PLACES, iteration=2, method="nash", figures={"best_response_win_rate": 0.6}
    )
    read = {name: json.loads(path.read_text()) for name, path in files.items() if path.suffix == ".json"}
    assert read["population"]["policies"]["a"] == {"policy_type": "heuristic", "path": "gen1ou/max-power"}
    assert read["interaction_matrix"]["win_rates"] == [[0.5, pytest.approx(0.8)], [pytest.approx(0.2), 0.5]]
    assert read["interaction_matrix"]["games"] == [[0, 10], [10, 0]]
    assert read["meta_strategy"]["meta_strategy"] == [1.0, 0.0]
    assert read["meta_strategy"]["metadata"]["resampled"] == 200
    analysis = read["meta_game_analysis"]
    assert analysis["nash_mixture"] == {"a": 1.0, "b": 0.0} and analysis["exploitability"] == pytest.approx(0)
    assert analysis["dominant_policies"] == [{"policy": "a", "probability": 1.0, "expected_winrate_vs_nash": 0.5}]
    assert analysis["expected_winrates"]["b"] == pytest.approx(0.2)
    assert read["iteration_summary"]["games"] == 10 and read["iteration_summary"]["best_response_win_rate"] == 0.6
    assert files["interaction_matrix_csv"].read_text().splitlines()[0] == ",a,b"


def test_chips_count_as_shares_of_the_highest_stake(tmp_path):
    game = EmpiricalGame.of(played(("a", "b", 2.0), ("a", "b", 1.0), ("a", "b", -1.0), ("a", "b", 0.0), env="kuhn"))
    write_iteration(tmp_path, equilibrium(game), PLACES, iteration=0, method="nash", figures={})
    matrix = json.loads((tmp_path / "interaction_matrix.json").read_text())
    assert matrix["win_rates"][0][1] == pytest.approx(0.5 + 0.5 / 2 / 2)  # half a chip a game, of at most two


def test_the_population_stands_in_order_of_its_shares():
    found = equilibrium(EmpiricalGame.of(played(*won("a", "b", 2, 8), *won("a", "c", 5, 5), *won("b", "c", 9, 1))))
    table = population_table(found.game, found)
    assert table["policy"].tolist()[0] == "b" and table["share"].is_monotonic_decreasing
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()
