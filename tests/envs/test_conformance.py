"""Every env keeps the contract, and the checks notice when one does not."""

import numpy as np
import pytest

from workbench.envs import make
from workbench.envs.conformance import ConformanceError, HiddenVariant, check_env, check_no_leak, random_actions
from workbench.envs.core import Env
from workbench.envs.gymnasium_env import from_gymnasium
from workbench.envs.pokemon.showdown import ShowdownMissing, showdown_folder


def exchanged_cards(env):
    """The same betting, with one card exchanged that the seat must not know."""
    for moves in range(4):
        step = env.reset(moves)
        for move in range(moves):
            step = env.step(random_actions(step, moves, move))
        state = env.state()
        for seat in range(2):
            other = dict(state)
            other["game/deal"] = state["game/deal"].copy()
            free = [np.setdiff1d(np.arange(len(env.cards)), cards)[0] for cards in state["game/deal"]]
            other["game/deal"][:, 1 - seat] = free
            yield HiddenVariant(f"{env.spec.name} after {moves} moves: the other's card", state, other, seat)


def exchanged_bench(env):
    """The same moves in gen1ou, with another Pokémon on the bench of which the seat has seen nothing."""
    timestep = env.reset(5)
    members = {species(member): member for teams in env.teams() for team in teams for member in team.split("]")}
    for moves in range(4):
        state = env.state()
        for seat in range(2):
            teams = [list(pair) for pair in env.teams()]
            for pair in teams:
                own = pair[1 - seat].split("]")
                others = members.keys() - {species(member) for member in own}
                pair[1 - seat] = "]".join([*own[:-1], members[min(others)]])
            other = state | {"teams": packed(teams)}
            yield HiddenVariant(f"gen1ou after {moves} moves: the other's bench", state, other, seat)
            env.restore(state)
        if not timestep.legal[0][timestep.acting][:, :4].any(axis=1).all():
            break
        # the first legal action is a move, so nobody but the leads is seen
        timestep = env.step(timestep.legal[0].argmax(axis=2)[:, :, None])


def species(member):
    return member.partition("|")[0]


def packed(teams):
    texts = [[team.encode() for team in pair] for pair in teams]
    longest = max(len(text) for pair in texts for text in pair)
    return np.array([[np.frombuffer(text.ljust(longest, b"\0"), np.uint8) for text in pair] for pair in texts])


