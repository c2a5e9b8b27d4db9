"""Mixtures: a member a game, drawn as often as it should be, with memories that do not mix; saved whole."""

import json

import numpy as np
import pytest

from workbench import envs
from workbench.arena import play
from workbench.arena.tournament import content_of
from workbench.envs.players import Player
from workbench.policies import CorruptFileError, Policy, PolicySettings, load_policy, register_policy
from workbench.policies.mixture import Mixture


def of_moves(*weights) -> Mixture:
    return Mixture("moves", [load_policy(f"rps/{move}") for move in ("rock", "paper", "scissors")], weights)


def test_a_member_plays_its_game_to_the_end():
    """Ten rounds a game: whoever begins with rock plays rock ten times."""
    with envs.make("rps", 64, rounds=10) as env:
        timestep, mixture, generator = env.reset(1), of_moves(0.5, 0.25, 0.25), np.random.default_rng(0)
        state, first = mixture.initial_state(64), None
        for _ in range(10):
            rows = {name: values[:, 0] for name, values in timestep.observation.items()}
            decision = mixture.act(rows, (timestep.legal[0][:, 0],), state, generator=generator)
            first, state = decision.action if first is None else first, decision.state
            assert (decision.action == first).all()
            timestep = env.step(np.repeat(decision.action[:, None], 2, axis=1))
    assert set(first[:, 0]) == {0, 1, 2}


def test_members_are_drawn_as_often_as_they_should_be():
    # against paper: rock loses (half of the games), paper draws (a third), scissors win (a sixth)
    with envs.make("rps", 256) as env:
        outcome = play(env, of_moves(1 / 2, 1 / 3, 1 / 6), "rps/paper", games=6000, seed=3).counts
    assert isinstance(of_moves(1, 0, 0), Player)
    shares = np.array([outcome.wins[1, 0], outcome.draws[0, 1], outcome.wins[0, 1]]) / 6000
    assert shares == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=0.02)


def test_memories_do_not_mix():
    """Two recurrent members of different widths act as they do alone, from the state the mixture keeps for them."""
    with envs.make("kuhn", 32) as env:
        members = [
            Policy.create(env.spec, PolicySettings(backbone="gru", hidden=(8,), memory=width), width, device="cpu")
            for width in (4, 8)
        ]
        mixture, timestep = Mixture("two", members, [0.5, 0.5]), env.reset(0)
        rows = {name: values[:, 0] for name, values in timestep.observation.items()}
        legal = (timestep.legal[0][:, 0],)
        state = mixture.initial_state(32)
        for _ in range(3):
            before = state.copy()
            state = mixture.act(rows, legal, state, generator=np.random.default_rng(1)).state
        for number, member in enumerate(members):
            mine = state[:, 0] == number + 1
            alone = member.act(
                {name: values[mine] for name, values in rows.items()},
                (legal[0][mine],),
                before[mine, 1 : 1 + member.state_size],
                generator=np.random.default_rng(1),
            )
            assert mine.any() and state[mine, 1 : 1 + member.state_size] == pytest.approx(alone.state, abs=1e-6)


def test_saved_whole_loaded_registered_and_played(tmp_path):
    with envs.make("kuhn", 16) as env:
        policy = Policy.create(env.spec, PolicySettings(hidden=(8,)), 1, device="cpu")
        policy.id = "a/b learner"
        mixture = Mixture("sigma", [policy, load_policy("kuhn/bet"), load_policy("random")], [0.7, 0.3, 0.0])
        mixture.save(tmp_path / "sigma")
        mixture.save(tmp_path / "sigma")  # in place of the one before
        found = load_policy(tmp_path / "sigma", env.spec)
        assert found.id == "sigma" and [member.id for member in found.members] == ["a/b learner", "kuhn/bet"]
        assert found.weights == pytest.approx([0.7, 0.3])
        assert content_of(tmp_path / "sigma") == content_of(found) == content_of(mixture)
        games = [play(env, player, "random", games=50, seed=5).table["outcome"].tolist() for player in (mixture, found)]
        assert games[0] == games[1]
        register_policy("nash", tmp_path / "sigma", root=tmp_path)
        assert load_policy("nash", root=tmp_path).id == "nash"
        moved = (tmp_path / "sigma").rename(tmp_path / "elsewhere")
        assert load_policy(moved).weights == pytest.approx([0.7, 0.3])
    with pytest.raises(ValueError, match="leduc"):
        load_policy(moved, envs.env_spec("leduc"))


def test_bad_mixtures_are_told(tmp_path):
    with pytest.raises(ValueError, match="a sum of 1"):
        of_moves(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="expected one each"):
        of_moves(0.5, 0.5)
    place = of_moves(0.5, 0.25, 0.25).save(tmp_path / "moves")
    described = json.loads((place / "mixture.json").read_text())
    described["members"][0]["folder"] = "../outside"
    (place / "mixture.json").write_text(json.dumps(described))
    with pytest.raises(CorruptFileError, match="beneath members/"):
        load_policy(place)
    (place / "mixture.json").write_text("{")
    with pytest.raises(CorruptFileError, match=r"mixture\.json"):
        load_policy(place)


def test_a_member_that_is_gone_is_named(tmp_path):
    with envs.make("kuhn", 2) as env:
        policy = Policy.create(env.spec, PolicySettings(hidden=(8,)), device="cpu")
    place = Mixture("one", [policy], [1.0]).save(tmp_path / "one")
    for folder in (place / "members").iterdir():
        folder.rename(tmp_path / "gone")
    with pytest.raises(CorruptFileError, match="its member 'policy' is gone"):
        load_policy(place)
