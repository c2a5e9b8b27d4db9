"""`gen1ou` as a game: ends, rewards, forced switches, hidden information, options. (The contract: test_conformance.py.)"""

import numpy as np
import pytest

from workbench.envs import make
from workbench.envs.conformance import HiddenVariant, check_no_leak, random_actions
from workbench.envs.pokemon import teams as team_sets
from workbench.envs.pokemon import view
from workbench.envs.pokemon.env import SPEC, Gen1OUEnv
from workbench.envs.pokemon.reward import PRESETS, Reward

pytestmark = pytest.mark.showdown

WALLS = ["Chansey|||No Ability|softboiled|||N||||]Snorlax|||No Ability|rest|||N||||"]


def packed_team(*members):
    return "]".join(f"{species}|||No Ability|{moves}|||N||||" for species, moves in members)


def test_end_by_fainting_with_one_seats_forced_switches_before():
    """Two Explosions against two Magikarp: each kills its user and its target."""
    bombs = packed_team(("Snorlax", "selfdestruct"), ("Golem", "explosion"))
    carps = packed_team(("Magikarp", "splash"), ("Magikarp", "splash"), ("Weedle", "stringshot"))
    with Gen1OUEnv(1, teams=([bombs], [carps]), reward="binary") as env:
        timestep = env.reset(0)
        requests = []
        for _ in range(60):
            requests.append(tuple(view.named(env.view)["request"][0].tolist()))
            timestep = env.step(np.where(timestep.legal[0].any(-1), timestep.legal[0].argmax(-1), -1)[..., None])
            if timestep.done[0]:
                break
        assert timestep.terminated[0] and not timestep.truncated[0]
        assert (view.REQUEST_SWITCH, view.REQUEST_SWITCH) in requests  # both fell to the explosion
        assert timestep.length[0] == len(requests)
        last = view.named(env.final_view)[0]
        outcome = int(timestep.outcome[0])
        assert SPEC.end_reasons[timestep.end_reason[0]] == "all fainted"
        assert (last["own_left"] == 0).any()
        assert timestep.reward[0].tolist() == [outcome, -outcome]
        results = {1: [view.WON, view.LOST], -1: [view.LOST, view.WON], 0: [view.TIED, view.TIED]}
        assert last["result"].tolist() == results[outcome]


def test_a_battle_of_endless_switching_is_tied_at_turn_1000():
    with Gen1OUEnv(1, teams=WALLS) as env:
        env.reset(0)
        for step in range(1000):
            timestep = env.step(np.full((1, 2, 1), 4))
            assert bool(timestep.done[0]) == (step == 999)
        assert timestep.terminated[0] and timestep.outcome[0] == 0
        assert SPEC.end_reasons[timestep.end_reason[0]] == "auto-tie"
        assert timestep.length[0] == 1000 and (timestep.reward == 0).all()
        assert (view.named(env.final_view)["result"] == view.TIED).all()


def test_a_turn_limit_cuts_without_a_result():
    with Gen1OUEnv(2, teams=WALLS, turn_limit=12) as env:
        env.reset(0)
        for step in range(12):
            timestep = env.step(np.full((2, 2, 1), 4))
            assert timestep.truncated.tolist() == [step == 11] * 2
        assert not timestep.terminated.any() and (timestep.outcome == 0).all()
        assert SPEC.end_reasons[timestep.end_reason[0]] == "turn limit"
        last = view.named(env.final_view)
        assert (last["result"] == view.RUNNING).all() and (last["turn"] == 13).all()
        assert last["legal"].any(axis=-1).all()  # it could have gone on
        assert (view.named(env.view)["turn"] == 1).all()


def test_rewards_add_up_over_a_game():
    """Of `binary` the game's sum is its result; of knock-outs alone, the difference of Pokémon lost."""
    for weights, score in (
        (PRESETS["binary"], lambda last, outcome: 100 * outcome),
        (
            Reward(damage=0, health=0, status=0, victory=0, defeat=0),
            lambda last, outcome: (6 - last["foe_left"][0]) - (6 - last["own_left"][0]),
        ),
    ):
        with Gen1OUEnv(6, reward=weights) as env:
            timestep, total, games = env.reset(3), np.zeros((6, 2)), 0
            for step in range(220):
                timestep = env.step(random_actions(timestep, 4, step))
                total += timestep.reward
                for slot in np.flatnonzero(timestep.done):
                    last = view.named(env.final_view)[slot]
                    assert total[slot, 0] == pytest.approx(float(score(last, timestep.outcome[slot])))
                    assert total[slot, 1] == pytest.approx(-total[slot, 0])
                    total[slot] = 0
                    games += 1
            assert games > 5


def test_beginning_and_ending_a_step_is_stepping():
    with Gen1OUEnv(3) as whole, Gen1OUEnv(3) as split:
        one, other = whole.reset(8), split.reset(8)
        for step in range(25):
            actions = random_actions(one, 5, step)
            split.step_begin(actions)
            one, other = whole.step(actions), split.step_end()
            np.testing.assert_array_equal(whole.view, split.view)
            np.testing.assert_array_equal(one.reward, other.reward)
        split.step_begin(random_actions(one, 5, 25))
        with pytest.raises(RuntimeError, match="begin_step was called twice"):
            split.step_begin(random_actions(one, 5, 25))


