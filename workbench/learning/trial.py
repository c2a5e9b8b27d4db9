"""One training run as part of a comparison: kept in a folder, gone on with after a stop, its history at hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

from workbench.files import replace_file
from workbench.learning.checkpoint import has_checkpoint
from workbench.learning.imitation import Imitation
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


def run_imitation(
    imitation: Imitation,
    folder: str | Path,
    *,
    validate_every: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict]:
    """Learn from recorded games to the plan's end, or go on where the folder's checkpoint is, and end with the same.

    The policy ends with the weights that did best in validation; what it began as is the first that counts.

    Args:
        imitation: a fresh trainer; the same arguments must make it again when it is gone on with.
        folder: holds the checkpoint and `history.json`, and at the end `policy/`.
        validate_every: updates between validations, each followed by a checkpoint.
        progress: called with (updates made, updates planned).

    Returns:
        The history: a row an update, `step` and its metrics, with those of validation where there was one.
    """
    folder, planned = Path(folder), imitation.settings.total_updates
    if has_checkpoint(folder):
        imitation.restore(folder)
        kept = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
        history = [row for row in kept if row["step"] <= imitation.updates]
    else:
        history = [{"step": 0, **imitation.validate()}]
    while imitation.updates < planned and not imitation.should_stop:
        row = {"step": imitation.updates + 1, **imitation.update()}
        due = imitation.updates % validate_every == 0 or imitation.updates == planned
        if due:
            row |= imitation.validate()
        history.append({name: value for name, value in row.items() if not _is_nan(value)})
        if due:
            _keep(folder, imitation, history)
        if progress is not None:
            progress(imitation.updates, planned)
    imitation.take_best()
    imitation.policy.save(folder / "policy", training={"updates": imitation.updates, "loss": imitation.best_loss})
    return history


def _keep(folder: Path, trainer: PPO | Imitation, history: list[dict]) -> None:
    """The history first: rows beyond the checkpoint are dropped when it is gone on with, missing ones could not be had."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(history)
    replace_file(folder / HISTORY, lambda path: path.write_text(text, encoding="utf-8"))
    trainer.save(folder)


def _is_nan(value) -> bool:
    return isinstance(value, float) and math.isnan(value)
