"""Dynamic damping: a policy is held near a frozen reference while it learns, by a reverse KL whose strength adapts.

To the loss come `kl_coefficient * KL(policy || reference) - entropy_coefficient * entropy`. Coefficients follow power
laws of the frames played; a controller multiplies the first, and the learning rate, by factors of its own that stay.
With a step size, this is magnetic mirror descent (see `metagame.mirror_descent`, where it is proved on exact games).

>>> damping = Damping(learner, DampingSettings())
>>> ppo = PPO(env, learner, settings, damping=damping)

Source: Sokota et al. 2023, arXiv 2206.05825; the adaptive coefficient: Schulman et al. 2017, arXiv 1707.06347, section 4.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, NamedTuple

import numba
import numpy as np
import torch

from workbench.learning.checkpoint import beneath, under
from workbench.policies.core import Evaluation, Policy, Sequence, check_spec

REFERENCES = ("fixed", "moving", "refreshed")


@dataclass(frozen=True, kw_only=True)
class DampingSettings:
    """How strongly a policy is held, and to what.

    Args:
        kl: coefficient of the KL at the start; 0 measures it and holds nothing.
        kl_max: its highest value, controller included.
        kl_power, kl_scale: it falls as `(1 + frames / kl_scale) ** -kl_power`.
        entropy: coefficient of the entropy bonus at the start, in place of the trainer's own; None leaves that.
        entropy_min, entropy_power: its lowest value, and the power it falls by, on the same scale.
        target: of the KL, in nats a decision, that the controller aims at; None: no controller.
        tolerance: above `tolerance * target` the KL is too large, below `target / tolerance` too small.
        growth, decay: what multiplies the coefficient then.
        shrink, grow: what multiplies the learning rate then.
        learning_rate_min, learning_rate_max: between which the controller keeps it.
        interval: steps of gradient descent between two looks, each at the mean KL since the last.
        warmup: frames before its first look.
        reference: `"fixed"`; `"moving"`: follows the policy's weights by `reference_step` each update; `"refreshed"`:
            becomes a copy of the policy every `refresh` updates.
    """

    kl: float = 0.05
    kl_max: float = 0.5
    kl_power: float = 0.5
    kl_scale: float = 1e6
    entropy: float | None = 0.01
    entropy_min: float = 0.001
    entropy_power: float = 0.7
    target: float | None = 0.01
    tolerance: float = 1.5
    growth: float = 1.5
    decay: float = 0.9
    shrink: float = 0.5
    grow: float = 1.1
    learning_rate_min: float = 1e-6
    learning_rate_max: float = 1e-3
    interval: int = 100
    warmup: int = 0
    reference: Literal["fixed", "moving", "refreshed"] = "fixed"
    reference_step: float = 0.01
    refresh: int = 10

    def __post_init__(self):
        if self.reference not in REFERENCES:
            raise ValueError(f"reference={self.reference!r}: expected one of {', '.join(REFERENCES)}")
        if not 0 <= self.kl <= self.kl_max:
            raise ValueError(f"kl={self.kl}, kl_max={self.kl_max}: expected 0 <= kl <= kl_max")
        if not 0 < self.learning_rate_min <= self.learning_rate_max:
            raise ValueError(
                f"learning_rate_min={self.learning_rate_min}, learning_rate_max={self.learning_rate_max}: expected "
                "0 < min <= max"
            )
        if (
            self.tolerance < 1
            or self.growth < 1
            or not 0 < self.decay <= 1
            or not 0 < self.shrink <= 1
            or self.grow < 1
        ):
            raise ValueError(f"{self}: expected tolerance, growth, grow >= 1, and decay, shrink in (0, 1]")
        for name in ("kl_scale", "interval", "refresh"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected above 0")
        for name in ("kl_power", "entropy_min", "entropy_power", "warmup"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 0")
        if (self.target is not None and self.target <= 0) or not 0 <= self.reference_step <= 1:
            raise ValueError(f"{self}: expected target > 0 or None, and reference_step in [0, 1]")


PRESETS: dict[str, DampingSettings | None] = {
    "baseline": None,
    "damped": DampingSettings(),
    "conservative": DampingSettings(
        kl=0.30, kl_max=0.6, kl_power=0.0, tolerance=1.25, decay=0.95, entropy=0.02, entropy_min=0.003,
        entropy_power=0.3, learning_rate_min=1e-6, learning_rate_max=2e-5,
    ),
    "schedule": DampingSettings(
        kl=0.10, kl_max=0.2, kl_power=0.2, target=0.02, growth=2.0, entropy=0.02, entropy_min=0.005, entropy_power=0.3,
        learning_rate_min=5e-6, learning_rate_max=1e-4,
    ),
    "magnet": DampingSettings(
        kl=0.5, kl_power=0.0, entropy=None, target=None, reference="moving", reference_step=0.05,
    ),
}  # fmt: skip
"""Damping by name. `baseline` is the control without any; `damped`, `conservative` and `schedule` have the figures that
Metamon's users know; `magnet` is magnetic mirror descent with a moving magnet, for self-play to an equilibrium."""


