"""Rewards worked by hand from pairs of views."""

import numpy as np
import pytest

from workbench.envs.pokemon import dex
from workbench.envs.pokemon.reward import PRESETS, Reward, evaluate, preset
from workbench.envs.pokemon.view import LOST, TIED, VIEW_SIZE, WON, named

PAR, FAINTED = dex.STATUS_TOKEN["par"], dex.STATUS_TOKEN["fnt"]


def pair():
    """Before and after, alike: own slot 1 with 300 of 400 HP against the foe's slot 0 at 80 per cent, five a side."""
    views = np.zeros((2, VIEW_SIZE), np.int16)
    rows = named(views)
    rows["own"]["max_hp"] = 400
    rows["own"]["hp"] = 400
    rows["own"]["hp"][:, 1] = 300
    rows["own_active"]["slot"] = 1
    rows["foe"]["hp"][:, 0] = 80
    rows["own_left"] = rows["foe_left"] = 5
    return views, rows[1]


def reward(views, weights):
    return evaluate(weights, views[0], views[1]).item()


def test_nothing_happened():
    views, _ = pair()
    assert reward(views, PRESETS["shaped"]) == 0


def test_damage_counts_both_ways():
    views, after = pair()
    after["own"]["hp"][1] = 200  # -100/400
    after["foe"]["hp"][0] = 50  # 30 per cent
    assert reward(views, PRESETS["shaped"]) == pytest.approx(-0.25 + 0.30)
    after["foe"]["hp"][0] = 100  # it recovered
    assert reward(views, PRESETS["shaped"]) == pytest.approx(-0.25 - 0.20)


def test_status_given_and_taken():
    views, after = pair()
    after["foe"]["status"][0] = PAR
    assert reward(views, PRESETS["shaped"]) == pytest.approx(0.5)
    after["own"]["status"][1] = PAR
    assert reward(views, PRESETS["shaped"]) == pytest.approx(0.0)
    assert reward(views, PRESETS["aggressive"]) == 0


def test_a_knock_out():
    views, after = pair()
    after["foe"]["hp"][0], after["foe"]["status"][0], after["foe_left"] = 0, FAINTED, 4
    assert reward(views, PRESETS["shaped"]) == pytest.approx(0.8 + 1.0)  # fainting is no status
    assert reward(views, PRESETS["aggressive"]) == pytest.approx(0.8 + 2.0)
    assert reward(views, PRESETS["binary"]) == 0


def test_after_a_switch_each_side_is_compared_with_itself():
    views, after = pair()
    after["own_active"]["slot"] = 2
    after["own"]["hp"][2] = 360  # hit while coming in: -40/400; that slot 1 is hurt is old news
    after["foe_active"]["slot"] = 1  # another one: no damage done is counted
    after["foe"]["hp"][1] = 10
    assert reward(views, PRESETS["shaped"]) == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("result", "shaped", "aggressive", "binary"), [(WON, 100, 200, 100), (LOST, -100, 0, -100), (TIED, 0, 0, 0)]
)
def test_results(result, shaped, aggressive, binary):
    views, after = pair()
    after["result"] = result
    assert [reward(views, PRESETS[name]) for name in ("shaped", "aggressive", "binary")] == [shaped, aggressive, binary]
    assert reward(views, preset("shaped")) == pytest.approx(shaped / 100)
    assert reward(views, preset("shaped", scale=1.0)) == shaped


def test_batches_and_own_weights():
    views, after = pair()
    after["own_left"] = 4
    many = np.broadcast_to(views[:, None, None], (2, 3, 2, VIEW_SIZE))
    rewards = evaluate(Reward(fainted=3.0), many[0], many[1])
    assert rewards.shape == (3, 2) and rewards.dtype == np.float32 and (rewards == -3).all()
    with pytest.raises(ValueError, match="no reward named 'shapd'; known are shaped, aggressive, binary"):
        preset("shapd")
