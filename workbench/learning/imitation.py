"""Learning from recorded games: behaviour cloning, of all decisions or of those worth imitating."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from workbench.learning.checkpoint import beneath, load_checkpoint, save_checkpoint, under
from workbench.learning.damping import Damping, kept, restore_kept
from workbench.learning.objective import explained_variance
from workbench.learning.optimizer import FlatAdam
from workbench.learning.returns import decision_advantage
from workbench.learning.scale import ValueScale
from workbench.learning.schedules import Schedule
from workbench.learning.undivided import undivided
from workbench.learning.validation import Mean, blind_loss, by_head, usable
from workbench.policies.core import Policy, Sequence

WEIGHTINGS = ("all", "won", "advantage", "exponential")
BY_ADVANTAGE = ("advantage", "exponential")
EPOCH = 100  # batches, of a source that does not say how many games it holds


class Batches(Protocol):
    """Recorded games to draw from; `workbench.data.Dataset` is one, its `Batch` what `batch` returns."""

    def batch(self, count: int):
        """The next `count` games, or stretches of games, side by side, `[T, N]`."""

    def state(self) -> dict:
        """JSON-able; `restore` goes on with the same batches."""

    def restore(self, state: dict) -> None:
        """Go on from `state`."""


@dataclass(frozen=True, kw_only=True)
class ImitationSettings:
    """Hyper-parameters of imitation.

    Args:
        batch_size: games, or stretches of games, a batch.
        unroll: decisions after which a recurrent policy's gradient is cut and a step taken, its state carried on;
            None: only at the end of the batch.
        learning_rate: at the start; `learning_rate_schedule` changes it over `total_updates` batches.
        weighting: which decisions count: `"all"`; those of games that were `"won"`; those whose `"advantage"` is
            positive; or all by `"exponential"` advantage, exp(A / `temperature`) up to `max_weight`, A in units
            of the values' running size where `scale_values`.
        value_weight: of the value loss; 0 leaves the value head alone.
        scale_values: learn values in units of their targets' running size, so that the size of rewards does not matter.
        discount, trace: of the advantages and of the value's targets.
        entropy_weight: of a bonus for entropy.
        max_gradient_norm: longer gradients are scaled down; None never.
        weight_decay, eps: AdamW's.
        average: decay a step of a running average of the weights, which is then validated and kept; 0: none.
        patience: validations without the objective's improving by `min_delta` before `should_stop`; 0: never.
    """

    batch_size: int = 64
    unroll: int | None = None
    learning_rate: float = 3e-4
    learning_rate_schedule: Schedule = field(default_factory=Schedule)
    total_updates: int = 1000
    weighting: str = "all"
    temperature: float = 1.0
    max_weight: float = 20.0
    value_weight: float = 0.5
    scale_values: bool = True
    discount: float = 0.99
    trace: float = 0.95
    entropy_weight: float = 0.0
    max_gradient_norm: float | None = 1.0
    weight_decay: float = 1e-5
    eps: float = 1e-8
    average: float = 0.0
    patience: int = 0
    min_delta: float = 0.01

    def __post_init__(self):
        object.__setattr__(self, "learning_rate_schedule", Schedule.of(self.learning_rate_schedule))
        if self.weighting not in WEIGHTINGS:
            raise ValueError(f"weighting={self.weighting!r}: expected one of {', '.join(WEIGHTINGS)}")
        if self.weighting in BY_ADVANTAGE and not self.value_weight:
            raise ValueError(
                f"weighting={self.weighting!r} compares with a learned value: value_weight must be above 0"
            )
        if not 0 <= self.average < 1:
            raise ValueError(f"average={self.average}: expected a decay in [0, 1)")
        for name in ("batch_size", "total_updates", "unroll"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")


class Imitation:
    """Trains a policy to act as recorded players did.

    Unknown actions (-1) and those recorded as taken though illegal are left out.

    Args:
        policy: trained in place.
        batches: drawn from.
        settings: hyper-parameters.
        damping: holds the policy to a reference; its frames are decisions here, and its state goes into the checkpoint.
        validation: batches of games that `batches` leaves out, gone through anew by each `validate`: a list, or to
            hold one batch at a time in memory, `Dataset.in_batches`.

    Raises:
        ValueError: a validation that can be gone through only once.
    """

    def __init__(
        self,
        policy: Policy,
        batches: Batches,
        settings: ImitationSettings | None = None,
        validation: Iterable = (),
        damping: Damping | None = None,
    ):
        self.policy, self.batches, self.settings = policy, batches, settings or ImitationSettings()
        if iter(validation) is validation:
            raise ValueError(
                f"validation is {type(validation).__name__}, used up by the first validate; give a list of batches, or "
                "Dataset.in_batches instead of Dataset.batches"
            )
        self.validation, self.damping = validation, damping
        self.optimizer = FlatAdam(policy, eps=self.settings.eps, weight_decay=self.settings.weight_decay)
        self.value_scale = ValueScale(policy, self.optimizer, self.settings.scale_values)
        self.average = self.optimizer.flat.clone() if self.settings.average else None
        self.updates = self.decisions = self.stale = 0
        self.idle = 0  # games since a decision had weight
        # of the objective; a validation at the hurdle or below counts as an improvement
        self.best_loss = self.hurdle = float("inf")
        self.best: dict[str, np.ndarray] = {}
        self.blind_loss: float | None = None
        self.critic: Policy | None = None  # judges held-out decisions, the same at each validation
        self.critic_scale, self.critic_updates = 1.0, 0

    @property
    def progress(self) -> float:
        """Share of the planned updates that were made."""
        return self.updates / self.settings.total_updates

    @property
    def should_stop(self) -> bool:
        """Whether validation has not improved for `patience` times."""
        return 0 < self.settings.patience <= self.stale

    @undivided
    def update(self) -> dict[str, float]:
        """Learn from the next batch."""
        began = time.perf_counter()
        settings = self.settings
        learning_rate = settings.learning_rate * settings.learning_rate_schedule(self.progress)
        batch = self.batches.batch(settings.batch_size)
        known = usable(batch)
        weight, target = self._judge(batch, known)
        self._watch(len(batch.lengths), bool(weight[known].any()))
        figures: dict[str, list[float]] = defaultdict(list)
        reference = None if self.damping is None else self._reference(batch, known)
        for sequence, cells in self._sequences(batch, known, settings.unroll):
            held = None if reference is None else reference[cells]
            self._learn(sequence, known[cells], weight[cells], target[cells], learning_rate, figures, held)
        self.updates += 1
        self.decisions += int(known.sum())
        if self.damping is not None:
            learning_rate = self.damping.learning_rate(learning_rate)
            self.damping.updated(self.decisions)
        seconds = time.perf_counter() - began
        return {
            **{name: float(np.mean(values)) for name, values in figures.items()},
            **({} if self.damping is None else self.damping.metrics()),
            "losses/value_scale": self.value_scale.scale,
            "losses/weight": float(weight[known].mean()) if known.any() else 0.0,
            "charts/usable": float(known.sum() / max(batch.acting.sum(), 1)),
            "charts/learning_rate": learning_rate,
            "charts/updates": self.updates,
            "charts/decisions": self.decisions,
            "charts/SPS": float(known.sum() / seconds),
        }

    def _watch(self, games: int, weighed: bool) -> None:
        """Warn once nothing was learned from as many games as there are."""
        held = len(self.batches) if hasattr(self.batches, "__len__") else EPOCH * games
        before, self.idle = self.idle, 0 if weighed else self.idle + games
        if before < held <= self.idle:
            warnings.warn(
                f"no decision of the last {self.idle} games had any weight: nothing is learned from them with "
                f"weighting={self.settings.weighting!r}; are actions known, and was any game won?",
                stacklevel=3,
            )

    @torch.no_grad()
    def _reference(self, batch, known) -> np.ndarray:
        """float32 `[T, N, L]` logits of the reference along the whole batch, from a memory of its own."""
        self.damping.forget()
        action = np.where(known[..., None], batch.action, -1)
        sequence = self.policy.sequence(batch.observation, batch.legal, action, None, batch.reset, batch.acting)
        return self.damping.reference_logits(sequence)

    def _learn(self, sequence: Sequence, known, weight, target, learning_rate, figures, reference) -> None:
        settings, count = self.settings, known.sum()
        weight = np.where(known, weight, np.float32(0))
        total = weight.sum()
        if not total:
            return
        evaluation = self.policy.evaluate(sequence)
        outputs = (evaluation.log_prob, evaluation.entropy, evaluation.value)
        log_prob, entropy, value = (output.numpy(force=True) for output in outputs)
        error = np.where(known, value - target, np.float32(0))
        entropy_weight, damped = settings.entropy_weight, learning_rate
        if self.damping is not None:
            entropy_weight = self.damping.entropy_coefficient(entropy_weight)
            damped = self.damping.learning_rate(learning_rate)
        derivatives = [
            -weight / total,
            np.where(known, np.float32(-entropy_weight / count), np.float32(0)),
            error * np.float32(settings.value_weight / (count * self.value_scale.scale**2)),
        ]
        derivatives = [torch.from_numpy(one.astype(np.float32)).to(self.policy.device) for one in derivatives]
        if self.damping is not None:
            kl, derivative = self.damping.loss(evaluation, sequence.legal, reference, known)
            outputs, derivatives = (*outputs, evaluation.logits), [*derivatives, derivative]
        gradient = self.optimizer.differentiate(outputs, derivatives)
        norm = self.optimizer.step(gradient, damped, settings.max_gradient_norm)
        if self.damping is not None:
            self.damping.stepped(kl, learning_rate)
            figures["damping/kl"].append(kl)
        if self.average is not None:
            self.average.lerp_(self.optimizer.flat, 1 - settings.average)
        figures["losses/policy_loss"].append(-(weight * np.where(known, log_prob, 0)).sum() / total)
        figures["losses/entropy"].append(entropy[known].mean())
        if settings.value_weight:
            figures["losses/value_loss"].append(0.5 * (error * error).sum() / count)
            figures["losses/explained_variance"].append(explained_variance(value[known], target[known]))
        figures["losses/gradient_norm"].append(norm)

    def _judge(self, batch, known) -> tuple[np.ndarray, np.ndarray]:
        """Weights of decisions, and targets of their values, `[T, N]`."""
        advantage, target = None, np.zeros(known.shape, np.float32)
        if self.settings.value_weight:
            advantage, target = self._advantage(batch, self._values(self.policy, batch))
            self.value_scale.update(target[known])
        return self._weight(batch, advantage, self.value_scale.scale), target

    def _advantage(self, batch, value) -> tuple[np.ndarray, np.ndarray]:
        """Advantages by values `[T + 1, N]`, and targets of the values, `[T, N]`."""
        settings = self.settings
        last, rows = batch.lengths - 1, np.arange(len(batch.lengths))
        cut, after = np.zeros(batch.acting.shape, bool), np.zeros(batch.acting.shape, np.float32)
        # where the game goes on, or was cut by a limit, the value of what was seen next stands for the rest
        cut[last, rows] = True
        after[last, rows] = np.where(batch.ended[last, rows], 0, value[batch.lengths, rows])
        advantage, _ = decision_advantage(
            batch.reward, value[:-1], batch.acting, cut, after, value[-1], np.zeros(len(rows), bool),
            discount=settings.discount, trace=settings.trace,
        )  # fmt: skip
        return advantage, advantage + value[:-1]

    def _weight(self, batch, advantage, scale: float) -> np.ndarray:
        """float32 `[T, N]`: how much each decision counts."""
        settings, shape = self.settings, batch.acting.shape
        if settings.weighting == "won":
            return np.broadcast_to((batch.outcome > 0).astype(np.float32), shape)
        if settings.weighting == "advantage":
            return (advantage > 0).astype(np.float32)
        if settings.weighting == "exponential":
            # the exponent is capped before exp, which would overflow
            highest = np.log(settings.max_weight)
            return np.exp(np.minimum(advantage / (settings.temperature * scale), highest)).astype(np.float32)
        return np.ones(shape, np.float32)

    @torch.no_grad()
    def _values(self, policy: Policy, batch) -> np.ndarray:
        """float32 `[T + 1, N]` a policy's values of what was seen at each decision and after the last."""
        steps, rows = batch.acting.shape
        seen = np.arange(steps + 1)[:, None] <= batch.lengths
        legal = tuple(np.concatenate((allowed, np.ones_like(allowed[:1]))) for allowed in batch.legal)
        action = np.zeros((steps + 1, rows, batch.action.shape[2]), np.int64)
        reset = np.concatenate((batch.reset, np.zeros_like(batch.reset[:1])))
        sequence = policy.sequence(batch.observations, legal, action, None, reset, seen)
        return policy.evaluate(sequence).value.numpy(force=True)

    def _sequences(self, batch, known, unroll) -> Iterator[tuple[Sequence, tuple]]:
        """The batch as sequences, each with the cells of the `[T, N]` grid it stands for.

        Without memory: one row of all known decisions. With memory: stretches of `unroll` decisions; the state goes
        on from one to the next, as the policy stands by then, and gradients do not.
        """
        observation, action = batch.observation, np.where(known[..., None], batch.action, -1)
        if not self.policy.state_size:
            steps, rows = np.nonzero(known)
            cells = (steps[None], rows[None])
            if len(steps):
                yield (
                    self.policy.sequence(
                        {name: array[cells] for name, array in observation.items()},
                        tuple(allowed[cells] for allowed in batch.legal),
                        action[cells],
                    ),
                    cells,
                )
            return
        state, length = self.policy.initial_state(len(batch.lengths)), len(known)
        for start in range(0, length, unroll or length):
            cells = np.s_[start : start + (unroll or length)]
            sequence = self.policy.sequence(
                {name: array[cells] for name, array in observation.items()},
                tuple(allowed[cells] for allowed in batch.legal),
                action[cells],
                state,
                batch.reset[cells],
                batch.acting[cells],
            )
            if start + (unroll or length) < length:
                with torch.no_grad():
                    state = self.policy.evaluate(sequence).state.numpy(force=True)
            yield sequence, (cells,)

    def validate(self) -> dict[str, float]:
        """Loss and accuracy on the validation batches, of each head and of whole actions; remembers the best weights.

        `validation/loss` is the mean negative log-likelihood of known decisions of all games, won or lost, in nats;
        `validation/blind_loss` the same of a predictor that knows only what is legal (see `validation.blind_loss`).
        `validation/objective` is the loss weighted as in training, and what the best weights and `patience` go by;
        with weighting `"all"` it is the loss. For weighting by advantage a critic judges that does not change, so that
        validations can be compared: the policy as it is at the first validation and, where that came before any
        training, once more at the next, when the best so far is measured again.

        Raises:
            ValueError: there is nothing to validate on, or nothing that has weight.
        """
        anew = self._freeze_critic()
        with self.averaged(), torch.no_grad():
            means = self._measure()
        if not means["loss"].weight:
            raise ValueError("no known decision to validate on: give Imitation validation batches")
        if not means["objective"].weight:
            raise ValueError(
                f"no held-out decision has weight with weighting={self.settings.weighting!r}: hold out more games"
            )
        if self.blind_loss is None:
            self.blind_loss = blind_loss(self.validation)
        if anew and self.best:
            with self._weights(self.best), torch.no_grad():
                self.best_loss = self._measure()["objective"].value
            self.hurdle = self.best_loss - self.settings.min_delta
        objective = means["objective"].value
        if objective < self.best_loss:
            self.best_loss = objective
            with self.averaged():
                self.best = self.policy.arrays()
        if objective <= self.hurdle:
            self.hurdle, self.stale = objective - self.settings.min_delta, 0
        else:
            self.stale += 1
        return {
            **{f"validation/{name}": mean.value for name, mean in means.items()},
            "validation/blind_loss": self.blind_loss,
            "validation/best_objective": self.best_loss,
        }

    def _measure(self) -> dict[str, Mean]:
        """The validation batches gone through once, with the policy's weights as they are."""
        means: dict[str, Mean] = defaultdict(Mean, loss=Mean(), objective=Mean(), accuracy=Mean())
        for batch in self.validation:
            known = usable(batch)
            advantage = None
            if self.critic is not None:
                advantage, _ = self._advantage(batch, self._values(self.critic, batch))
            weight = self._weight(batch, advantage, self.critic_scale)
            for sequence, cells in self._sequences(batch, known, None):
                evaluation, chosen = self.policy.evaluate(sequence), known[cells]
                loss = -evaluation.log_prob.numpy(force=True)[chosen]
                means["loss"].add(loss)
                means["objective"].add(loss, weight[cells][chosen])
                right = np.ones(int(chosen.sum()), bool)
                for name, head_loss, hit, labelled in by_head(self.policy, sequence, evaluation, chosen):
                    means[f"{name}/loss"].add(head_loss)
                    means[f"{name}/accuracy"].add(hit[labelled])
                    right &= hit | ~labelled
                means["accuracy"].add(right)
        return means

    def _freeze_critic(self) -> bool:
        """Let the policy as it is judge validations from now on, where one must and none does that was trained."""
        if self.settings.weighting not in BY_ADVANTAGE or not (self.critic is None or self.critic_updates == 0):
            return False
        if self.critic is not None and self.updates == 0:
            return False
        with self.averaged():
            self.critic = self.policy.frozen_copy("critic")
        self.critic_scale, self.critic_updates = self.value_scale.scale, self.updates
        return True

    @contextmanager
    def _weights(self, arrays: dict[str, np.ndarray]):
        """Within, the policy has these weights."""
        mine = self.optimizer.flat.clone()
        self.policy.load_arrays(arrays)
        try:
            yield
        finally:
            self.optimizer.flat.copy_(mine)

    @contextmanager
    def averaged(self):
        """Within, the policy has its averaged weights, where an average is kept."""
        if self.average is None:
            yield
            return
        mine = self.optimizer.flat.clone()
        self.optimizer.flat.copy_(self.average)
        try:
            yield
        finally:
            self.optimizer.flat.copy_(mine)

    def take_best(self) -> None:
        """Give the policy the weights of the best objective in validation; without any, the averaged or last ones."""
        if self.best:
            self.policy.load_arrays(self.best)
        elif self.average is not None:
            self.optimizer.flat.copy_(self.average)

    def save(self, folder: str | Path) -> None:
        """Write everything `restore` needs to end where an uninterrupted run would, bit for bit on a CPU."""
        save_checkpoint(folder, "imitation", *self.state())

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What `save` writes, for a trainer that keeps several learners in one checkpoint."""
        adam, moments = self.optimizer.state()
        described = {
            "fingerprint": self.policy.spec.fingerprint,
            "settings": asdict(self.settings),
            "policy_settings": self.policy.settings.to_json(),
            "counters": {"updates": self.updates, "decisions": self.decisions, "stale": self.stale, "idle": self.idle},
            "validated": [self.best_loss, self.hurdle],
            "blind_loss": self.blind_loss,
            "critic": [self.critic_scale, self.critic_updates],
            "optimizer": adam,
            "value_square": self.value_scale.square,
            "batches": self.batches.state(),
        }
        damping, held = kept(self.damping)
        described |= damping
        arrays = {
            **held,
            **under("policy", self.policy.arrays()),
            **under("optimizer", moments),
            **under("best", self.best),
            **under("critic", {} if self.critic is None else self.critic.arrays()),
        }
        if self.average is not None:
            arrays["average"] = self.average.numpy(force=True)
        return described, arrays

    def restore(self, folder: str | Path) -> None:
        """Go on from a `save`.

        Raises:
            FileNotFoundError: no checkpoint there.
            CorruptFileError: a damaged or half-written file, named.
            ValueError: a checkpoint of another env or architecture, or with or without an average of weights.
        """
        self.take_state(*load_checkpoint(folder, "imitation"), folder)

    def take_state(self, described: dict, arrays: dict[str, np.ndarray], source: str | Path) -> None:
        """Go on from a `state`; `source` is where it was read, for messages.

        Raises:
            ValueError: as `restore`.
        """
        for name, mine in (
            ("fingerprint", self.policy.spec.fingerprint),
            ("policy_settings", self.policy.settings.to_json()),
        ):
            if described[name] != mine:
                raise ValueError(f"{source}: saved with {name} {described[name]!r}, this trainer has {mine!r}")
        if ("average" in arrays) != (self.average is not None):
            raise ValueError(f"{source}: saved with average={described['settings']['average']}, not as in this trainer")
        restore_kept(self.damping, source, described, arrays)
        self.batches.restore(described["batches"])
        self.policy.load_arrays(beneath("policy", arrays))
        self.optimizer.restore(described["optimizer"], beneath("optimizer", arrays))
        self.value_scale.restore(described["value_square"])
        if self.average is not None:
            self.average.copy_(torch.from_numpy(arrays["average"]))
        self.best = beneath("best", arrays)
        self.best_loss, self.hurdle = described["validated"]
        self.blind_loss = described["blind_loss"]
        self.critic_scale, self.critic_updates = described["critic"]
        self.critic, critic = None, beneath("critic", arrays)
        if critic:
            self.critic = self.policy.frozen_copy("critic")
            self.critic.load_arrays(critic)
        for name, counter in described["counters"].items():
            setattr(self, name, counter)
