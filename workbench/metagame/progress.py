"""How far each iteration's mixture can be exploited, as far as anybody knows, and which one to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.metagame.comparison import difference
from workbench.metagame.payoffs import EmpiricalGame


def exploitability_table(
    summaries: Sequence[Mapping],
    gains: Sequence[Sequence[float]],
    game: EmpiricalGame | None = None,
    *,
    resampled: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """A row an iteration for `plots.exploitability_history`: what is known of how far its mixture can be exploited.

    A trained response earns a lower bound, and whoever joined the population later may earn a higher one. Of all of them
    the one whose interval begins highest is the largest bound known. Responses were trained alike, so their gains can be
    compared; earlier mixtures have met more policies since, so largest bounds cannot.

    Args:
        summaries: from `read_summaries`; each `gap` sums what both players could gain; those of small games have an
            `exact exploitability`. Each `meta_strategy` has the shares of all who were in the population then.
        gains: as many or fewer, [mean, low, high] of the response to that iteration's mixture.
        game: today's population, in which all members of those mixtures are; without it only responses' gains count.
        resampled: how many resampled games tell the intervals of what the population earns; of 0 nothing is told.
        seed: of the resampling.

    Returns:
        iteration; gap; exploitability, low, high: of the response, nan where none was trained; exact, nan where unknown;
        and largest, largest low, largest high, by: the largest bound known, nan where there is none, and who earns it, `its
        response` or a policy.

    Raises:
        ValueError: more gains than iterations, or one that is not three numbers; a mixture's member is not in the game.
    """
    if len(gains) > len(summaries) or any(len(gain) != 3 for gain in gains):
        raise ValueError(
            f"{len(gains)} gains {list(gains)} for {len(summaries)} iterations: expected at most one each, as mean, low, high"
        )
    unknown = [float("nan")] * 3
    trained = [*gains, *[unknown] * (len(summaries) - len(gains))]
    table = pd.DataFrame(
        {
            "iteration": [summary["iteration"] for summary in summaries],
            "gap": [summary["gap"] / 2 for summary in summaries],
            **{name: [gain[at] for gain in trained] for at, name in enumerate(("exploitability", "low", "high"))},
            "exact": [summary.get("exact exploitability", float("nan")) for summary in summaries],
        }
    )
    bounds = [("its response", *gain) for gain in trained]
    if game is not None and resampled:
        drawn = game.resampled(resampled, np.random.default_rng(seed))
        for row, summary in enumerate(summaries):
            bounds[row] = max([bounds[row], *_later_replies(game, drawn, summary["meta_strategy"])], key=_how_high)
    return table.join(pd.DataFrame(bounds, columns=["by", "largest", "largest low", "largest high"]))


def _later_replies(
    game: EmpiricalGame, drawn: np.ndarray, mixture: Mapping[str, float]
) -> list[tuple[str, float, float, float]]:
    """What everybody who was not in the population yet earns against its mixture: id, mean and its 95% interval."""
    strangers = [member for member in mixture if member not in game.columns]
    if strangers:
        raise ValueError(f"a mixture plays {', '.join(strangers)}: not in the population of {', '.join(game.columns)}")
    shares = np.array([mixture.get(policy, 0.0) for policy in game.columns])
    earned = game.payoffs() @ shares
    low, high = np.quantile(drawn @ shares, (0.025, 0.975), axis=0)
    replies = zip(game.rows, earned.tolist(), low.tolist(), high.tolist(), strict=True)
    return [reply for reply in replies if reply[0] not in mixture]


def _how_high(bound: tuple[str, float, float, float]) -> float:
    low = bound[2]
    return -np.inf if np.isnan(low) else low


def best_iteration(history: pd.DataFrame) -> int | None:
    """The iteration whose mixture was hardest to exploit, by the upper end of the largest bound known.

    PSRO need not get better with every iteration, so the last mixture is not always the one to take.

    Args:
        history: of `exploitability_table`.

    Returns:
        None while nothing tested a mixture: a response that lost has found nothing, and nothing follows about it.
    """
    tested = _tested(history)
    return None if tested.empty else int(tested.loc[tested["largest high"].idxmin(), "iteration"])


def _tested(history: pd.DataFrame) -> pd.DataFrame:
    """Iterations whose response did not lose, or whom somebody else beats."""
    return history[(history["high"] >= 0) | (history["largest low"] > 0)]


def largest_bounds(history: pd.DataFrame) -> dict[str, list[float]]:
    """The largest bound known of each iteration's mixture that was tested, as metrics: mean, low, high by `mixture-0`, ...

    Args:
        history: of `exploitability_table`.
    """
    tested = _tested(history)
    bounds = tested[["largest", "largest low", "largest high"]].to_numpy().tolist()
    return {f"mixture-{iteration}": bound for iteration, bound in zip(tested["iteration"], bounds, strict=True)}


def best_so_far(history: pd.DataFrame) -> str:
    """`best_iteration` in words.

    Args:
        history: of `exploitability_table`.
    """
    tested = _tested(history)
    lost = int((history["high"] < 0).sum())
    left_out = f" {lost} more lost, which says nothing about the mixtures they met." if lost else ""
    if tested.empty:
        return f"No best response was trained yet that did not lose: how far these mixtures can be exploited is not known.{left_out}"
    found = tested.loc[tested["largest high"].idxmin()]
    rivals = int((tested["largest low"] <= found["largest high"]).sum()) - 1
    told = f"not told apart from {rivals} of the others" if rivals else "told apart from all others"
    return (
        f"Hardest to exploit so far: the mixture of iteration {found['iteration']}, from which nobody is known to earn more than "
        f"{found['largest']:+.3f} [{found['largest low']:+.3f}, {found['largest high']:+.3f}] a game ({found['by']}), {told}, of {len(tested)} "
        f"tested.{left_out}"
    )


def change_in_exploitability(history: pd.DataFrame) -> tuple[float, float, float] | None:
    """What the last response earned less what the first did: mean and its 95% interval; None of fewer than two responses.

    Below 0 the mixtures got harder to exploit, as far as responses can tell that are trained alike.

    Args:
        history: of `exploitability_table`.
    """
    trained = history.dropna(subset=["exploitability"])
    if len(trained) < 2:
        return None
    first, last = (tuple(trained.iloc[row][["exploitability", "low", "high"]].astype(float)) for row in (0, -1))
    return difference(last, first)


def whether_it_fell(history: pd.DataFrame) -> str:
    """`change_in_exploitability` in words; nothing to say of fewer than two responses.

    Args:
        history: of `exploitability_table`.
    """
    found = change_in_exploitability(history)
    if found is None:
        return ""
    change, low, high = found
    seen = (
        f"From the first response to the last what they earn changed by {change:+.3f} [{low:+.3f}, {high:+.3f}] a game"
    )
    if history["high"].dropna().iloc[-1] < 0:
        return f"{seen}, but the last one lost: whether the mixtures got harder to exploit is not known."
    if low <= 0 <= high:
        return f"{seen}: not told from chance."
    word = "harder" if change < 0 else "easier"
    return f"{seen}: the mixtures got {word} to exploit, as far as responses can tell that are trained alike."


def converged(gains: Sequence[Sequence[float]], bound: float | None) -> bool:
    """Whether the last response gained so little that PSRO may end: its interval lies within `-bound` to `bound`.

    The upper end says that the response gains no more than that. The lower end says that it was a response at all: who
    plays as the mixture does earns 0 against it, so one that earns clearly less has found nothing, and nothing follows. In
    any case only those responses were found that training found: this is a rule for stopping, not a proof.

    Args:
        gains: as of `exploitability_table`, [mean, low, high] of each iteration's response.
        bound: None where nothing ends PSRO early.

    Raises:
        ValueError: a bound not above 0.
    """
    if bound is not None and bound <= 0:
        raise ValueError(f"stop_below={bound}: expected above 0; a best response never earns less than 0 on average")
    if bound is None or not gains:
        return False
    _, low, high = gains[-1]
    return -bound < low and high < bound
