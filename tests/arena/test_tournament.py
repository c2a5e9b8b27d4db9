import inspect
import json
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from workbench.arena import (
    Matches,
    PairFailedWarning,
    SerialExecutor,
    TournamentIncomplete,
    local_executor,
    play_many,
    ratings,
    round_robin,
)
from workbench.arena.tournament import DEFAULT_TEAMS, play_pairs, team_set
from workbench.envs import RandomPlayer, make
from workbench.envs.pokemon.env import Gen1OUEnv
from workbench.policies import Policy, PolicySettings

TIMES = ["started", "seconds"]
LEDUC = ["leduc/call", "leduc/raise", "random"]
RPS = ["rps/rock", "rps/paper", "rps/scissors", "random"]


def serial(players=RPS, **options):
    options = {"games_per_pair": 10, "batch_size": 4, "executor": SerialExecutor()} | options
    return round_robin("rps", players, **options)


class Faulty(RandomPlayer):
    """Cannot play."""

    def act(self, *arguments, **options):
        raise ArithmeticError("no move comes to mind")


class Killer(RandomPlayer):
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def test_everybody_meets_everybody_and_known_results_come_out():
    matches = serial()
    assert len(matches) == 6 * 10
    assert matches.score("rps/paper", "rps/rock").wins == 10
    assert matches.score("rps/scissors", "rps/paper").wins == 10
    assert matches.score("rps/rock", "rps/scissors").wins == 10
    games = matches.counts.games
    assert (games + 10 * np.eye(4) == 10).all()


def test_self_play_pairs_on_request():
    matches = serial(self_play=True)
    alone = matches.table[matches.table["policy_0"] == matches.table["policy_1"]]
    assert len(alone) == 4 * 10
    assert matches.score("random").games == 30


def test_a_pairs_games_do_not_depend_on_who_else_takes_part():
    few = serial(["random", "rps/rock"]).table.drop(columns=TIMES)
    table = serial(["random", "rps/rock", "rps/paper"]).table.drop(columns=TIMES)
    both = table["policy_0"].isin(["random", "rps/rock"]) & table["policy_1"].isin(["random", "rps/rock"])
    assert few.equals(table[both].reset_index(drop=True))


def test_files_users_know(tmp_path):
    matches = serial(folder=tmp_path)
    stored = json.loads((tmp_path / "tournament_results.json").read_text())
    assert stored["models"] == RPS
    assert (stored["battle_format"], stored["battles_per_matchup"]) == ("rps", 10)
    assert {"team_set", "timestamp"} <= stored.keys()
    assert [(m["status"], m["num_battles"]) for m in stored["matchups"]] == [("success", 10)] * 6
    assert stored["matchups"][0]["model1"] == "rps/rock"
    logs = sorted((tmp_path / "team_results").glob("battle_log_*.csv"))
    assert len(logs) == 6
    log = pd.read_csv(logs[0])
    assert list(log.columns) == [
        "Player Username",
        "Team File",
        "Opponent Username",
        "Result",
        "Turn Count",
        "Battle ID",
    ]
    assert len(log) == 20
    assert log["Battle ID"].nunique() == 10
    assert (log.groupby("Battle ID")["Result"].agg(set) == {"WIN", "LOSS"}).all()
    assert Matches.load(tmp_path).table.equals(matches.table)
    # both sides are logged; ratings count each battle once
    assert len(ratings(matches, bootstraps=0).elo.progression) == 60


@pytest.mark.parametrize(
    ("env_name", "options", "expected"),
    [
        ("rps", {}, ""),
        ("gen1ou", {}, "competitive"),
        ("gen1ou", {"teams": "modern_replays"}, "modern_replays"),
        ("gen1ou", {"teams": Path("my/teams")}, "my/teams"),
        ("gen1ou", {"teams": ["Tauros|||a", "Snorlax|||b"]}, "2 teams given"),
        ("gen1ou", {"teams": ("competitive", ["Tauros|||a"])}, "competitive and 1 team given"),
    ],
)
def test_the_team_set_is_the_envs_own(env_name, options, expected):
    assert team_set(env_name, options) == expected


def test_the_default_teams_are_those_of_the_env():
    assert inspect.signature(Gen1OUEnv).parameters["teams"].default == DEFAULT_TEAMS["gen1ou"]


