"""`Policy`: a network that plays (numpy in, numpy out) and learns (torch)."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from workbench.envs.core import EnvSpec
from workbench.envs.players import Decision
from workbench.policies.backbones import MLP, Recurrent, build_backbone
from workbench.policies.encoders import Encoder, Inputs, Layout
from workbench.policies.heads import build_heads, orthogonal
from workbench.policies.settings import PolicySettings
from workbench.policies.storage import CorruptFileError, read_pair, write_pair

FORMAT = 1


class Sequence(NamedTuple):
    """T decisions of N rows, ready for learning. `Policy.sequence` makes one from an env's arrays.

    Args:
        inputs: the observation, leading axes `[T, N]`.
        legal: bool `[T, N, L]`, all heads side by side; None where everything is legal.
        action: int64 `[T, N, H]`; negative entries are unknown and count 0 in the log-probability.
        state: float32 `[N, S]`, recurrent state before the first decision.
        reset: numpy bool `[T, N]`, a game begins here; None: nowhere.
        acting: numpy bool `[T, N]`, the row decides here; None: everywhere.
    """

    inputs: Inputs
    legal: torch.Tensor | None
    action: torch.Tensor
    state: torch.Tensor
    reset: np.ndarray | None = None
    acting: np.ndarray | None = None


class Evaluation(NamedTuple):
    """What a policy thinks of a `Sequence`; where a row does not act, the entries mean nothing.

    Args:
        log_prob: `[T, N]` of the whole action.
        entropy: `[T, N]` summed over heads, in nats.
        value: `[T, N]`.
        logits: `[T, N, L]` before masking.
        state: `[N, S]` after the last decision.
    """

    log_prob: torch.Tensor
    entropy: torch.Tensor
    value: torch.Tensor
    logits: torch.Tensor
    state: torch.Tensor


class Policy(nn.Module):
    """Encoder, backbone and heads for one `EnvSpec`; also a `Player`.

    Use `Policy.create` or `Policy.load`.
    """

    def __init__(self, spec: EnvSpec, settings: PolicySettings):
        super().__init__()
        self.spec, self.settings = spec, settings
        self.id = "policy"
        self.lineage: dict = {}
        self.training_figures: dict = {}
        self.layout = Layout(spec)
        self.encoder = Encoder(self.layout, settings)
        self.backbone = build_backbone(self.encoder.width, settings)
        self.critic = build_backbone(self.encoder.width, settings) if settings.separate_critic else None
        self.heads = build_heads(self.backbone.width, self.layout, settings)
        self.value_layer = orthogonal(nn.Linear(self.backbone.width, 1), 1.0)
        self._value_weights = (self.value_layer.weight, self.value_layer.bias)
        self.state_size = self.backbone.state_size + (self.critic.state_size if self.critic else 0)
        for dense in (module for module in self.modules() if isinstance(module, MLP)):
            for layer in dense.layers:
                orthogonal(layer, 2**0.5)
        for core in (module.core for module in self.modules() if isinstance(module, Recurrent)):
            for name, parameter in core.named_parameters():
                nn.init.zeros_(parameter) if "bias" in name else nn.init.orthogonal_(parameter)

    @classmethod
    def create(cls, spec: EnvSpec, settings: PolicySettings | None = None, seed: int = 0, device="auto") -> Policy:
        """A new policy; the same seed gives the same weights and leaves torch's own generator as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(spec, settings or PolicySettings()).to(pick_device(device))

    @property
    def device(self) -> torch.device:
        return self._value_weights[0].device

    # playing

    def initial_state(self, batch: int) -> np.ndarray:
        """Zeros, float32 `[batch, S]`."""
        return np.zeros((batch, self.state_size), np.float32)

    def act(self, observation, legal, state, temperature=1.0, generator=None) -> Decision:
        """Decide for N rows; see `workbench.envs.players.Player.act`.

        Raises:
            ValueError: temperature is not 0 and no generator was given.
        """
        rows = len(legal[0])
        return self.act_on(
            self.layout.inputs(observation, rows), self.layout.options(legal, rows), state, temperature, generator
        )

    @torch.inference_mode()
    def act_on(self, inputs: Inputs, options, state, temperature=1.0, generator=None) -> Decision:
        """`act` for an observation and legal options already laid flat (numpy), as `Layout` does."""
        if generator is None and temperature != 0:
            raise ValueError(f"{self.id}: acting at temperature {temperature} draws; give act a numpy Generator")
        actor, critic, new_state = self._step(inputs, state)
        uniform = None if temperature == 0 else generator.random((len(state), len(self.layout.sizes)), np.float32)
        action, log_prob = self.heads.sample(actor, options, uniform, temperature)
        return Decision(action, log_prob, self._value(critic).numpy(force=True), new_state)

    @torch.inference_mode()
    def value_of(self, inputs: Inputs, state) -> np.ndarray:
        """float32 `[N]` value of N rows (inputs laid flat, numpy), without deciding anything."""
        return self._value(self._step(inputs, state)[1]).numpy(force=True)

    @torch.inference_mode()
    def probabilities(self, observation, legal, state=None) -> np.ndarray:
        """float32 `[N, n]` probability of each option, for envs with one head (exploitability needs them exact).

        Raises:
            ValueError: the env has several heads.
        """
        if len(self.layout.sizes) != 1:
            raise ValueError(f"{self.spec.name} has {len(self.layout.sizes)} heads; probabilities serves one-head envs")
        rows = len(legal[0])
        inputs = self.layout.inputs(observation, rows)
        actor, _, _ = self._step(inputs, self.initial_state(rows) if state is None else state)
        action = torch.zeros((1, rows, 1), dtype=torch.int64, device=self.device)
        logits = self.heads.evaluate(actor, None, action)[2]
        allowed = torch.from_numpy(np.ascontiguousarray(legal[0])).to(self.device)
        return torch.softmax(logits.masked_fill(~allowed, -torch.inf), dim=1).numpy(force=True)

    def _value(self, features) -> torch.Tensor:
        return nn.functional.linear(features, *self._value_weights).view(-1)

    def _step(self, inputs, state):
        """Actor's and critic's features of N rows and the numpy state after them."""
        encoded = self.encoder.forward(self._torch(inputs))
        if not self.state_size:
            return *self._forget(encoded), state
        split = self.backbone.state_size
        state = torch.from_numpy(state).to(self.device)
        actor, after = self.backbone.step(encoded, state[:, :split])
        if self.critic is None:
            return actor, actor, after.numpy(force=True)
        critic, critic_after = self.critic.step(encoded, state[:, split:])
        return actor, critic, torch.cat((after, critic_after), dim=1).numpy(force=True)

    def _forget(self, encoded):
        """Actor's and critic's features of rows without memory."""
        if self.critic is not None:
            return self.backbone.beside(self.critic, encoded)
        features, _ = self.backbone.step(encoded, None)
        return features, features

    # learning

    def sequence(self, observation, legal, action, state=None, reset=None, acting=None) -> Sequence:
        """A `Sequence` from an env's arrays: leading axes `[T, N]`, numpy; on a CPU nothing is copied twice."""
        steps, rows = action.shape[:2]
        inputs, options = self.layout.inputs(observation, steps * rows), self.layout.options(legal, steps * rows)
        inputs = Inputs(*(part.reshape(steps, rows, -1) for part in inputs))
        return Sequence(
            self._torch(inputs),
            None if options is None else torch.from_numpy(options.reshape(steps, rows, -1)).to(self.device),
            torch.from_numpy(np.ascontiguousarray(action, dtype=np.int64)).to(self.device),
            torch.from_numpy(self.initial_state(rows) if state is None else state).to(self.device),
            reset,
            acting,
        )

    def evaluate(self, sequence: Sequence) -> Evaluation:
        """Log-probabilities, entropies and values of a sequence, differentiable; equals `act` step by step."""
        actor, critic, state = self._unroll(sequence)
        log_prob, entropy, logits = self.heads.evaluate(actor, sequence.legal, sequence.action)
        shape = sequence.action.shape[:2]
        return Evaluation(log_prob, entropy, self._value(critic).view(shape), logits.view(*shape, -1), state)

    def _unroll(self, sequence: Sequence):
        """Actor's and critic's features of all decisions, `[T * N, W]`, and the state after them."""
        if not self.state_size:
            # rows of their own: flattened before anything is recorded for the gradient
            encoded = self.encoder.forward(Inputs(*(part.flatten(0, 1) for part in sequence.inputs)))
            return *self._forget(encoded), sequence.state
        encoded = self.encoder.forward(sequence.inputs)
        split, grid = self.backbone.state_size, (sequence.reset, sequence.acting)
        actor, state = self.backbone.unroll(encoded, sequence.state[:, :split], *grid)
        actor = actor.flatten(0, 1)
        if self.critic is None:
            return actor, actor, state
        critic, critic_state = self.critic.unroll(encoded, sequence.state[:, split:], *grid)
        return actor, critic.flatten(0, 1), torch.cat((state, critic_state), dim=1)

    def _torch(self, inputs: Inputs) -> Inputs:
        numbers, tokens = torch.from_numpy(inputs.numbers), torch.from_numpy(inputs.tokens)
        device = self.device
        return Inputs(numbers, tokens) if device.type == "cpu" else Inputs(numbers.to(device), tokens.to(device))

    # looking at it

    def describe(self) -> dict[str, str]:
        """What it is, in words: game, architecture, size, where it comes from."""
        settings = self.settings
        widths = " × ".join(map(str, settings.hidden)) or "no dense layers"
        memory = f", {settings.layers} × {settings.memory} of memory" if self.state_size else ""
        heads = ", ".join(f"{head.name} ({head.size})" for head in self.spec.action.heads)
        described = {
            "game": f"{self.spec.name} (fingerprint {self.spec.fingerprint})",
            "network": f"{settings.backbone}, {widths}{memory}",
            "decides": f"{heads}; {settings.head} heads",
            "weights": f"{sum(part.numel() for part in self.parameters()):,} on {self.device}",
        }
        kept = {**self.lineage, **self.training_figures}
        return described | {name: str(value) for name, value in kept.items() if value is not None}

    def _repr_html_(self) -> str:
        cell = "text-align:left;padding:2px 10px;border:none"
        rows = "".join(
            f'<tr><td style="{cell};opacity:.7">{escape(name)}</td><td style="{cell}">{escape(value)}</td></tr>'
            for name, value in self.describe().items()
        )
        return f'<b>{escape(self.id)}</b><table style="border-collapse:collapse;border:none">{rows}</table>'

    # keeping

    def frozen_copy(self, id: str) -> Policy:
        """A copy under another id that shares no memory with this policy and takes no gradient; draws nothing."""
        copy = Policy.create(self.spec, self.settings, device=self.device)
        copy.load_state_dict(self.state_dict())
        copy.requires_grad_(False)
        copy.id, copy.lineage, copy.training_figures = id, dict(self.lineage), dict(self.training_figures)
        return copy

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights by name, copied to numpy."""
        return {name: tensor.numpy(force=True).copy() for name, tensor in self.state_dict().items()}

    def load_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over weights that `arrays` gave, in place.

        Raises:
            ValueError: names or shapes that are not this policy's.
        """
        mine = self.state_dict()
        wrong = [
            f"{name}: {getattr(arrays.get(name), 'shape', 'missing')}, expected {tuple(tensor.shape)}"
            for name, tensor in mine.items()
            if name not in arrays or arrays[name].shape != tuple(tensor.shape)
        ] + [f"{name}: unexpected" for name in sorted(arrays.keys() - mine.keys())]
        if wrong:
            raise ValueError(f"weights do not fit the architecture: {'; '.join(wrong[:8])}")
        with torch.no_grad():
            for name, tensor in mine.items():
                tensor.copy_(torch.from_numpy(arrays[name]))

    def save(self, folder: str | Path, lineage: dict | None = None, training: dict | None = None) -> Path:
        """Write `policy.safetensors` and `policy.json` into `folder`, replacing an earlier policy atomically.

        Args:
            folder: made where missing.
            lineage: where the policy comes from: parent, generation, how it was trained.
            training: figures of its training.
        """
        description = {
            "format": FORMAT,
            "id": self.id,
            "fingerprint": self.spec.fingerprint,
            "settings": self.settings.to_json(),
            "lineage": self.lineage if lineage is None else lineage,
            "training": self.training_figures if training is None else training,
            "spec": self.spec.to_json(),
        }
        write_pair(folder, "policy", self.arrays(), description)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, spec: EnvSpec | None = None, device="auto") -> Policy:
        """The policy saved in `folder`, for an env of the given spec.

        Raises:
            FileNotFoundError: no policy there.
            CorruptFileError: a damaged or half-written file, named.
            ValueError: the policy was made for another env; the differences are named.
        """
        arrays, described = read_pair(folder, "policy")
        try:
            if described["format"] != FORMAT:
                raise ValueError(f"format {described['format']}, this version of the workbench reads {FORMAT}")
            saved = EnvSpec.from_json(described["spec"])
            settings = PolicySettings.from_json(described["settings"])
            if saved.fingerprint != described["fingerprint"]:
                raise ValueError("its spec does not have the fingerprint written beside it")
            policy_id, lineage, figures = described["id"], described["lineage"], described["training"]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"{Path(folder) / 'policy.json'}: cannot be used: {error}") from error
        if spec is not None:
            check_spec(saved, spec, str(folder))
        policy = cls.create(saved, settings, device=device)
        try:
            policy.load_arrays(arrays)
        except ValueError as error:
            raise CorruptFileError(f"{Path(folder) / 'policy.safetensors'}: {error}") from error
        policy.id, policy.lineage, policy.training_figures = policy_id, lineage, figures
        return policy


def check_spec(saved: EnvSpec, spec: EnvSpec, name: str) -> None:
    """Refuse a policy made for `saved` where `spec` is played.

    Raises:
        ValueError: they differ; the message says in what.
    """
    if saved.fingerprint != spec.fingerprint:
        differences = "\n  ".join(saved.differences(spec))
        raise ValueError(
            f"{name}: this policy was made for {saved.name} ({saved.fingerprint}), not for {spec.name} "
            f"({spec.fingerprint}). Here is the policy, there the env:\n  {differences}"
        )


def pick_device(device) -> torch.device:
    """`"auto"` is cuda where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)
