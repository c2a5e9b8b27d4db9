"""The page of an experiment: what ran, when, how long, how it ended, what came out, and whether it gets better."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path
from urllib.parse import quote

from workbench.pipeline import status as states
from workbench.pipeline.display import progress_words
from workbench.pipeline.figures import interval_table, is_interval_table, is_number, words
from workbench.pipeline.files import write_atomic
from workbench.pipeline.generations import series_of, side_by_side, small_figures
from workbench.pipeline.lineage import lineage_of, picture
from workbench.pipeline.overview import DONE, moment, read_experiment, write_overview
from workbench.pipeline.page import chip, fold, page, slug, table
from workbench.pipeline.parameters import literal
from workbench.pipeline.status import read_status
from workbench.pipeline.summary import Summary, summary_of
from workbench.pipeline.text import duration

_ENDED_BADLY = (states.FAILED, states.KILLED, states.TIMED_OUT, states.INTERRUPTED, states.DIED)


def write_index(folder: Path | str) -> Path:
    """Write an experiment's `index.html` and the page over all experiments beside it."""
    folder = Path(folder)
    write_atomic(folder / "index.html", render(folder, read_experiment(folder)))
    write_overview(folder.parent)
    return folder / "index.html"


def render(folder: Path, experiment: dict, *, note: str = "") -> str:
    """The page of an experiment.

    Args:
        note: HTML of a page that is handed out, of this moment and without the page over all experiments beside it.
    """
    in_sweep = (folder.parent / "sweep.json").is_file()
    above = f'<a href="../index.html">{"the sweep" if in_sweep else "all experiments"}</a>'
    stages = experiment["stages"]
    summaries = {entry["folder"]: _summary(folder, entry) for entry in stages}
    parts = [
        f'<div class="crumbs">{above if in_sweep or not note else ""}</div>',
        f"<h1>{escape(experiment['name'])}</h1>",
        f"<p>{escape(experiment['description'])}</p>" if experiment.get("description") else "",
        _banner(folder, experiment),
        f'<p class="small faint">started with <code>{escape(_launch(folder, experiment))}</code></p>',
    ]
    for chain in dict.fromkeys(entry["chain"] for entry in stages):
        entries = [entry for entry in stages if entry["chain"] == chain]
        parts.append(f"<h2>{escape(chain)}</h2>" if chain else "")
        parts += _chain(folder, entries, summaries)
    parts.append(fold("every stage: when, how long, why", _all_stages(folder, stages)))
    parts.append(note)
    parts.append(f"<footer>written {escape(moment(experiment.get('updated')))} UTC by workbench</footer>")
    refresh = 30 if experiment["state"] == states.RUNNING and not note else 0
    return page(experiment["name"], "\n".join(filter(None, parts)), wide=True, refresh=refresh)


def _summary(folder: Path, entry: dict) -> Summary:
    """What is known of a stage: nothing of one that has not begun, of one that is not finished only what it has logged."""
    if entry["state"] in (states.PENDING, states.SKIPPED, states.BLOCKED):
        return Summary()
    found = summary_of(folder / entry["folder"], folder)
    return found if entry["state"] in DONE else replace(found, metrics={}, artifacts={}, policies={})


def _chain(folder: Path, entries: list[dict], summaries: dict[str, Summary]) -> list[str]:
    generations = list(dict.fromkeys(entry["generation"] for entry in entries))
    found = series_of(entries, summaries)
    ratings = {
        who: words(value)
        for entry in entries
        for table_of in summaries[entry["folder"]].metrics.values()
        if is_interval_table(table_of)
        for who, value in table_of.items()
    }
    standing = _ratings(entries, summaries), picture(lineage_of(entries, summaries), entries, ratings)
    beside = "".join(f"<div>{part}</div>" for part in standing if part)
    parts = [small_figures(found), f'<div class="beside">{beside}</div>' if beside else ""]
    for generation in reversed(generations):
        among = [entry for entry in entries if entry["generation"] == generation]
        spent = sum(entry.get("seconds") or 0 for entry in among)
        took = f' <span class="faint small">{escape(duration(spent))}</span>' if spent else ""
        parts.append(f"<h3>Generation {generation}{took}</h3>")
        cards = "".join(_card(folder, entry, summaries[entry["folder"]]) for entry in among)
        parts.append(f'<div class="cards">{cards}</div>')
    return [*parts, side_by_side(found, generations), _parameters(entries, summaries)]


def _banner(folder: Path, experiment: dict) -> str:
    stages = experiment["stages"]
    done = sum(entry["state"] in states.DONE for entry in stages)
    spent = sum(entry.get("seconds") or 0 for entry in stages)
    text = (
        f"{chip(experiment['state'])} {done} of {len(stages)} stages done, {escape(duration(spent))} of work; "
        f'<span class="faint">begun {escape(moment(experiment.get("started")))}, last heard of {escape(moment(experiment.get("updated")))} UTC</span>'
    )
    if experiment.get("message"):
        text += f"<p><b>{escape(experiment['message'])}</b></p>"
    for entry in stages:
        if entry["state"] in _ENDED_BADLY:
            text += _failure(folder, entry)
    return f'<div class="banner {slug(experiment["state"])}">{text}</div>'


def _failure(folder: Path, entry: dict) -> str:
    status = read_status(folder / entry["folder"])
    cell = status.get("cell")
    where = f", in cell {cell['index'] + 1} of {cell['of']} (<code>{escape(cell['title'])}</code>)" if cell else ""
    tail = (status.get("error") or {}).get("tail", "")
    name = " · ".join(filter(None, (entry["chain"], f"generation {entry['generation']}", entry["stage"])))
    last = "\n".join(tail.splitlines()[-8:])
    return (
        f"<p>{_report(folder, entry, name)} {escape(entry['state'])}{where}: {escape(status.get('message', '') or entry.get('error', ''))}</p>"
        + (f"<pre>{escape(last)}</pre>" if last else "")
    )