def test_finished_pairs_are_kept(tmp_path):
    serial(RPS[:2], folder=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("pairs/*/matches.parquet")}
    assert len(before) == 1
    told = []
    matches = serial(RPS[:3], folder=tmp_path, progress=lambda *n: told.append(n))
    assert told == [(10, 30), (20, 30), (30, 30)]
    assert len(matches) == 30
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("pairs/*/matches.parquet")}
    assert len(after) == 3
    assert before.items() <= after.items()
    assert serial(RPS[:3]).table.drop(columns=TIMES).equals(matches.table.drop(columns=TIMES))


@pytest.mark.parametrize("change", [{"seed": 1}, {"games_per_pair": 12}, {"env_options": {"rounds": 3}}])
def test_other_games_are_played_anew(tmp_path, change):
    serial(RPS[:2], folder=tmp_path)
    other = serial(RPS[:2], folder=tmp_path, **change)
    assert other.table.drop(columns=TIMES).equals(serial(RPS[:2], **change).table.drop(columns=TIMES))
    assert len(list(tmp_path.glob("pairs/*"))) == 2


def test_a_player_that_was_trained_further_plays_anew(tmp_path):
    policy = Policy.create(make("rps", 1).spec, PolicySettings(hidden=(4,)), device="cpu")
    policy.id = "learner"
    players = {"learner": str(tmp_path / "policy"), "rock": "rps/rock"}
    policy.save(tmp_path / "policy")
    serial(players, folder=tmp_path / "t")
    serial(players, folder=tmp_path / "t")
    assert len(list((tmp_path / "t").glob("pairs/*"))) == 1
    policy.value_layer.bias.data.add_(1.0)
    policy.save(tmp_path / "policy")
    serial(players, folder=tmp_path / "t")
    assert len(list((tmp_path / "t").glob("pairs/*"))) == 2


def test_a_damaged_pair_is_played_again(tmp_path):
    whole = serial(RPS[:2], folder=tmp_path)
    (kept,) = tmp_path.glob("pairs/*/matches.parquet")
    kept.write_bytes(b"torn")
    with pytest.warns(UserWarning, match="played again"):
        again = serial(RPS[:2], folder=tmp_path)
    assert again.table.drop(columns=TIMES).equals(whole.table.drop(columns=TIMES))


def test_a_pair_that_fails_is_named_and_the_others_go_on(tmp_path):
    players = {"rock": "rps/rock", "faulty": Faulty("x"), "paper": "rps/paper"}
    with pytest.warns(PairFailedWarning, match="faulty.*no move comes to mind") as warned:
        matches = serial(players, folder=tmp_path, failures="warn")
    assert len(warned) == 2
    assert matches.policies == ["rock", "paper"] or matches.policies == ["paper", "rock"]
    stored = json.loads((tmp_path / "tournament_results.json").read_text())["matchups"]
    assert [m["status"] for m in stored] == ["error", "success", "error"]
    assert stored[0]["error"] == "ArithmeticError: no move comes to mind"
    # the next run plays only what is missing
    mended = serial(players | {"faulty": "random"}, folder=tmp_path)
    assert len(mended) == 30


def test_failed_pairs_leave_the_tournament_unfinished_with_all_others_kept(tmp_path):
    players = {"rock": "rps/rock", "faulty": Faulty("x"), "paper": "rps/paper"}
    with pytest.raises(TournamentIncomplete, match=r"2 of 3 pairs.*rock against faulty: ArithmeticError: no") as raised:
        serial(players, folder=tmp_path)
    assert list(raised.value.failures) == [("rock", "faulty"), ("faulty", "paper")]
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    assert not (tmp_path / "matches.parquet").exists()
    stored = json.loads((tmp_path / "tournament_results.json").read_text())["matchups"]
    assert [m["status"] for m in stored] == ["error", "success", "error"]
    (kept,) = tmp_path.glob("pairs/*/matches.parquet")
    before = kept.stat().st_mtime_ns
    assert len(serial(players | {"faulty": "random"}, folder=tmp_path)) == 30
    assert kept.stat().st_mtime_ns == before
    stored = json.loads((tmp_path / "tournament_results.json").read_text())["matchups"]
    assert [m["status"] for m in stored] == ["success"] * 3
    with pytest.raises(ValueError, match="failures='ignore'"):
        serial(failures="ignore")


