"""Hits: first the formulas by hand, then the same numbers out of a match."""

import math

import numpy as np
import pytest

from workbench.envs.melee import actions as a
from workbench.envs.melee import combat
from workbench.envs.melee.moves import DTHROW, JAB1, NAIR, USMASH, UTHROW, move_table

knockback = combat.knockback.py_func


def test_knockback_of_fox_up_smash_by_hand():
    # 18 %, base 30, growth 112 on Marth (weight 87), fresh.
    # at 0 %: p = 18; .1*18 + .05*18*18 = 18; 18 * 1.4 * 200/187 + 18 = 44.9519; * 1.12 + 30 = 80.3461
    assert knockback(0.0, 18.0, 18.0, 87.0, 30.0, 112.0, 0.0) == pytest.approx(80.3461, abs=1e-3)
    # at 80.9 %: p = 80 + 18 = 98; 9.8 + 88.2 = 98; 98 * 1.4 * 200/187 + 18 = 164.7380; * 1.12 + 30 = 214.5066
    assert knockback(80.9, 18.0, 18.0, 87.0, 30.0, 112.0, 0.0) == pytest.approx(214.5066, abs=1e-3)


def test_knockback_counts_staled_damage_once_and_unstaled_in_the_growth():
    # Staled to 16.38 at 50 %: p = 66.38; 6.638 + .05 * 66.38 * 18 = 66.38; * 1.4 * 200/187 + 18 = 117.3925; * 1.12 + 30
    assert knockback(50.0, 16.38, 18.0, 87.0, 30.0, 112.0, 0.0) == pytest.approx(161.4796, abs=1e-3)


def test_set_knockback_does_not_grow_with_percent():
    # Fox's shine: set 80, growth 100 on Fox (75): (40 + 1) * 1.4 * 200/175 + 18 = 83.6
    assert knockback(0.0, 5.0, 5.0, 75.0, 0.0, 100.0, 80.0) == pytest.approx(83.6)
    assert knockback(300.0, 5.0, 5.0, 75.0, 0.0, 100.0, 80.0) == pytest.approx(83.6)


def test_knockback_is_capped():
    assert knockback(99999.0, 20.0, 20.0, 60.0, 0.0, 100.0, 0.0) == 2500


@pytest.mark.parametrize(("damage", "hitlag", "stun"), [(3, 4, 3), (9, 6, 6), (12, 7, 7), (15, 8, 8), (18, 9, 10)])
def test_hitlag_and_shield_stun_by_hand(damage, hitlag, stun):
    # floor(d/3 + 3); floor((.45 floor(d) + 2) * 200/201): 18 -> 10.1 * .995 = 10.05
    assert combat.hitlag_frames.py_func(float(damage)) == hitlag
    assert combat.shield_stun_frames.py_func(float(damage), 1.0) == stun


def test_light_shields_are_stunned_for_longer():
    # press .3: 1.5 * (.3 + .65) = 1.425; (1.425 * 10 + 2) * 200/201 = 16.17
    assert combat.shield_stun_frames.py_func(10.0, 0.3) == 16


def test_sakurai_angle():
    angle = combat.launch_angle.py_func
    assert angle(361.0, 200.0, False) == 45
    assert angle(361.0, 31.9, True) == 0
    assert angle(361.0, 32.05, True) == pytest.approx(22, abs=0.01)
    assert angle(361.0, 32.1, True) == 44
    assert angle(80.0, 10.0, True) == 80


def test_stale_factor_by_hand():
    # twice the same move, newest and third newest: 1 - .09 - .07
    fighter = np.zeros(1, [("stale", np.int16, (9,)), ("stale_count", np.int16)])[0]
    fighter["stale"][:] = [USMASH, NAIR, USMASH, -1, -1, -1, -1, -1, -1]

    class Queue:
        stale = fighter["stale"]
        stale_count = 3

    assert combat.stale_factor.py_func(Queue, USMASH) == pytest.approx(0.84)
    assert combat.stale_factor.py_func(Queue, NAIR) == pytest.approx(0.92)
    assert combat.stale_factor.py_func(Queue, 0) == 1


def up_smash(game, attacker=0):
    """Fox's up smash until it connects."""
    pressed, none = {"c": (0, 1)}, None
    game.play(*((pressed, none) if attacker == 0 else (none, pressed)))
    game.until(lambda: game[1 - attacker]["hitlag"] > 0 or game[1 - attacker]["action"] >= 178, limit=20)