class Divergence(NamedTuple):
    """How far one set of decisions is from another.

    Args:
        kl: float32 `[T, N]`, summed over heads, in nats.
        by_logits: float32 `[T, N, L]`, its derivative by the first one's logits.
    """

    kl: np.ndarray
    by_logits: np.ndarray


def reverse_kl(logits, reference, legal, starts) -> Divergence:
    """KL(softmax(logits) || softmax(reference)) over legal options, head by head, and its derivative.

    For one head `dKL / dlogit_k = p_k (log p_k - log r_k - KL)`. A head without a legal option counts 0. Heads that see
    the choices before them are compared along the choices taken.

    Args:
        logits, reference: float32 `[T, N, L]` before masking.
        legal: bool `[T, N, L]`, or None where every option is legal.
        starts: int64 `[H + 1]`: where each head's options begin, and L.
    """
    steps, rows, width = logits.shape
    kl, by_logits = np.zeros((steps, rows), np.float32), np.zeros(logits.shape, np.float32)
    allowed = np.ones((1, 1), np.bool_) if legal is None else np.ascontiguousarray(legal).reshape(-1, width)
    _reverse_kl(
        np.ascontiguousarray(logits).reshape(-1, width), np.ascontiguousarray(reference).reshape(-1, width), allowed,
        legal is not None, starts, kl.reshape(-1), by_logits.reshape(-1, width),
    )  # fmt: skip
    return Divergence(kl, by_logits)


@numba.njit(cache=True, nogil=True)
def _reverse_kl(logits, reference, legal, masked, starts, kl, by_logits):
    for row in range(logits.shape[0]):
        for head in range(len(starts) - 1):
            first, end = starts[head], starts[head + 1]
            top, reference_top = -np.inf, -np.inf
            for k in range(first, end):
                if not masked or legal[row, k]:
                    top, reference_top = max(top, logits[row, k]), max(reference_top, reference[row, k])
            if top == -np.inf:
                continue
            total, reference_total = 0.0, 0.0
            for k in range(first, end):
                if not masked or legal[row, k]:
                    total += np.exp(np.float64(logits[row, k]) - top)
                    reference_total += np.exp(np.float64(reference[row, k]) - reference_top)
            shift = top + np.log(total) - reference_top - np.log(reference_total)
            divergence = 0.0
            for k in range(first, end):
                if not masked or legal[row, k]:
                    share = np.exp(np.float64(logits[row, k]) - top) / total
                    by_logits[row, k] = share  # put to use below
                    divergence += share * (np.float64(logits[row, k]) - reference[row, k] - shift)
            for k in range(first, end):
                if not masked or legal[row, k]:
                    ratio = np.float64(logits[row, k]) - reference[row, k] - shift
                    by_logits[row, k] *= ratio - divergence
            kl[row] += divergence


