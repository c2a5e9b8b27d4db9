"""Advantages and returns, as pure functions of arrays."""

from __future__ import annotations

import numba
import numpy as np


def generalized_advantage(reward, value, bootstrap, done, *, discount, trace):
    """Advantage estimates by exponentially weighted temporal differences.

    Args:
        reward: `[T, B]` reward received after acting at t.
        value: `[T, B]` value estimate at t.
        bootstrap: `[T, B]` value of the state that followed t: the next state's, a cut game's last state's, 0 after a
            real end.
        done: `[T, B]` True where the game at t ended or was cut, so that no trace crosses it.
        discount, trace: gamma and lambda, in [0, 1].

    Returns:
        `[T, B]` advantages, not normalised.

    Source: Schulman et al. 2016, arXiv 1506.02438, eq. 16.
    """
    error = reward + discount * bootstrap - value
    carried = discount * trace * ~done
    advantage = np.empty_like(error)
    following = np.zeros_like(error[0])
    for t in reversed(range(len(error))):
        following = advantage[t] = error[t] + carried[t] * following
    return advantage


def decision_advantage(
    reward, value, deciding, ended, end_value, last_value, last_deciding, *, discount, trace, in_turns=False
):
    """Generalized advantages where a row decides only at some steps; discount and trace go by the decision.

    The reward of a decision is all that arrives until the row decides again. A decision whose consequence lies
    beyond the rollout, because the row was still waiting then, is not learned from, but its value stands in for what
    followed the decision before it. With every row deciding at every step this is `generalized_advantage`.

    In games played in turns a decision of the last step has a known consequence only if it ended the game: learning
    from those alone would learn from folding and not from betting. `in_turns` treats all decisions of the last step as
    beyond the rollout, whatever they did. That makes what is left out independent of the action where a row waits for
    one step at a time, as in Kuhn poker. Where it may wait for several (Leduc when a round begins, a gen1ou seat while
    the other replaces two Pokémon in a row), a decision within that many steps of the end is still left out or not
    depending on what it led to: at most some decisions a rollout, and the fewer the longer the rollout.

    Args:
        reward: float32 `[T, R]` delivered by the step taken at t.
        value: float32 `[T, R]` read where deciding.
        deciding: bool `[T, R]`.
        ended: bool `[T, R]` the game was over after the step at t.
        end_value: float32 `[T, R]` read where ended: 0 after a real end, the last state's value of a game cut short.
        last_value: float32 `[R]` value of the state after the rollout, read where `last_deciding`.
        last_deciding: bool `[R]` the row decides in the state after the rollout.
        discount, trace: gamma and lambda, in [0, 1].
        in_turns: rows wait for one another; leave out the decisions of the last step.

    Returns:
        `[T, R]` advantages, 0 where there is none, and bool `[T, R]`: the decisions to learn from.
    """
    advantage = np.zeros(reward.shape, np.float32)
    learned = np.zeros(reward.shape, np.bool_)
    _by_decision(
        np.asarray(reward, np.float32), np.asarray(value, np.float32), deciding, ended,
        np.asarray(end_value, np.float32), np.asarray(last_value, np.float32), last_deciding,
        np.float32(discount), np.float32(trace), in_turns, advantage, learned,
    )  # fmt: skip
    return advantage, learned


@numba.njit(cache=True, nogil=True)
def _by_decision(
    reward, value, deciding, ended, end_value, last_value, last_deciding, discount, trace, in_turns, advantage, learned
):
    steps, rows = reward.shape
    # per row, of what follows: value, advantage, reward not yet claimed by a decision, whether it is known at all
    following = last_value.copy()
    known = last_deciding.copy()
    carried = np.zeros(rows, np.float32)
    unclaimed = np.zeros(rows, np.float32)
    for t in range(steps - 1, -1, -1):
        for row in range(rows):
            if ended[t, row]:
                following[row], known[row] = end_value[t, row], True
                carried[row], unclaimed[row] = np.float32(0), np.float32(0)
            unclaimed[row] += reward[t, row]
            if deciding[t, row]:
                if in_turns and t == steps - 1:
                    carried[row] = np.float32(0)
                elif known[row]:
                    error = unclaimed[row] + discount * following[row] - value[t, row]
                    carried[row] = error + discount * trace * carried[row]
                    advantage[t, row] = carried[row]
                    learned[t, row] = True
                following[row], known[row] = value[t, row], True
                unclaimed[row] = np.float32(0)