def test_workers_and_an_executor_exclude_each_other():
    with pytest.raises(ValueError, match="workers=2 and an executor"):
        serial(workers=2)


def test_if_nobody_can_play_it_is_an_error():
    with pytest.raises(RuntimeError, match="no move comes to mind"):
        serial({"a": Faulty("x"), "b": "rps/rock"})


def test_ids_are_never_merged(tmp_path):
    spec = make("rps", 1).spec
    long = "a-name-that-is-much-longer-than-ten-characters-"
    folders = []
    for i in range(3):
        policy = Policy.create(spec, PolicySettings(hidden=(4,)), seed=i, device="cpu")
        policy.save(tmp_path / f"{long}{i}")
        folders.append(tmp_path / f"{long}{i}")
    # all three were saved under the id "policy"; their paths tell them apart
    matches = serial(folders, folder=tmp_path / "t")
    assert matches.policies == [f"{long}{i}" for i in range(3)]
    assert len(list((tmp_path / "t" / "pairs").iterdir())) == 3
    assert len(list((tmp_path / "t" / "team_results").iterdir())) == 3
    with pytest.raises(ValueError, match="could not be told apart: random"):
        serial([RandomPlayer("random"), RandomPlayer("random")])
    with pytest.raises(ValueError, match="at least 2 players"):
        serial(["random"])


def test_a_policy_of_another_game_is_refused_by_name():
    policy = Policy.create(make("kuhn", 1).spec, PolicySettings(hidden=(4,)), device="cpu")
    with pytest.raises(RuntimeError, match="this policy was made for kuhn"):
        serial({"learner": policy, "rock": "rps/rock"})


@pytest.mark.slow
def test_processes_give_the_same_games_as_one(tmp_path):
    expected = serial(RPS).table.drop(columns=TIMES)
    assert serial(RPS, executor=local_executor(2)).table.drop(columns=TIMES).equals(expected)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert serial(RPS, executor=executor).table.drop(columns=TIMES).equals(expected)


@pytest.mark.slow
def test_killed_it_leaves_no_worker_and_goes_on_where_it_was(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "from workbench.arena import round_robin\n"
        "if __name__ == '__main__':\n"
        f"    round_robin('leduc', {LEDUC}, games_per_pair=4000, batch_size=16, folder={str(tmp_path / 't')!r})\n"
    )
    process = subprocess.Popen([sys.executable, script])
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("t/pairs/*/matches.parquet")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert workers
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("t/pairs/*/matches.parquet")}
    stored = json.loads((tmp_path / "t" / "tournament_results.json").read_text())["matchups"]
    assert [m["status"] for m in stored].count("success") <= len(kept) < 3
    options = {"games_per_pair": 4000, "batch_size": 16, "folder": tmp_path / "t", "executor": SerialExecutor()}
    assert len(round_robin("leduc", LEDUC, **options)) == 12000
    assert not list(tmp_path.rglob(".*.part"))
    assert (
        kept.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.glob("t/pairs/*/matches.parquet")}.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("given", ["workers", "executor"])
def test_a_worker_that_dies_takes_only_its_pair_along(given):
    players = {"rock": "rps/rock", "killer": Killer("x"), "paper": "rps/paper"}
    own = {"workers": 2, "executor": None} if given == "workers" else {"executor": local_executor(2)}
    with pytest.warns(PairFailedWarning, match="killer") as warned:
        matches = serial(players, failures="warn", **own)
    assert len([w for w in warned if w.category is PairFailedWarning]) == 2
    assert len(matches) == 10


@pytest.mark.slow
@pytest.mark.parametrize("given", ["workers", "executor"])
def test_a_worker_that_died_once_leaves_no_pair_out(tmp_path, given, killer_once):
    players = {"rock": "rps/rock", "killer": killer_once(tmp_path / "killed"), "paper": "rps/paper"}
    own = {"workers": 2, "executor": None} if given == "workers" else {"executor": local_executor(2)}
    assert len(serial(players, **own)) == 30
    assert (tmp_path / "killed").exists()


