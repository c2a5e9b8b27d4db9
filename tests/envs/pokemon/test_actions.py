"""The nine actions and what they mean to Showdown."""

import numpy as np
import pytest

from workbench.envs.pokemon import actions, view


def asked(request, **fields):
    """Views `[1, 2, V]` in which seat 0 is asked and seat 1 waits."""
    views = np.zeros((1, 2, view.VIEW_SIZE), np.int16)
    rows = view.named(views)
    rows["request"] = [[request, view.REQUEST_WAIT]]
    for name, values in fields.items():
        rows[name][0, 0, : len(values)] = values
    return views


def test_an_action_becomes_the_choice_beside_it():
    views = asked(view.REQUEST_MOVE, legal=[1, 0, 1, 1, 1, 1], choice=[3, 0, 1, 2, -5, -2])
    chosen = [actions.choices(views, np.array([[action, 7]])).tolist() for action in (0, 2, 3, 4, 5)]
    assert chosen == [[[3, 0]], [[1, 0]], [[2, 0]], [[-5, 0]], [[-2, 0]]]
    assert actions.acting(views).tolist() == [[True, False]]
    assert actions.legal(views)[0, 0].tolist() == [True, False, True, True, True, True, False, False, False]


@pytest.mark.parametrize("action", [1, 6, 9, -1, 100])
def test_an_action_that_is_not_legal_is_refused_and_named(action):
    views = asked(view.REQUEST_MOVE, legal=[1, 0, 1, 1, 1], choice=[3, 0, 1, 2, -5])
    with pytest.raises(ValueError, match=rf"slot 0, seat 0: action {action} is not legal; legal: \[0, 2, 3, 4\]"):
        actions.choices(views, np.array([[action, 0]]))


def test_a_forced_switch_has_switches_only():
    views = asked(view.REQUEST_SWITCH, legal=[0, 0, 0, 0, 1, 1], choice=[0, 0, 0, 0, -3, -6])
    assert actions.choices(views, np.array([[5, -1]])).tolist() == [[-6, 0]]
    with pytest.raises(ValueError, match=r"legal: \[4, 5\]"):
        actions.choices(views, np.array([[0, -1]]))


def test_commands_are_showdowns():
    assert [actions.command(choice) for choice in (1, 4, -2, -6, 0)] == [
        "move 1", "move 4", "switch 2", "switch 6", "pass",
    ]  # fmt: skip


def test_names():
    assert actions.SPEC.sizes == (view.ACTIONS,)
    assert actions.NAMES[0] == "move 1" and actions.NAMES[8] == "switch 5"
