"""What a reservoir keeps, and what an average policy reads from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import workbench.envs as envs
from workbench.envs.core import ActionSpec, EnvSpec, Field, Head
from workbench.learning import PPO, Imitation, ImitationSettings, PPOSettings
from workbench.learning.reservoir import Decisions, OpenGames, Reservoir, decisions_of
from workbench.learning.rollout import Rollout
from workbench.policies import Policy, PolicySettings
from workbench.policies.encoders import Inputs, Layout

SPEC = EnvSpec(
    "toy",
    1,
    {"place": Field((2, 2)), "card": Field((3,), "int16", 5), "clock": Field((1,))},
    ActionSpec((Head("move", ("a", "b")), Head("aim", ("left", "middle", "right")))),
)


def entries(marks, longest=1) -> Decisions:
    """Entries that carry a number each: in every number, token and action."""
    marks = np.asarray(marks)
    grid = np.broadcast_to(marks.reshape(-1, 1, 1), (len(marks), longest, 1))
    return Decisions(
        np.repeat(grid, 5, axis=2).astype(np.float32),
        (np.repeat(grid, 3, axis=2) % 5).astype(np.int16),
        np.ones((len(marks), longest, 5), bool),
        (np.repeat(grid, 2, axis=2) % 2).astype(np.int16),
    )


def held(reservoir: Reservoir) -> list[int]:
    return reservoir.arrays()["numbers"][:, 0, 0].astype(int).tolist()


class Given:
    """A generator whose draws are written down."""

    def __init__(self, draws):
        self.draws = list(draws)

    def random(self, count):
        drawn, self.draws = self.draws[:count], self.draws[count:]
        return np.array(drawn)


def test_algorithm_r_by_hand():
    reservoir = Reservoir(SPEC, slots=3)
    # entry 4 draws a slot of 4: .5 -> 2; entry 5 of 5: .9 -> 4, none; entry 6 of 6: .4 -> 2; entry 7 of 7: 0 -> 0
    reservoir.generator = Given([0.5, 0.9, 0.4, 0.0])
    reservoir.add(entries([1, 2]))
    assert held(reservoir) == [1, 2] and len(reservoir) == 2
    reservoir.add(entries([3, 4, 5]))
    assert held(reservoir) == [1, 2, 4] and reservoir.seen == 5
    reservoir.add(entries([6, 7]))
    assert held(reservoir) == [7, 2, 6] and reservoir.seen == 7 and len(reservoir) == 3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_what_is_kept_does_not_depend_on_how_it_came(sizes, slots, seed):
    pieces, whole = (Reservoir(SPEC, slots=slots, seed=seed) for _ in range(2))
    marks, start = np.arange(sum(sizes)), 0
    for size in sizes:
        pieces.add(entries(marks[start : start + size]))
        start += size
    for mark in marks:
        whole.add(entries([mark]))
    assert held(pieces) == held(whole) and pieces.state() == whole.state()
    assert len(set(held(whole))) == min(slots, len(marks)) == len(whole)


def test_every_entry_is_kept_with_the_same_chance():
    seen, slots, trials = 40, 8, 4000
    kept = np.zeros(seen, np.int64)
    for trial in range(trials):
        reservoir = Reservoir(SPEC, slots=slots, seed=trial)
        for part in np.array_split(np.arange(seen), 3):
            reservoir.add(entries(part))
        kept[held(reservoir)] += 1
    assert kept.sum() == trials * slots
    # counts are of draws without replacement: their spread is a little below the multinomial's, which chi-square assumes
    assert chisquare(kept).pvalue > 1e-3
    assert abs(kept[:4].mean() / trials - slots / seen) < 0.01 and abs(kept[-4:].mean() / trials - slots / seen) < 0.01


def test_with_a_least_chance_of_replacement_by_hand():
    reservoir = Reservoir(SPEC, slots=3, replacement=0.5)
    # entry 5 is held with chance 3/5: .5 -> slot .5 / .6 * 3 = 2; entries 7 and 8 with 1/2: .4 -> 2, .5 -> none
    reservoir.generator = Given([0.9, 0.5, 0.8, 0.4, 0.5])
    reservoir.add(entries([1, 2, 3, 4, 5, 6]))
    assert held(reservoir) == [1, 2, 5]
    reservoir.add(entries([7, 8]))
    assert held(reservoir) == [1, 2, 7]


def test_with_a_least_chance_of_replacement_older_entries_fade():
    seen, slots, trials, chance = 80, 5, 3000, 0.5
    kept = np.zeros(seen, np.int64)
    for trial in range(trials):
        reservoir = Reservoir(SPEC, slots=slots, replacement=chance, seed=trial)
        reservoir.add(entries(np.arange(seen)))
        kept[held(reservoir)] += 1
    age = np.arange(20)  # of the newest: each newer entry takes a given slot with chance / slots
    assert kept[::-1][:20] / trials == pytest.approx(chance * (1 - chance / slots) ** age, abs=0.03)


def test_a_batch_is_drawn_evenly_and_laid_out_by_field():
    reservoir = Reservoir(SPEC, slots=4, seed=1)
    reservoir.add(entries([0, 1, 2, 3]))
    batch = reservoir.batch(4000)
    assert {name: array.shape for name, array in batch.observation.items()} == {
        "place": (1, 4000, 2, 2), "clock": (1, 4000, 1), "card": (1, 4000, 3),
    }  # fmt: skip
    assert [allowed.shape for allowed in batch.legal] == [(1, 4000, 2), (1, 4000, 3)]
    marks = batch.observation["clock"][0, :, 0].astype(int)
    assert chisquare(np.bincount(marks)).pvalue > 1e-3
    assert (batch.observation["place"][0] == marks[:, None, None]).all() and (
        batch.action[0] == marks[:, None] % 2
    ).all()
    assert batch.acting.all() and batch.reset.all() and (batch.lengths == 1).all()
    # laying a batch flat again gives what was put in
    flat = Layout(SPEC).inputs({name: array[0] for name, array in batch.observation.items()}, 4000)
    assert (flat.numbers == marks[:, None]).all() and (flat.tokens == marks[:, None] % 5).all()


def rollout(deciding, reset, ended, marks) -> Rollout:
    """Two rows; each cell carries a number."""
    deciding, reset, ended, marks = (np.array(grid) for grid in (deciding, reset, ended, marks))
    steps, rows = marks.shape
    inputs = Inputs(np.repeat(marks[..., None], 5, axis=2).astype(np.float32), np.zeros((steps, rows, 3), np.int16))
    nothing = np.zeros((steps, rows), np.float32)
    return Rollout(
        inputs, None, np.zeros((steps, rows, 2), np.int64), nothing, nothing, deciding.astype(bool), reset.astype(bool),
        nothing, ended.astype(bool), nothing, np.zeros((rows, 0), np.float32), True, nothing[0], deciding[0] > 0, [], steps,
    )  # fmt: skip


def test_single_decisions_are_those_of_the_learner_in_order():
    found = decisions_of(rollout([[1, 0], [1, 1]], [[1, 1], [0, 0]], [[0, 0], [0, 1]], [[1, 2], [3, 4]]), Layout(SPEC))
    assert found.numbers[:, 0, 0].tolist() == [1, 3, 4] and found.options.all()
    assert [array.shape[:2] for array in found] == [(3, 1)] * 4


def test_games_are_put_together_across_rollouts_and_cut_at_the_longest():
    games = OpenGames(Layout(SPEC), rows=2, longest=2)
    # row 0 decides at 1, 3, then 5, when its game ends; the learner does not sit in row 1's first game
    first = rollout([[1, 0], [1, 0]], [[1, 1], [0, 0]], [[0, 0], [0, 1]], [[1, 2], [3, 4]])
    found, lengths = games.take(first)
    assert len(lengths) == 0 == len(found.numbers)
    second = rollout([[1, 1], [1, 1]], [[0, 1], [1, 0]], [[1, 0], [0, 1]], [[5, 6], [7, 8]])
    found, lengths = games.take(second)
    assert lengths.tolist() == [2, 2] and games.left_out == 1
    assert found.numbers[:, :, 0].tolist() == [[1, 3], [6, 8]]
    described, arrays = games.state()
    other = OpenGames(Layout(SPEC), rows=2, longest=2)
    other.restore(described, arrays)
    third = rollout([[0, 0]], [[0, 0]], [[1, 1]], [[9, 9]])
    for one in (games, other):  # the game that began with 7 goes on after the checkpoint
        found, lengths = one.take(third)
        assert lengths.tolist() == [1] and found.numbers[0, 0, 0] == 7


def test_games_of_different_length_lie_side_by_side():
    reservoir = Reservoir(SPEC, slots=2, longest=3)
    reservoir.add(entries([1, 2], longest=3), np.array([2, 1]))
    batch = reservoir.batch(50)
    marks = batch.observation["clock"][0, :, 0]
    assert batch.action.shape == (2, 50, 2)
    assert (batch.lengths == np.where(marks == 1, 2, 1)).all() and (batch.acting.sum(axis=0) == batch.lengths).all()
    assert batch.reset[0].all() and not batch.reset[1:].any()


def test_resumed_it_keeps_and_gives_the_same():
    whole = Reservoir(SPEC, slots=5, seed=3)
    whole.add(entries(range(9)))
    other = Reservoir(SPEC, slots=5, seed=8)
    other.take_arrays({name: array.copy() for name, array in whole.arrays().items()})
    other.restore(whole.state())
    for one in (whole, other):
        one.add(entries(range(9, 30)))
    assert held(whole) == held(other)
    assert (whole.batch(7).observation["clock"] == other.batch(7).observation["clock"]).all()
    with pytest.raises(ValueError, match="slots=5 of the reservoir, this one has 4"):
        Reservoir(SPEC, slots=4).restore(whole.state())


def test_refusals():
    with pytest.raises(ValueError, match="slots=0"):
        Reservoir(SPEC, slots=0)
    with pytest.raises(ValueError, match="replacement=2"):
        Reservoir(SPEC, slots=3, replacement=2)
    with pytest.raises(ValueError, match="empty"):
        Reservoir(SPEC, slots=3).batch(1)
    with pytest.raises(ValueError, match=r"numbers has shape \(1, 2, 5\), expected \(1, 1, 5\)"):
        Reservoir(SPEC, slots=3).add(entries([1], longest=2))


@pytest.mark.parametrize("backbone", ["mlp", "gru"])
def test_a_policy_learns_from_it_what_was_played(backbone):
    """Leduc has legal masks; a frozen policy's own play is imitated from its rollouts."""
    env = envs.make("leduc", 64)
    teacher = Policy.create(env.spec, PolicySettings(hidden=(8,)), seed=1, device="cpu")
    teacher.heads.layer.weight.data *= 400  # opinionated
    ppo = PPO(env, teacher, PPOSettings(steps=16, epochs=1, minibatches=1, learning_rate=0.0))
    pupil = Policy.create(env.spec, PolicySettings(backbone=backbone, hidden=(32,), memory=16), device="cpu")
    longest = 4 if backbone == "gru" else 1
    reservoir = Reservoir(env.spec, slots=4000 // longest, longest=longest)
    games = OpenGames(pupil.layout, 128, longest)
    for _ in range(4):
        ppo.update()
        if backbone == "gru":
            reservoir.add(*games.take(ppo.rollout))
        else:
            reservoir.add(decisions_of(ppo.rollout, pupil.layout))
    settings = ImitationSettings(batch_size=256, learning_rate=1e-2, value_weight=0.0)
    learner = Imitation(pupil, reservoir, settings)
    losses = [learner.update()["losses/policy_loss"] for _ in range(120)]
    batch = reservoir.batch(500)
    seen, legal = ({n: a[0] for n, a in batch.observation.items()}, (batch.legal[0][0],))
    taught, learned = (one.probabilities(seen, legal) for one in (teacher, pupil))
    assert losses[-1] < losses[0] - 0.1
    assert np.abs(taught - learned).mean() < 0.12
