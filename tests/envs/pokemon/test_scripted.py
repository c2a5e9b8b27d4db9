"""Scripted players: damage worked by hand, choices in made-up situations, and their order of strength."""

import numpy as np
import pytest

from workbench.envs.players import scripted_names, scripted_player
from workbench.envs.pokemon import dex, observation, view
from workbench.envs.pokemon import scripted as _registers  # noqa: F401
from workbench.envs.pokemon.env import Gen1OUEnv
from workbench.envs.pokemon.sight import Sight, full_stats

SPECIES, MOVE, STATUS = dex.SPECIES_TOKEN, dex.MOVE_TOKEN, dex.STATUS_TOKEN


def situation(own, moves, foe, *, bench=(), own_hp=1.0, foe_hp=100, foe_status="", foe_moves=(), seen=True):
    """An observation and its legal actions: one Pokémon and its moves against another, all at level 100."""
    views = np.zeros((1, view.VIEW_SIZE), np.int16)
    row = view.named(views)[0]
    row["request"], row["menu"], row["turn"], row["own_left"], row["foe_left"] = 1, view.MENU_MOVES, 5, 6, 6
    for slot, (species, its_moves) in enumerate([(own, moves), *bench]):
        token = SPECIES[species]
        row["own"]["species"][slot], row["own"]["level"][slot] = token, 100
        row["own"]["max_hp"][slot] = row["own"]["hp"][slot] = int(full_stats(np.array(token), np.array(100))[0])
        row["own"]["types"][slot] = dex.SPECIES_TYPES[token]
        row["own"]["moves"][slot, : len(its_moves)] = [MOVE[move] for move in its_moves]
    row["own"]["hp"][0] = int(row["own"]["max_hp"][0] * own_hp)
    row["own_active"]["species"] = SPECIES[own]
    row["own_active"]["prev_move"] = MOVE[moves[0]] if seen else 0
    row["foe"]["species"][0], row["foe"]["level"][0] = SPECIES[foe], 100
    row["foe"]["hp"][0], row["foe"]["status"][0] = foe_hp, STATUS[foe_status]
    row["foe"]["types"][0] = dex.SPECIES_TYPES[SPECIES[foe]]
    row["foe"]["moves"][0, : len(foe_moves)] = [MOVE[move] for move in foe_moves]
    row["foe_active"]["species"] = SPECIES[foe]
    row["legal"][: len(moves)] = 1
    row["legal"][4 : 4 + len(bench)] = 1
    return observation.encode(views), (row["legal"][None] != 0,)


def choices(player, given, rows=200):
    """How often each action is taken in a situation."""
    observed, legal = given
    observed = {name: np.repeat(array, rows, axis=0) for name, array in observed.items()}
    legal = (np.repeat(legal[0], rows, axis=0),)
    player = scripted_player(f"gen1ou/{player}")
    action = player.act(observed, legal, player.initial_state(rows), 1.0, np.random.default_rng(0)).action
    return np.bincount(action[:, 0], minlength=view.ACTIONS).tolist()


def test_stats_are_the_known_ones():
    """Tauros at level 100: 353 HP, 298 attack, 288 defence, 238 special, 318 speed."""
    assert full_stats(np.array(SPECIES["tauros"]), np.array(100)).tolist() == [353, 298, 288, 238, 318]
    assert full_stats(np.array(0), np.array(0)).tolist() == [0] * 5


def test_damage_is_the_known_one():
    """Tauros' Body Slam on Alakazam: 42 * 85 * 298 / 188 / 50 + 2 = 115.2, by 1.5 172.8, by a mean roll of .9275 160."""
    observed, legal = situation("tauros", ["bodyslam", "earthquake", "thunderbolt", "hyperbeam"], "alakazam")
    damage = Sight(observed, legal[0]).damage(0, 6)[0]
    body_slam = (42 * 85 * 298 / 188 / 50 + 2) * 1.5 * (236.5 / 255)
    assert damage[0] == pytest.approx(body_slam / 313, rel=1e-5)
    assert damage[2] == pytest.approx((42 * 95 * 238 / 368 / 50 + 2) * (236.5 / 255) / 313, rel=1e-5)
    fixed = situation("chansey", ["seismictoss", "softboiled"], "gengar")
    assert Sight(fixed[0], fixed[1][0]).damage(0, 6)[0].tolist() == pytest.approx([100 / 323, 0, 0, 0])