@pytest.mark.parametrize(("percent", "force"), [(0, 80.3461), (80, 214.5066)])
@pytest.mark.parametrize("attacker", [0, 1])
def test_up_smash_lands_with_the_knockback_of_the_formula(match, percent, force, attacker):
    """Either seat hurts the other: damage, launch speed, hitstun."""
    victim = 1 - attacker
    game = match("fox", "marth") if attacker == 0 else match("marth", "fox")
    game.pose(attacker, x=0, facing=1)
    game.pose(victim, x=2, facing=-1, percent=percent)
    up_smash(game, attacker)
    hit = game[victim]
    assert hit["percent"] == pytest.approx(percent + 18)
    assert hit["hitlag"] == game[attacker]["hitlag"] == 9
    assert math.hypot(hit["kx"], hit["ky"]) == pytest.approx(0.03 * force, abs=1e-3)
    assert math.degrees(math.atan2(hit["ky"], hit["kx"])) == pytest.approx(80, abs=0.01)
    assert hit["hitstun"] == math.floor(0.4 * force)
    assert hit["tumble"] == 1
    assert game[attacker]["percent"] == 0
    # 1,395 of 1,402 attackers and 738 of 748 victims in replays: frozen for 9 frames of which the hit's is the first
    struck = int(game[attacker]["frame"])
    game.play(frames=8)
    assert (game[attacker]["frame"], game[attacker]["hitlag"], game[victim]["hitlag"]) == (struck, 1, 1)
    assert (game[victim]["y"], game[victim]["hitstun"]) == (0, hit["hitstun"])
    state = game.env.state()
    game.play()
    assert (game[attacker]["frame"], game[attacker]["hitlag"], game[victim]["hitlag"]) == (struck + 1, 0, 0)
    assert game[victim]["y"] > 0 and game[victim]["hitstun"] == hit["hitstun"] - 1
    game.env.restore(state)
    speeds = []
    for _ in range(5):
        game.play()
        speeds.append(math.hypot(game[victim]["kx"], game[victim]["ky"]))
    assert np.diff([0.03 * force, *speeds]) == pytest.approx([-0.051] * 5, abs=1e-4)
    if percent == 0:  # at 80 % the victim dies at the top before its hitstun ends
        left = game.until(lambda: game[victim]["action"] not in (a.DAMAGE_FLY, a.DAMAGE_FLY_TOP))
        assert left + 5 == math.floor(0.4 * force)


def test_a_move_hits_once_a_use_and_grows_stale(match):
    game = match("fox", "marth")
    damages = []
    for _ in range(3):
        game.pose(0, x=0, action=a.WAIT, frame=1, slot=-1)
        game.pose(1, x=2, y=0, surface=0, action=a.WAIT, frame=1, hitstun=0, hitlag=0, kx=0, ky=0, percent=0, vy=0)
        game.play(frames=2)
        up_smash(game)
        game.play(frames=25)
        damages.append(float(game[1]["percent"]))
    assert damages == pytest.approx([18, 18 * 0.91, 18 * 0.83], abs=1e-3)


def test_multi_hit_moves_hit_again(match):
    # Fox's up air: 5 % with set knockback, then 13 %, staled by its own first hit
    game = match("fox", "captain_falcon")
    game.pose(0, x=0, y=60, surface=-1, action=a.FALL, vy=0)
    game.pose(1, x=0, y=62, surface=-1, action=a.FALL, vy=0)
    game.play({"c": (0, 1)})
    game.play(frames=25)
    assert game[1]["percent"] == pytest.approx(5 + 13 * 0.91, abs=1e-3)


def test_both_hit_in_the_same_frame(match):
    game = match("fox", "fox")
    game.pose(0, x=-3, facing=1)
    game.pose(1, x=3, facing=-1)
    game.play({"button": "A"}, {"button": "A"}, frames=2)
    assert game[0]["percent"] == game[1]["percent"] == pytest.approx(4)
    assert game[0]["kx"] == -game[1]["kx"] < 0


@pytest.mark.parametrize("strong", [0, 1])
def test_in_a_trade_the_longer_freeze_holds_in_either_seat(match, strong):
    # an up smash's first active frame meets a jab's: 18 % freezes both for 9 frames, 4 % alone would for 4
    game = match("fox", "fox")
    for seat, side in ((strong, -1), (1 - strong, 1)):
        game.pose(seat, x=3 * side, facing=-side)
    fox = move_table()[1]
    wait = int(fox[USMASH]["first"] - fox[JAB1]["first"])
    smash, jab = {"c": (0, 1)}, {"button": "A"}
    order = lambda strong_one, weak_one: (strong_one, weak_one) if strong == 0 else (weak_one, strong_one)  # noqa: E731
    game.play(*order(smash, None))
    game.play(frames=wait - 1)
    game.play(*order(None, jab))
    game.until(lambda: game[0]["hitlag"] > 0, limit=10)
    assert game[strong]["percent"] == pytest.approx(4) and game[1 - strong]["percent"] == pytest.approx(18)
    assert game[0]["hitlag"] == game[1]["hitlag"] == 9


