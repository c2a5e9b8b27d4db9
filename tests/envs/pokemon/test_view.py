"""Views: what a player's client would know from Showdown's messages and requests, and nothing more."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from workbench.envs.conformance import random_actions
from workbench.envs.pokemon import dex, showdown, teams, view
from workbench.envs.pokemon.env import Gen1OUEnv

pytestmark = pytest.mark.showdown


def test_a_row_is_named_without_copying():
    rows = np.zeros((3, 2, view.VIEW_SIZE), np.int16)
    view.named(rows)["own"]["hp"][1, 0, 2] = 321
    at = view.layout()["own"]["at"] + 2 * view.layout()["own"]["size"] + view.layout()["own"]["hp"]
    assert rows[1, 0, at] == 321 and np.count_nonzero(rows) == 1
    with pytest.raises(ValueError, match="views must be int16"):
        view.named(rows[..., :-1])


def test_fields_follow_each_other_without_gaps():
    layout = view.layout()
    assert layout["size"] == view.VIEW_SIZE
    assert layout["choice"] == layout["legal"] + view.ACTIONS
    assert layout["foe"]["at"] == layout["own"]["at"] + view.TEAM * layout["own"]["size"]
    assert layout["foe"]["at"] + view.TEAM * layout["foe"]["size"] == view.VIEW_SIZE


def played(packed, batch, steps, seed):
    """Views at every step of each slot's first game, and what Showdown needs to play these games again."""
    with Gen1OUEnv(batch, teams=packed) as env:
        timestep = env.reset(seed)
        games = [
            {"seed": str(seed), "teams": list(pair), "choices": []}
            for seed, pair in zip(timestep.game_seed.tolist(), env.teams(), strict=True)
        ]
        views = [[env.view[slot].copy()] for slot in range(batch)]
        running = np.ones(batch, bool)
        for step in range(steps):
            actions = random_actions(timestep, 2, step)
            chosen = np.take_along_axis(view.named(env.view)["choice"], np.maximum(actions, 0), axis=2)[:, :, 0]
            chosen[~timestep.acting] = 0
            timestep = env.step(actions)
            for slot in np.flatnonzero(running):
                games[slot]["choices"].append(chosen[slot].tolist())
                views[slot].append((env.final_view if timestep.done[slot] else env.view)[slot].copy())
            running &= ~timestep.done
    return views, games


