"""The page of an experiment, and the page over all experiments: what ran, when, how long, how it ended, what came out."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from workbench.pipeline import status as states
from workbench.pipeline.display import progress_words
from workbench.pipeline.figures import gathered, interval_table, is_interval_table, is_number, words
from workbench.pipeline.files import read_json, write_atomic
from workbench.pipeline.page import chip, fold, page, slug, table
from workbench.pipeline.parameters import literal
from workbench.pipeline.status import is_alive, read_status
from workbench.pipeline.text import duration

_DONE = (states.FINISHED, "up to date")
_MOST_METRICS = 24


def read_experiment(folder: Path) -> dict:
    """An experiment's `experiment.json`, corrected where its runner is gone without having said so."""
    found = read_json(folder / "experiment.json", {})
    if found.get("state") == states.RUNNING and not is_alive(found.get("process")):
        found["state"] = states.DIED
        found["message"] = (
            "its runner ended without a word (killed, or the machine went off); the same command goes on from here"
        )
    for entry in found.get("stages", []):
        if entry["state"] == states.RUNNING:
            now = read_status(folder / entry["folder"])
            entry["state"] = now.get("state", states.DIED if found["state"] == states.DIED else states.RUNNING)
            entry["error"] = now.get("message", "")
            entry["progress"] = now
    return found


def write_index(folder: Path | str) -> Path:
    """Write an experiment's `index.html` and the page over all experiments beside it."""
    folder = Path(folder)
    write_atomic(folder / "index.html", render(folder, read_experiment(folder)))
    if not (folder.parent / "sweep.json").exists():  # a sweep has its own page over its combinations
        write_overview(folder.parent)
    return folder / "index.html"


def render(folder: Path, experiment: dict) -> str:
    """The page of an experiment."""
    parts = [
        '<div class="crumbs"><a href="../index.html">all experiments</a></div>',
        f"<h1>{escape(experiment['name'])}</h1>",
        f"<p>{escape(experiment['description'])}</p>" if experiment.get("description") else "",
        _banner(folder, experiment),
        f'<p class="small faint">started with <code>{escape(_launch(experiment))}</code></p>',
    ]
    chains = list(dict.fromkeys(entry["chain"] for entry in experiment["stages"]))
    for chain in chains:
        entries = [entry for entry in experiment["stages"] if entry["chain"] == chain]
        results = {
            entry["folder"]: read_json(folder / entry["folder"] / "result.json", {})
            for entry in entries
            if entry["state"] in _DONE
        }
        if chain:
            parts.append(f"<h2>{escape(chain)}</h2>")
        parts.append(_ratings(entries, results))
        for generation in dict.fromkeys(entry["generation"] for entry in entries):
            among = [entry for entry in entries if entry["generation"] == generation]
            spent = sum(entry.get("seconds") or 0 for entry in among)
            parts.append(
                f'<h3>Generation {generation} <span class="faint small">{escape(duration(spent)) if spent else ""}</span></h3>'
            )
            parts.append('<div class="cards">' + "".join(_card(folder, entry, results) for entry in among) + "</div>")
        parts += [_metrics(entries, results), _parameters(folder, entries)]
    parts.append(f"<footer>written {escape(_moment(experiment.get('updated')))} UTC by workbench</footer>")
    refresh = 30 if experiment["state"] == states.RUNNING else 0
    return page(experiment["name"], "\n".join(filter(None, parts)), wide=True, refresh=refresh)


def _banner(folder: Path, experiment: dict) -> str:
    stages = experiment["stages"]
    done = sum(entry["state"] in _DONE for entry in stages)
    spent = sum(entry.get("seconds") or 0 for entry in stages)
    text = (
        f"{chip(experiment['state'])} {done} of {len(stages)} stages done, {escape(duration(spent))} of work; "
        f'<span class="faint">begun {escape(_moment(experiment.get("started")))}, last heard of {escape(_moment(experiment.get("updated")))} UTC</span>'
    )
    if experiment.get("message"):
        text += f"<p><b>{escape(experiment['message'])}</b></p>"
    for entry in stages:
        if entry["state"] in (states.FAILED, states.KILLED, states.TIMED_OUT, states.INTERRUPTED, states.DIED):
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
        f"<p><b>{escape(name)}</b> {escape(entry['state'])}{where}: {escape(status.get('message', '') or entry.get('error', ''))}</p>"
        + (f"<pre>{escape(last)}</pre>" if last else "")
    )


def _card(folder: Path, entry: dict, results: dict) -> str:
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
    if entry.get("error") and entry["state"] not in _DONE:
        lines.append(f'<div class="error">{escape(entry["error"][:160])}</div>')
    elif entry["state"] == states.RUNNING:
        lines.append(f"<div>{escape(progress_words(entry.get('progress', {})))}</div>")
    elif entry.get("why") not in (None, "", "first run"):
        lines.append(f'<div class="faint why" title="{escape(entry["why"])}">{escape(entry["why"])}</div>')
    shown = [
        (name, value)
        for name, value in _metrics_of(entry, results).items()
        if is_number(value) or isinstance(value, tuple)
    ]
    shown.sort(
        key=lambda item: not isinstance(item[1], tuple)
    )  # what comes with an interval is what the stage is about
    lines += [f"<div>{escape(name)} {escape(words(value))}</div>" for name, value in shown[:2]]
    inside = f'<div class="picture">{picture}</div><div class="words">{" ".join(lines)}</div>'
    kind = f'class="card {slug(entry["state"])}"'
    return f'<a {kind} href="{link}">{inside}</a>' if link else f"<div {kind}>{inside}</div>"


