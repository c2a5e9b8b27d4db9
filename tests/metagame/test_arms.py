"""Arms held against each other, worked by hand."""

import pytest

from workbench.metagame.arms import compare_arms, conclusion, mixture_exploitability
from workbench.metagame.exploitability import measured
from workbench.policies import load_policy


def test_differences_are_by_seed():
    # differences -.4 and -.2: mean -.3, deviation .1 x sqrt(2), error .1, t of one degree of freedom 12.7062
    found = compare_arms({"mix": [0.6, 0.5], "pfsp": [0.1, 0.3], "league": [0.2, 0.3]})
    assert list(found.index) == ["mix", "pfsp", "league", "league less mix", "league less pfsp"]
    assert found["mean"].tolist() == pytest.approx([0.55, 0.2, 0.25, -0.3, 0.05])
    assert found.loc["league less mix", ["low", "high"]].tolist() == pytest.approx(
        [-0.3 - 1.27062, -0.3 + 1.27062], abs=1e-5
    )
    assert found.loc["mix", ["seed 1", "seed 2"]].tolist() == [0.6, 0.5] and found.loc["mix", "seeds"] == 2


def test_intervals_end_where_figures_do():
    # a Student interval of .9 and 1 reaches from .31 to 1.59, that of the differences, .1 and .8, from -4 to 4.9
    found = compare_arms({"control": [0.8, 0.2], "treated": [0.9, 1.0]}, within=(0, 1))
    assert found.loc["treated", ["low", "high"]].tolist() == pytest.approx([0.95 - 0.635310, 1.0], abs=1e-5)
    assert found.loc["treated less control", ["low", "high"]].tolist() == [-1.0, 1.0]


def test_one_arm_has_nothing_to_be_held_against():
    assert list(compare_arms({"league": [0.2]}).index) == ["league"]


def test_arms_need_as_many_seeds():
    with pytest.raises(ValueError, match="1 and 2 figures"):
        compare_arms({"mix": [0.1, 0.2], "league": [0.1]})
    with pytest.raises(ValueError, match="no arms"):
        compare_arms({})


def test_the_mixture_of_players_that_beat_each_other_by_hand():
    # whoever always bets takes every pot of whoever always passes, who then has no share in the mixture
    bet, passes, nash = (load_policy(f"kuhn/{name}") for name in ("bet", "pass", "nash"))
    alone = measured("kuhn")(bet)["exploitability"]
    assert mixture_exploitability("kuhn", [passes, bet]) == pytest.approx(alone) and alone > 0.1
    # an equilibrium's exploitability is 0, and nobody beats it
    assert mixture_exploitability("kuhn", [nash]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("difference", "less", "said"),
    [
        ((-0.2, -0.3, -0.1), True, "Damping helped: exploitability -0.200 [-0.300, -0.100]."),
        ((-0.2, -0.3, -0.1), False, "Damping did harm: exploitability -0.200 [-0.300, -0.100]."),
        ((0.1, -0.1, 0.3), True, "no difference that can be told from chance: exploitability +0.100 [-0.100, +0.300]."),
        (
            (0.1, float("nan"), float("nan")),
            True,
            "exploitability +0.100; a single seed a side says nothing of chance.",
        ),
    ],
)
def test_what_a_treatment_did_is_said_in_words(difference, less, said):
    assert conclusion("Damping", "exploitability", difference, less_is_better=less).endswith(said)