CASES = {
    "matrix": (lambda batch: make("matrix", batch, payoff=[[1, 2, 3], [4, 5, 6]], rounds=2), {"chance": False}),
    "rps": (lambda batch: make("rps", batch, variant="biased", rounds=5), {"chance": False}),
    "kuhn": (lambda batch: make("kuhn", batch), {"hidden_variants": exchanged_cards}),
    "leduc": (lambda batch: make("leduc", batch), {"hidden_variants": exchanged_cards}),
    "memory": (lambda batch: make("memory", batch, delay=5, cues=3), {}),
    "cartpole": (lambda batch: make("cartpole", batch, max_steps=25), {}),
    "acrobot": (lambda batch: from_gymnasium("Acrobot-v1", batch, max_steps=25), {"steps": 60}),
    "melee-mock": (lambda batch: make("melee-mock", batch, frame_limit=60), {"steps": 150}),
    "melee-mock by the clock": (
        lambda batch: make("melee-mock", batch, characters=("fox", "marth"), time_limit=90, frames_per_decision=2),
        {"steps": 150},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_env_keeps_the_contract(name):
    factory, options = CASES[name]
    check_env(factory, **options)


@pytest.mark.showdown
@pytest.mark.slow
def test_gen1ou_keeps_the_contract():
    try:
        showdown_folder()
    except ShowdownMissing as missing:
        pytest.skip(str(missing))
    check_env(
        lambda batch: make("gen1ou", batch, turn_limit=10),
        steps=40,
        batch_size=3,
        hidden_variants=exchanged_bench,
    )


class Broken(Env):
    """Leduc with one defect: `change(timestep, actions, env)` returns what to replace in every time step."""

    def __init__(self, batch_size, change):
        self.inner = make("leduc", batch_size)
        self.spec, self.batch_size, self.change = self.inner.spec, batch_size, change
        self.restored = False

    def reset(self, seed=0):
        return self.spoil(self.inner.reset(seed), None)

    def step(self, actions):
        return self.spoil(self.inner.step(actions), actions)

    def spoil(self, timestep, actions):
        return timestep._replace(**self.change(timestep, actions, self))

    def state(self):
        return self.inner.state()

    def restore(self, state):
        self.restored = True
        return self.spoil(self.inner.restore(state), None)


def observed(timestep, **changes):
    return {"observation": timestep.observation | changes}


def peek(timestep, actions, env):
    """Shows each seat the other's card."""
    return observed(timestep, private=timestep.observation["private"][:, ::-1].copy())


def stale(timestep, actions, env):
    """Leaves the old game's public card on the table when the next begins."""
    if timestep.final_observation is None:
        return {}
    done = timestep.done[:, None, None]
    return observed(
        timestep, public=np.where(done, timestep.final_observation["public"], timestep.observation["public"])
    )


def read_waiting(timestep, actions, env):
    """Lets the sum of all action rows, waiting seats' too, into the observation."""
    if actions is None:
        return {}
    return observed(timestep, public=timestep.observation["public"] + np.float32(actions.sum() % 7))


def drift(timestep, actions, env):
    """Keeps count of steps across resets and instances."""
    drift.calls += 1
    return observed(timestep, public=timestep.observation["public"] + np.float32(drift.calls % 5))


drift.calls = 0
CHECKS_THAT_CATCH = {
    "observation: step 0: observation has fields": lambda t, a, e: (
        {"observation": dict(reversed(t.observation.items()))} if a is not None else {}
    ),
    "arrays: reset: observation[private] is float64": lambda t, a, e: observed(
        t, private=t.observation["private"].astype(np.float64)
    ),
    "observation: reset: observation[private] is not finite": lambda t, a, e: observed(
        t, private=t.observation["private"] + np.float32(np.inf)
    ),
    "arrays: reset: reward is float64": lambda t, a, e: {"reward": t.reward.astype(np.float64)},
    "arrays: reset: legal[move] is int64": lambda t, a, e: {"legal": (t.legal[0].astype(np.int64),)},
    "legal: reset: game 0, seat 0 must act but head move allows nothing": lambda t, a, e: {
        "legal": (t.legal[0] & False,)
    },
    "is both terminated and truncated": lambda t, a, e: {"truncated": t.terminated},
    "outcome is not -1, 0 or 1": lambda t, a, e: {"outcome": t.outcome * np.int8(2)},
    "end_reason [2] but there are 2 reasons": lambda t, a, e: {"end_reason": t.end_reason + np.int8(2)},
    "is paid while it waits": lambda t, a, e: {"reward": np.full_like(t.reward, a is not None)},
    "reward: step 0: a reward is not finite": lambda t, a, e: (
        {} if a is None else {"reward": np.full_like(t.reward, np.inf)}
    ),
    "length is not steps played": lambda t, a, e: {"length": t.length + np.int32(1)},
    "seeds: step 0: game_seed": lambda t, a, e: {"game_seed": t.game_seed + np.uint64(1)},
    "final_observation is None": lambda t, a, e: {"final_observation": None},
    "autoreset: reset: final_observation but no game ended": lambda t, a, e: {"final_observation": t.observation},
    "autoreset: final_observation is always": lambda t, a, e: (
        {} if t.final_observation is None else {"final_observation": t.observation}
    ),
    "begins differently after other actions": stale,
    "determinism: a second instance": drift,
    "waiting seats: garbage": read_waiting,
    "batch independence: ": lambda t, a, e: observed(t, public=t.observation["public"] + np.float32(e.batch_size)),
    "state: an instance restored": lambda t, a, e: observed(t, public=t.observation["public"] + np.float32(e.restored)),
    "no leak: leduc after 0 moves: the other's card: seat 0 sees it in observation[private]": peek,
}


@pytest.mark.parametrize("message", CHECKS_THAT_CATCH)
def test_a_defect_is_named_by_the_check_that_looks_for_it(message):
    def factory(batch_size):
        return Broken(batch_size, CHECKS_THAT_CATCH[message])

    def variants(env):
        return exchanged_cards(env.inner)

    with pytest.raises(ConformanceError) as caught:
        check_env(factory, seed=3, hidden_variants=variants)
    assert message in str(caught.value)


def test_games_without_chance_must_be_declared():
    with pytest.raises(ConformanceError, match="seeds: four seeds gave the same games"):
        check_env(lambda batch: make("rps", batch, rounds=2))


def test_too_few_steps_are_not_passed_in_silence():
    with pytest.raises(ConformanceError, match="autoreset: no game ended in 4 steps"):
        check_env(lambda batch: make("memory", batch, delay=9), steps=4)


def test_a_pair_of_states_that_nobody_tells_apart_proves_nothing():
    def same(env):
        env.reset(0)
        yield HiddenVariant("nothing exchanged", env.state(), env.state(), 0)

    with make("kuhn", 2) as env:
        with pytest.raises(ConformanceError, match="the pair proves nothing"):
            check_no_leak(env, same)
        with pytest.raises(ConformanceError, match="gave no pair"):
            check_no_leak(env, lambda env: ())