def test_max_power_looks_at_power_alone():
    given = situation(
        "zapdos", ["thunderbolt", "drillpeck", "thunderwave", "agility"], "rhydon", bench=[("chansey", [])]
    )
    assert choices("max-power", given)[0] == 200  # 95 against 80, though Rhydon is immune


def test_boss_draws_among_attacks_of_good_type():
    given = situation("zapdos", ["thunderbolt", "drillpeck", "thunderwave"], "starmie", bench=[("chansey", [])])
    taken = choices("boss", given)
    assert taken[0] > 60 and taken[1] > 60 and sum(taken[:2]) == 200
    poor = situation("zapdos", ["thunderbolt", "drillpeck", "thunderwave"], "rhydon", foe_status="par")
    assert choices("boss", poor)[:3] == [0, 0, 0] or choices("boss", poor)[2] == 0


def test_boss_begins_with_set_up():
    fresh = situation("alakazam", ["psychic", "recover", "reflect", "thunderwave"], "snorlax", seen=False)
    taken = choices("boss", fresh)
    assert taken[3] == 0 and min(taken[:3]) > 30


def test_gym_leader_knocks_out_heals_and_leaves():
    weak = situation("starmie", ["recover", "surf", "thunderwave"], "tauros", foe_hp=20)
    assert choices("gym-leader", weak)[1] == 200
    low = situation("starmie", ["recover", "surf", "thunderwave"], "chansey", own_hp=0.2)
    assert 120 < choices("gym-leader", low)[0] < 180  # three times in four
    helpless = situation(
        "zapdos", ["thunderbolt"], "rhydon", bench=[("chansey", ["icebeam"]), ("starmie", ["surf", "recover"])]
    )
    assert choices("gym-leader", helpless)[5] == 200  # Surf does it four times over


def test_heuristic_puts_to_sleep_and_explodes_when_low():
    moves = ["explosion", "psychic", "sleeppowder"]
    assert choices("heuristic", situation("exeggutor", moves, "snorlax"))[2] == 200
    assert choices("heuristic", situation("exeggutor", moves, "snorlax", foe_status="par"))[1] == 200
    assert choices("heuristic", situation("exeggutor", moves, "snorlax", foe_status="par", own_hp=0.1))[0] == 200


def test_all_are_registered():
    names = {"gen1ou/random", "gen1ou/boss", "gen1ou/max-power", "gen1ou/gym-leader", "gen1ou/heuristic"}
    assert names <= set(scripted_names())


def score(env, first, second, games, seed):
    """Share of points of `first` over the first games of each slot, one seat each way."""
    points = []
    for seats in ((first, second), (second, first)):
        players = [scripted_player(f"gen1ou/{name}") for name in seats]
        generator = np.random.default_rng(seed)
        timestep = env.reset(seed)
        running = np.ones(env.batch_size, bool)
        while running.any():
            actions = np.full((env.batch_size, 2, 1), -1)
            for seat, player in enumerate(players):
                rows = np.flatnonzero(timestep.acting[:, seat])
                observed = {name: array[rows, seat] for name, array in timestep.observation.items()}
                legal = (timestep.legal[0][rows, seat],)
                state = player.initial_state(len(rows))
                actions[rows, seat] = player.act(observed, legal, state, 1.0, generator).action
            timestep = env.step(actions)
            over = running & timestep.done
            sign = 1 if seats[0] == first else -1
            points += ((sign * timestep.outcome[over] + 1) / 2).tolist()
            running &= ~over
    assert len(points) == games
    return np.mean(points)


@pytest.mark.showdown
@pytest.mark.slow
def test_they_order_by_strength():
    """Over 128 games, with margins of three standard errors and more below what larger runs gave."""
    with Gen1OUEnv(64) as env:
        assert score(env, "max-power", "random", 128, seed=1) > 0.85
        assert score(env, "gym-leader", "boss", 128, seed=1) > 0.55
        assert score(env, "heuristic", "gym-leader", 128, seed=1) > 0.60
