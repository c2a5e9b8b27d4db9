"""How long the page of a large experiment takes to write: all of it at first, and again while a night goes on."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from workbench.pipeline.files import write_json
from workbench.pipeline.index import write_index
from workbench.pipeline.report import write_thumbnail

STAGES = ("collect", "filter", "finetune", "tournament", "ratings")


def make_experiment(folder: Path | str, *, stages: int = 100, metric_lines: int = 5000) -> Path:
    """An experiment as a night leaves it, without the night: every file that its page reads, of their usual sizes.

    Args:
        folder: the outputs folder to make it in.
        stages: in all, five a generation.
        metric_lines: in each trainer's `metrics.jsonl`.

    Returns:
        the experiment's folder.
    """
    place = Path(folder) / "night"
    entries = []
    thumbnail = _thumbnail()
    for index in range(stages):
        generation, stage = index // len(STAGES) + 1, STAGES[index % len(STAGES)]
        entry = {
            "chain": "",
            "generation": generation,
            "stage": stage,
            "folder": f"gen_{generation:03d}/{index % len(STAGES) + 4:02d}_{stage}",
            "state": "finished",
            "why": "first run",
            "seconds": 60.0 + index,
            "started": "2026-01-01T22:00:00+00:00",
            "attempt": 1,
        }
        entries.append(entry)
        _make_stage(place, entry, metric_lines)
        (place / entry["folder"] / "thumbnail.png").write_bytes(thumbnail)
    described = {
        "name": "night",
        "description": "an experiment that was made to be shown",
        "file": "params/night.yaml",
        "overrides": [],
        "state": "finished",
        "message": "",
        "started": "2026-01-01T22:00:00+00:00",
        "updated": "2026-01-02T07:00:00+00:00",
        "stages": entries,
    }
    write_json(place / "experiment.json", described)
    return place


def index_page(stages: int = 100) -> dict[str, float]:
    """Seconds that the page of an experiment takes to write.

    Returns:
        `first`: in a process that has read nothing of it yet; `again`: half a minute later in the same process, one
        stage having logged more; `kilobytes` of the page.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = make_experiment(folder, stages=stages)
        begun = time.perf_counter()
        page = write_index(place)
        first = time.perf_counter() - begun
        with (place / "gen_001/06_finetune/metrics.jsonl").open("a") as stream:
            stream.write(json.dumps({"step": 10**9, "time": 0.0, "losses/entropy": 1.0}) + "\n")
        begun = time.perf_counter()
        write_index(place)
        again = time.perf_counter() - begun
        return {"first": first, "again": again, "kilobytes": page.stat().st_size / 1024}


def _make_stage(place: Path, entry: dict, metric_lines: int) -> None:
    folder, stage, generation = place / entry["folder"], entry["stage"], entry["generation"]
    folder.mkdir(parents=True)
    before = {
        "collect": "${previous.finetune.policy}", "filter": "${collect.dataset}", "finetune": "${filter.dataset}",
        "tournament": "${finetune.policy}", "ratings": "${tournament.matches}",
    }[stage]  # fmt: skip
    made = {
        "collect": "dataset",
        "filter": "dataset",
        "finetune": "policy",
        "tournament": "matches",
        "ratings": "ratings",
    }
    own = made[stage]
    metrics: dict = {"games": 1000 * generation, "win_rate": [0.5, 0.45, 0.55]}
    if stage == "ratings":
        rated = {
            f"rating/generation-{one}": [1500.0 + 9 * one, 1480.0 + 9 * one, 1520.0 + 9 * one]
            for one in range(1, generation + 1)
        }
        metrics = {**rated, "rating/random": [1000.0, 950.0, 1050.0]}
    numbers = {f"library/file_{number}.py": f"{number:016x}" for number in range(120)}
    inputs = (
        {}
        if generation == 1 and stage == "collect"
        else {f"{before}@{max(1, generation - (stage == 'collect'))}": "0" * 16}
    )
    write_json(
        folder / "request.json",
        {
            "parameters": {f"p{number}": number for number in range(25)},
            "inputs": inputs,
            "fingerprint": {"code": numbers},
        },
    )
    artifacts = {own: {"path": f"{entry['folder']}/{own}", "hash": "0" * 16}}
    write_json(
        folder / "result.json",
        {"metrics": metrics, "artifacts": artifacts, "fingerprint": {"code": numbers}, "provenance": {}},
    )
    write_json(folder / "status.json", {"state": "finished", "message": ""})
    (folder / "report.html").write_text("<!DOCTYPE html><title>a report</title>")
    (folder / own).mkdir()
    if stage == "finetune":
        policy = {
            "id": f"generation-{generation}",
            "lineage": {"parent": f"generation-{generation - 1}", "trained_by": "imitation"},
        }
        write_json(folder / own / "policy.json", policy)
        lines = (
            json.dumps(
                {
                    "step": step,
                    "time": float(step),
                    "losses/entropy": 2.0 / generation,
                    "losses/approx_kl": 0.01,
                    "losses/policy_loss": 1.0 / generation,
                }
            )
            for step in range(metric_lines)
        )
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def _thumbnail() -> bytes:
    """A picture of a thumbnail's usual size, some 25 KB."""
    import io

    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (256, 420, 3), np.uint8)
    noise[:, 60:] = 255
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    with tempfile.TemporaryDirectory() as folder:
        write_thumbnail(buffer.getvalue(), Path(folder) / "thumbnail.png")
        return (Path(folder) / "thumbnail.png").read_bytes()