# Replays show a hit's frame with the whole count N; the first frame that moves again shows N - 1, and so on to 1; in the
# next one the fighter is in what its player chose. Here N = 9: free in the 9th frame after the freeze.
FIRST_FREE = [
    ({"y": 0.0, "surface": 0, "action": a.DAMAGE_GROUND}, {"button": "X"}, a.JUMP_SQUAT),
    ({"y": 90.0, "surface": -1, "action": a.DAMAGE_AIR}, {"button": "X"}, a.AIR_JUMP_FORWARD),
    ({"y": 90.0, "surface": -1, "action": a.DAMAGE_FLY, "tumble": 1}, {"button": "X"}, a.AIR_JUMP_FORWARD),
]


@pytest.mark.parametrize(("hurt", "pressed", "chosen"), FIRST_FREE)
def test_the_first_frame_after_hitstun_is_the_same_on_the_ground_and_in_the_air(match, hurt, pressed, chosen):
    for early in (1, 0):
        game = match("fox", "fox")
        game.pose(1, hitstun=9, frame=1, vx=0, vy=0, **hurt)
        game.play(frames=8 - early)
        assert (game[1]["action"], game[1]["hitstun"]) == (hurt["action"], 1 + early)
        game.play(None, pressed)
        assert (game[1]["action"] == hurt["action"]) == bool(early)
    assert game[1]["action"] == chosen


def test_attacks_from_behind_launch_away(match):
    game = match("fox", "fox")
    game.pose(0, x=0, facing=1)
    game.pose(1, x=-6, facing=1)
    game.play({"c": (0, -1)})
    game.until(lambda: game[1]["percent"] > 0, limit=12)
    assert game[1]["kx"] < 0


def test_crouching_takes_two_thirds_of_the_knockback(match):
    speeds = []
    for stick in ((0, 0), (0, -1)):
        game = match("fox", "marth")
        game.play(None, {"stick": stick}, frames=15)
        game.pose(0, x=0, facing=1)
        game.pose(1, x=2)
        game.play({"c": (0, -1)}, {"stick": stick})
        game.until(lambda game=game: game[1]["percent"] > 0, None, {"stick": stick}, limit=12)
        speeds.append(math.hypot(game[1]["kx"], game[1]["ky"]))
    assert speeds[1] == pytest.approx(speeds[0] * 2 / 3, rel=1e-4)


def test_di_turns_the_launch_by_up_to_18_degrees(match):
    angles = []
    for stick in ((0, 0), (-1, 0), (1, 0), (0, 1)):
        game = match("fox", "marth")
        game.pose(0, x=0, facing=1)
        game.pose(1, x=2, percent=50)
        up_smash(game)
        game.play(None, {"stick": stick}, frames=9)
        angles.append(math.degrees(math.atan2(game[1]["ky"], game[1]["kx"])))
    free, left, right, up = angles
    sine = math.sin(math.radians(80))
    assert left - free == pytest.approx(18 * sine * sine, abs=0.05)
    assert right - free == pytest.approx(-18 * sine * sine, abs=0.05)
    cosine = math.cos(math.radians(80))
    assert up - free == pytest.approx(18 * cosine * cosine, abs=0.05)


def test_shield_takes_the_hit(match):
    game = match("fox", "marth")
    game.pose(0, x=0, facing=1)
    game.pose(1, x=3)
    game.play(None, {"button": "L"}, frames=12)
    before = game[1]["shield"]
    assert before == pytest.approx(60 - 11 * 0.28, abs=1e-3)
    game.play({"c": (0, 1)}, {"button": "L"})
    drained = 0
    while game[1]["action"] != a.GUARD_STUN:
        game.play(None, {"button": "L"})
        drained += 1
    assert game[1]["percent"] == 0
    assert game[1]["shield"] == pytest.approx(before - 0.28 * (drained + 1) - 0.7 * 18, abs=1e-2)
    assert game[0]["hitlag"] == game[1]["hitlag"] == 9
    # pushed: .6 * (.09 * 18 + .4)
    assert game[1]["vx"] == pytest.approx(0.6 * (0.09 * 18 + 0.4), abs=1e-3)
    frames = game.until(lambda: game[1]["action"] != a.GUARD_STUN, None, {"button": "L"})
    assert frames == 9 + 10  # hitlag, then stun
    assert game[0]["stale_count"] == 0


