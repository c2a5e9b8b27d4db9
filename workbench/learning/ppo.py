"""Proximal policy optimisation, for one agent or by self-play.

Source: Schulman et al. 2017, arXiv 1707.06347; details as in Huang et al. 2022, "The 37 implementation details of
proximal policy optimization".
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from workbench.envs.core import Env
from workbench.learning.checkpoint import beneath, load_checkpoint, save_checkpoint, under
from workbench.learning.optimizer import FlatAdam
from workbench.learning.returns import decision_advantage
from workbench.learning.rollout import CURRENT, Collector, Rollout
from workbench.learning.schedules import Schedule
from workbench.policies.core import Evaluation, Policy, Sequence, check_spec
from workbench.policies.encoders import Inputs


@dataclass(frozen=True, kw_only=True)
class PPOSettings:
    """Hyper-parameters of PPO.

    Args:
        steps: env steps a rollout.
        epochs: passes over each rollout.
        minibatches: parts of each pass; a recurrent policy's are of whole rows.
        learning_rate, clip: at the start; `learning_rate_schedule` and `clip_schedule` (a `Schedule`, or its kind)
            change them over `total_frames`.
        total_frames: planned env steps, summed over games; what the schedules' progress counts.
        discount, trace: gamma and lambda.
        value_clip: how far a value may move from its old one before its loss stops falling; None does not clip.
        value_weight, entropy_weight: of their losses.
        max_gradient_norm: longer gradients are scaled down; None never.
        target_kl: stop a rollout's passes when a minibatch's approximate KL exceeds 1.5 times this; None never.
        normalise: advantages to mean 0 and deviation 1 over each `"minibatch"`, the `"rollout"`, or `"none"`.
        eps, weight_decay: Adam's.
    """

    steps: int = 128
    epochs: int = 4
    minibatches: int = 4
    learning_rate: float = 2.5e-4
    learning_rate_schedule: Schedule = field(default_factory=Schedule)
    total_frames: int = 1_000_000
    discount: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    clip_schedule: Schedule = field(default_factory=Schedule)
    value_clip: float | None = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    max_gradient_norm: float | None = 0.5
    target_kl: float | None = None
    normalise: str = "minibatch"
    eps: float = 1e-5
    weight_decay: float = 0.0

    def __post_init__(self):
        for name in ("learning_rate_schedule", "clip_schedule"):
            object.__setattr__(self, name, Schedule.of(getattr(self, name)))
        if self.normalise not in ("minibatch", "rollout", "none"):
            raise ValueError(f"normalise={self.normalise!r}: expected 'minibatch', 'rollout' or 'none'")
        for name in ("steps", "epochs", "minibatches", "total_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        if not (0 <= self.discount <= 1 and 0 <= self.trace <= 1 and self.clip > 0):
            raise ValueError("expected discount and trace in [0, 1] and clip above 0")


class Minibatch(NamedTuple):
    """Decisions to learn from in one step.

    Args:
        sequence: what the policy evaluates, `[T, N]`; without memory the decisions lie in one row, T = 1.
        chosen: bool `[T, N]`, the decisions that count; None: all.
        log_prob, value: `[M]` under the policy that collected, in `sequence`'s order where `chosen`.
        advantage, target: `[M]`; the value's target is advantage plus old value.
    """

    sequence: Sequence
    chosen: torch.Tensor | None
    log_prob: torch.Tensor
    value: torch.Tensor
    advantage: torch.Tensor
    target: torch.Tensor


def clipped_objective(ratio, advantage, clip):
    """PPO's surrogate, to be maximised: `[M]` ratios and advantages to `[M]`.

    Source: arXiv 1707.06347, eq. 7.
    """
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def value_loss(value, old_value, target, clip):
    """Half the mean squared error; with a clip, the larger of it and that of the value kept within `clip` of the old."""
    squared = (value - target).square()
    if clip is not None:
        kept = old_value + (value - old_value).clamp(-clip, clip)
        squared = torch.maximum(squared, (kept - target).square())
    return 0.5 * squared.mean()


def approximate_kl(log_ratio):
    """Mean of (r - 1) - log r, an unbiased, never negative estimate of KL(old || new).

    Source: Schulman 2020, "Approximating KL divergence", k3.
    """
    return (log_ratio.exp() - 1 - log_ratio).mean()


def explained_variance(value, target) -> float:
    """1 - Var[target - value] / Var[target]: 1 is perfect, 0 no better than a constant; NaN if targets do not vary."""
    spread = float(np.var(target)) if len(target) else 0.0
    return float("nan") if spread == 0 else 1 - float(np.var(target - value)) / spread


ExtraLoss = Callable[[Minibatch, Evaluation], tuple[torch.Tensor, dict[str, float]]]


class PPO:
    """Trains a policy on an env, against itself or a pool of opponents.

    Args:
        env: reset here.
        policy: trained in place.
        settings: hyper-parameters.
        opponents: see `rollout.Opponents`; None: the learner plays itself.
        seed: of the games, the draws of actions and opponents, and the order of minibatches.
        extra_loss: `(minibatch, evaluation) -> (loss, metrics)`, added to each minibatch's loss.
    """

    def __init__(
        self,
        env: Env,
        policy: Policy,
        settings: PPOSettings | None = None,
        opponents=None,
        seed: int = 0,
        extra_loss: ExtraLoss | None = None,
    ):
        check_spec(policy.spec, env.spec, policy.id)
        self.env, self.policy, self.settings = env, policy, settings or PPOSettings()
        self.extra_loss = extra_loss
        self.generator = np.random.default_rng(seed)
        self.optimizer = FlatAdam(policy, eps=self.settings.eps, weight_decay=self.settings.weight_decay)
        self.collector = Collector(env, policy, self.settings.steps, self.generator, opponents, seed)
        self.frames = self.decisions = self.updates = 0

    @property
    def progress(self) -> float:
        """Share of the planned frames that were played."""
        return self.frames / self.settings.total_frames

    def update(self) -> dict[str, float]:
        """One rollout and its passes; returns metrics under CleanRL's names."""
        began = time.perf_counter()
        settings = self.settings
        learning_rate = settings.learning_rate * settings.learning_rate_schedule(self.progress)
        clip = settings.clip * settings.clip_schedule(self.progress)
        rollout = self.collector.collect()
        collected = time.perf_counter()
        advantage, learned = decision_advantage(
            rollout.reward, rollout.value, rollout.deciding, rollout.ended, rollout.end_value, rollout.last_value,
            rollout.last_deciding, discount=settings.discount, trace=settings.trace,
        )  # fmt: skip
        metrics: dict[str, list[float]] = defaultdict(list)
        for minibatch in self._minibatches(rollout, advantage, learned):
            loss = self._loss(minibatch, clip, metrics)
            loss.backward()
            norm = self.optimizer.step(learning_rate, settings.max_gradient_norm)
            metrics["losses/gradient_norm"].append(norm)
            if settings.target_kl is not None and metrics["losses/approx_kl"][-1] > 1.5 * settings.target_kl:
                break
        self.frames += rollout.frames
        self.decisions += int(rollout.deciding.sum())
        self.updates += 1
        seconds = time.perf_counter() - began
        return {
            **{name: float(np.mean(values)) for name, values in metrics.items()},
            "losses/explained_variance": explained_variance(
                rollout.value[learned], advantage[learned] + rollout.value[learned]
            ),
            "losses/minibatches": len(metrics["losses/gradient_norm"]),
            "charts/learning_rate": learning_rate,
            "charts/clip": clip,
            "charts/frames": self.frames,
            "charts/decisions": self.decisions,
            "charts/SPS": rollout.frames / seconds,
            "charts/collect_seconds": collected - began,
            "charts/seconds": seconds,
            **_games(rollout),
        }

    def _loss(self, minibatch: Minibatch, clip: float, metrics) -> torch.Tensor:
        settings = self.settings
        evaluation = self.policy.evaluate(minibatch.sequence)
        log_prob, entropy, value = evaluation[:3]
        if minibatch.chosen is None:
            log_prob, entropy, value = log_prob[0], entropy[0], value[0]
        else:
            log_prob, entropy, value = (part[minibatch.chosen] for part in (log_prob, entropy, value))
        advantage = minibatch.advantage
        if settings.normalise == "minibatch" and len(advantage) > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)

        log_ratio = log_prob - minibatch.log_prob
        ratio = log_ratio.exp()
        policy_loss = -clipped_objective(ratio, advantage, clip).mean()
        values_loss = value_loss(value, minibatch.value, minibatch.target, settings.value_clip)
        entropy = entropy.mean()
        loss = policy_loss + settings.value_weight * values_loss - settings.entropy_weight * entropy
        if self.extra_loss is not None:
            extra, measured = self.extra_loss(minibatch, evaluation)
            loss = loss + extra
            for name, figure in measured.items():
                metrics[name].append(figure)

        with torch.no_grad():
            metrics["losses/policy_loss"].append(policy_loss.item())
            metrics["losses/value_loss"].append(values_loss.item())
            metrics["losses/entropy"].append(entropy.item())
            metrics["losses/approx_kl"].append(approximate_kl(log_ratio).item())
            metrics["losses/clip_fraction"].append(((ratio - 1).abs() > clip).float().mean().item())
        return loss

    def _minibatches(self, rollout: Rollout, advantage, learned) -> Iterator[Minibatch]:
        """All epochs' minibatches: of decisions, or of whole rows for a policy with memory."""
        settings = self.settings
        if not learned.any():
            return
        target = advantage + rollout.value
        if settings.normalise == "rollout":
            known = advantage[learned]
            advantage = (advantage - known.mean()) / (known.std() + 1e-8)
        figures = np.stack((rollout.log_prob, rollout.value, advantage, target), axis=-1)
        batches = self._of_rows if self.policy.state_size else self._of_decisions
        yield from batches(rollout, figures, learned)

    def _of_decisions(self, rollout: Rollout, figures, learned) -> Iterator[Minibatch]:
        device, cells = self.policy.device, np.flatnonzero(learned)
        parts = [part.reshape(learned.size, -1) for part in (*rollout.inputs, rollout.action, figures)]
        if rollout.options is not None:
            parts.append(rollout.options.reshape(learned.size, -1))
        parts = [torch.from_numpy(part).to(device) for part in parts]
        state = torch.empty(1, 0, device=device)
        for _ in range(self.settings.epochs):
            for chosen in np.array_split(self.generator.permutation(cells), self.settings.minibatches):
                if len(chosen):
                    index = torch.from_numpy(chosen).to(device)
                    numbers, tokens, action, figure, *options = (part[index].unsqueeze(0) for part in parts)
                    sequence = Sequence(Inputs(numbers, tokens), options[0] if options else None, action, state)
                    yield Minibatch(sequence, None, *figure[0].unbind(dim=1))

    def _of_rows(self, rollout: Rollout, figures, learned) -> Iterator[Minibatch]:
        device, rows = self.policy.device, np.flatnonzero(learned.any(axis=0))
        parts = [torch.from_numpy(part).to(device) for part in (*rollout.inputs, rollout.action, figures, learned)]
        if rollout.options is not None:
            parts.append(torch.from_numpy(rollout.options).to(device))
        states = torch.from_numpy(rollout.state).to(device)
        for _ in range(self.settings.epochs):
            for chosen in np.array_split(self.generator.permutation(rows), self.settings.minibatches):
                if len(chosen):
                    index = torch.from_numpy(chosen).to(device)
                    numbers, tokens, action, figure, count, *options = (part[:, index] for part in parts)
                    sequence = Sequence(
                        Inputs(numbers, tokens), options[0] if options else None, action, states[index],
                        rollout.reset[:, chosen], rollout.deciding[:, chosen],
                    )  # fmt: skip
                    yield Minibatch(sequence, count, *figure[count].unbind(dim=1))

    def save(self, folder: str | Path) -> None:
        """Write everything `restore` needs to end where an uninterrupted run would, bit for bit on a CPU."""
        adam, moments = self.optimizer.state()
        collector, collected = self.collector.state()
        described = {
            "fingerprint": self.env.spec.fingerprint,
            "batch_size": self.env.batch_size,
            "settings": asdict(self.settings),
            "policy_settings": self.policy.settings.to_json(),
            "counters": {"frames": self.frames, "decisions": self.decisions, "updates": self.updates},
            "optimizer": adam,
            "collector": collector,
        }
        arrays = {
            **under("policy", self.policy.arrays()),
            **under("optimizer", moments),
            **under("collector", collected),
            "torch_random": torch.random.get_rng_state().numpy(),
        }
        save_checkpoint(folder, "ppo", described, arrays)

    def restore(self, folder: str | Path) -> None:
        """Go on from a `save`.

        Raises:
            FileNotFoundError: no checkpoint there.
            CorruptFileError: a damaged or half-written file, named.
            ValueError: a checkpoint of another env, batch size or architecture.
        """
        described, arrays = load_checkpoint(folder, "ppo")
        for name, mine in (
            ("fingerprint", self.env.spec.fingerprint),
            ("batch_size", self.env.batch_size),
            ("policy_settings", self.policy.settings.to_json()),
        ):
            if described[name] != mine:
                raise ValueError(f"{folder}: saved with {name} {described[name]!r}, this trainer has {mine!r}")
        self.policy.load_arrays(beneath("policy", arrays))
        self.optimizer.restore(described["optimizer"], beneath("optimizer", arrays))
        self.collector.restore(described["collector"], beneath("collector", arrays))
        torch.random.set_rng_state(torch.from_numpy(arrays["torch_random"]))
        counters = described["counters"]
        self.frames, self.decisions, self.updates = counters["frames"], counters["decisions"], counters["updates"]


def _games(rollout: Rollout) -> dict[str, float]:
    """Metrics of the games that ended."""
    finished = rollout.finished
    if not finished:
        return {}
    metrics = {
        "charts/games": len(finished),
        "charts/episodic_return": float(np.mean([game.reward for game in finished])),
        "charts/episodic_length": float(np.mean([game.length for game in finished])),
    }
    scores: dict[str, list[float]] = defaultdict(list)
    for game in finished:
        if game.opponent != CURRENT:
            scores[game.opponent].append(game.score)
    return metrics | {f"charts/win_rate/{member}": float(np.mean(score)) for member, score in scores.items()}