def told(games):
    """For each game, step and seat, what the player's client would know; see player_log.mjs."""
    script = Path(__file__).parent / "player_log.mjs"
    answer = subprocess.run(
        [showdown.node_executable(), script, showdown.showdown_folder()],
        input=json.dumps({"games": games}), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(answer.stdout)


def check_foes(row, known):
    foes = known["foes"]
    assert [dex.SPECIES[token] for token in row["foe"]["species"] if token] == [foe["species"] for foe in foes]
    for shown, foe in zip(row["foe"], foes, strict=False):
        assert shown["hp"] == foe["hp"], foe
        assert dex.STATUSES[shown["status"]] == foe["status"], foe
        uses = dict(zip([dex.MOVES[move] for move in shown["moves"] if move], shown["uses"].tolist(), strict=False))
        assert {move: count for move, count in uses.items() if count} == foe["moves"]
        assert list(uses) == sorted(uses)


def check_own(row, request):
    mine = {dex.SPECIES[pokemon["species"]]: pokemon for pokemon in row["own"] if pokemon["species"]}
    assert list(mine) == sorted(mine)
    for told_pokemon in request["side"]["pokemon"]:
        species = "".join(filter(str.isalnum, told_pokemon["details"].split(",")[0].lower()))
        condition = told_pokemon["condition"].split(" ")
        shown = mine[species]
        assert shown["hp"] == int(condition[0].split("/")[0])
        assert dex.STATUSES[shown["status"]] == (condition[1] if len(condition) > 1 else "")
        assert sorted(told_pokemon["moves"]) == [dex.MOVES[move] for move in shown["moves"] if move]
        assert [told_pokemon["stats"][stat] for stat in ("atk", "def", "spa", "spe")] == shown["stats"].tolist()
        if told_pokemon["active"]:
            assert dex.SPECIES[row["own"]["species"][row["own_active"]["slot"]]] == species


def check_actions(row, request):
    """The legal actions are the request's options, each under the choice that means it."""
    choices = row["choice"][row["legal"] == 1].tolist()
    assert not row["choice"][row["legal"] == 0].any()
    if request.get("wait"):
        assert choices == [] and row["request"] == view.REQUEST_WAIT
        return
    expected = []
    if "active" in request:
        assert row["request"] == view.REQUEST_MOVE
        moves = request["active"][0]["moves"]
        expected += [n for n, move in enumerate(moves, 1) if not move.get("disabled")]
        own = row["own"][row["own_active"]["slot"]]
        for action in range(view.MOVES_EACH):
            if row["legal"][action] and row["menu"] == view.MENU_MOVES:
                told_move = moves[row["choice"][action] - 1]
                assert told_move["id"] == dex.MOVES[own["moves"][action]]
                assert [told_move["pp"], told_move["maxpp"]] == [own["pp"][action], own["max_pp"][action]]
        if row["menu"] != view.MENU_MOVES:
            assert len(moves) == 1 and "pp" not in moves[0] and row["legal"][0] == 1
            names = {view.MENU_FIGHT: "fight", view.MENU_RECHARGE: "recharge", view.MENU_STRUGGLE: "struggle"}
            assert moves[0]["id"] == names.get(int(row["menu"]), dex.MOVES[row["locked_move"]])
        assert row["trapped"] == request["active"][0].get("trapped", False)
        assert row["maybe_locked"] == request["active"][0].get("maybeLocked", False)
    else:
        assert row["request"] == view.REQUEST_SWITCH and request["forceSwitch"] == [True]
    if not row["trapped"]:
        benched = [
            (pokemon["details"].split(",")[0], -n)
            for n, pokemon in enumerate(request["side"]["pokemon"], 1)
            if not pokemon["active"] and not pokemon["condition"].endswith("fnt")
        ]
        names = [name for name, _ in sorted((dex.SPECIES[dex.SPECIES_NAMES.index(name)], n) for name, n in benched)]
        order = [n for _, n in sorted((dex.SPECIES[dex.SPECIES_NAMES.index(name)], n) for name, n in benched)]
        assert row["choice"][4 : 4 + len(order)].tolist() == order, names
        expected += [n for _, n in benched]
    assert sorted(choices) == sorted(expected)


@pytest.mark.parametrize("kind", ["competitive", "odd"])
def test_views_hold_what_the_players_were_told(kind, odd_teams):
    packed = [team.packed for team in teams.load("competitive")] if kind == "competitive" else odd_teams
    views, games = played(packed, batch=12, steps=150, seed=6)
    menus, requests = set(), set()
    for slot, steps in enumerate(told(games)):
        assert len(steps) == len(views[slot])
        for rows, both in zip(views[slot], steps, strict=True):
            for row, known in zip(view.named(rows), both, strict=True):
                check_foes(row, known)
                assert row["turn"] == known["turn"]
                if known["request"] is None:  # the battle is over
                    assert row["result"] != view.RUNNING and not row["legal"].any()
                    continue
                check_own(row, known["request"])
                check_actions(row, known["request"])
                menus.add(int(row["menu"]))
                requests.add(int(row["request"]))
    assert requests == {view.REQUEST_MOVE, view.REQUEST_SWITCH, view.REQUEST_WAIT}
    wanted = {view.MENU_NONE, view.MENU_MOVES, view.MENU_FIGHT, view.MENU_RECHARGE}
    if kind == "odd":
        wanted |= {view.MENU_STRUGGLE, view.MENU_LOCKED}
    assert menus >= wanted