def test_a_broken_shield_throws_its_owner_up_and_leaves_it_dizzy(match):
    game = match("fox", "marth")
    game.pose(1, shield=1.0)
    game.play(None, {"button": "L"})
    frames = game.until(lambda: game[1]["action"] == a.SHIELD_BREAK_FLY, None, {"button": "L"})
    assert frames == 4  # 1 / .28
    assert game[1]["vy"] == pytest.approx(2.5)
    game.until(lambda: game[1]["action"] == a.DIZZY)
    game.until(lambda: game[1]["action"] == a.WAIT)


def grabbed(match, first="fox", second="marth", percent=0.0):
    game = match(first, second)
    game.pose(0, x=0, facing=1)
    game.pose(1, x=9, percent=percent)
    game.play({"button": "Z"})
    game.until(lambda: game[0]["action"] == a.CATCH_WAIT, limit=10)
    return game


def test_a_grab_holds_and_lets_go(match):
    game = grabbed(match)
    assert game[1]["action"] == a.CAPTURE_WAIT
    frames = game.until(lambda: game[1]["action"] == a.CAPTURE_CUT)
    assert frames == pytest.approx(90, abs=1)
    game = grabbed(match)
    presses = 0
    while game[1]["action"] != a.CAPTURE_CUT:
        game.play(None, {"button": "A" if presses % 2 == 0 else "none"})
        presses += 1
    assert presses < 30  # mashing frees earlier


def test_grabs_go_through_shields(match):
    game = match("fox", "marth")
    game.pose(0, x=0, facing=1)
    game.pose(1, x=9)
    game.play(None, {"button": "L"}, frames=10)
    game.play({"button": "Z"}, {"button": "L"})
    game.until(lambda: game[0]["action"] == a.CATCH_WAIT, None, {"button": "L"}, limit=10)
    assert game[1]["action"] == a.CAPTURE_WAIT


def test_pummel_and_up_throw(match):
    game = grabbed(match)
    game.play({"button": "A"})
    game.play(frames=30)
    assert game[1]["percent"] == pytest.approx(3)
    game.play({"stick": (0, 1)})
    assert game[0]["action"] == a.THROW_UP
    assert game[1]["action"] == a.THROWN_FORWARD + 2
    game.until(lambda: game[1]["percent"] > 3, limit=20)
    # Fox's up throw: 2 %, angle 90, base 75, growth 110, on the percent before it
    throw = move_table()[1, UTHROW]
    force = knockback(3.0, 2.0, 2.0, 87.0, float(throw["release_bkb"]), float(throw["release_kbg"]), 0.0)
    assert throw["release_damage"] == 2
    assert game[1]["percent"] == pytest.approx(5)
    assert game[1]["ky"] == pytest.approx(0.03 * force, abs=1e-3)
    assert abs(game[1]["kx"]) < 1e-3


@pytest.mark.parametrize(("victim", "release"), [("falco", 12), ("fox", 11)])
def test_marths_down_throw_is_faster_on_the_light(match, victim, release):
    # 14 frames on weight 100: Falco (80) ceil(11.2) = 12, seen in replays; Fox (75) ceil(10.5) = 11
    game = grabbed(match, "marth", victim)
    game.play({"stick": (0, -1)})
    assert move_table()[18, DTHROW]["release"] == 14
    assert 1 + game.until(lambda: game[1]["percent"] > 0, limit=30) == release


def test_back_throw_sends_behind(match):
    game = grabbed(match)
    game.play({"stick": (-1, 0)})
    game.until(lambda: game[1]["percent"] > 0, limit=40)
    assert game[1]["kx"] < 0
    assert game[0]["facing"] == 1


def test_invulnerable_fighters_are_not_hit(match):
    game = match("fox", "marth")
    game.pose(0, x=0, facing=1)
    game.pose(1, x=2, invulnerable=60)
    game.play({"c": (0, 1)})
    game.play(frames=30)
    assert game[1]["percent"] == 0


def test_a_spot_dodge_avoids_the_hit(match):
    game = match("fox", "fox")
    game.pose(0, x=0, facing=1)
    game.pose(1, x=8)
    game.play(None, {"button": "L"}, frames=3)
    game.play({"button": "A"}, {"button": "L", "stick": (0, -1)})
    game.play(frames=10)
    assert game[1]["percent"] == 0


def test_a_charged_smash_hits_harder(match):
    game = match("fox", "marth")
    game.pose(0, x=0, facing=1)
    game.pose(1, x=2)
    game.play({"button": "A", "stick": (0, 1)})
    game.play({"button": "A"}, frames=75)
    assert game[1]["percent"] == pytest.approx(18 * 1.3671, abs=0.01)