def unused_moves_exchanged(env, used):
    """States in which one seat has other moves wherever it never chose one; nothing of it was shown."""
    spare = ["tackle", "growl", "leer", "bubble", "cut", "peck", "ember", "gust"]
    state, teams = env.state(), env.teams()
    for seat in range(2):
        other, changed = 1 - seat, []
        for slot, pair in enumerate(teams):
            members = [member.split("|") for member in pair[other].split("]")]
            for member in members:
                moves = member[4].split(",")
                free = [move for move in spare if move not in moves]
                chosen = used[slot][other].get(member[0] or member[1], set())
                member[4] = ",".join(move if n in chosen else free.pop() for n, move in enumerate(moves, 1))
            given = list(pair)
            given[other] = "]".join("|".join(member) for member in members)
            changed.append([text.encode() for text in given])
        longest = max(len(text) for pair in changed for text in pair)
        texts = [[np.frombuffer(text.ljust(longest, b"\0"), np.uint8) for text in pair] for pair in changed]
        yield HiddenVariant("moves the other seat never chose", state, state | {"teams": np.array(texts)}, seat)


def test_moves_that_were_never_chosen_are_never_seen():
    with Gen1OUEnv(4) as env:
        timestep = env.reset(12)
        used = [({}, {}) for _ in range(4)]
        for step in range(12):
            actions = random_actions(timestep, 6, step)
            rows = view.named(env.view)
            for slot in range(4):
                referee = env.describe(slot)["sides"]
                for seat in range(2):
                    choice = rows["choice"][slot, seat, actions[slot, seat, 0]] if timestep.acting[slot, seat] else 0
                    # with a menu of one entry, Showdown may fall back to the move chosen last, or to the first
                    name = referee[seat]["pokemon"][referee[seat]["active"]]["name"]
                    if choice > 0:
                        used[slot][seat].setdefault(name, {1}).add(int(choice))
            timestep = env.step(actions)
        assert not timestep.done.any()
        check_no_leak(env, lambda env: unused_moves_exchanged(env, used))


def test_state_goes_on_in_an_env_of_other_processes_and_teams():
    with Gen1OUEnv(4, processes=1) as first, Gen1OUEnv(4, processes=2, teams=WALLS) as second:
        timestep = first.reset(1)
        for step in range(15):
            timestep = first.step(random_actions(timestep, 1, step))
        again = second.restore(first.state())
        assert second.teams() == first.teams() != [(WALLS[0], WALLS[0])] * 4
        np.testing.assert_array_equal(first.view, second.view)
        np.testing.assert_array_equal(timestep.reward, again.reward)
        for step in range(10):
            actions = random_actions(timestep, 2, step)
            timestep, again = first.step(actions), second.step(actions)
            np.testing.assert_array_equal(first.view, second.view)


def test_teams_by_name_by_folder_by_list_and_by_seat(tmp_path):
    names = [team.packed for team in team_sets.load("competitive")]
    (tmp_path / "mine.gen1ou_team").write_text(names[0])
    for given, first, second in (
        ("competitive", names, names),
        (tmp_path, names[:1], names[:1]),
        (names[1:3], names[1:3], names[1:3]),
        ((names[:1], "competitive"), names[:1], names),
    ):
        with make("gen1ou", 2, teams=given) as env:
            env.reset(4)
            assert {pair[0] for pair in env.teams()} <= set(first) and {pair[1] for pair in env.teams()} <= set(second)
    with pytest.raises(ValueError, match="teams must be a set's name, a folder, or packed teams"):
        Gen1OUEnv(1, teams=["Tauros"])
    with pytest.raises(
        ValueError, match=r"1 Pokémon with \[5\] moves and, unknown to generation 1, \['Togepi', 'crunch'\]"
    ):
        Gen1OUEnv(1, teams=[packed_team(("Togepi", "crunch,surf,psychic,rest,toxic"))])


def test_bad_options_are_refused_before_a_process_starts():
    for options, message in (
        ({"batch_size": 0}, "batch_size is 0"),
        ({"turn_limit": 1001}, "turn_limit is 1001, expected 1 to 1000"),
        ({"reward": "shiny"}, "no reward named 'shiny'"),
    ):
        with pytest.raises(ValueError, match=message):
            Gen1OUEnv(**({"batch_size": 1} | options))


def test_an_illegal_action_stops_nothing():
    with Gen1OUEnv(1) as env:
        with pytest.raises(RuntimeError, match="step before reset"):
            env.step(np.zeros((1, 2, 1), int))
        timestep = env.reset(0)
        with pytest.raises(ValueError, match="slot 0, seat 1: action 9 is not legal"):
            env.step(np.array([[[0], [9]]]))
        assert not env.step(random_actions(timestep, 0, 0)).done[0]


def test_text_of_a_battle():
    with Gen1OUEnv(1, teams=WALLS) as env:
        env.reset(0)
        env.step(np.array([[[4], [0]]]))
        text = env.render_text(0)
        assert "turn 2" in text and "▶ Snorlax" in text and "▶ Chansey" in text and "unseen" in text
        assert "Soft-Boiled 16/16" in text or "Soft-Boiled 15/16" in text


def test_log_and_picture_of_a_battle():
    with Gen1OUEnv(1, teams=WALLS) as env:
        assert "not begun" in env._repr_html_()
        env.reset(0)
        env.step(np.array([[[4], [0]]]))
        log = env.battle_log(0)
        assert "|switch|p1a: Snorlax|Snorlax|460/460" in log and "|turn|2" in log.splitlines()
        assert "|move|p2a: Chansey|Soft-Boiled" in log
        assert "▶ Snorlax" in env._repr_html_()
