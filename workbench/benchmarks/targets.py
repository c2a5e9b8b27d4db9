"""What the yardsticks of meta-games and damping ask for, beside what was measured: rows for `timing.figures`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workbench.metagame.statistics import mean_interval

DOUBLE_ORACLE = {
    "kuhn": pd.DataFrame({"double oracle": {7: 0.0}}),
    "leduc": pd.DataFrame({"double oracle": {10: 4.03, 25: 1.43, 50: 0.586, 100: 0.307, 150: 0.104, 199: 0.060}}),
}
"""NashConv by iteration of OpenSpiel's exact double oracle; another vertex of a programme may halve or double it."""
MIRROR_DESCENT = {
    "kuhn": pd.DataFrame(
        {"damped": {100: 0.058, 1000: 0.0101}, "moving magnet": {300: 0.0045, 1000: 0.0}, "undamped": {1000: 0.405}}
    ),
    "leduc": pd.DataFrame(
        {
            "damped": {100: 0.471, 1000: 0.134, 3000: 0.069, 6000: 0.046},
            "moving magnet": {6000: 0.033},
            "undamped": {300: 4.34},
        }
    ),
}
"""NashConv by iteration of tabular mirror descent, measured before this code was written, with `meta_games.DESCENTS`' schedules."""

_ORACLE = {"kuhn": {10: (1e-6, "0 at 7")}, "leduc": {50: (0.7, ".586"), 200: (0.1, ".060 at 199")}}
_DESCENT = {
    ("kuhn", "damped", 1000): (0.011, ".0101"), ("leduc", "damped", 1000): (0.14, ".134"),
    ("leduc", "damped", 6000): (0.05, ".046"), ("kuhn", "undamped", 1000): (0.2, ".405"),
    ("leduc", "undamped", 1000): (4.0, "4.34 by 300"),
}  # fmt: skip
_DEEP_REFERENCE = {"kuhn": ".22, OpenSpiel's PPO, undamped", "leduc": ""}
_DEEP = {"kuhn": 0.03, "leduc": 0.3}
NFSP = {"kuhn": 0.1, "leduc": 0.7}
"""NashConv that the average policy of neural fictitious self-play comes below."""


def oracle_rows(curves: Mapping[str, pd.Series]) -> list[dict]:
    """Of `meta_games.oracle_curve` by game."""
    return [
        _row(
            f"{name}, exact double oracle, NashConv at iteration {iteration}", curve[iteration], target, reference=known
        )
        for name, curve in curves.items()
        for iteration, (target, known) in _ORACLE[name].items()
        if iteration in curve.index
    ]


def sampled_rows(found: pd.DataFrame, equilibrium: str) -> list[dict]:
    """Of `meta_games.sampled_oracle` over seeds; `equilibrium` says how it was had."""
    what = f"kuhn, sampled PSRO at iteration 10, equilibrium {equilibrium}, median NashConv of {_seeds(len(found))}"
    return [
        _row(what, found["nash_conv"].median(), 0.02, reference=".0086, OpenSpiel's psro_v2, one run"),
        _row("its exact payoffs inside their 95% intervals", found["covered"].mean(), 0.94, "share", more=True),
    ]


def descent_rows(curves: Mapping[str, pd.DataFrame]) -> list[dict]:
    """Of `meta_games.descent_curves` by game: the last iterates, and the controls, which must be bad."""
    return [
        _row(
            f"{name}, tabular mirror descent {kind}, NashConv at {iteration:,}", curves[name].loc[iteration, kind],
            target, more=kind == "undamped", reference=known,
        )
        for (name, kind, iteration), (target, known) in _DESCENT.items()
        if iteration in curves[name].index
    ]  # fmt: skip


def self_play_rows(name: str, trials: pd.DataFrame) -> list[dict]:
    """Of `meta_games.self_play_curve` over seeds, both arms: exploitability of the last iterates, mean over seeds; the control is reported."""
    last = trials.groupby(["arm", "seed"])["exploitability"].last()
    rows = []
    for arm in ("damped", "undamped"):
        mean, low, high = mean_interval(last[arm].tolist(), (0, float("inf")))
        interval = f" [{low:.3f}, {high:.3f}]" if len(last[arm]) > 1 else ""
        what = f"{name}, PPO self-play {arm}, exploitability, mean of {_seeds(len(last[arm]))}{interval}"
        target = _DEEP[name] if arm == "damped" else None
        rows.append(_row(what, mean, target, reference=_DEEP_REFERENCE[name]))
    return [*rows, _row(f"{name}, PPO self-play damped, worst seed", last["damped"].max(), _DEEP[name])]


def nfsp_rows(name: str, curves: pd.DataFrame) -> list[dict]:
    """Of `fictitious_play.nfsp_curve` over seeds: the average policies at the end."""
    last = curves.groupby("seed").last()
    what = f"{name}, NFSP, average policy, NashConv, worst of {_seeds(len(last))}"
    took = f"{name}, NFSP, longest training"
    return [
        _row(what, last["average"].max(), NFSP[name]),
        _row(took, last["minutes"].max(), 60.0, "minutes"),
        _row(f"{name}, its best response's last iterate, mean", last["best_response"].mean(), None),
    ]


def psro_oracle_rows(curves: pd.DataFrame) -> list[dict]:
    """Of `psro.ppo_oracles` over seeds: how exploitable the mixtures are by the last iteration."""
    last = curves.groupby("seed").last()
    what = f"kuhn, PSRO with PPO oracles, exploitability at iteration {int(last['iteration'].max())}, worst of {_seeds(len(last))}"
    return [_row(what, last["exploitability"].max(), 0.05)]


def solver_rows(policies: int, resampled: int, milliseconds: float, seconds: float) -> list[dict]:
    """Of `meta_games.solver_time`."""
    return [
        _row(f"Nash equilibrium of {policies} policies", milliseconds, 50.0, "ms"),
        _row(f"the same over {resampled:,} resampled games", seconds, 20.0, "s"),
    ]


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def _row(
    what: str, measured: float, target: float | None, unit: str = "chips", *, more: bool = False, reference: str = ""
) -> dict:
    return {"what": what, "measured": measured, "target": target, "unit": unit, "more": more, "reference": reference}
