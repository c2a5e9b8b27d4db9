"""Proximal policy optimisation, for one agent or by self-play.

Source: Schulman et al. 2017, arXiv 1707.06347; details as in Huang et al. 2022, "The 37 implementation details of
proximal policy optimization".
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from workbench.envs.core import Env
from workbench.learning.checkpoint import beneath, load_checkpoint, save_checkpoint, under
from workbench.learning.damping import Damping, kept, restore_kept
from workbench.learning.objective import Objective, explained_variance, normalised, ppo_objective
from workbench.learning.optimizer import FlatAdam
from workbench.learning.returns import decision_advantage
from workbench.learning.rollout import CURRENT, Collector, Rollout
from workbench.learning.scale import ValueScale
from workbench.learning.schedules import Schedule
from workbench.learning.undivided import undivided
from workbench.policies.core import Evaluation, Policy, Sequence, check_spec
from workbench.policies.encoders import Inputs

REFERENCE_DECISIONS = 1 << 15  # how many a damped learner's reference judges at once


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
        scale_values: learn values in units of their targets' running size, so that the size of rewards does not matter;
            for rewards of tens or hundreds.
        value_clip: how far a value may move from its old one before its loss stops falling, in those units; None does
            not clip.
        value_weight, entropy_weight: of their losses.
        max_gradient_norm: longer gradients are scaled down; None never.
        target_kl: stop a rollout's passes when a minibatch's approximate KL exceeds 1.5 times this; None never.
        normalise: advantages to mean 0 and deviation 1 over each `"minibatch"`, the `"rollout"`, or `"none"`.
        eps, weight_decay: Adam's.
        threads: among which each minibatch is split; the result depends on it by rounding only.
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
    scale_values: bool = False
    value_clip: float | None = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    max_gradient_norm: float | None = 0.5
    target_kl: float | None = None
    normalise: str = "minibatch"
    eps: float = 1e-5
    weight_decay: float = 0.0
    threads: int = 1

    def __post_init__(self):
        for name in ("learning_rate_schedule", "clip_schedule"):
            object.__setattr__(self, name, Schedule.of(getattr(self, name)))
        if self.normalise not in ("minibatch", "rollout", "none"):
            raise ValueError(f"normalise={self.normalise!r}: expected 'minibatch', 'rollout' or 'none'")
        for name in ("steps", "epochs", "minibatches", "total_frames", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        if not (0 <= self.discount <= 1 and 0 <= self.trace <= 1 and self.clip > 0):
            raise ValueError("expected discount and trace in [0, 1] and clip above 0")


class Minibatch(NamedTuple):
    """Decisions to learn from in one step; numpy grids `[T, N]` but for the sequence.

    Args:
        sequence: what the policy evaluates; without memory the decisions lie in one row, T = 1.
        log_prob, value: under the policy that collected.
        advantage, target: the value's target is advantage plus old value.
        chosen: bool, the decisions that count.
        reference: float32 `[T, N, L]`, logits of the policy that damping holds the learner to; None without damping.
    """

    sequence: Sequence
    log_prob: np.ndarray
    value: np.ndarray
    advantage: np.ndarray
    target: np.ndarray
    chosen: np.ndarray
    reference: np.ndarray | None = None

    def split(self, parts: int) -> list[tuple[Minibatch, float]]:
        """At most so many minibatches of neighbouring rows, each with its share of the chosen decisions."""
        if parts == 1:
            return [(self, 1.0)]
        rows, sequence, found = self.chosen.shape[1], self.sequence, []
        for start, end in pairwise(np.linspace(0, rows, parts + 1).astype(int).tolist()):
            share = self.chosen[:, start:end].sum() / self.chosen.sum()
            if share:
                cells = np.s_[:, start:end]
                grids = (None if grid is None else grid[cells] for grid in (sequence.legal, sequence.action))
                memory = (None if grid is None else grid[cells] for grid in (sequence.reset, sequence.acting))
                inputs = Inputs(*(part[cells] for part in sequence.inputs))
                part = Sequence(inputs, *grids, sequence.state[start:end], *memory)
                found.append(
                    (Minibatch(part, *(None if grid is None else grid[cells] for grid in self[1:])), float(share))
                )
        return found


ExtraLoss = Callable[[Minibatch, Evaluation], tuple[torch.Tensor, dict[str, float]]]


class PPO:
    """Trains a policy on an env, against itself or a pool of opponents.

    Args:
        env: reset here.
        policy: trained in place.
        settings: hyper-parameters.
        opponents: see `rollout.Opponents`; None: the learner plays itself.
        seed: of the games, the draws of actions and opponents, and the order of minibatches.
        extra_loss: `(minibatch, evaluation) -> (loss, metrics)`; the loss, a tensor, is added to each minibatch's.
        damping: holds the policy to a reference; its state goes into the checkpoint.

    Attributes:
        rollout: the last one, whose arrays the next `update` overwrites.
    """

    rollout: Rollout

    def __init__(
        self,
        env: Env,
        policy: Policy,
        settings: PPOSettings | None = None,
        opponents=None,
        seed: int = 0,
        extra_loss: ExtraLoss | None = None,
        damping: Damping | None = None,
    ):
        check_spec(policy.spec, env.spec, policy.id)
        self.env, self.policy, self.settings = env, policy, settings or PPOSettings()
        self.extra_loss, self.damping = extra_loss, damping
        self.generator = np.random.default_rng(seed)
        self.optimizer = FlatAdam(policy, eps=self.settings.eps, weight_decay=self.settings.weight_decay)
        self.value_scale = ValueScale(policy, self.optimizer, self.settings.scale_values)
        self.collector = Collector(env, policy, self.settings.steps, self.generator, opponents, seed)
        # a thread that was not told how many of its own to use takes all cores for its first matrix products, and rounds
        # them differently
        self._threads = ThreadPoolExecutor(
            self.settings.threads, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)
        )
        self.frames = self.decisions = self.updates = 0

    @property
    def progress(self) -> float:
        """Share of the planned frames that were played."""
        return self.frames / self.settings.total_frames

    @undivided
    def update(self) -> dict[str, float]:
        """One rollout and its passes; returns metrics under CleanRL's names."""
        began = time.perf_counter()
        settings = self.settings
        learning_rate = settings.learning_rate * settings.learning_rate_schedule(self.progress)
        clip = settings.clip * settings.clip_schedule(self.progress)
        rollout = self.rollout = self.collector.collect()
        collected = time.perf_counter()
        advantage, learned = decision_advantage(
            rollout.reward, rollout.value, rollout.deciding, rollout.ended, rollout.end_value, rollout.last_value,
            rollout.last_deciding, discount=settings.discount, trace=settings.trace, in_turns=rollout.in_turns,
        )  # fmt: skip
        target = advantage + rollout.value
        self.value_scale.update(target[learned])
        metrics: dict[str, list[float]] = defaultdict(list)
        reference = None if self.damping is None else self._reference(rollout)
        for minibatch in self._minibatches(rollout, advantage, target, learned, reference):
            self._learn(minibatch, learning_rate, clip, metrics)
            if settings.target_kl is not None and metrics["losses/approx_kl"][-1] > 1.5 * settings.target_kl:
                break
        self.frames += rollout.frames
        self.decisions += int(rollout.deciding.sum())
        self.updates += 1
        if self.damping is not None:
            self.damping.updated(self.frames)
        seconds = time.perf_counter() - began
        return {
            **{name: float(np.mean(values)) for name, values in metrics.items()},
            **({} if self.damping is None else self.damping.metrics()),
            "losses/explained_variance": explained_variance(rollout.value[learned], target[learned]),
            "losses/value_scale": self.value_scale.scale,
            "losses/minibatches": len(metrics["losses/gradient_norm"]),
            "charts/learning_rate": learning_rate
            if self.damping is None
            else self.damping.learning_rate(learning_rate),
            "charts/clip": clip,
            "charts/frames": self.frames,
            "charts/decisions": self.decisions,
            "charts/SPS": rollout.frames / seconds,
            "charts/collect_seconds": collected - began,
            "charts/seconds": seconds,
            **_games(rollout),
        }

    def _learn(self, minibatch: Minibatch, learning_rate: float, clip: float, metrics) -> None:
        """One step of gradient descent on policy_loss + value_weight * value_loss - entropy_weight * entropy."""
        settings = self.settings
        if settings.normalise == "minibatch":
            minibatch = minibatch._replace(advantage=normalised(minibatch.advantage, minibatch.chosen))
        parts = minibatch.split(settings.threads)
        running = [self._threads.submit(self._differentiate, *part, clip) for part in parts[1:]]
        gradient, figures = self._differentiate(*parts[0], clip)
        for other, more in (future.result() for future in running):
            gradient += other
            figures = {name: figures[name] + more[name] for name in figures}
        damped = learning_rate if self.damping is None else self.damping.learning_rate(learning_rate)
        figures["losses/gradient_norm"] = self.optimizer.step(gradient, damped, settings.max_gradient_norm)
        if self.damping is not None:
            self.damping.stepped(figures["damping/kl"], learning_rate)
        for name, figure in figures.items():
            metrics[name].append(figure)

    def _differentiate(self, minibatch: Minibatch, share: float, clip: float) -> tuple[torch.Tensor, dict[str, float]]:
        """Gradient and figures of a part of a minibatch, in proportion to its share of the decisions."""
        settings, unit = self.settings, self.value_scale.scale
        evaluation = self.policy.evaluate(minibatch.sequence)
        outputs = (evaluation.log_prob, evaluation.entropy, evaluation.value)
        entropy_weight = settings.entropy_weight
        if self.damping is not None:
            entropy_weight = self.damping.entropy_coefficient(entropy_weight)
        objective = ppo_objective(
            *(output.numpy(force=True) for output in outputs), *minibatch[1:-1], clip=clip,
            value_clip=None if settings.value_clip is None else settings.value_clip * unit,
            value_weight=settings.value_weight / unit**2, entropy_weight=entropy_weight,
        )  # fmt: skip
        derivatives = [torch.from_numpy(derivative).to(self.policy.device) for derivative in objective[:3]]
        figures = {f"losses/{name}": getattr(objective, name) for name in Objective._fields[3:]}
        if self.damping is not None:
            kl, derivative = self.damping.loss(
                evaluation, minibatch.sequence.legal, minibatch.reference, minibatch.chosen
            )
            outputs, derivatives = (*outputs, evaluation.logits), [*derivatives, derivative]
            figures["damping/kl"] = kl
        if self.extra_loss is not None:
            extra, measured = self.extra_loss(minibatch, evaluation)
            outputs, derivatives = (*outputs, extra), [*derivatives, torch.ones_like(extra)]
            figures |= measured
        if share != 1:
            derivatives = [derivative * share for derivative in derivatives]
            figures = {name: figure * share for name, figure in figures.items()}
        return self.optimizer.differentiate(outputs, derivatives), figures

    def _reference(self, rollout: Rollout) -> np.ndarray:
        """float32 `[T, R, L]` logits of the reference along a rollout, a stretch of steps at a time."""
        device, (steps, rows) = self.policy.device, rollout.deciding.shape
        stretch = max(1, REFERENCE_DECISIONS // rows)
        found = []
        for start in range(0, steps, stretch):
            cells = np.s_[start : start + stretch]
            numbers, tokens, action = (
                torch.from_numpy(part[cells]).to(device) for part in (*rollout.inputs, rollout.action)
            )
            options = None if rollout.options is None else torch.from_numpy(rollout.options[cells]).to(device)
            sequence = Sequence(
                Inputs(numbers, tokens), options, action, torch.empty(rows, 0), rollout.reset[cells],
                rollout.deciding[cells],
            )  # fmt: skip
            found.append(self.damping.reference_logits(sequence))
        return np.concatenate(found)

    def _minibatches(self, rollout: Rollout, advantage, target, learned, reference) -> Iterator[Minibatch]:
        """All epochs' minibatches: of decisions, or of whole rows for a policy with memory."""
        if not learned.any():
            return
        if self.settings.normalise == "rollout":
            known = advantage[learned]
            advantage = (advantage - known.mean()) / (known.std() + 1e-8)
        figures = np.stack((rollout.log_prob, rollout.value, advantage, target))
        minibatches = self._of_rows if self.policy.state_size else self._of_decisions
        yield from minibatches(rollout, figures, learned, reference)

    def _of_decisions(self, rollout: Rollout, figures, learned, reference) -> Iterator[Minibatch]:
        device, cells = self.policy.device, np.flatnonzero(learned)
        figures = figures.reshape(4, -1)
        parts = [part.reshape(learned.size, -1) for part in (*rollout.inputs, rollout.action)]
        if rollout.options is not None:
            parts.append(rollout.options.reshape(learned.size, -1))
        parts = [torch.from_numpy(part).to(device) for part in parts]
        for chosen in self._split(cells):
            index = torch.from_numpy(chosen).to(device)
            numbers, tokens, action, *options = (part.index_select(0, index).unsqueeze(0) for part in parts)
            state = torch.empty(len(chosen), 0, device=device)
            sequence = Sequence(Inputs(numbers, tokens), options[0] if options else None, action, state)
            held = None if reference is None else reference.reshape(learned.size, -1)[None, chosen]
            yield Minibatch(sequence, *figures[:, None, chosen], np.ones((1, len(chosen)), bool), held)

    def _of_rows(self, rollout: Rollout, figures, learned, reference) -> Iterator[Minibatch]:
        device, rows = self.policy.device, np.flatnonzero(learned.any(axis=0))
        parts = [torch.from_numpy(part).to(device) for part in (*rollout.inputs, rollout.action)]
        if rollout.options is not None:
            parts.append(torch.from_numpy(rollout.options).to(device))
        states = torch.from_numpy(rollout.state).to(device)
        for chosen in self._split(rows):
            index = torch.from_numpy(chosen).to(device)
            numbers, tokens, action, *options = (part.index_select(1, index) for part in parts)
            sequence = Sequence(
                Inputs(numbers, tokens), options[0] if options else None, action, states[index],
                rollout.reset[:, chosen], rollout.deciding[:, chosen],
            )  # fmt: skip
            held = None if reference is None else reference[:, chosen]
            yield Minibatch(sequence, *figures[:, :, chosen], learned[:, chosen], held)

    def _split(self, indices) -> Iterator[np.ndarray]:
        """All epochs' minibatches of indices, shuffled anew each epoch."""
        for _ in range(self.settings.epochs):
            yield from np.array_split(self.generator.permutation(indices), min(self.settings.minibatches, len(indices)))

    def save(self, folder: str | Path) -> None:
        """Write everything `restore` needs to end where an uninterrupted run would, bit for bit on a CPU."""
        save_checkpoint(folder, "ppo", *self.state())

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What `save` writes, for a trainer that keeps several learners in one checkpoint."""
        adam, moments = self.optimizer.state()
        collector, collected = self.collector.state()
        described = {
            "fingerprint": self.env.spec.fingerprint,
            "batch_size": self.env.batch_size,
            "settings": asdict(self.settings),
            "policy_settings": self.policy.settings.to_json(),
            "counters": {"frames": self.frames, "decisions": self.decisions, "updates": self.updates},
            "optimizer": adam,
            "value_square": self.value_scale.square,
            "collector": collector,
        }
        damping, held = kept(self.damping)
        described |= damping
        arrays = {
            **held,
            **under("policy", self.policy.arrays()),
            **under("optimizer", moments),
            **under("collector", collected),
            "torch_random": torch.random.get_rng_state().numpy(),
        }
        return described, arrays

    def restore(self, folder: str | Path) -> None:
        """Go on from a `save`.

        Raises:
            FileNotFoundError: no checkpoint there.
            CorruptFileError: a damaged or half-written file, named.
            ValueError: a checkpoint of another env, batch size, architecture or kind of opponents.
        """
        self.take_state(*load_checkpoint(folder, "ppo"), folder)

    def take_state(self, described: dict, arrays: dict[str, np.ndarray], source: str | Path) -> None:
        """Go on from a `state`; `source` is where it was read, for messages.

        Raises:
            ValueError: as `restore`.
        """
        for name, mine in (
            ("fingerprint", self.env.spec.fingerprint),
            ("batch_size", self.env.batch_size),
            ("policy_settings", self.policy.settings.to_json()),
        ):
            if described[name] != mine:
                raise ValueError(f"{source}: saved with {name} {described[name]!r}, this trainer has {mine!r}")
        # what may be refused comes first
        restore_kept(self.damping, source, described, arrays)
        self.collector.restore(described["collector"], beneath("collector", arrays))
        self.policy.load_arrays(beneath("policy", arrays))
        self.optimizer.restore(described["optimizer"], beneath("optimizer", arrays))
        self.value_scale.restore(described["value_square"])
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
