"""Growing a population keeps what was played, and spends further games where they tell most."""

from workbench.arena import SerialExecutor
from workbench.envs import env_spec
from workbench.metagame.growth import play_population
from workbench.policies import Policy, PolicySettings

OPTIONS = {"games_per_pair": 8, "batch_size": 4, "executor": SerialExecutor()}


def test_a_grown_population_keeps_its_games_and_its_further_games(tmp_path):
    small = ["random", "kuhn/bet", "kuhn/nash"]
    first = play_population("kuhn", small, folder=tmp_path / "0", further_games=20, **OPTIONS)
    assert len(first) == 3 * 8 + 20
    asked = []
    second = play_population(
        "kuhn",
        [*small, "kuhn/pass"],
        folder=tmp_path / "1",
        earlier=tmp_path / "0",
        progress=lambda *now: asked.append(now),
        **OPTIONS,
    )
    assert asked[0] == (24, 48) and len(second) == 6 * 8 + 20
    assert set(first.table["match_id"]) < set(second.table["match_id"])
    third = play_population(
        "kuhn", [*small, "kuhn/pass"], folder=tmp_path / "2", earlier=tmp_path / "1", further_games=10, **OPTIONS
    )
    assert len(third) == 6 * 8 + 20 + 10
    again = play_population(
        "kuhn", [*small, "kuhn/pass"], folder=tmp_path / "2", earlier=tmp_path / "1", further_games=10, **OPTIONS
    )
    assert again.table["match_id"].tolist() == third.table["match_id"].tolist()
    left = play_population("kuhn", ["random", "kuhn/bet"], folder=tmp_path / "3", earlier=tmp_path / "2", **OPTIONS)
    assert set(left.policies) == {"random", "kuhn/bet"}


def test_further_games_of_a_policy_that_was_trained_since_do_not_count(tmp_path):
    def learner(seed):
        made = Policy.create(env_spec("kuhn"), PolicySettings(hidden=(8,)), seed, device="cpu")
        made.id = "learner"
        return made

    before = play_population("kuhn", [learner(0), "random"], folder=tmp_path / "0", further_games=12, **OPTIONS)
    assert len(before) == 8 + 12
    same = play_population("kuhn", [learner(0), "random"], folder=tmp_path / "1", earlier=tmp_path / "0", **OPTIONS)
    assert len(same) == 8 + 12
    other = play_population("kuhn", [learner(1), "random"], folder=tmp_path / "2", earlier=tmp_path / "0", **OPTIONS)
    assert len(other) == 8


def test_further_games_go_on_to_the_same_result_where_earlier_ones_do_not_count(tmp_path):
    players = ["kuhn/bet", "random", "kuhn/nash"]
    play_population("kuhn", players, folder=tmp_path / "0", further_games=12, **OPTIONS)
    asked = {"folder": tmp_path / "1", "earlier": tmp_path / "0", "further_games": 10, "temperature": 0.5, **OPTIONS}
    first = play_population("kuhn", players, **asked)
    again = play_population("kuhn", players, **asked)
    assert len(first) == 3 * 8 + 10 and again.table.equals(first.table)
    assert [place.name for place in (tmp_path / "1" / "further").iterdir()] == ["001"]
    third = play_population("kuhn", players, folder=tmp_path / "2", earlier=tmp_path / "1", temperature=0.5, **OPTIONS)
    assert len(third) == 3 * 8 + 10


def test_a_copy_of_a_round_that_was_cut_off_is_made_again(tmp_path):
    players = ["kuhn/bet", "random"]
    before = play_population("kuhn", players, folder=tmp_path / "0", further_games=12, **OPTIONS)
    torn = tmp_path / "1" / "further" / ".000.copied"
    torn.mkdir(parents=True)
    (torn / "matches.parquet").write_bytes(b"half")
    after = play_population("kuhn", players, folder=tmp_path / "1", earlier=tmp_path / "0", **OPTIONS)
    assert after.table["match_id"].tolist() == before.table["match_id"].tolist() and not torn.exists()
