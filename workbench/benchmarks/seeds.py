"""The same measurement over several seeds, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from workbench.arena import local_executor


def over_seeds(
    measure: Callable[..., pd.DataFrame], *arguments, seeds: int | Iterable[int], workers: int = 2
) -> pd.DataFrame:
    """The tables of `measure(*arguments, seed)`, one after the other, with a column `seed` before theirs.

    Args:
        measure: a function that other processes can import.
        seeds: 0 to `seeds - 1`, or which.
        workers: processes that measure side by side.
    """
    numbers = list(range(seeds) if isinstance(seeds, int) else seeds)
    tasks = [local_executor(workers).submit(measure, *arguments, seed) for seed in numbers]
    tables = [task.result() for task in tasks]
    return pd.concat([table.assign(seed=seed) for table, seed in zip(tables, numbers, strict=True)], ignore_index=True)[
        ["seed", *tables[0].columns]
    ]
