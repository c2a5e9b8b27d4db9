"""The pieces of an iteration: who takes part, the mixture as a policy, held-out gains and what they say."""

import json

import pytest

from tests.metagame.test_analysis import won
from tests.metagame.test_payoffs import played
from workbench import metagame
from workbench.arena import SerialExecutor
from workbench.envs import env_spec
from workbench.metagame.iteration import Gain
from workbench.policies import load_policy

OPTIONS = {"batch_size": 8, "executor": SerialExecutor()}


def test_the_mixture_plays_its_members_by_their_shares():
    found = metagame.equilibrium(
        metagame.EmpiricalGame.of(
            played(
                *won("rps/rock", "rps/scissors", 10, 0),
                *won("rps/paper", "rps/rock", 10, 0),
                *won("rps/scissors", "rps/paper", 10, 0),
                *won("rps/rock", "random", 5, 5),
                *won("rps/paper", "random", 9, 1),
                *won("rps/scissors", "random", 9, 1),
            )
        ),
        bootstraps=0,
    )
    members = metagame.population([*found.game.rows])
    mixture = metagame.mixture("sigma", members, found, env_spec("rps"))
    assert {member.id for member in mixture.members} == {"rps/rock", "rps/paper", "rps/scissors"}
    assert mixture.weights == pytest.approx([1 / 3] * 3)


def test_a_best_responses_gain_is_measured_in_held_out_games():
    rock = load_policy("rps/rock")
    matches, gain = metagame.evaluate("rps", "rps/paper", rock, games=20, **OPTIONS)
    assert len(matches) == 20 and gain.mean == 1.0 and 0.6 < gain.low < 1.0 == gain.high
    # chips, not games: the king bets and is paid; who always passes loses one chip a game to who always bets
    _, chips = metagame.evaluate("kuhn", "kuhn/bet", "kuhn/pass", games=50, **OPTIONS)
    assert chips.mean == 1.0


def test_opponents_of_a_response_are_the_members():
    members = metagame.opponents(load_policy("rps/rock"))
    assert list(members.members) == ["rps/rock"] and members.weights is None


@pytest.mark.parametrize(
    ("gain", "word"),
    [
        (Gain(400, 0.2, 0.1, 0.3), "can be exploited by at least"),
        (Gain(400, -0.2, -0.3, -0.1), "it lost, so it is no best response"),
        (Gain(400, 0.02, -0.08, 0.12), "learned too little"),
    ],
)
def test_the_verdict_says_what_follows(gain, word):
    assert word in metagame.verdict("response-1", "mixture-0", gain)


def test_a_file_that_is_no_summary_is_named(tmp_path):
    (tmp_path / "wrong.json").write_text(json.dumps({"iteration": 1}))
    with pytest.raises(ValueError, match=r"wrong\.json: expected the iteration_summary"):
        metagame.read_summaries([tmp_path / "wrong.json"])