@pytest.mark.slow
def test_play_many_goes_on_after_a_worker_died(tmp_path, killer_once):
    killer = killer_once(tmp_path / "killed")
    first, second = play_many([(killer, "rps/rock"), ("rps/paper", "rps/rock")], "rps", games=4, workers=2)
    assert (len(first), second.score("rps/paper").wins) == (4, 4)
    assert (tmp_path / "killed").exists()


def test_play_many_is_in_the_order_given():
    pairings = [("random", "rps/rock"), ("rps/paper", "rps/rock"), ("random", "rps/rock")]
    told = []
    results = play_many(
        pairings, "rps", games=6, batch_size=4, executor=SerialExecutor(), progress=lambda *n: told.append(n)
    )
    assert [sorted(set(m.policies)) for m in results] == [sorted(pairing) for pairing in pairings]
    assert told == [(6, 18), (12, 18), (18, 18)]
    # the same pairing twice plays other games
    assert not set(results[0].table["seed"]) & set(results[2].table["seed"])
    assert len(Matches.concat(results)) == 18


def test_play_many_names_the_pairing_that_failed():
    with pytest.raises(ArithmeticError) as raised:
        play_many([(Faulty("faulty"), "rps/rock")], "rps", games=2, executor=SerialExecutor())
    assert "faulty played rps/rock" in raised.value.__notes__[0]


def test_play_many_records(tmp_path):
    from workbench.data.recorder import Recorder

    made = []

    def record(env, ids, number):
        made.append(Recorder(env, tmp_path / str(number), ids))
        return made[-1]

    play_many([("random", "rps/rock")] * 2, "rps", games=5, executor=SerialExecutor(), record=record)
    assert [recorder.games for recorder in made] == [5, 5]


def test_a_field_that_grew_plays_only_its_new_pairs(tmp_path):
    serial(["rps/rock", "rps/paper"], folder=tmp_path / "one")
    asked = []
    grown = serial(
        ["rps/rock", "rps/paper", "random"],
        folder=tmp_path / "two",
        earlier=[tmp_path / "one"],
        progress=lambda done, total: asked.append((done, total)),
    )
    assert asked[0] == (10, 30) and len(grown) == 30
    again = serial(["rps/rock", "rps/paper", "random"], folder=tmp_path / "three", earlier=[tmp_path / "two"])
    pd.testing.assert_frame_equal(again.table, grown.table)  # times included: nothing was played
    assert len(list((tmp_path / "three" / "pairs").iterdir())) == 3


def test_earlier_games_of_other_options_are_not_taken(tmp_path):
    serial(["rps/rock", "random"], folder=tmp_path / "one")
    asked = []
    serial(["rps/rock", "random"], seed=1, earlier=[tmp_path / "one"], progress=lambda *now: asked.append(now))
    assert asked[0] == (0, 10)


def test_pairs_play_as_many_games_as_each_is_given(tmp_path):
    games = {("rps/rock", "rps/paper"): 6, ("random", "rps/rock"): 9, ("random", "rps/paper"): 0}
    matches = play_pairs("rps", RPS, games, executor=SerialExecutor(), folder=tmp_path)
    counts = matches.counts
    assert matches.score("rps/paper", "rps/rock").games == 6 and counts.games.sum() == 2 * 15
    assert len(play_pairs("rps", RPS, {}, folder=tmp_path)) == 0
    with pytest.raises(KeyError, match="no player 'rps/lizard'"):
        play_pairs("rps", RPS, {("rps/rock", "rps/lizard"): 1})


def test_a_damaged_pair_is_mended_from_an_earlier_tournament(tmp_path):
    first = serial(["rps/rock", "random"], folder=tmp_path / "one")
    serial(["rps/rock", "random"], folder=tmp_path / "two", earlier=[tmp_path / "one"])
    (pair,) = (tmp_path / "two" / "pairs").iterdir()
    (pair / "matches.parquet").write_bytes(b"torn")
    with pytest.warns(UserWarning, match="played again"):
        again = serial(["rps/rock", "random"], folder=tmp_path / "two", earlier=[tmp_path / "one"])
    pd.testing.assert_frame_equal(again.table, first.table)
    pd.testing.assert_frame_equal(Matches.load(pair).table, first.table)
