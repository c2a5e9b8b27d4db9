"""The page of a sweep: its settings side by side, over seeds, with intervals; what failed; every report one click away."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from workbench.pipeline import status as states
from workbench.pipeline.comparison import Comparison, Estimate, Figure, Run, Setting, compare, write_csv
from workbench.pipeline.comparison_drawing import curves, forest, swatch
from workbench.pipeline.files import write_atomic
from workbench.pipeline.overview import DONE, moment
from workbench.pipeline.page import chip, fold, page, slug, table
from workbench.pipeline.sweep_view import standing
from workbench.pipeline.text import duration, figure

_MOST_COLUMNS, _MOST_DRAWN = 7, 8


def write_comparison(folder: Path | str) -> Path:
    """Write a sweep's `index.html` and `comparison.csv`, as things are now."""
    folder = Path(folder)
    comparison = compare(folder)
    write_csv(comparison, folder)
    write_atomic(folder / "index.html", render(folder, comparison))
    return folder / "index.html"


def render(folder: Path, comparison: Comparison) -> str:
    """The page."""
    sweep = comparison.sweep
    told = [name for name in comparison.figures if _differs(comparison, name)]
    parts = [
        '<div class="crumbs"><a href="../index.html">all experiments</a></div>',
        f"<h1>{escape(sweep['name'])}</h1>",
        _banner(comparison),
        f'<p class="small faint">started with <code>{escape(_command(sweep))}</code></p>',
        _how_to_read(comparison) if told else "",
        *(_stage(comparison, pair, told) for pair in dict.fromkeys(name[:2] for name in comparison.figures)),
        _figures(comparison, told),
        "<h2>Combinations</h2>",
        _combinations(folder, comparison),
        f"<footer>written {escape(moment(sweep.get('updated')))} UTC by workbench</footer>",
    ]
    refresh = 30 if sweep["state"] == states.RUNNING else 0
    return page(sweep["name"], "\n".join(filter(None, parts)), wide=True, refresh=refresh)


def _command(sweep: dict) -> str:
    texts = [f"{axis['key']}={','.join(axis['values'])}" for axis in sweep["axes"]]
    return " ".join(["workbench sweep", sweep["file"], *texts])


def _banner(comparison: Comparison) -> str:
    sweep = comparison.sweep
    spent = sum(entry.get("seconds") or 0.0 for entry in sweep["combinations"])
    shared = sum(entry.get("shared") or 0 for entry in sweep["combinations"])
    text = (
        f"{chip(sweep['state'])} {escape(standing(sweep))}; {escape(duration(spent))} of work"
        + (f", {shared} stages taken over from another combination" if shared else "")
        + f'; <span class="faint">begun {escape(moment(sweep.get("started")))}, last heard of {escape(moment(sweep.get("updated")))} UTC</span>'
    )
    if sweep["state"] == states.DIED:
        text += f"<p><b>{escape(sweep['message'])}</b></p>"
    for run in comparison.runs:
        if run.state not in (states.FINISHED, states.RUNNING, states.PENDING):
            text += f"<p>{_link(run)} {chip(run.state)} {escape(run.message)}</p>"
    return f'<div class="banner {slug(sweep["state"])}">{text}</div>'


def _how_to_read(comparison: Comparison) -> str:
    seeds = [axis["key"] for axis in comparison.sweep["axes"] if axis["seed"]]
    over = f"means over <code>{escape(', '.join(seeds))}</code>" if seeds else "single runs"
    last = f" of the last generation ({comparison.generations})" if comparison.generations > 1 else ""
    if not seeds:
        intervals = (
            "With one run a setting there are no intervals: vary a seed (<code>shared.seed=0..4</code>) to have them."
        )
    else:
        intervals = (
            "In brackets 95% intervals of the mean by Student's t over seeds. "
            "Δ is the difference from the control, seed by seed, with its own interval; <b>bold</b> where that excludes zero. "
            "Intervals are not corrected for looking at many figures."
        )
    return (
        f'<p class="small">Figures{last}: {over}. The first setting, <b>{escape(comparison.control.name)}</b>, is the control. '
        f'{intervals} All of it as <a href="comparison.csv">comparison.csv</a>.</p>'
    )


def _differs(comparison: Comparison, name: Figure) -> bool:
    """Whether runs differ in a figure of some generation; what all have in common tells nothing."""
    found: dict[int, set[float]] = {}
    for run in comparison.runs:
        for generation, value in run.figures.get(name, {}).items():
            found.setdefault(generation, set()).add(value)
    return any(len(values) > 1 for values in found.values())


def _stage(comparison: Comparison, pair: tuple[str, str], told: list[Figure]) -> str:
    """A table of one stage's figures, a row a setting."""
    own = [name for name in comparison.figures if name[:2] == pair]
    shown = [name for name in own if name in told]
    same = [f"{name} {_common(comparison, (*pair, name))}" for _, _, name in own if (*pair, name) not in told]
    title = f"<h2>{escape(' · '.join(filter(None, pair)))}</h2>"
    alike = f'<p class="small faint">The same in all runs: {escape(", ".join(same))}</p>' if same else ""
    if not shown:
        return fold(f"{' · '.join(filter(None, pair))}: no figure differs between runs", alike) if same else ""
    first, rest = shown[:_MOST_COLUMNS], shown[_MOST_COLUMNS:]
    more = "".join(_table(comparison, rest[at : at + _MOST_COLUMNS]) for at in range(0, len(rest), _MOST_COLUMNS))
    return title + _table(comparison, first) + (fold(f"{len(rest)} more figures", more) if rest else "") + alike


