"""From an observation's named fields to one flat vector a row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from workbench.envs.core import EnvSpec
from workbench.policies.dense import dense
from workbench.policies.settings import PolicySettings


class Inputs(NamedTuple):
    """An observation laid flat: `numbers` float32 `[..., D]`, `tokens` integer `[..., K]` (either may be 0 wide)."""

    numbers: torch.Tensor | np.ndarray
    tokens: torch.Tensor | np.ndarray


class Layout:
    """Where each field of an `EnvSpec` lies in `Inputs`, and each head in a row of logits."""

    def __init__(self, spec: EnvSpec):
        self.numbers, self.tokens = [], []
        self.vocabularies: list[int] = []
        for name, field in spec.observation.items():
            size = int(np.prod(field.shape, dtype=np.int64))
            if field.is_tokens:
                self.tokens.append((name, size))
                self.vocabularies.append(field.vocabulary)
            else:
                self.numbers.append((name, size))
        self.number_width = sum(size for _, size in self.numbers)
        self.token_width = sum(size for _, size in self.tokens)
        self.token_type = (
            np.int32 if any(spec.observation[name].dtype == "int32" for name, _ in self.tokens) else np.int16
        )
        self.sizes = spec.action.sizes
        self.starts = np.cumsum((0, *self.sizes), dtype=np.int64)
        self.option_width = int(self.starts[-1])

    def inputs(self, observation, rows: int) -> Inputs:
        """Lay an observation's `[rows, *shape]` fields flat; a lone field is not copied."""
        return Inputs(
            _joined(observation, self.numbers, rows, np.float32),
            _joined(observation, self.tokens, rows, self.token_type),
        )

    def write(self, observation, numbers, tokens) -> None:
        """Lay `[..., *shape]` fields flat into `numbers [rows, D]` and `tokens [rows, K]`."""
        for fields, flat in ((self.numbers, numbers), (self.tokens, tokens)):
            start = 0
            for name, size in fields:
                flat[:, start : start + size] = observation[name].reshape(len(flat), size)
                start += size

    def options(self, legal, rows: int) -> np.ndarray | None:
        """Legal masks of all heads as one bool `[rows, L]`, None where everything is legal."""
        if all(_all_true(allowed) for allowed in legal):
            return None
        if len(legal) == 1:
            return np.ascontiguousarray(legal[0].reshape(rows, -1))
        return np.concatenate([allowed.reshape(rows, -1) for allowed in legal], axis=1)


def _all_true(mask) -> bool:
    # an env without illegal options may hand out one True, broadcast
    return bool(mask.flat[0]) if not any(mask.strides) and mask.size else bool(mask.all())


def _joined(observation, fields, rows, dtype):
    if not fields:
        return np.empty((rows, 0), dtype)
    if len(fields) == 1:
        return np.ascontiguousarray(observation[fields[0][0]].reshape(rows, -1), dtype=dtype)
    return np.concatenate([observation[name].reshape(rows, size) for name, size in fields], axis=1, dtype=dtype)


class Encoder(nn.Module):
    """Numbers pass through, tokens are looked up; fields with vocabularies of one size share a table.

    Shapes: `Inputs` with leading axes `[...]` to float32 `[..., width]`.
    """

    def __init__(self, layout: Layout, settings: PolicySettings):
        super().__init__()
        self.has_numbers, self.has_tokens = layout.number_width > 0, layout.token_width > 0
        self.normalise = nn.LayerNorm(layout.number_width) if settings.normalise and self.has_numbers else None
        self.width = layout.number_width
        if self.has_tokens:
            first_row, rows, offsets = {}, 0, []
            for (_, size), vocabulary in zip(layout.tokens, layout.vocabularies, strict=True):
                if vocabulary not in first_row:
                    first_row[vocabulary], rows = rows, rows + vocabulary
                offsets += [first_row[vocabulary]] * size
            self.table = nn.Embedding(rows, settings.embedding)
            self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.int32), persistent=False)
            self.spans = [size for _, size in layout.tokens] if settings.pool == "mean" else None
            self.width += settings.embedding * (len(layout.tokens) if self.spans else layout.token_width)
        self.projection = None
        if settings.projection:
            self.projection = nn.Linear(self.width, settings.projection)
            self.activation = settings.activation
            self.width = settings.projection

    def forward(self, inputs: Inputs) -> torch.Tensor:
        parts = []
        if self.has_numbers:
            parts.append(inputs.numbers if self.normalise is None else self.normalise(inputs.numbers))
        if self.has_tokens:
            embedded = self.table(inputs.tokens + self.offsets)
            if self.spans is None:
                parts.append(embedded.flatten(-2))
            else:
                parts += [field.mean(dim=-2) for field in embedded.split(self.spans, dim=-2)]
        encoded = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        if self.projection is None:
            return encoded
        return dense(encoded, [(self.projection.weight, self.projection.bias)], self.activation)[0]