class Damping:
    """Holds a policy to a reference; a trainer asks it each update and tells it what came of it.

    Args:
        policy: the one that learns.
        settings: how.
        reference: another policy of the same game, of whatever architecture, taken as it is now; by default the policy
            as it is now. It is a whole policy, with an encoder and a memory of its own.

    Raises:
        ValueError: the reference was made for another game.
    """

    def __init__(self, policy: Policy, settings: DampingSettings | None = None, reference: Policy | None = None):
        self.policy, self.settings = policy, settings or DampingSettings()
        given = policy if reference is None else reference
        check_spec(given.spec, policy.spec, given.id)
        if self.settings.reference != "fixed" and given.settings != policy.settings:
            raise ValueError(
                f"reference={self.settings.reference!r} follows the policy, but {given.id!r} has another architecture; "
                "give a reference of the same one, or hold it fixed"
            )
        self.reference = given.frozen_copy(f"{given.id}-reference")
        self.frames = self.updates = 0
        self.kl_multiplier = self.learning_rate_multiplier = 1.0
        self._seen: deque[float] = deque(maxlen=self.settings.interval)
        self._waiting = 0
        self._state: np.ndarray | None = None

    @staticmethod
    def named(name: str, policy: Policy, reference: Policy | None = None, **changes) -> Damping | None:
        """The damping of a preset for a policy; None for `baseline`.

        Args:
            changes: of the preset's `DampingSettings`.

        Raises:
            KeyError: no preset of that name.
            ValueError: changes of what there is not, or to figures that make no sense.
        """
        if name not in PRESETS:
            raise KeyError(f"no damping named {name!r}; expected one of {', '.join(PRESETS)}")
        settings = PRESETS[name]
        if settings is None:
            if changes:
                raise ValueError(f"damping {name!r} is none at all: it has no {', '.join(changes)} to change")
            return None
        known = [field.name for field in fields(DampingSettings)]
        if unknown := [name for name in changes if name not in known]:
            raise ValueError(f"damping has no {', '.join(unknown)}; expected some of {', '.join(known)}")
        return Damping(policy, replace(settings, **changes), reference)

    # what the trainer asks

    @property
    def kl_coefficient(self) -> float:
        """Schedule times the controller's multiplier, which stays whatever the schedule does."""
        how = self.settings
        scheduled = how.kl * (1 + self.frames / how.kl_scale) ** -how.kl_power
        return min(scheduled * self.kl_multiplier, how.kl_max)

    def entropy_coefficient(self, otherwise: float) -> float:
        """Of the entropy bonus; the trainer's own where damping has none."""
        how = self.settings
        if how.entropy is None:
            return otherwise
        return max(how.entropy * (1 + self.frames / how.kl_scale) ** -how.entropy_power, how.entropy_min)

    def learning_rate(self, scheduled: float) -> float:
        """The trainer's own schedule times the controller's multiplier, within its bounds."""
        if self.settings.target is None:
            return scheduled
        return float(
            np.clip(
                scheduled * self.learning_rate_multiplier,
                self.settings.learning_rate_min,
                self.settings.learning_rate_max,
            )
        )

    @torch.inference_mode()
    def reference_logits(self, sequence: Sequence) -> np.ndarray:
        """float32 `[T, N, L]` of the reference where the policy decides, from a memory of its own.

        The rows go on where those of the sequence before ended, but for `sequence.reset`; call `forget` where they do
        not.

        Args:
            sequence: of the policy; its `state` is not read.
        """
        rows = sequence.action.shape[1]
        if self._state is None or len(self._state) != rows:
            self._state = self.reference.initial_state(rows)
        state = torch.from_numpy(self._state).to(self.reference.device)
        evaluation = self.reference.evaluate(sequence._replace(state=state))
        self._state = evaluation.state.numpy(force=True).copy()
        return evaluation.logits.numpy(force=True).reshape(*sequence.action.shape[:2], -1)

    def loss(self, evaluation: Evaluation, legal, reference: np.ndarray, chosen: np.ndarray):
        """The mean KL of the chosen decisions, and the derivative of its share of the loss by `evaluation.logits`.

        Args:
            evaluation: of the policy.
            legal: torch bool `[T, N, L]` or None, as in the sequence.
            reference: from `reference_logits`.
            chosen: bool `[T, N]`; decisions whose action is missing are not among them.
        """
        allowed = None if legal is None else legal.numpy(force=True)
        logits = evaluation.logits.numpy(force=True)
        found = reverse_kl(logits.reshape(reference.shape), reference, allowed, self.policy.layout.starts)
        count = max(int(chosen.sum()), 1)
        scale = np.where(chosen, np.float32(self.kl_coefficient / count), np.float32(0))
        derivative = torch.from_numpy(found.by_logits * scale[..., None]).to(evaluation.logits.device)
        return float(found.kl[chosen].sum() / count), derivative.view_as(evaluation.logits)

    def forget(self) -> None:
        """The next rows are others: the reference remembers nothing of those before."""
        self._state = None

    # what the trainer tells

    def stepped(self, kl: float, scheduled: float) -> None:
        """After a step of gradient descent: its mean KL, and the learning rate the trainer's own schedule gave."""
        how = self.settings
        self._seen.append(float(kl))
        self._waiting += 1
        if how.target is None or self.frames < how.warmup or self._waiting < how.interval:
            return
        self._waiting = 0
        mean = float(np.mean(self._seen))
        if mean > how.tolerance * how.target:
            self._adapt(how.growth, how.shrink, scheduled)
        elif mean < how.target / how.tolerance:
            self._adapt(how.decay, how.grow, scheduled)

    def _adapt(self, kl_factor: float, learning_rate_factor: float, scheduled: float) -> None:
        """Multiply, but no further than what has an effect: a factor that ran away would take long to come back."""
        how = self.settings
        base = how.kl * (1 + self.frames / how.kl_scale) ** -how.kl_power
        if base > 0:
            self.kl_multiplier = min(self.kl_multiplier * kl_factor, how.kl_max / base)
        if scheduled > 0:
            low, high = how.learning_rate_min / scheduled, how.learning_rate_max / scheduled
            self.learning_rate_multiplier = float(
                np.clip(self.learning_rate_multiplier * learning_rate_factor, low, high)
            )

    def updated(self, frames: int) -> None:
        """After an update: how many frames were played so far in all. The reference moves where it shall."""
        self.frames, self.updates = int(frames), self.updates + 1
        how = self.settings
        if how.reference == "moving":
            self._follow(how.reference_step)
        elif how.reference == "refreshed" and self.updates % how.refresh == 0:
            self._follow(1.0)

    @torch.no_grad()
    def _follow(self, step: float) -> None:
        mine, theirs = self.policy.state_dict(), self.reference.state_dict()
        for name, weights in theirs.items():
            weights.lerp_(mine[name], step) if weights.is_floating_point() else weights.copy_(mine[name])

    def metrics(self) -> dict[str, float]:
        """Under plain names, beside the trainer's own `damping/kl`, `losses/entropy` and `charts/learning_rate`."""
        return {
            "damping/kl_coefficient": self.kl_coefficient,
            "damping/kl_multiplier": self.kl_multiplier,
            "damping/learning_rate_multiplier": self.learning_rate_multiplier,
            **({} if self.settings.entropy is None else {"damping/entropy_coefficient": self.entropy_coefficient(0.0)}),
        }

    # keeping

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON-able figures and arrays from which `restore` goes on, the reference's weights and memory included."""
        described = {
            "settings": asdict(self.settings),
            "reference_settings": self.reference.settings.to_json(),
            "frames": self.frames,
            "updates": self.updates,
            "kl_multiplier": self.kl_multiplier,
            "learning_rate_multiplier": self.learning_rate_multiplier,
            "seen": list(self._seen),
            "waiting": self._waiting,
        }
        memory = {} if self._state is None else {"memory": self._state}
        return described, {**under("reference", self.reference.arrays()), **memory}

    def restore(self, described: dict, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a `state`.

        Raises:
            ValueError: of other settings, or with a reference of another architecture.
        """
        for name, mine in (
            ("settings", asdict(self.settings)),
            ("reference_settings", self.reference.settings.to_json()),
        ):
            if described[name] != mine:
                raise ValueError(f"damping was saved with {name} {described[name]!r}, this one has {mine!r}")
        self.reference.load_arrays(beneath("reference", arrays))
        self.frames, self.updates = described["frames"], described["updates"]
        self.kl_multiplier = described["kl_multiplier"]
        self.learning_rate_multiplier = described["learning_rate_multiplier"]
        self._seen = deque(described["seen"], maxlen=self.settings.interval)
        self._waiting = described["waiting"]
        self._state = arrays.get("memory")


def kept(damping: Damping | None) -> tuple[dict, dict[str, np.ndarray]]:
    """What a trainer's checkpoint holds of its damping: nothing without one."""
    if damping is None:
        return {}, {}
    described, arrays = damping.state()
    return {"damping": described}, under("damping", arrays)


def restore_kept(damping: Damping | None, folder, described: dict, arrays: dict[str, np.ndarray]) -> None:
    """Go on from what `kept` gave.

    Raises:
        ValueError: the checkpoint in `folder` was saved with damping and the trainer has none, or the other way round,
            or with another kind.
    """
    if ("damping" in described) != (damping is not None):
        with_or_without = "with" if "damping" in described else "without"
        raise ValueError(f"{folder}: saved {with_or_without} damping; give the trainer the same")
    if damping is not None:
        damping.restore(described["damping"], beneath("damping", arrays))