def _common(comparison: Comparison, name: Figure) -> str:
    return next((figure(value) for run in comparison.runs if (value := run.final(name)) is not None), "–")


def _table(comparison: Comparison, names: list[Figure]) -> str:
    head = ["setting", "runs", *(escape(name) for _, _, name in names)]
    rows = []
    for index, setting in enumerate(comparison.settings):
        made = sum(any(run.final(name) is not None for name in names) for run in setting.runs)
        count = f"{made}" if made == len(setting.runs) else f"{made} of {len(setting.runs)}"
        cells = [_cell(comparison, setting, name, made) for name in names]
        rows.append([f"{swatch(index)} {escape(setting.name)}", count, *cells])
    return table(head, rows, numbers=tuple(range(1, len(head))))


def _cell(comparison: Comparison, setting: Setting, name: Figure, runs: int) -> str:
    found = setting.estimate(name)
    if found is None:
        return '<span class="faint">–</span>'
    fewer = f' <span class="faint">n = {found.count}</span>' if found.count != runs else ""
    text = f'<b>{figure(found.mean, 3)}</b> <span class="faint">{_interval(found)}</span>{fewer}'
    if setting is comparison.control:
        return text
    apart = setting.difference(comparison.control, name)
    if apart is None:
        return text
    words = f"Δ {apart.mean:+.3g} {_interval(apart)}" + (f" n = {apart.count}" if apart.count != found.count else "")
    shown = f"<b>{words}</b>" if apart.excludes_zero else f'<span class="faint">{words}</span>'
    return f'{text}<br><span class="small">{shown}</span>'


def _interval(found: Estimate) -> str:
    return "" if found.low is None else f"[{figure(found.low, 3)}, {figure(found.high, 3)}]"


def _figures(comparison: Comparison, told: list[Figure]) -> str:
    """Each figure drawn: over generations where there are several, else the settings below each other."""
    drawn = [_drawn(comparison, name) for name in sorted(told, key=lambda name: _clocked(name[2]))]
    if not drawn:
        return ""
    over = "over the generations" if comparison.generations > 1 else "of each setting"
    legend = " &nbsp; ".join(
        f'<span style="white-space: nowrap">{swatch(index)} {escape(setting.name)}</span>'
        for index, setting in enumerate(comparison.settings)
    )
    rest = fold(f"{len(drawn) - _MOST_DRAWN} more", _grid(drawn[_MOST_DRAWN:])) if len(drawn) > _MOST_DRAWN else ""
    return f'<h2>Figures {over}</h2><p class="small">{legend}</p>' + _grid(drawn[:_MOST_DRAWN]) + rest


def _clocked(name: str) -> bool:
    """Whether a figure says how fast the machine was, not what came of it; such figures are drawn last."""
    return any(word in name.lower() for word in ("per_second", "seconds", "sps"))


def _grid(drawn: list[str]) -> str:
    return f'<div class="trends">{"".join(drawn)}</div>'


def _drawn(comparison: Comparison, name: Figure) -> str:
    lines = [(setting.name, setting.over_generations(name)) for setting in comparison.settings]
    last = [(setting.name, setting.estimate(name)) for setting in comparison.settings]
    generations = {number for _, line in lines for number in line}
    if len(generations) > 1 or not any(found for _, found in last):  # nobody has come to the last generation yet
        picture = curves(lines) if generations else ""
    else:
        picture = forest(last)
    title = " · ".join(filter(None, name))
    return f'<figure><figcaption class="small"><b>{escape(title)}</b></figcaption>{picture}</figure>'


def _combinations(folder: Path, comparison: Comparison) -> str:
    rows = []
    entries = {entry["name"]: entry for entry in comparison.sweep["combinations"]}
    for run in comparison.runs:
        entry = entries[run.name]
        shared = f' <span class="faint">({entry["shared"]} taken over)</span>' if entry.get("shared") else ""
        stages = f"{entry.get('done', 0)}/{entry['of']}{shared}" if entry.get("of") else ""
        took = duration(entry["seconds"]) if entry.get("seconds") else ""
        trouble = (
            f'<div class="error-text">{escape(run.message[:200])}</div>'
            if run.message and run.state != states.FINISHED
            else ""
        )
        rows.append([_link(run) + trouble, chip(run.state), stages, escape(took), _reports(folder, run)])
    return table(["combination", "", "stages", "work", "reports"], rows, numbers=(3,))


def _link(run: Run) -> str:
    if not run.entries:
        return f"<b>{escape(run.name)}</b>"
    return f'<a href="{quote(run.name)}/index.html"><b>{escape(run.name)}</b></a>'


def _reports(folder: Path, run: Run) -> str:
    """Links to the reports there are: a line a chain and generation."""
    lines: dict[tuple[str, int], list[str]] = {}
    for entry in run.entries:
        report = f"{run.name}/{entry['folder']}/report.html"
        if not (folder / report).is_file():
            continue
        name = escape(entry["stage"])
        word = name if entry["state"] in DONE else f"{name} ({escape(entry['state'])})"
        lines.setdefault((entry["chain"], entry["generation"]), []).append(f'<a href="{quote(report)}">{word}</a>')
    several = len(lines) > 1
    told = []
    for (chain, generation), links in lines.items():
        label = " ".join(filter(None, (escape(chain), f"generation {generation}"))) + ": " if several else ""
        told.append(f'<span class="faint">{label}</span>{" · ".join(links)}')
    text = "<br>".join(told)
    if len(told) < 2:
        return text
    return f'<details style="margin: 0"><summary>{sum(map(len, lines.values()))} reports</summary>{text}</details>'
