"""Ground, platforms, ledges, blast zones, respawn."""

import pytest

from workbench.envs.melee import actions as a
from workbench.envs.melee.physics import LEDGE_SAFE
from workbench.envs.melee.stages import stage_id, stage_names, stage_table


def airborne(game, seat=0, **fields):
    game.pose(seat, **{"surface": -1, "action": a.FALL, "frame": 1, "vy": 0, **fields})
    return game


@pytest.mark.parametrize("stage", sorted(stage_names()))
def test_fighters_begin_on_their_feet_apart_and_face_each_other(match, stage):
    game = match(stage=stage)
    game.env.reset(3)
    first, second = game[0], game[1]
    assert {float(first["x"]), float(second["x"])} == set(stage_table()[stage_id(stage)]["spawn_x"].tolist())
    assert first["facing"] == (1 if first["x"] < second["x"] else -1) == -second["facing"]
    before = [float(first["y"]), float(second["y"])]
    game.play(frames=5)
    assert [float(game[0]["y"]), float(game[1]["y"])] == before
    assert game[0]["action"] == game[1]["action"] == a.WAIT


@pytest.mark.parametrize("stage", sorted(stage_names()))
def test_fighters_land_on_ground_and_on_every_platform(match, stage):
    record = stage_table()[stage_id(stage)]
    for surface in range(int(record["surfaces"])):
        middle = float(record["left"][surface] + record["right"][surface]) / 2
        game = airborne(match(stage=stage), x=middle, y=float(record["height"][surface]) + 4)
        game.until(lambda game=game: game[0]["surface"] >= 0, limit=30)
        assert game[0]["surface"] == surface
        assert game[0]["y"] == pytest.approx(float(record["height"][surface]))


def test_a_tap_down_drops_through_a_platform_and_not_through_the_ground(match):
    game = match(stage="battlefield")
    game.pose(0, x=-38.8, y=27.2001, surface=1)
    game.play({"stick": (0, -1)})
    assert game[0]["action"] == a.PLATFORM_DROP
    game.until(lambda: game[0]["surface"] == 0, limit=60)
    game.play(frames=30)
    game.play({"stick": (0, -1)})
    assert game[0]["surface"] == 0


def test_holding_down_falls_through_platforms(match):
    game = airborne(match(stage="battlefield"), x=-38.8, y=40)
    game.until(lambda: game[0]["surface"] >= 0, {"stick": (0, -1)}, limit=60)
    assert game[0]["surface"] == 0


def test_standing_fighters_stop_at_the_edge_and_running_ones_do_not(match):
    game = match()
    game.pose(0, x=84, vx=2.0)
    game.play(frames=40)
    assert game[0]["surface"] == 0
    assert game[0]["x"] == pytest.approx(85.5657)
    game = match()
    game.pose(0, x=60)
    game.until(lambda: game[0]["surface"] < 0, {"stick": (1, 0)}, limit=60)
    assert game[0]["action"] == a.FALL


def test_fighters_below_the_edge_do_not_pass_through_the_stage(match):
    game = airborne(match(), x=95, y=-40, vx=-2.0)
    game.play({"stick": (-1, -0.7)}, frames=20)
    assert game[0]["x"] >= 85.5


@pytest.mark.parametrize("side", [-1, 1])
def test_ledge_catch_hang_and_climb(match, side):
    game = airborne(match(), x=88 * side, y=-2, facing=-side)
    game.until(lambda: game[0]["action"] == a.CLIFF_CATCH, limit=20)
    assert (game[0]["x"], game[0]["y"]) == pytest.approx((side * (85.5657 + 1.9), -14.4))
    assert game[0]["invulnerable"] == LEDGE_SAFE
    assert game.until(lambda: game[0]["action"] == a.CLIFF_WAIT) == 7
    game.play({"stick": (0, 1)})
    assert game[0]["action"] == a.CLIFF_CLIMB
    assert game.until(lambda: game[0]["action"] == a.WAIT) == 34
    assert game[0]["surface"] == 0
    assert abs(game[0]["x"]) < 85.5657


@pytest.mark.parametrize(
    ("press", "action", "frames"),
    [
        ({"button": "L"}, a.CLIFF_ROLL, 49),
        ({"button": "A"}, a.CLIFF_ATTACK, 54),
        ({"button": "X"}, a.CLIFF_JUMP, 14),
        ({"stick": (1, 0)}, a.FALL, None),
        ({"stick": (0, -1)}, a.FALL, None),
    ],
)
def test_ways_off_the_ledge(match, press, action, frames):
    game = airborne(match(), x=88, y=-15, action=a.CLIFF_WAIT, facing=-1)
    game.play(press)
    assert game[0]["action"] == action
    if frames:
        assert game.until(lambda: game[0]["action"] != action) == frames
    if action == a.FALL:
        game.play(frames=29)
        assert game[0]["action"] != a.CLIFF_CATCH  # not again for 30 frames


