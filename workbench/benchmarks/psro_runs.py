"""What a finished PSRO experiment shows, iteration by iteration: whether the mixture got harder to exploit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.metagame.progress import change_in_exploitability


def psro_table(experiment: str | Path) -> pd.DataFrame:
    """A row an iteration of an experiment of `params/psro_*.yaml`, as far as it has come.

    Args:
        experiment: its folder.

    Returns:
        iteration; gain, low, high: what the best response earned a game against the mixture it was trained on, in
        held-out games; bound: the largest that anybody in the last population is known to earn from that mixture;
        support: of the mixture that holds the response, the exponential of the entropy; minutes: of the iteration,
        what precedes the first and follows the last left out.

    Raises:
        FileNotFoundError: no finished iteration there.
    """
    rows, bounds = [], {}
    for place in sorted(Path(experiment).glob("gen_*")):
        results = {
            path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in place.glob("*/result.json")
        }
        metrics = {name: result["metrics"] for name, result in results.items()}
        response = next((found for found in metrics.values() if "gain" in found), None)
        game = next(
            (metrics[name] for name, result in results.items() if result["stage"] == "meta_game" and name in metrics),
            None,
        )
        if response is None or game is None:
            continue
        seconds = sum(
            result["provenance"]["wall_seconds"]
            for result in results.values()
            if result["stage"] in ("best_response", "meta_game")
        )
        bounds = game.get("largest bounds", {})
        rows.append((len(rows) + 1, *response["gain"], game["effective support"], seconds / 60))
    if not rows:
        raise FileNotFoundError(f"{experiment}: no finished iteration of PSRO there; run params/psro_*.yaml first")
    table = pd.DataFrame(rows, columns=["iteration", "gain", "low", "high", "support", "minutes"])
    known = [bounds.get(f"mixture-{iteration - 1}", [float("nan")])[0] for iteration in table["iteration"]]
    table.insert(4, "bound", known)
    return table


def psro_rows(name: str, table: pd.DataFrame) -> list[dict]:
    """Its figures as rows for `timing.figures`."""
    first, last = table.iloc[0], table.iloc[-1]
    change, _, high = change_in_exploitability(table.rename(columns={"gain": "exploitability"})) or (np.nan,) * 3
    return [
        {"what": f"PSRO on {name}, iterations whose response beats the mixture, interval above even play", "measured": int((table["low"] > 0).sum()), "target": len(table), "unit": f"of {len(table)}"},
        {"what": f"PSRO on {name}, gain of the last response less the first's {first.gain:.2f}: {change:+.2f}, the interval's upper end", "measured": high, "target": 0.0, "unit": "a game", "more": False},
        {"what": f"PSRO on {name}, effective support of the last mixture, to spread by 0.1 from {first.support:.2f}", "measured": last.support, "target": first.support + 0.1, "unit": "policies"},
        {"what": f"PSRO on {name}, longest iteration", "measured": table["minutes"].max(), "target": 15.0, "unit": "minutes", "more": False},
    ]  # fmt: skip
