"""What held-out decisions say of a policy, and of one that sees nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from workbench.policies.core import Evaluation, Policy, Sequence


class Mean:
    """A weighted mean that takes in one batch after another and keeps two numbers."""

    def __init__(self):
        self.sum = self.weight = 0.0

    def add(self, values: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Take in values, each of weight 1 or of its own."""
        values = values.astype(np.float64)
        self.sum += float((values if weight is None else values * weight).sum())
        self.weight += float(len(values) if weight is None else weight.sum(dtype=np.float64))

    @property
    def value(self) -> float:
        """NaN of nothing."""
        return self.sum / self.weight if self.weight else float("nan")


def usable(batch) -> np.ndarray:
    """bool `[T, N]`: decisions of which at least one head is known and no known head is illegal."""
    legal = np.ones(batch.acting.shape, bool)
    for head, allowed in enumerate(batch.legal):
        label = batch.action[..., head]
        taken = np.take_along_axis(allowed, np.maximum(label, 0)[..., None].astype(np.int64), axis=2)[..., 0]
        legal &= taken | (label < 0)
    return batch.acting & legal & (batch.action >= 0).any(axis=2)


def by_head(policy: Policy, sequence: Sequence, evaluation: Evaluation, chosen):
    """Per head: its name, losses where labelled, whether the likeliest legal option was taken, and where labelled."""
    where = torch.from_numpy(chosen).to(policy.device)
    logits, labels = evaluation.logits[where], sequence.action[where]
    if sequence.legal is not None:
        logits = logits.masked_fill(~sequence.legal[where], -torch.inf)
    starts = policy.layout.starts
    for number, head in enumerate(policy.spec.action.heads):
        scores, label = logits[:, int(starts[number]) : int(starts[number + 1])], labels[:, number]
        labelled = label >= 0
        loss = torch.nn.functional.cross_entropy(scores[labelled], label[labelled], reduction="none")
        hit = (scores.argmax(dim=1) == label).numpy(force=True)
        yield head.name, loss.numpy(force=True), hit, labelled.numpy(force=True)


def blind_loss(batches: Iterable) -> float:
    """Loss of a predictor that knows only what is legal: the control of `validation/loss`.

    It gives each legal option the share of the decisions in which it was taken, of those in which it was legal, scaled
    to a sum of 1; heads are independent. The shares are of these very batches, so a policy that ignores what it sees
    cannot do better by much: one that is not clearly below has learned nothing from what it sees.

    Args:
        batches: gone through twice.

    Returns:
        Mean negative log-likelihood of a known decision, summed over its known heads, in nats; NaN without any.
    """
    taken: dict[int, np.ndarray] = {}
    offered: dict[int, np.ndarray] = {}
    for batch in batches:
        for head, allowed, label, _ in _labelled(batch):
            options = allowed.shape[1]
            taken[head] = taken.get(head, 0) + np.bincount(label, minlength=options)
            offered[head] = offered.get(head, 0) + allowed.sum(axis=0)
    share = {head: taken[head] / np.maximum(offered[head], 1) for head in taken}
    mean = Mean()
    for batch in batches:
        loss = np.zeros(batch.acting.shape)
        for head, allowed, label, cells in _labelled(batch):
            loss[cells] += np.log(allowed @ share[head]) - np.log(share[head][label])
        mean.add(loss[usable(batch)])
    return mean.value


def _labelled(batch) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Per head: its number, and where it is known `[M, n_h]` what was legal, `[M]` what was taken, `[T, N]` where."""
    known = usable(batch)
    for head, allowed in enumerate(batch.legal):
        cells = known & (batch.action[..., head] >= 0)
        yield head, allowed[cells], batch.action[..., head][cells], cells
