"""All experiments of a folder: what each is doing, as its files say it and the process table confirms it; and their page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from urllib.parse import quote

from workbench.pipeline import status as states
from workbench.pipeline.files import read_json, write_atomic
from workbench.pipeline.page import chip, page, table
from workbench.pipeline.status import is_alive, read_status
from workbench.pipeline.text import duration

DONE = (states.FINISHED, "up to date")


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


def write_overview(outputs: Path | str) -> Path | None:
    """Write the page over everything in a folder: experiments, sweeps, stages run by hand, replays.

    A sweep's own folder has a page of its own, which is left alone.
    """
    outputs = Path(outputs)
    if (outputs / "sweep.json").is_file():
        return None
    experiments = _newest_first(_experiment(path.parent) for path in outputs.glob("*/experiment.json"))
    sweeps = _newest_first(_sweep(path.parent) for path in outputs.glob("*/sweep.json"))
    by_hand = _newest_first(_stage(path.parent) for path in outputs.glob("manual/*/status.json"))
    replays = _newest_first(_stage(path.parent) for path in outputs.glob("reruns/*/status.json"))
    head = ["experiment", "", "stages", "generations", "work", "last heard of (UTC)", ""]
    body = "<h1>Experiments</h1>" + (
        table(head, experiments, numbers=(2, 3)) if experiments else "<p>no experiment of its own yet</p>"
    )
    head = ["", "", "last heard of (UTC)", ""]
    for title, rows in (("Sweeps", sweeps), ("Run by hand", by_hand), ("Replays", replays)):
        body += f"<h2>{title}</h2>" + table(head, rows) if rows else ""
    write_atomic(outputs / "index.html", page("Experiments", body, wide=True))
    return outputs / "index.html"


def _newest_first(found: Iterable[tuple[str, list[str]]]) -> list[list[str]]:
    return [row for _, row in sorted(found, key=lambda item: item[0], reverse=True)]


def _experiment(folder: Path) -> tuple[str, list[str]]:
    """When it was last heard of, and its row."""
    try:
        experiment = read_experiment(folder)
    except ValueError as error:
        return "", [escape(folder.name), "", "", "", "", "", _trouble(str(error))]
    stages = experiment["stages"]
    done = sum(entry["state"] in states.DONE for entry in stages)
    bad = (entry for entry in stages if entry["state"] not in (*states.DONE, states.PENDING, states.RUNNING))
    trouble = next((entry.get("error", "") for entry in bad), "") or experiment.get("message", "")
    about = f'<div class="faint small">{escape(experiment.get("description", "")[:140])}</div>'
    return experiment.get("updated", ""), [
        _link(folder, "index.html", experiment["name"]) + about,
        chip(experiment["state"]),
        f"{done}/{len(stages)}",
        str(max((entry["generation"] for entry in stages), default=0)),
        escape(duration(sum(entry.get("seconds") or 0 for entry in stages))),
        escape(moment(experiment.get("updated"))),
        _trouble(trouble),
    ]


def _sweep(folder: Path) -> tuple[str, list[str]]:
    try:
        sweep = read_json(folder / "sweep.json", {})
    except ValueError as error:
        return "", [escape(folder.name), "", "", _trouble(str(error))]
    state = chip(sweep["state"]) if sweep.get("state") else ""
    updated = sweep.get("updated", "")
    return updated, [
        _link(folder, "index.html", sweep.get("name", folder.name)),
        state,
        escape(moment(updated)),
        _said(sweep.get("message", ""), sweep.get("state")),
    ]


def _stage(folder: Path) -> tuple[str, list[str]]:
    """Of a stage that belongs to no experiment."""
    try:
        status = read_status(folder)
    except ValueError as error:
        return "", [escape(folder.name), "", "", _trouble(str(error))]
    updated = status.get("updated", "")
    name = _link(folder, "report.html", folder.name, folder.parent.name)
    return updated, [
        name,
        chip(status["state"]),
        escape(moment(updated)),
        _said(status.get("message", ""), status["state"]),
    ]


def _link(folder: Path, file: str, name: str, *above: str) -> str:
    """The name in bold, leading to the file where it is there."""
    bold = f"<b>{escape(name)}</b>"
    if not (folder / file).is_file():
        return bold
    return f'<a href="{quote("/".join((*above, folder.name, file)))}">{bold}</a>'


def _said(text: str, state: str | None) -> str:
    """What something says of itself, which is trouble unless all is well with it."""
    well = state in (*states.DONE, states.PENDING, states.RUNNING)
    return f'<span class="faint">{escape(text[:160])}</span>' if well else _trouble(text)


def _trouble(text: str) -> str:
    return f'<span class="error-text">{escape(text[:160])}</span>' if text else ""


def moment(text: str | None) -> str:
    """A time stamp to the minute; a dash for None."""
    return text[:16].replace("T", " ") if text else "–"