def _report(folder: Path, entry: dict, name: str) -> str:
    """A name in bold, leading to the stage's report where there is one."""
    bold = f"<b>{escape(name)}</b>"
    if not (folder / entry["folder"] / "report.html").exists():
        return bold
    return f'<a href="{quote(entry["folder"])}/report.html">{bold}</a>'


def _card(folder: Path, entry: dict, summary: Summary) -> str:
    place = folder / entry["folder"]
    link = f"{quote(entry['folder'])}/report.html" if (place / "report.html").exists() else ""
    picture = (
        f'<img alt="" loading="lazy" src="{quote(entry["folder"])}/thumbnail.png">'
        if (place / "thumbnail.png").exists()
        else "no figure"
    )
    lines = [f'<div class="name">{escape(entry["stage"])}</div>', chip(entry["state"])]
    if entry.get("seconds"):
        lines.append(f'<span class="faint">{escape(duration(entry["seconds"]))}</span>')
    if _attempts(entry):
        lines.append(f'<span class="faint">{escape(_attempts(entry))}</span>')
    if summary.trouble:
        lines.append(f'<div class="error">{escape(summary.trouble[:160])}</div>')
    if entry.get("error") and entry["state"] not in DONE:
        lines.append(f'<div class="error">{escape(entry["error"][:160])}</div>')
    elif entry["state"] == states.RUNNING:
        lines.append(f"<div>{escape(progress_words(entry.get('progress', {})))}</div>")
    elif entry.get("why") not in (None, "", "first run"):
        lines.append(f'<div class="faint why" title="{escape(entry["why"])}">{escape(entry["why"])}</div>')
    shown = [(name, value) for name, value in summary.metrics.items() if is_number(value) or isinstance(value, tuple)]
    shown.sort(
        key=lambda item: not isinstance(item[1], tuple)
    )  # what comes with an interval is what the stage is about
    lines += [f"<div>{escape(name)} {escape(words(value))}</div>" for name, value in shown[:2]]
    inside = f'<div class="picture">{picture}</div><div class="words">{" ".join(lines)}</div>'
    kind = f'class="card {slug(entry["state"])}"'
    return f'<a {kind} href="{link}">{inside}</a>' if link else f"<div {kind}>{inside}</div>"


def _ratings(entries: list[dict], summaries: dict[str, Summary]) -> str:
    """The last generation's ratings with their intervals; those of the ones before behind a fold."""
    found = [
        (entry, name, value)
        for entry in entries
        for name, value in summaries[entry["folder"]].metrics.items()
        if is_interval_table(value)
    ]
    if not found:
        return ""
    last = found[-1][0]["folder"]
    newest, earlier = [], []
    for entry, name, value in reversed(found):
        title = f"<h3>{escape(entry['stage'])}: {escape(name)}, generation {entry['generation']}</h3>"
        (newest if entry["folder"] == last else earlier).append(title + interval_table(value))
    return "".join(newest) + (fold("ratings of earlier generations", "".join(earlier)) if earlier else "")


def _parameters(entries: list[dict], summaries: dict[str, Summary]) -> str:
    """Every stage's parameters in its last generation."""
    blocks = []
    for stage in dict.fromkeys(entry["stage"] for entry in entries):
        ran = [summaries[entry["folder"]].parameters for entry in entries if entry["stage"] == stage]
        values = next(filter(None, reversed(ran)), {})
        rows = [[f"<code>{escape(name)}</code>", escape(literal(value))] for name, value in values.items()]
        blocks += [f"<h3>{escape(stage)}</h3>" + table(["", ""], rows)] if rows else []
    return fold("parameters of all stages", "".join(blocks)) if blocks else ""


def _all_stages(folder: Path, entries: list[dict]) -> str:
    """One row a stage, in the order they run."""
    rows = []
    for entry in entries:
        rows.append(
            [
                escape(entry["chain"]),
                str(entry["generation"]),
                _report(folder, entry, entry["stage"]),
                chip(entry["state"]),
                escape(moment(entry.get("started"))),
                escape(duration(entry["seconds"])) if entry.get("seconds") else "",
                escape(_attempts(entry)) + _tries(entry),
                escape(entry.get("why") or ""),
            ]
        )
    chains = any(entry["chain"] for entry in entries)
    head = ["chain", "generation", "stage", "", "begun (UTC)", "took", "attempts", "why it ran"]
    return table(head if chains else head[1:], rows if chains else [row[1:] for row in rows])


def _attempts(entry: dict) -> str:
    """`attempt 2 of 3, waits 60 s`: of those that one run allows; else how often the stage was begun, if more than once."""
    retry, begun = entry.get("retry"), entry.get("attempt") or 1
    if retry and retry["attempt"] > 1:
        waits = f", waits {duration(retry['waits'])}" if retry.get("waits") else ""
        return f"attempt {retry['attempt']} of {retry['of']}{waits}"
    return f"begun {begun} times" if begun > 1 else ""


def _tries(entry: dict) -> str:
    """How the attempts before the last one ended."""
    ended = [f"{one.get('state')}: {(one.get('error') or '')[:160]}" for one in entry.get("tries") or []]
    return "".join(f'<div class="faint small">before: {escape(words)}</div>' for words in ended)


def _launch(folder: Path, experiment: dict) -> str:
    if (
        folder.parent / "sweep.json"
    ).is_file():  # where the file and its overrides would make an experiment of another name
        return f"workbench run {'/'.join(folder.absolute().parts[-3:])}"
    return " ".join(["workbench run", experiment.get("file", ""), *experiment.get("overrides", [])])
