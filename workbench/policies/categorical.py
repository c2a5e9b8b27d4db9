"""Several categorical choices in one row of logits: sampling, log-probability and entropy, fused.

A row of logits `[L]` holds all heads side by side, `sizes` says how many belong to each, `L = sum(sizes)`. Illegal
options have probability 0 and take no gradient. On a CPU one compiled pass serves all heads; elsewhere torch does.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch

_SHARPEST = 1e30  # a finite 1 / temperature, so that 0 times it stays 0
_NO_MASK = np.ones((1, 1), dtype=np.bool_)


# sums may be reordered, so that the loops over options become vector instructions; infinities keep their meaning
_FAST = {"reassoc", "contract", "arcp", "nsz"}


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _exp(x):
    """exp of a float32 below 88, to 3e-7, in instructions that vectorise (libm's does not); 0 below -87.

    Source: Moshier's Cephes, expf.
    """
    clamped = max(x, np.float32(-87.0))
    n = np.floor(clamped * np.float32(1.44269504088896341) + np.float32(0.5))
    r = clamped - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    power = np.int32((np.int32(n) + np.int32(127)) * np.int32(1 << 23)).view(np.float32)
    return p * power if x >= np.float32(-87.0) else np.float32(0)


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _draw(logits, legal, masked, starts, uniform, scale, greedy, action, log_prob):
    lowest = np.float32(-3e38)
    shifted = np.empty(logits.shape[1], np.float32)
    weight = np.empty(logits.shape[1], np.float32)
    for row in range(logits.shape[0]):
        row_log_prob = np.float32(0)
        for head in range(len(starts) - 1):
            first, end = starts[head], starts[head + 1]
            best, highest = first, lowest
            for k in range(first, end):
                shifted[k] = logits[row, k] if not masked or legal[row, k] else lowest
                if shifted[k] > highest:
                    best, highest = k, shifted[k]
            if greedy or highest == lowest:
                action[row, head] = best - first
                continue
            total = np.float32(0)
            for k in range(first, end):
                shifted[k] = (shifted[k] - highest) * scale
                weight[k] = _exp(shifted[k])
                total += weight[k]
            # inverse of the cumulative distribution; where rounding leaves the threshold unreached, `chosen` is the
            # last option with any weight
            threshold = uniform[row, head] * total
            cumulative, chosen = np.float32(0), best
            for k in range(first, end):
                if weight[k] > 0:
                    cumulative += weight[k]
                    chosen = k
                    if cumulative > threshold:
                        break
            action[row, head] = chosen - first
            row_log_prob += shifted[chosen] - np.float32(math.log(total))
        log_prob[row] = row_log_prob


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _measure(logits, legal, masked, starts, action, log_prob, entropy, probability, log_probability, head_entropy):
    lowest = np.float32(-3e38)
    for row in range(logits.shape[0]):
        row_log_prob, row_entropy = np.float32(0), np.float32(0)
        for head in range(len(starts) - 1):
            first, end = starts[head], starts[head + 1]
            scores, p = log_probability[row, first:end], probability[row, first:end]
            highest = lowest
            for k in range(end - first):
                scores[k] = logits[row, first + k] if not masked or legal[row, first + k] else lowest
                highest = max(highest, scores[k])
            if highest == lowest:
                scores[:] = 0
                p[:] = 0
                head_entropy[row, head] = 0
                continue
            total = np.float32(0)
            for k in range(end - first):
                scores[k] -= highest
                p[k] = _exp(scores[k])
                total += p[k]
            log_total, scale, spread = np.float32(math.log(total)), np.float32(1) / total, np.float32(0)
            for k in range(end - first):
                scores[k] -= log_total
                p[k] *= scale
                spread -= p[k] * max(scores[k], np.float32(-200))
            head_entropy[row, head] = spread
            row_entropy += spread
            taken = action[row, head]
            if taken >= 0:
                row_log_prob += scores[taken] if scores[taken] > np.float32(-1e38) else -np.float32(np.inf)
        log_prob[row] = row_log_prob
        entropy[row] = row_entropy


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _measure_backward(
    grad_log_prob, grad_entropy, starts, action, probability, log_probability, head_entropy, gradient
):
    for row in range(probability.shape[0]):
        pull, widen = grad_log_prob[row], grad_entropy[row]
        for head in range(len(starts) - 1):
            first, end = starts[head], starts[head + 1]
            taken = action[row, head]
            # a head without legal options was written as probabilities and log-probabilities of 0
            if taken >= 0 and probability[row, first + taken] == 0 and log_probability[row, first + taken] == 0:
                taken = -1
            known = pull if taken >= 0 else np.float32(0)
            spread = head_entropy[row, head]
            for k in range(first, end):
                # an illegal option's log-probability is -3e38 and its probability 0
                gradient[row, k] = -probability[row, k] * (
                    known + widen * (max(log_probability[row, k], np.float32(-200)) + spread)
                )
            if taken >= 0:
                gradient[row, first + taken] += pull


class _Measure(torch.autograd.Function):
    """Log-probability and entropy with the gradient of a softmax written out."""

    @staticmethod
    def forward(ctx, logits, legal, action, starts):
        log_prob, entropy = logits.new_empty(action.shape[:-1]), logits.new_empty(action.shape[:-1])
        probability, log_probability = np.empty(logits.shape, np.float32), np.empty(logits.shape, np.float32)
        chosen = action.numpy().reshape(len(logits), -1)
        head_entropy = np.empty(chosen.shape, np.float32)
        _measure(
            logits.detach().numpy(), _NO_MASK if legal is None else legal.numpy().reshape(logits.shape),
            legal is not None, starts, chosen, log_prob.numpy().reshape(-1), entropy.numpy().reshape(-1), probability,
            log_probability, head_entropy,
        )  # fmt: skip
        ctx.kept = (starts, chosen, probability, log_probability, head_entropy)
        return log_prob, entropy

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_log_prob, grad_entropy):
        starts, chosen, probability, log_probability, head_entropy = ctx.kept
        gradient = np.empty_like(probability)
        _measure_backward(
            grad_log_prob.contiguous().numpy().reshape(-1), grad_entropy.contiguous().numpy().reshape(-1), starts,
            chosen, probability, log_probability, head_entropy, gradient,
        )  # fmt: skip
        return torch.from_numpy(gradient), None, None, None


def log_prob_and_entropy(logits, legal, action, starts):
    """Log-probability of whole actions, and entropy, both summed over heads.

    Args:
        logits: float32 `[M, L]`, contiguous; may require a gradient.
        legal: bool, M rows of L in any leading shape, or None where every option is legal. A head without any legal
            option counts 0.
        action: int64 `[..., H]`, M rows; a negative entry is unknown and counts 0 in the log-probability.
        starts: int64 numpy `[H + 1]`: where each head's options begin, and `L`.

    Returns:
        `[...]` log-probability (-inf for an illegal action), `[...]` entropy in nats.
    """
    if logits.device.type == "cpu":
        return _Measure.apply(logits, legal, action, starts)
    return _head_by_head(logits, legal, action, starts)


def _head_by_head(logits, legal, action, starts):
    """`log_prob_and_entropy` in torch alone, on any device."""
    shape, action = action.shape[:-1], action.reshape(len(logits), -1)
    log_prob = entropy = torch.zeros_like(logits[:, 0])
    for head in range(len(starts) - 1):
        span = slice(int(starts[head]), int(starts[head + 1]))
        scores, taken = logits[:, span], action[:, head]
        counts = torch.ones_like(taken, dtype=torch.bool)
        if legal is not None:
            allowed = legal.reshape(logits.shape)[:, span]
            counts = allowed.any(dim=1)
            scores = scores.masked_fill(~(allowed | ~counts.unsqueeze(1)), -torch.inf)
        logs = torch.log_softmax(scores, dim=1)
        spread = -(logs.exp() * logs.masked_fill(logs == -torch.inf, 0.0)).sum(dim=1)
        chosen = logs.gather(1, taken.clamp(min=0).unsqueeze(1)).squeeze(1)
        entropy = entropy + torch.where(counts, spread, 0.0)
        log_prob = log_prob + torch.where(counts & (taken >= 0), chosen, 0.0)
    return log_prob.view(shape), entropy.view(shape)


def sample(logits, legal, starts, uniform, temperature):
    """Draw one option of each head by the inverse of its cumulative distribution.

    Args:
        logits: float32 numpy `[N, L]`.
        legal: bool numpy `[N, L]`, or None where every option is legal.
        starts: int64 `[H + 1]`.
        uniform: float32 `[N, H]` in [0, 1); not read at temperature 0.
        temperature: divides the logits; 0 takes the highest.

    Returns:
        int64 `[N, H]` actions and the float32 `[N]` log-probability of each under the distribution it was drawn
        from: 0 for the certain choice of temperature 0.
    """
    rows, heads = logits.shape[0], len(starts) - 1
    action, log_prob = np.empty((rows, heads), np.int64), np.empty(rows, np.float32)
    greedy = temperature == 0
    if uniform is None:
        uniform = np.zeros((rows, heads), np.float32)
    scale = np.float32(1.0 if greedy else min(1.0 / temperature, _SHARPEST))
    _draw(
        logits, _NO_MASK if legal is None else legal, legal is not None, starts, uniform, scale, greedy,
        action, log_prob,
    )  # fmt: skip
    return action, log_prob
