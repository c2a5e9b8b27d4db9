"""What the combinations of a sweep came to: means over seeds with intervals, and differences from a control, seed by seed.

Intervals are Student's t with 95% coverage: for a mean over n seeds, mean ± t(0.975, n - 1) s / sqrt(n); for a difference, the
same of the differences between runs of the same seed. They say how much seeds matter, not how well each run was measured, and
they are not corrected for looking at many figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.pipeline import status as states
from workbench.pipeline.figures import gathered, is_number
from workbench.pipeline.files import read_json, write_atomic
from workbench.pipeline.overview import DONE, read_experiment
from workbench.pipeline.sweep_state import read_sweep

Figure = tuple[str, str, str]  # chain, stage, metric


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval.

    Args:
        low, high: 95% interval by Student's t; None with fewer than two seeds.
        count: how many seeds.
    """

    mean: float
    low: float | None
    high: float | None
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low is not None and (self.low > 0 or self.high < 0)


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and 95% t interval; None of no values."""
    from scipy.stats import t

    count = len(values)
    if not count:
        return None
    mean = math.fsum(values) / count
    if count < 2:
        return Estimate(mean, None, None, count)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    half = float(t.ppf(0.975, count - 1)) * spread
    return Estimate(mean, mean - half, mean + half, count)


@dataclass
class Run:
    """One combination and what it came to.

    Args:
        seeds: its values of the parameters that are seeds.
        entries: of its stages, as in `experiment.json`.
        figures: numbers by figure and generation.
        last: the last generation of each stage that is planned and not skipped.
    """

    name: str
    seeds: tuple[str, ...]
    state: str
    message: str
    entries: list[dict] = field(default_factory=list)
    figures: dict[Figure, dict[int, float]] = field(default_factory=dict)
    last: dict[tuple[str, str], int] = field(default_factory=dict)

    def final(self, figure: Figure) -> float | None:
        """The figure of the last generation, if that was made."""
        return self.figures.get(figure, {}).get(self.last.get(figure[:2], 0))


@dataclass
class Setting:
    """Combinations that differ by their seeds alone.

    Args:
        values: by key, as written, of the other parameters that vary.
    """

    values: dict[str, str]
    runs: list[Run]

    @property
    def name(self) -> str:
        from workbench.pipeline.combinations import short_keys

        labels = short_keys(list(self.values))
        return ", ".join(f"{label} {value}" for label, value in zip(labels, self.values.values(), strict=True)) or "all"

    def estimate(self, figure: Figure) -> Estimate | None:
        """Over the seeds, of the last generation."""
        found = [run.final(figure) for run in self.runs]
        return estimate([value for value in found if value is not None])

    def over_generations(self, figure: Figure) -> dict[int, Estimate]:
        """Over the seeds, by generation."""
        generations = sorted({number for run in self.runs for number in run.figures.get(figure, {})})
        by = {
            number: [run.figures[figure][number] for run in self.runs if number in run.figures.get(figure, {})]
            for number in generations
        }
        return {number: estimate(values) for number, values in by.items()}

    def difference(self, control: Setting, figure: Figure) -> Estimate | None:
        """How much more than the control, over the seeds that both have."""
        theirs = {run.seeds: run.final(figure) for run in control.runs}
        pairs = [(run.final(figure), theirs.get(run.seeds)) for run in self.runs]
        return estimate([mine - its for mine, its in pairs if mine is not None and its is not None])


@dataclass
class Comparison:
    """A sweep's settings, the first of which is the control, and the figures they are compared by."""

    sweep: dict
    settings: list[Setting]
    figures: list[Figure]

    @property
    def control(self) -> Setting:
        return self.settings[0]

    @property
    def runs(self) -> list[Run]:
        return [run for setting in self.settings for run in setting.runs]

    @property
    def generations(self) -> int:
        return max((number for run in self.runs for number in run.last.values()), default=1)


def compare(folder: Path) -> Comparison:
    """Read a sweep's results as they are now. Only combinations whose results were made by this sweep's command count.

    Args:
        folder: the sweep's, with `sweep.json`.
    """
    sweep = read_sweep(folder)
    seeds = [axis["key"] for axis in sweep["axes"] if axis["seed"]]
    settings: dict[tuple[str, ...], Setting] = {}
    for entry in sweep["combinations"]:
        values = {key: value for key, value in entry["values"].items() if key not in seeds}
        run = _read_run(folder / entry["name"], entry, tuple(entry["values"].get(key, "") for key in seeds))
        settings.setdefault(tuple(values.values()), Setting(values, [])).runs.append(run)
    found = list(settings.values())
    figures = dict.fromkeys(figure for setting in found for run in setting.runs for figure in run.figures)
    order = {pair: index for index, pair in enumerate(dict.fromkeys(figure[:2] for figure in _in_order(found)))}
    return Comparison(sweep, found, sorted(figures, key=lambda figure: order.get(figure[:2], len(order))))


def _in_order(settings: list[Setting]) -> list[Figure]:
    """Stages in the order they run, as the first combination that knows them says."""
    return [(entry["chain"], entry["stage"], "") for s in settings for run in s.runs for entry in run.entries]


def _read_run(folder: Path, entry: dict, seeds: tuple[str, ...]) -> Run:
    run = Run(entry["name"], seeds, entry["state"], entry.get("message", ""))
    if entry["state"] == states.PENDING:  # what may be there is of an earlier command
        return run
    try:
        run.entries = read_experiment(folder).get("stages", [])
    except ValueError as error:
        run.message = str(error)
    for stage in run.entries:
        if stage["state"] == "skipped":
            continue
        key = (stage["chain"], stage["stage"])
        run.last[key] = max(stage["generation"], run.last.get(key, 0))
        if stage["state"] in DONE:
            for name, value in numbers(_metrics(folder / stage["folder"])).items():
                run.figures.setdefault((*key, name), {})[stage["generation"]] = value
    return run


def _metrics(folder: Path) -> dict:
    try:
        return read_json(folder / "result.json", {}).get("metrics", {})
    except ValueError:  # damaged: the stage runs again
        return {}


def numbers(metrics: dict) -> dict[str, float]:
    """The numbers of a result: of what has an interval the value, of tables each entry as `table/entry`."""
    found = {}
    for name, value in gathered(metrics).items():
        if isinstance(value, tuple):
            found[name] = float(value[0])
        elif isinstance(value, dict):
            found |= {f"{name}/{key}": number for key, number in numbers(value).items()}
        elif is_number(value):
            found[name] = float(value)
    return found


_COLUMNS = [
    "chain",
    "stage",
    "figure",
    "seeds",
    "mean",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "paired_seeds",
]


def write_csv(comparison: Comparison, folder: Path) -> Path:
    """Write `comparison.csv`: a row for each setting and figure of the last generation."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = list(comparison.control.values) if comparison.settings else []
    writer.writerow([*keys, *_COLUMNS])
    for setting in comparison.settings:
        for figure in comparison.figures:
            found = setting.estimate(figure)
            if found is None:
                continue
            apart = setting.difference(comparison.control, figure) if setting is not comparison.control else None
            differs = (apart.mean, apart.low, apart.high, apart.count) if apart else ("", "", "", "")
            writer.writerow(
                [*setting.values.values(), *figure, found.count, found.mean, _blank(found.low), _blank(found.high)]
                + [_blank(item) for item in differs]
            )
    write_atomic(folder / "comparison.csv", text.getvalue())
    return folder / "comparison.csv"


def _blank(value):
    return "" if value is None else value
