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


@numba.njit(cache=True, nogil=True)
def _draw(logits, legal, masked, starts, uniform, scale, greedy, action, log_prob):
    infinity = np.float32(np.inf)
    weight = np.empty(logits.shape[1], np.float32)
    for row in range(logits.shape[0]):
        total_log_prob = np.float32(0)
        for head in range(len(starts) - 1):
            first, end = starts[head], starts[head + 1]
            best, highest = first, -infinity
            for k in range(first, end):
                if (not masked or legal[row, k]) and logits[row, k] > highest:
                    best, highest = k, logits[row, k]
            if greedy or highest == -infinity:
                action[row, head] = best - first
                continue
            total = np.float32(0)
            for k in range(first, end):
                if not masked or legal[row, k]:
                    weight[k] = math.exp((logits[row, k] - highest) * scale)
                    total += weight[k]
                else:
                    weight[k] = 0
            # inverse of the cumulative distribution; rounding may leave the threshold unreached, `chosen` is then
            # the last option with any weight
            threshold = uniform[row, head] * total
            cumulative, chosen = np.float32(0), best
            for k in range(first, end):
                if weight[k] > 0:
                    cumulative += weight[k]
                    chosen = k
                    if cumulative > threshold:
                        break
            action[row, head] = chosen - first
            total_log_prob += (logits[row, chosen] - highest) * scale - np.float32(math.log(total))
        log_prob[row] = total_log_prob


@numba.njit(cache=True, nogil=True)
def _measure(logits, legal, masked, starts, action, log_prob, entropy, probability, log_probability, head_entropy):
    infinity = np.float32(np.inf)
    for row in range(logits.shape[0]):
        row_log_prob, row_entropy = np.float32(0), np.float32(0)
        for head in range(len(starts) - 1):
            first, end = starts[head], starts[head + 1]
            highest = -infinity
            for k in range(first, end):
                if not masked or legal[row, k]:
                    highest = max(highest, logits[row, k])
            total = np.float32(0)
            for k in range(first, end):
                if not masked or legal[row, k]:
                    probability[row, k] = math.exp(logits[row, k] - highest)
                    total += probability[row, k]
                else:
                    probability[row, k] = 0
            if total == 0:
                for k in range(first, end):
                    log_probability[row, k] = 0
                head_entropy[row, head] = 0
                continue
            log_total = np.float32(math.log(total))
            scale = np.float32(1) / total
            spread = np.float32(0)
            for k in range(first, end):
                if not masked or legal[row, k]:
                    probability[row, k] *= scale
                    log_probability[row, k] = logits[row, k] - highest - log_total
                    spread -= probability[row, k] * log_probability[row, k]
                else:
                    log_probability[row, k] = -infinity
            head_entropy[row, head] = spread
            row_entropy += spread
            if action[row, head] >= 0:
                row_log_prob += log_probability[row, first + action[row, head]]
        log_prob[row] = row_log_prob
        entropy[row] = row_entropy


@numba.njit(cache=True, nogil=True)
def _measure_backward(
    grad_log_prob, grad_entropy, starts, action, probability, log_probability, head_entropy, gradient
):
    for row in range(probability.shape[0]):
        g, e = grad_log_prob[row], grad_entropy[row]
        for head in range(len(starts) - 1):
            first, end = starts[head], starts[head + 1]
            taken = action[row, head]
            pull = g if taken >= 0 else np.float32(0)
            for k in range(first, end):
                p = probability[row, k]
                if p > 0:
                    gradient[row, k] = -p * (pull + e * (log_probability[row, k] + head_entropy[row, head]))
                else:
                    gradient[row, k] = 0
            if taken >= 0:
                gradient[row, first + taken] += g


class _Measure(torch.autograd.Function):
    """Log-probability and entropy with the gradient of a softmax written out."""

    @staticmethod
    def forward(ctx, logits, legal, action, starts):
        rows = logits.shape[0]
        log_prob, entropy = logits.new_empty(rows), logits.new_empty(rows)
        probability, log_probability = torch.empty_like(logits), torch.empty_like(logits)
        head_entropy = logits.new_empty((rows, len(starts) - 1))
        chosen = action.numpy()
        _measure(
            logits.detach().numpy(), _NO_MASK if legal is None else legal.numpy(), legal is not None, starts, chosen,
            log_prob.numpy(), entropy.numpy(), probability.numpy(), log_probability.numpy(), head_entropy.numpy(),
        )  # fmt: skip
        ctx.kept = (starts, chosen, probability, log_probability, head_entropy)
        return log_prob, entropy

    @staticmethod
    def backward(ctx, grad_log_prob, grad_entropy):
        starts, chosen, probability, log_probability, head_entropy = ctx.kept
        gradient = torch.empty_like(probability)
        _measure_backward(
            grad_log_prob.contiguous().numpy(), grad_entropy.contiguous().numpy(), starts, chosen,
            probability.numpy(), log_probability.numpy(), head_entropy.numpy(), gradient.numpy(),
        )  # fmt: skip
        return gradient, None, None, None


def log_prob_and_entropy(logits, legal, action, starts):
    """Log-probability of whole actions, and entropy, both summed over heads.

    Args:
        logits: float32 `[M, L]`, contiguous; may require a gradient.
        legal: bool `[M, L]`, or None where every option is legal. A head without any legal option counts 0.
        action: int64 `[M, H]`; a negative entry is unknown and counts 0 in the log-probability.
        starts: int64 numpy `[H + 1]`: where each head's options begin, and `L`.

    Returns:
        `[M]` log-probability (-inf for an illegal action), `[M]` entropy in nats.
    """
    if logits.device.type == "cpu":
        return _Measure.apply(logits, legal, action, starts)
    log_prob = entropy = 0.0
    for head in range(len(starts) - 1):
        span = slice(int(starts[head]), int(starts[head + 1]))
        scores, taken = logits[:, span], action[:, head]
        if legal is not None:
            allowed = legal[:, span] | ~legal[:, span].any(dim=1, keepdim=True)
            scores = scores.masked_fill(~allowed, -torch.inf)
        logs = torch.log_softmax(scores, dim=1)
        entropy = entropy - (logs.exp() * logs.masked_fill(logs == -torch.inf, 0.0)).sum(dim=1)
        chosen = logs.gather(1, taken.clamp(min=0).unsqueeze(1)).squeeze(1)
        log_prob = log_prob + torch.where(taken >= 0, chosen, torch.zeros_like(chosen))
    return log_prob, entropy


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
