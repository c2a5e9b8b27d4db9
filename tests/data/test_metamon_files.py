"""Metamon's files: a hand-written one through our views and back, names, damage; and any view through a state and back."""

import json
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data import metamon
from workbench.data.files import DamagedFile
from workbench.data.metamon_views import view_from_state, views_from_states
from workbench.envs.pokemon import dex
from workbench.envs.pokemon import view as layout

HAND_WRITTEN = Path(__file__).parent / "files" / "metamon-gen1ou-0123456789_1423_alice_vs_bob_02-29-2024_WIN.json"


@pytest.fixture
def battle():
    return json.loads(HAND_WRITTEN.read_text())


# --- the hand-written battle


def test_hand_written_file_comes_back_to_the_letter(battle):
    views = views_from_states(battle["states"])
    written = metamon.encode_battle(views, np.array(battle["actions"][:-1]))
    assert lz4.frame.decompress(written).decode() == json.dumps(battle)


def test_hand_written_views(battle):
    start, hurt, forced, end = layout.named(views_from_states(battle["states"]))
    tauros, chansey = 1, 0  # slots, alphabetical
    assert [dex.SPECIES[token] for token in start["own"]["species"]] == ["chansey", "tauros", "", "", "", ""]
    assert start["own"]["max_hp"].tolist()[:2] == [703, 353]
    assert start["own"]["stats"][tauros].tolist() == [298, 288, 238, 318]  # (100 + 15) * 2 + 63 + 5 and so on
    assert [dex.MOVES[token] for token in start["own"]["moves"][tauros]] == [
        "blizzard",
        "bodyslam",
        "earthquake",
        "hyperbeam",
    ]
    assert start["request"] == layout.REQUEST_MOVE and start["legal"].tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert (start["turn"], hurt["turn"], forced["turn"]) == (1, 2, 2)

    assert hurt["own"]["hp"][tauros] == 200 and dex.STATUSES[hurt["own"]["status"][tauros]] == "par"
    assert hurt["own"]["pp"][tauros].tolist() == [8, 23, 16, 8]
    assert hurt["own_active"]["slot"] == tauros and hurt["own_active"]["boosts"].tolist() == [0, -1, 0, 0, 0, 0, 0]
    assert hurt["own_active"]["effects"].sum() == hurt["own_active"]["effects"][layout.EFFECTS.index("confusion")] == 1
    assert dex.MOVES[hurt["own_active"]["prev_move"]] == "bodyslam"
    assert hurt["foe"]["hp"][0] == 61 and hurt["foe"]["uses"][0].tolist() == [1, 0, 0, 0]
    assert hurt["foe_active"]["boosts"].tolist() == [0, 0, 2, 2, 0, 0, 1]

    assert forced["request"] == layout.REQUEST_SWITCH and forced["legal"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert (forced["own_left"], forced["foe_left"]) == (1, 6)

    assert end["result"] == layout.WON and end["request"] == layout.REQUEST_NONE and not end["legal"].any()
    assert end["own"]["hp"][:2].tolist() == [703, 0] and dex.STATUSES[end["own"]["status"][tauros]] == "fnt"
    assert end["own_active"]["slot"] == chansey
    assert [dex.SPECIES[token] for token in end["foe"]["species"][:3]] == ["starmie", "snorlax", ""]
    # starmie was seen at 3%, but one Pokémon fewer is left and another one is out: it has fainted
    assert end["foe"]["hp"][:2].tolist() == [0, 100] and dex.STATUSES[end["foe"]["status"][0]] == "fnt"


def test_states_of_other_games_are_refused(battle):
    first = battle["states"][0]
    with pytest.raises(ValueError, match="format 'gen9ou'"):
        view_from_state(first | {"format": "gen9ou"})
    stranger = first["player_active_pokemon"] | {"name": "mewthree", "base_species": "mewthree"}
    with pytest.raises(ValueError, match="no Pokémon 'mewthree'"):
        view_from_state(first | {"player_active_pokemon": stranger})


# --- any view


def random_view(seed: int) -> np.ndarray:
    """A view as it could occur, with the best DVs; at most one effect on each side, as a state has room for."""
    random = np.random.default_rng(seed)
    row = np.zeros(layout.VIEW_SIZE, np.int16)
    view = layout.named(row)
    team = sorted(random.choice(len(dex.SPECIES) - 1, 6, replace=False) + 1, key=lambda token: dex.SPECIES[token])
    for slot, species in enumerate(team):
        own = view["own"][slot]
        base, level = dex.BASE_STATS[species].astype(int), int(random.integers(50, 101))
        own["species"], own["level"], own["types"] = species, level, dex.SPECIES_TYPES[species]
        own["max_hp"] = ((base[0] + 15) * 2 + 63) * level // 100 + level + 10
        own["stats"] = [((stat + 15) * 2 + 63) * level // 100 + 5 for stat in base[1:]]
        own["hp"] = random.integers(1, own["max_hp"] + 1)
        own["status"] = random.integers(0, len(dex.STATUSES) - 1)  # all but fainted
        moves = random.choice(len(dex.MOVES) - 1, random.integers(1, 5), replace=False) + 1
        for at, move in enumerate(sorted(moves, key=lambda token: dex.MOVES[token])):
            own["moves"][at], own["max_pp"][at] = move, dex.MOVE_MAX_PP[move]
            own["pp"][at] = random.integers(0, dex.MOVE_MAX_PP[move] + 1)
            own["disabled"][at] = own["pp"][at] == 0
    foe = view["foe"][0]
    foe["species"], foe["level"] = random.integers(1, len(dex.SPECIES)), 100
    foe["hp"], foe["types"] = random.integers(0, 101), dex.SPECIES_TYPES[foe["species"]]
    foe["status"] = random.integers(0, len(dex.STATUSES) - 1) if foe["hp"] else dex.STATUS_TOKEN["fnt"]
    seen = random.choice(len(dex.MOVES) - 1, random.integers(0, 5), replace=False) + 1
    for at, move in enumerate(sorted(seen, key=lambda token: dex.MOVES[token])):
        foe["moves"][at], foe["uses"][at] = move, random.integers(0, dex.MOVE_MAX_PP[move] + 1)
    view["own_active"]["slot"], view["own_left"], view["foe_left"] = random.integers(0, 6), 6, random.integers(1, 7)
    view["own_active"]["species"] = team[int(view["own_active"]["slot"])]
    view["foe_active"]["species"] = foe["species"]
    for active, moves in (
        (view["own_active"], view["own"]["moves"][view["own_active"]["slot"]]),
        (view["foe_active"], foe["moves"]),
    ):
        active["boosts"] = random.integers(-6, 7, len(layout.BOOSTS))
        if random.random() < 0.5:
            effect = random.choice([name for name in metamon.EFFECTS if name not in ("transform", "typechange")])
            active["effects"][layout.EFFECTS.index(effect)] = 1
        known = moves[moves > 0]
        active["prev_move"] = random.choice(known) if len(known) and random.random() < 0.7 else 0
    view["turn"], view["request"], view["menu"] = 1, layout.REQUEST_MOVE, layout.MENU_MOVES
    view["legal"][: (view["own"]["moves"][view["own_active"]["slot"]] > 0).sum()] = 1
    view["legal"][4:9] = 1
    return row


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_view_to_state_to_view(seed):
    view = random_view(seed)
    state = metamon.state_from_view(view)
    again = view_from_state(state)
    assert metamon.state_from_view(again) == state
    np.testing.assert_array_equal(again, view)


def test_state_has_metamons_fields_in_their_order():
    state = metamon.state_from_view(random_view(5))
    assert " ".join(state) == (
        "format player_active_pokemon opponent_active_pokemon available_switches player_prev_move opponent_prev_move "
        "opponents_remaining player_conditions opponent_conditions weather battle_field forced_switch battle_won "
        "battle_lost can_tera opponent_teampreview"
    )
    assert " ".join(state["player_active_pokemon"]) == (
        "name hp_pct types item ability lvl status effect moves atk_boost spa_boost def_boost spd_boost spe_boost "
        "accuracy_boost evasion_boost base_atk base_spa base_def base_spd base_spe base_hp tera_type base_species"
    )
    move = " ".join(state["player_prev_move"])
    assert move == "name move_type category base_power accuracy priority current_pp max_pp"
    assert len(state["available_switches"]) == 5


def test_sentinels_and_names():
    view = random_view(1)
    named = layout.named(view)
    slot = int(named["own_active"]["slot"])
    for at, name in enumerate(("nidoranf", "mrmime", "farfetchd")):
        named["own"]["species"][(slot + at) % 6] = dex.SPECIES_TOKEN[name]
    named["own"]["status"], named["own_active"]["effects"], named["own_active"]["prev_move"] = 0, 0, 0
    named["own"]["types"][slot] = dex.TYPE_TOKEN["poison"], 0
    named["own"]["hp"][(slot + 1) % 6] = 0
    state = metamon.state_from_view(view)
    me = state["player_active_pokemon"]
    assert (me["name"], me["types"], me["status"], me["effect"]) == (
        "nidoranf",
        "notype poison",
        "nostatus",
        "noeffect",
    )
    assert (me["item"], me["ability"], me["tera_type"]) == ("noitem", "noability", "notype")
    bench = [pokemon["name"] for pokemon in state["available_switches"]]
    assert "farfetchd" in bench and "mrmime" not in bench and len(bench) == 4  # fainted ones are not listed
    assert state["player_prev_move"]["name"] == "nomove" and state["player_prev_move"]["accuracy"] == 1.0
    named["own_active"]["effects"][[layout.EFFECTS.index("reflect"), layout.EFFECTS.index("substitute")]] = 1
    assert metamon.state_from_view(view)["player_active_pokemon"]["effect"] == "substitute"


def test_a_move_that_goes_on_by_itself_keeps_its_own_number():
    view = random_view(3)
    named = layout.named(view)
    slot = int(named["own_active"]["slot"])
    named["own"]["moves"][slot] = [dex.MOVE_TOKEN[name] for name in ("agility", "blizzard", "hyperbeam", "wrap")]
    named["menu"], named["locked_move"] = layout.MENU_LOCKED, dex.MOVE_TOKEN["wrap"]
    views = np.stack([view, view, view])
    assert metamon.their_actions(views, np.array([0, 5])).tolist() == [3, 5]
    named["menu"] = layout.MENU_RECHARGE
    assert metamon.their_actions(view[None], np.array([0])).tolist() == [0]


# --- names


def test_seven_parts():
    parts = metamon.parse_name(HAND_WRITTEN.name)
    assert parts == ("metamon-gen1ou-0123456789", "1423", "alice", "bob", "02-29-2024", "WIN")
    assert str(parts) == HAND_WRITTEN.name + ".lz4"
    timed = "metamon-gen1ou-1_Unrated_a-1_vs_b.2_11-20-2026-04:29:57_LOSS.json.lz4"
    assert metamon.parse_name(timed).date == "11-20-2026-04:29:57"
    for broken in (
        "metamon-gen1ou-1_Unrated_my_bot_vs_b_11-20-2026_WIN.json.lz4",
        "metamon-gen1ou-1_Unrated_a_vs_b_11-20-2026_DRAW.json.lz4",
        "metamon-gen1ou-1_Unrated_a_vs_b_2026-11-20_WIN.json.lz4",
        "notes.json",
    ):
        with pytest.raises(DamagedFile, match="not a trajectory's name"):
            metamon.parse_name(broken)


policy_ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=80)


@given(
    st.lists(st.one_of(policy_ids, st.sampled_from(["a_b", "a-b", "a/b", "run_epoch_10", "run_epoch_1"])), unique=True)
)
def test_players_names_never_split_and_never_merge(ids):
    names = [metamon.player_name(policy) for policy in ids]
    assert len(set(names)) == len(ids)
    for name in names:
        written = str(metamon.FileName("metamon-gen1ou-1", "Unrated", name, "other", "01-01-2026", "WIN"))
        assert len(written.split("_")) == 7 and "/" not in written
        assert metamon.parse_name(written).player == name


def test_plain_names_stay_and_long_ones_keep_their_end():
    assert metamon.player_name("gen1ou-v2.1") == "gen1ou-v2.1"
    first, second = (metamon.player_name("an_exceedingly_long_run_name_" * 3 + f"epoch-{n}") for n in (1, 2))
    assert first != second and "epoch-1-" in first and len(first) <= 48


# --- files


def test_read_battle_plain_and_compressed(battle, tmp_path):
    states, actions = metamon.read_battle(HAND_WRITTEN)
    assert (states, actions) == (battle["states"], [1, -1, 4, -1])
    packed = tmp_path / (HAND_WRITTEN.name + ".lz4")
    packed.write_bytes(lz4.frame.compress(HAND_WRITTEN.read_bytes()))
    assert metamon.read_battle(packed) == (states, actions)
    metamon.check_intact(packed)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.999])
def test_half_written_files_are_named(keep, tmp_path):
    packed = tmp_path / (HAND_WRITTEN.name + ".lz4")
    content = lz4.frame.compress(HAND_WRITTEN.read_bytes(), content_checksum=True)
    packed.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    for read in (metamon.read_battle, metamon.check_intact):
        with pytest.raises(DamagedFile, match="0123456789"):
            read(packed)


@pytest.mark.parametrize(
    "content",
    ['{"states": []}', '{"states": [1], "actions": [-1]}', "[1, 2]", '{"states": [1, 2], "actions": [0, 0]}', "{}"],
)
def test_other_json_is_no_battle(content, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(DamagedFile, match=r"x\.json"):
        metamon.read_battle(path)
