"""The control that sees nothing, worked by hand."""

import numpy as np
import pytest

from workbench.data.trajectories import Game, Trajectory, pad
from workbench.learning.validation import Mean, blind_loss


def trajectory(legal, action):
    """Decisions of which only what was legal and taken matters."""
    steps = len(action)
    rows = np.zeros(steps, np.float32)
    legal = tuple(np.array(allowed, bool) for allowed in legal)
    return Trajectory(
        Game("one", "toy"), {"x": np.zeros((steps + 1, 1), np.float32)}, legal, np.array(action, np.int16), rows, rows
    )


def test_blind_loss_by_hand():
    # of both: a, a, b; of a alone: a. a was taken 3 of 4 times, b 1 of 3 times that it was legal
    both, alone = [1, 1], [1, 0]
    long, short = trajectory([[both, both, alone]], [[0], [0], [0]]), trajectory([[both]], [[1]])
    a, b = 3 / 4, 1 / 3
    expected = -(2 * np.log(a / (a + b)) + np.log(b / (a + b)) + np.log(1)) / 4
    assert blind_loss([pad([long, short])]) == pytest.approx(expected)
    assert blind_loss([pad([long]), pad([short])]) == pytest.approx(expected)


def test_blind_loss_adds_heads_and_leaves_out_what_is_unknown_or_was_illegal():
    both, alone = [1, 1], [1, 0]
    # first head: a, b, unknown, illegal; second head: x, unknown, y, x: what was illegal does not count at all
    played = trajectory([[both, both, both, alone], [both, both, both, both]], [[0, 0], [1, -1], [-1, 1], [1, 0]])
    # each head: one of each, half and half; four known labels in three known decisions
    assert blind_loss([pad([played])]) == pytest.approx(4 * np.log(2) / 3)


def test_nothing_known_is_nan():
    assert np.isnan(blind_loss([pad([trajectory([[[1, 1]]], [[-1]])])])) and np.isnan(Mean().value)


def test_mean_by_hand():
    mean = Mean()
    mean.add(np.array([1, 2], np.float32), np.array([1, 3], np.float32))
    mean.add(np.array([5], np.float32))
    assert mean.value == (1 + 6 + 5) / 5
