"""One training run as part of a comparison: kept in a folder, gone on with after a stop, its history at hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

from workbench.files import replace_file
from workbench.learning.checkpoint import has_checkpoint
from workbench.learning.ppo import PPO
from workbench.policies.core import Policy

HISTORY = "history.json"


def run_trial(
    ppo: PPO,
    frames: int,
    folder: str | Path,
    *,
    measure: Callable[[Policy], dict[str, float]] | None = None,
    measurements: int = 20,
    save_every: int = 25,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict]:
    """Train for so many frames, or go on where the folder's checkpoint is, and end with the same.

    Args:
        ppo: a fresh trainer; the same arguments must make it again when it is gone on with.
        frames: in all.
        folder: holds the checkpoint and `history.json`, and at the end `policy/`.
        measure: what else to know of the policy, `measurements` times, evenly, and at the end.
        save_every: updates between checkpoints.
        progress: called with (frames played, frames).

    Returns:
        The history: a row an update, `step` and its metrics, and what was measured where something was.
    """
    folder = Path(folder)
    history: list[dict] = []
    if has_checkpoint(folder):
        ppo.restore(folder)
        kept = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
        history = [row for row in kept if row["step"] <= ppo.frames]
    while ppo.frames < frames:
        before = ppo.frames
        row = {"step": 0, **ppo.update()}
        row["step"] = ppo.frames
        if measure is not None and (ppo.frames * measurements // frames > before * measurements // frames):
            row |= measure(ppo.policy)
        history.append({name: value for name, value in row.items() if not _is_nan(value)})
        if ppo.updates % save_every == 0 or ppo.frames >= frames:
            _keep(folder, ppo, history)
        if progress is not None:
            progress(min(ppo.frames, frames), frames)
    ppo.policy.save(folder / "policy", training={"frames": ppo.frames, "updates": ppo.updates})
    return history


def _keep(folder: Path, ppo: PPO, history: list[dict]) -> None:
    """The history first: rows beyond the checkpoint are dropped when it is gone on with, missing ones could not be had."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(history)
    replace_file(folder / HISTORY, lambda path: path.write_text(text, encoding="utf-8"))
    ppo.save(folder)


def _is_nan(value) -> bool:
    return isinstance(value, float) and math.isnan(value)