def _metrics(entries: list[dict], results: dict) -> str:
    """Figures that every generation has, side by side."""
    generations = list(dict.fromkeys(entry["generation"] for entry in entries))
    rows: dict[tuple[str, str], dict[int, str]] = {}
    for entry in entries:
        for name, value in _metrics_of(entry, results).items():
            if is_number(value) or isinstance(value, tuple):
                rows.setdefault((entry["stage"], name), {})[entry["generation"]] = words(value)
    if not rows:
        return ""
    head = ["stage", "figure", *(f"generation {generation}" for generation in generations)]
    lines, before = [], None
    for (stage, name), by in rows.items():
        first = f"<b>{escape(stage)}</b>" if stage != before else ""
        lines.append([first, escape(name), *(escape(by.get(generation, "")) for generation in generations)])
        before = stage
    numbers = tuple(range(2, len(head)))
    shown = table(head, lines[:_MOST_METRICS], numbers=numbers)
    rest = (
        fold(f"{len(lines) - _MOST_METRICS} more figures", table(head, lines[_MOST_METRICS:], numbers=numbers))
        if len(lines) > _MOST_METRICS
        else ""
    )
    return "<h3>Figures</h3>" + shown + rest


def _ratings(entries: list[dict], results: dict) -> str:
    """The last generation's ratings with their intervals; those of the ones before behind a fold."""
    found = [
        (entry, name, value)
        for entry in entries
        for name, value in _metrics_of(entry, results).items()
        if is_interval_table(value)
    ]
    if not found:
        return ""
    last = found[-1][0]["folder"]
    parts = []
    for entry, name, value in reversed(found):
        drawn = interval_table(value)
        title = f"{entry['stage']}: {name}, generation {entry['generation']}"
        parts.append(f"<h3>{escape(title)}</h3>{drawn}" if entry["folder"] == last else fold(title, drawn))
    return "\n".join(parts)


def _parameters(folder: Path, entries: list[dict]) -> str:
    """Every stage's parameters in its last generation."""
    blocks = []
    for stage in dict.fromkeys(entry["stage"] for entry in entries):
        asked = [
            read_json(folder / entry["folder"] / "request.json", {}) for entry in entries if entry["stage"] == stage
        ]
        asked = [request for request in asked if request]
        if asked:
            values = {name: value for name, value in asked[-1]["parameters"].items() if name != "output_dir"}
            rows = [[f"<code>{escape(name)}</code>", escape(literal(value))] for name, value in values.items()]
            blocks.append(f"<h3>{escape(stage)}</h3>" + table(["", ""], rows))
    return fold("parameters of all stages", "".join(blocks)) if blocks else ""


def write_overview(outputs: Path | str) -> Path:
    """Write the page over all experiments in a folder."""
    outputs = Path(outputs)
    found = [
        (folder, read_experiment(folder)) for folder in outputs.iterdir() if (folder / "experiment.json").is_file()
    ]
    found.sort(key=lambda item: item[1].get("updated", ""), reverse=True)
    rows = []
    for folder, experiment in found:
        stages = experiment["stages"]
        done = sum(entry["state"] in _DONE for entry in stages)
        generations = max((entry["generation"] for entry in stages), default=0)
        trouble = next(
            (
                entry.get("error", "")
                for entry in stages
                if entry["state"] not in (*_DONE, "pending", "skipped", states.RUNNING)
            ),
            "",
        )
        rows.append(
            [
                f'<a href="{quote(folder.name)}/index.html"><b>{escape(experiment["name"])}</b></a><div class="faint small">{escape(experiment.get("description", "")[:140])}</div>',
                chip(experiment["state"]),
                f"{done}/{len(stages)}",
                str(generations),
                escape(duration(sum(entry.get("seconds") or 0 for entry in stages))),
                escape(_moment(experiment.get("updated"))),
                f'<span class="error-text">{escape((trouble or experiment.get("message", ""))[:160])}</span>',
            ]
        )
    head = ["experiment", "", "stages", "generations", "work", "last heard of (UTC)", ""]
    body = "<h1>Experiments</h1>" + (table(head, rows, numbers=(2, 3)) if rows else "<p>none yet</p>")
    write_atomic(outputs / "index.html", page("Experiments", body, wide=True))
    return outputs / "index.html"


def _metrics_of(entry: dict, results: dict) -> dict:
    return gathered(results.get(entry["folder"], {}).get("metrics", {}))


def _launch(experiment: dict) -> str:
    return " ".join(["workbench run", experiment.get("file", ""), *experiment.get("overrides", [])])


def _moment(text: str | None) -> str:
    return text[:16].replace("T", " ") if text else "–"
