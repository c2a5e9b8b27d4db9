"""Observations: hand-made views encoded token by token, and the dex they rest on."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from workbench.envs.pokemon import dex, observation, showdown, view
from workbench.envs.pokemon.env import Gen1OUEnv

SPECIES, MOVE, TYPE, STATUS = dex.SPECIES_TOKEN, dex.MOVE_TOKEN, dex.TYPE_TOKEN, dex.STATUS_TOKEN


def worded(tokens):
    return [observation.VOCABULARY[token] for token in tokens]


def example():
    """Starmie (slot 2 of three; Chansey fainted, Snorlax benched) against Exeggutor, with Tauros seen before."""
    views = np.zeros((1, view.VIEW_SIZE), np.int16)
    row = view.named(views)[0]
    row["request"], row["menu"], row["turn"] = view.REQUEST_MOVE, view.MENU_MOVES, 25
    row["own_left"], row["foe_left"] = 2, 6
    row["legal"][[0, 1, 4]] = 1
    own = row["own"]
    own["species"][:3] = [SPECIES[name] for name in ("chansey", "snorlax", "starmie")]
    own["level"][:3], own["max_hp"][:3], own["hp"][:3] = 100, [703, 523, 323], [0, 523, 161]
    own["status"][:3] = [STATUS["fnt"], 0, STATUS["par"]]
    own["status_turns"][2] = 2
    own["types"][2] = [TYPE["water"], TYPE["psychic"]]
    own["moves"][2, :2] = [MOVE["blizzard"], MOVE["surf"]]
    own["pp"][2, :2], own["max_pp"][2, :2] = [4, 24], [8, 24]
    own["stats"][2] = [248, 268, 298, 328]
    row["own_active"]["slot"], row["own_active"]["species"] = 2, SPECIES["starmie"]
    row["own_active"]["boosts"][4] = -3
    row["own_active"]["effects"][view.EFFECTS.index("reflect")] = 4
    row["own_active"]["prev_move"] = MOVE["surf"]
    foe = row["foe"]
    foe["species"][:2] = [SPECIES["tauros"], SPECIES["exeggutor"]]
    foe["level"][:2], foe["hp"][:2] = 100, [100, 37]
    foe["types"][1] = [TYPE["grass"], TYPE["psychic"]]
    foe["moves"][1, 0], foe["uses"][1, 0] = MOVE["sleeppowder"], 6
    row["foe_active"]["slot"], row["foe_active"]["species"] = 1, SPECIES["exeggutor"]
    return views


def test_pokemon_come_active_first_then_those_that_can_fight():
    observed = observation.encode(example())
    pokemon, numbers = observed["pokemon"][0], observed["pokemon_numbers"][0]
    names = worded(pokemon[:, 0])
    assert names == ["starmie", "snorlax", "chansey", "", "", "", "exeggutor", "tauros", "", "", "", ""]
    assert worded(pokemon[0]) == ["starmie", "par", "water", "psychic", "blizzard", "surf", "", ""]
    assert worded(pokemon[2])[:2] == ["chansey", "fnt"]
    assert worded(pokemon[6]) == ["exeggutor", "", "grass", "psychic", "sleeppowder", "", "", ""]
    assert numbers[0].tolist() == pytest.approx([161 / 323, 1, 1, 2 / 8, 0.5, 1, 0, 0])
    assert numbers[2].tolist() == pytest.approx([0, 1, 0, 0, 0, 0, 0, 0])
    # Sleep Powder has 24 PP at most, six were seen spent
    assert numbers[6].tolist() == pytest.approx([0.37, 1, 1, 0, 0.75, 0, 0, 0])
    assert (numbers[3:6] == 0).all() and (pokemon[3:6] == 0).all()


def test_the_battle_and_the_moves():
    observed = observation.encode(example())
    assert worded(observed["battle"][0]) == ["moves", "", "surf", "", "", "", "", ""]
    number = dict(zip(observation.BATTLE_NUMBERS, observed["battle_numbers"][0].tolist(), strict=True))
    shown = {name: value for name, value in number.items() if value}
    assert shown == pytest.approx(
        {
            "turn": 25 / 500, "own left": 2 / 6, "foe left": 1, "own max hp": 323 / 703,
            "own atk": 248 / 400, "own def": 268 / 400, "own spc": 298 / 400, "own spe": 328 / 400,
            "foe base atk": 95 / 255, "foe base def": 85 / 255, "foe base spc": 125 / 255, "foe base spe": 55 / 255,
            "own spe boost": -0.5, "own reflect": 1,
            "move 1 power": 1.2, "move 1 accuracy": 0.9, "move 1 effectiveness": 1.0,  # ice on grass: twice
            "move 1 strength": 120 * 0.9 * 2 / 200, "move 1 usable": 1,
            "move 2 power": 0.95, "move 2 accuracy": 1.0, "move 2 effectiveness": 0.25,  # water on grass: half
            "move 2 same type": 1, "move 2 strength": 95 * 0.5 * 1.5 / 200, "move 2 usable": 1,
        }
    )  # fmt: skip


def test_writes_into_given_arrays_of_any_shape():
    many = np.broadcast_to(example(), (3, 2, view.VIEW_SIZE))
    out = observation.allocate((3, 2))
    for array in out.values():
        array += 1
    assert observation.encode(many, out) is out
    single = observation.encode(example())
    for name, array in out.items():
        assert array.shape == (3, 2, *observation.SPEC[name].shape)
        assert array.dtype == observation.SPEC[name].dtype
        np.testing.assert_array_equal(array, np.broadcast_to(single[name], array.shape))


def test_the_vocabulary_is_pinned():
    """Saved policies hold these tokens: changing them needs another version of the env."""
    assert len(observation.VOCABULARY) == 344
    assert observation.VOCABULARY[151] == "mew"
    assert observation.VOCABULARY[152] == "pound" and observation.VOCABULARY[316] == "struggle"
    assert observation.VOCABULARY[317] == "bug" and observation.VOCABULARY[331] == "water"
    assert observation.VOCABULARY[332:] == (
        "brn", "par", "slp", "frz", "psn", "tox", "fnt", "moves", "fight", "recharge", "struggle", "locked",
    )  # fmt: skip


def test_type_chart():
    ice, water, ghost, electric = (TYPE[name] for name in ("ice", "water", "ghost", "electric"))
    assert dex.effectiveness(ice, np.array([TYPE["dragon"], TYPE["flying"]])) == 4
    assert dex.effectiveness(water, np.array([TYPE["grass"], TYPE["dragon"]])) == 0.25
    assert dex.effectiveness(electric, np.array([TYPE["rock"], TYPE["ground"]])) == 0
    assert dex.effectiveness(ghost, np.array([TYPE["psychic"], 0])) == 0  # a fault of generation 1


@pytest.mark.showdown
def test_the_dex_is_showdowns():
    exported = subprocess.run(
        [showdown.node_executable(), showdown.LOCK_FOLDER / "export_dex.mjs", showdown.showdown_folder()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert exported.stdout == (Path(dex.__file__).parent / "dex.json").read_text()


@pytest.mark.showdown
def test_numbers_of_real_battles_stay_small(odd_teams):
    random = np.random.default_rng(0)
    with Gen1OUEnv(16, teams=odd_teams) as env:
        timestep = env.reset(1)
        for _ in range(120):
            for name, field in env.spec.observation.items():
                array = timestep.observation[name]
                if field.is_tokens:
                    assert array.min() >= 0 and array.max() < field.vocabulary
                else:
                    assert array.min() >= -1 and array.max() <= 2, name
            drawn = np.where(timestep.legal[0], random.random(timestep.legal[0].shape), -1)
            timestep = env.step(drawn.argmax(axis=-1)[..., None])
