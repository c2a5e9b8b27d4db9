"""All experiments of a folder: what each is doing, as its files say it and the process table confirms it; and their page."""

from __future__ import annotations

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
        done = sum(entry["state"] in DONE for entry in stages)
        generations = max((entry["generation"] for entry in stages), default=0)
        trouble = next(
            (
                entry.get("error", "")
                for entry in stages
                if entry["state"] not in (*DONE, "pending", "skipped", states.RUNNING)
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
                escape(moment(experiment.get("updated"))),
                f'<span class="error-text">{escape((trouble or experiment.get("message", ""))[:160])}</span>',
            ]
        )
    head = ["experiment", "", "stages", "generations", "work", "last heard of (UTC)", ""]
    body = "<h1>Experiments</h1>" + (table(head, rows, numbers=(2, 3)) if rows else "<p>none yet</p>")
    write_atomic(outputs / "index.html", page("Experiments", body, wide=True))
    return outputs / "index.html"


def moment(text: str | None) -> str:
    """A time stamp to the minute; a dash for None."""
    return text[:16].replace("T", " ") if text else "–"
