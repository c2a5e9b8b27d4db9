"""Whom responses train against, by hand on rock, paper, scissors and a policy that loses to all."""

import numpy as np
import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench import metagame
from workbench.envs import env_spec
from workbench.metagame.analysis import Equilibrium
from workbench.metagame.selectors import save_selections, select_opponents, start_of_selection
from workbench.metagame.solvers import Profile
from workbench.policies import Policy, PolicySettings, load_policy

NAMES = ("rps/rock", "rps/paper", "rps/scissors", "random")


@pytest.fixture(scope="module")
def game():
    games = []
    for better, worse in (("paper", "rock"), ("scissors", "paper"), ("rock", "scissors")):
        games += won(f"rps/{better}", f"rps/{worse}", 10, 0)
    for name in NAMES[:3]:
        games += won(name, "random", 9, 1)
    return metagame.EmpiricalGame.of(played(*games), list(NAMES))


def with_shares(game, *shares) -> Equilibrium:
    profile = Profile(np.array(shares), np.array(shares))
    return Equilibrium(game, profile, 0.0, 0.0, np.zeros(4), np.zeros((0, 4)), np.zeros((0, 4)))


def test_opponents_by_hand(game):
    found = with_shares(game, 0.5, 0.3, 0.2, 0.0)
    (one,) = select_opponents(found)
    assert one.shares == pytest.approx({"rps/rock": 0.5, "rps/paper": 0.3, "rps/scissors": 0.2}) and one.start is None
    (alike,) = select_opponents(found, "uniform")
    assert alike.shares == pytest.approx(dict.fromkeys(NAMES, 0.25))
    (top,) = select_opponents(found, "top", top=2)
    assert top.shares == pytest.approx({"rps/rock": 0.625, "rps/paper": 0.375})
    # a response from each that is played, against whom that one beats or ties, by the mixture's shares
    rectified = select_opponents(found, "rectified")
    assert [one.start for one in rectified] == ["rps/rock", "rps/paper", "rps/scissors"]
    assert rectified[0].shares == pytest.approx({"rps/rock": 5 / 7, "rps/scissors": 2 / 7})
    assert rectified[2].shares == pytest.approx({"rps/paper": 0.6, "rps/scissors": 0.4})


def test_what_makes_no_sense_is_refused(game):
    with pytest.raises(ValueError, match="selector='best': expected one of equilibrium, uniform"):
        select_opponents(with_shares(game, 1, 0, 0, 0), "best")
    with pytest.raises(ValueError, match="top=0"):
        select_opponents(with_shares(game, 1, 0, 0, 0), "top", top=0)


def test_saved_selections_are_mixtures_that_say_where_to_begin(game, tmp_path):
    network = Policy.create(env_spec("rps"), PolicySettings(hidden=(4,)), device="cpu")
    network.id = "rps/paper"
    members = {name: network if name == "rps/paper" else name for name in NAMES}
    selections = select_opponents(with_shares(game, 0.5, 0.5, 0, 0), "rectified")
    places = save_selections(tmp_path, "rectified", selections, members, env_spec("rps"))
    first, second = (load_policy(place) for place in places)
    assert [member.id for member in first.members] == ["rps/rock"] and first.id == "rectified-0"
    assert second.weights == pytest.approx([0.5, 0.5])
    assert start_of_selection(places[0]) is None  # a scripted player cannot be trained on
    assert load_policy(start_of_selection(places[1])).id == "rps/paper"