def test_ledge_options_are_slow_from_100_percent(match):
    game = airborne(match(), x=88, y=-15, action=a.CLIFF_WAIT, facing=-1, percent=100)
    game.play({"stick": (0, 1)})
    assert game[0]["action"] == a.CLIFF_CLIMB_SLOW
    assert game.until(lambda: game[0]["action"] == a.WAIT) == 59


def test_only_one_fighter_hangs_on_a_ledge(match):
    game = airborne(match(), x=88, y=-14.4, action=a.CLIFF_WAIT, facing=-1)
    airborne(game, 1, x=89, y=-4, facing=-1)
    game.play(frames=20)
    assert game[1]["action"] == a.FALL


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"x": 245.5, "y": 20, "vx": 0.83}, a.DEAD_RIGHT),
        ({"x": -245.5, "y": 20, "vx": -0.83}, a.DEAD_LEFT),
        ({"x": 150, "y": -139, "vy": -2.8}, a.DEAD_DOWN),
        ({"x": 0, "y": 187, "action": a.DAMAGE_FLY_TOP, "ky": 4.0, "hitstun": 50, "tumble": 1}, a.DEAD_STAR),
    ],
)
def test_blast_zones_take_a_stock(match, fields, action):
    game = airborne(match(), **fields, percent=80)
    game.play(frames=3)
    assert game[0]["action"] == action
    assert game[0]["stocks"] == 3
    assert game[1]["stocks"] == 4


def test_jumping_over_the_top_is_safe(match):
    game = airborne(match(), x=0, y=187.5, vy=3.0)
    game.play(frames=3)
    assert game[0]["stocks"] == 4


def test_respawn_takes_60_and_60_frames_and_protects(match):
    game = airborne(match(), x=150, y=-139, vy=-2.8, percent=80, stale_count=3)
    game.until(lambda: game[0]["action"] == a.DEAD_DOWN, limit=5)
    assert game.until(lambda: game[0]["action"] == a.REBIRTH) == 60
    assert (game[0]["percent"], game[0]["stale_count"]) == (0, 0)
    assert game.until(lambda: game[0]["action"] == a.REBIRTH_WAIT) == 60
    assert game[0]["y"] == 45
    assert game.until(lambda: game[0]["action"] == a.FALL) == 240
    assert game[0]["invulnerable"] == 120
    game.play(frames=120)
    assert game[0]["invulnerable"] == 0


def test_an_up_special_recovers_and_leaves_helpless(match):
    game = airborne(match(), x=120, y=-30, facing=-1, air_jumps=0)
    game.play({"button": "B", "stick": (0, 1)})
    assert game[0]["action"] == 354
    game.play({"stick": (-0.7, 0.7)}, frames=42)
    assert game[0]["action"] == 356
    assert (game[0]["vx"], game[0]["vy"]) == pytest.approx((-3.8 * 0.7071, 3.8 * 0.7071), abs=0.01)
    game.until(lambda: game[0]["action"] in (a.HELPLESS_FALL, a.CLIFF_CATCH), {"stick": (-0.7, 0.7)}, limit=40)


def test_missed_tech_lies_down_and_gets_up(match):
    game = airborne(match(), x=0, y=3, vy=-1.5, action=a.DAMAGE_FLY, hitstun=30, tumble=1)
    game.until(lambda: game[0]["action"] == a.DOWN_BOUND, limit=5)
    assert game.until(lambda: game[0]["action"] == a.DOWN_WAIT) == 26
    game.play({"stick": (0, 1)})
    assert game[0]["action"] == a.DOWN_STAND
    assert game.until(lambda: game[0]["action"] == a.WAIT) == 30


def test_wavedash_slides(match):
    game = match("marth")
    game.play({"button": "X"})
    game.until(lambda: game[0]["action"] == a.JUMP_SQUAT and game[0]["frame"] == 4)
    game.play({"button": "L", "stick": (0.92, -0.38)})
    assert game[0]["action"] == a.LANDING_SPECIAL
    assert game[0]["vx"] == pytest.approx(3.1 * 0.9 * 0.92388, abs=1e-3)
    start = float(game[0]["x"])
    assert game.until(lambda: game[0]["action"] == a.WAIT) == 10
    assert game[0]["x"] > start + 10
