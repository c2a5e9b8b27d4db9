"""Several arms of one experiment, with the same seeds, held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from workbench.metagame.statistics import paired


def compare_arms(figures: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Every arm's mean over seeds, and what the last arm has more than each of the others, seed by seed.

    >>> compare_arms({"control": [0.5, 0.3], "treated": [0.2, 0.2]})["mean"].round(2).to_dict()
    {'control': 0.4, 'treated': 0.2, 'treated less control': -0.2}

    Args:
        figures: by arm, a figure a seed, in the same order of seeds; the last arm is the one that is held against the others.

    Returns:
        A row an arm and a difference; columns as of `workbench.metagame.statistics.paired`, intervals Student's at 95%.

    Raises:
        ValueError: no arm, none of one, or not as many figures of each.
    """
    if not figures:
        raise ValueError("no arms to compare; expected figures of at least one")
    *controls, treated = figures
    pairs = {name: paired(figures[treated], figures[name], (treated, name)) for name in controls or [treated]}
    rows = {name: pairs[name].iloc[1] for name in pairs} | {treated: next(iter(pairs.values())).iloc[0]}
    rows |= {f"{treated} less {name}": pairs[name].iloc[2] for name in controls}
    return pd.DataFrame(rows).T
