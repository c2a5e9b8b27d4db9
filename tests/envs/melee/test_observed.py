"""The mock against what was measured in 39 recorded human games (`observed.csv`)."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from workbench.envs.melee import actions as a
from workbench.envs.melee.characters import short_name
from workbench.envs.melee.moves import move_table

ROWS = list(csv.DictReader(Path(__file__).with_name("observed.csv").open(encoding="utf-8")))
BY_CHARACTER = defaultdict(dict)
for row in ROWS:
    BY_CHARACTER[short_name(row["character"])][row["quantity"], row["move"]] = float(row["observed"])
AERIALS = {"nair": (0, 0), "fair": (1, 0), "bair": (-1, 0), "uair": (0, 1), "dair": (0, -1)}
STICK = 0.02  # replays' full stick is often .9875, which lowers ground speeds by as much


def hop(match, held):
    """Frames of jump squat, then the speeds of the first two airborne frames."""
    squat = 0
    match.play({"button": "X"})
    while match[0]["action"] == a.JUMP_SQUAT:
        squat += 1
        match.play({"button": "X"} if held else {})
    first = match[0]["vy"]
    match.play()
    return squat, first, match[0]["vy"]


def falling(match, stick=0.0, frames=1, **fields):
    """A fighter dropped high above the ground."""
    match.pose(0, **{"x": 0, "y": 150, "surface": -1, "action": a.FALL, "frame": 1, "vy": -0.1, **fields})
    return match.play({"stick": (stick, 0)}, frames=frames)


@pytest.mark.parametrize("name", BY_CHARACTER)
def test_jumps_are_the_recorded_ones(match, name):
    seen = BY_CHARACTER[name]
    squat, full, second = hop(match(name), held=True)
    assert squat == seen["jumpsquat frames", ""]
    assert full == pytest.approx(seen["full-hop velocity", ""], abs=1e-3)
    assert full - second == pytest.approx(seen["gravity", ""], abs=1e-3)
    if ("short-hop velocity", "") in seen:
        assert hop(match(name), held=False)[1] == pytest.approx(seen["short-hop velocity", ""], abs=1e-3)
    if ("double-jump velocity", "") in seen:
        game = falling(match(name)).play({"button": "X"})
        assert game[0]["vy"] == pytest.approx(seen["double-jump velocity", ""], abs=1e-3)
        assert game[0]["air_jumps"] == 0


@pytest.mark.parametrize("name", BY_CHARACTER)
def test_falls_and_drifts_are_the_recorded_ones(match, name):
    seen = BY_CHARACTER[name]
    game = falling(match(name), y=5000, frames=60)
    assert game[0]["vy"] == pytest.approx(-seen["terminal velocity", ""], abs=1e-3)
    game.play({"stick": (0, -1)})
    assert game[0]["vy"] == pytest.approx(-seen["fast-fall velocity", ""], abs=1e-3)
    if ("max air speed by drift", "") in seen:
        game = falling(match(name), stick=1.0, y=5000, frames=80)
        assert game[0]["vx"] == pytest.approx(seen["max air speed by drift", ""], abs=1e-3)
        before = game[0]["vx"]
        game.play()
        assert before - game[0]["vx"] == pytest.approx(seen["air friction", ""], abs=1e-3)


@pytest.mark.parametrize("name", BY_CHARACTER)
def test_dashes_are_the_recorded_ones(match, name):
    seen = BY_CHARACTER[name]
    game = match(name)
    game.pose(0, x=-80)
    game.play({"stick": (1, 0)})
    assert (game[0]["action"], game[0]["vx"]) == (a.DASH, 0)
    game.play({"stick": (1, 0)})
    if ("dash speed", "") in seen:
        assert game[0]["vx"] == pytest.approx(seen["dash speed", ""], abs=STICK * 1.5)
    fastest = max(float(game.play({"stick": (1, 0)})[0]["vx"]) for _ in range(40))
    if ("run speed", "") in seen:
        assert game[0]["action"] == a.RUN
        assert game[0]["vx"] == pytest.approx(seen["run speed", ""], abs=STICK * 1.5)
        assert fastest >= game[0]["vx"]


@pytest.mark.parametrize(
    "row",
    [r for r in ROWS if r["quantity"].startswith("landing lag")],
    ids=lambda r: f"{r['character']}-{r['move']}-{r['quantity'][-3:]}",
)
def test_landing_lag_is_the_recorded_one(match, row):
    cancelled = row["quantity"].endswith("L-cancelled")
    game = match(short_name(row["character"]))
    game.pose(0, x=0, y=400, surface=-1, action=a.FALL, frame=1, vy=0)
    x, y = AERIALS[row["move"]]
    game.play({"button": "A", "stick": (x / 2, y / 2)})
    assert game[0]["action"] == a.NEUTRAL_AIR + list(AERIALS).index(row["move"])
    # land where no auto-cancel helps
    game.play(frames=5)
    move = move_table()[game[0]["character"], game[0]["slot"]]
    middle = int(max(move["first"], move["autocancel_before"]))
    game.play({"button": "L"} if cancelled else {})
    game.pose(0, y=0.5, vy=-1.0, frame=middle)
    game.play()
    assert game[0]["action"] == a.LANDING_AERIAL + list(AERIALS).index(row["move"])
    game.pose(1, x=80)
    assert game.until(lambda: game[0]["action"] == a.WAIT) == float(row["observed"])


@pytest.mark.parametrize("name", BY_CHARACTER)
def test_dodges_last_as_recorded(match, name):
    seen = BY_CHARACTER[name]
    for quantity, action, stick in (
        ("roll_f", a.ROLL_FORWARD, (1, 0)),
        ("roll_b", a.ROLL_BACK, (-1, 0)),
        ("spotdodge", a.SPOT_DODGE, (0, -1)),
    ):
        if (quantity, "") not in seen:
            continue
        game = match(name)
        game.play({"button": "L"}, frames=3)
        game.play({"button": "L", "stick": stick})
        assert game[0]["action"] == action
        assert game.until(lambda game=game, action=action: game[0]["action"] != action) == seen[quantity, ""]


@pytest.mark.parametrize("name", BY_CHARACTER)
def test_techs_last_as_recorded(match, name):
    seen = BY_CHARACTER[name]
    for quantity, action, x in (
        ("tech_inplace", a.TECH, 0),
        ("tech_f", a.TECH_FORWARD, 1),
        ("tech_b", a.TECH_BACK, -1),
    ):
        if (quantity, "") not in seen:
            continue
        game = match(name)
        game.pose(0, y=3, surface=-1, action=a.DAMAGE_FLY, hitstun=30, tumble=1, vy=-1.5)
        game.play({"button": "L", "stick": (x, 0)})
        frames = game.until(lambda game=game, action=action: game[0]["action"] == action, {"stick": (x, 0)})
        assert frames <= 3
        assert game.until(lambda game=game, action=action: game[0]["action"] != action) == seen[quantity, ""]


def test_ledge_jump_speed_is_the_recorded_one(match):
    for name, seen in BY_CHARACTER.items():
        if ("ledge-jump vertical velocity", "") not in seen:
            continue
        game = match(name)
        game.pose(0, x=88, y=-15, surface=-1, action=a.CLIFF_WAIT, frame=1, facing=-1)
        game.play({"button": "X"})
        game.until(lambda game=game: game[0]["action"] == a.JUMP_FORWARD)
        assert np.isclose(game[0]["vy"], seen["ledge-jump vertical velocity", ""], atol=1e-3), name
