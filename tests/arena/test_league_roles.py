"""Whom each role meets, worked by hand."""

import pytest

from workbench.arena.league_roles import Role, Standing, league_roles, opponents_of

ALPHASTAR, EXPHIL = league_roles("alphastar", every=1000), league_roles("exphil", every=1000)


def standing(**rates) -> Standing:
    """One main agent `m` with copies a (older) and b, one exploiter's copy x, and the scripted s; .5 unless told."""
    everybody = dict.fromkeys(["m", "a", "b", "x", "s"], 0.5) | rates
    return Standing(["m"], {"m": ["a", "b"]}, ["x"], ["a", "b", "x", "s"], everybody)


def test_a_main_agent_by_hand():
    # squared: (1 - .9)^2, (1 - .5)^2, (1 - .6)^2, (1 - .2)^2 = .01, .25, .16, .64 of 1.06. Copies only get harder, the
    # exploiter is beaten: nothing is forgotten, and those .15 are self-play as well
    found = opponents_of(ALPHASTAR["main"], "m", standing(a=0.9, b=0.5, x=0.6, s=0.2))
    league = {"a": 0.01, "b": 0.25, "x": 0.16, "s": 0.64}
    assert found == pytest.approx({"current": 0.5} | {id: 0.5 * w / 1.06 for id, w in league.items()})


def test_a_main_agent_goes_back_to_what_it_has_forgotten():
    # the older copy a is harder than b, below .7: .15 of the games by (1 - .4)^2 and (1 - .8)^2 = .36 and .04
    shares = Role(mix={"mains uniform": 0.85, "forgotten squared": 0.15})
    found = opponents_of(shares, "m", standing(a=0.4, b=0.8))
    assert found == pytest.approx({"current": 0.85, "a": 0.15 * 0.9, "b": 0.15 * 0.1})
    # above .7 both are secure
    assert opponents_of(shares, "m", standing(a=0.75, b=0.8)) == pytest.approx({"current": 1.0})


def test_exploiters_that_beat_a_main_agent_come_first():
    shares = Role(mix={"forgotten squared": 1.0})
    assert opponents_of(shares, "m", standing(a=0.4, b=0.8, x=0.29)) == pytest.approx({"x": 1.0})


def test_main_agents_meet_each_other_as_they_are_unless_too_strong():
    two = Standing(["m", "n"], {"m": [], "n": ["n@1", "n@2"]}, [], [], {"n": 0.4, "n@1": 0.5, "n@2": 0.2})
    shares = Role(mix={"mains uniform": 1.0})
    assert opponents_of(shares, "m", two) == pytest.approx({"current": 0.5, "n": 0.5})
    # variance: .25 and .16
    hard = two._replace(rates=two.rates | {"n": 0.29})
    assert opponents_of(shares, "m", hard) == pytest.approx(
        {"current": 0.5, "n@1": 0.5 * 0.25 / 0.41, "n@2": 0.5 * 0.16 / 0.41}
    )


def test_a_main_exploiter_by_hand():
    # half against the agent as it is, half against its copies by variance: .9 x .1 = .09 and .25
    found = opponents_of(ALPHASTAR["main_exploiter"], "e", standing(m=0.3, a=0.9, b=0.5))
    assert found == pytest.approx({"m": 0.5, "a": 0.5 * 0.09 / 0.34, "b": 0.5 * 0.25 / 0.34})
    # below a fifth, copies only
    found = opponents_of(ALPHASTAR["main_exploiter"], "e", standing(m=0.19, a=0.9, b=0.5))
    assert found == pytest.approx({"a": 0.09 / 0.34, "b": 0.25 / 0.34})


def test_a_league_exploiter_by_hand():
    # capped: min(.5, 1 - x) of .9, .1, .5, .5
    found = opponents_of(ALPHASTAR["league_exploiter"], "e", standing(a=0.9, b=0.1))
    assert found == pytest.approx({"a": 0.1 / 1.6, "b": 0.5 / 1.6, "x": 0.5 / 1.6, "s": 0.5 / 1.6})


def test_exphils_shares_by_hand():
    now = standing(a=0.8, b=0.6, x=0.4, s=0.2)  # linear: .2, .4, .6, .8 of 2
    linear = {"a": 0.1, "b": 0.2, "x": 0.3, "s": 0.4}
    for role, share in (("main", 0.5), ("league_exploiter", 0.9)):
        expected = {id: share * p + (1 - share) / 4 for id, p in linear.items()}
        assert opponents_of(EXPHIL[role], "m", now) == pytest.approx(expected)
    two = Standing(["m", "n"], {"m": [], "n": []}, [], [], {"m": 0.7, "n": 0.4})
    # main agents only: .8 by 1 - .7 and 1 - .4, .2 alike
    assert opponents_of(EXPHIL["main_exploiter"], "e", two) == pytest.approx(
        {"m": 0.8 / 3 + 0.1, "n": 0.8 * 2 / 3 + 0.1}
    )


def test_a_share_of_nobody_goes_to_the_others_and_at_last_to_itself():
    empty = Standing(["m"], {"m": []}, [], [], {"m": 0.5})
    assert opponents_of(ALPHASTAR["main"], "m", empty) == pytest.approx({"current": 1.0})
    assert opponents_of(ALPHASTAR["main_exploiter"], "e", empty) == pytest.approx({"m": 1.0})
    assert opponents_of(ALPHASTAR["league_exploiter"], "e", empty) == {"current": 1.0}


def test_presets_in_units_of_a_main_agents_frames():
    assert [(role.every, role.earliest) for role in ALPHASTAR.values()] == [(1000, 1000), (2000, 1000), (1000, 500)]
    assert [role.reset for role in ALPHASTAR.values()] == [0.0, 1.0, 0.25]
    changed = league_roles(every=10, changes={"main": {"pace": 2.0}, "main_exploiter": {"every": 5, "earliest": 0}})
    assert (changed["main"].pace, changed["main"].every, changed["main_exploiter"].every) == (2.0, 10, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: league_roles("alphago"), "preset='alphago'; expected one of alphastar, exphil"),
        (lambda: league_roles(changes={"mains": {}}), "'mains' is not a role; did you mean main"),
        (lambda: league_roles(changes={"main": {"pase": 2}}), "'pase' is not a setting of main; did you mean pace"),
        (lambda: Role(mix={"league": 1.0}), "expected a share >= 0 of '<whom> <weighting>'"),
        (lambda: Role(mix={"league cubic": 1.0}), "weighting one of squared"),
        (lambda: Role(mix={"league squared": -1.0}), "'league squared': -1.0"),
        (lambda: Role(mix={"league squared": 0.0}), "not all 0"),
        (lambda: Role(mix={"league squared": 1.0}, reset=1.5), "reset=1.5; expected a share"),
        (lambda: Role(mix={"league squared": 1.0}, every=10, earliest=11), "0 <= earliest <= every"),
        (lambda: Role(mix={"league squared": 1.0}, targets="all"), "targets='all'"),
    ],
)
def test_bad_rules_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
