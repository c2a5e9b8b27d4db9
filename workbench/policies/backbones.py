"""What lies between the encoder and the heads, all behind one interface.

A backbone's recurrent state is one flat float32 row `[N, S]` a game, zeros at the start of a game. Stepping it frame
by frame equals unrolling it over a sequence. To add one: subclass `Backbone`, call `register_backbone`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from workbench.policies.dense import dense
from workbench.policies.settings import PolicySettings


class Backbone(nn.Module):
    """Maps `[.., D]` features to `[.., width]`, with memory where it has some.

    Attributes:
        width: of the output.
        state_size: S; 0 without memory.
    """

    width: int
    state_size: int = 0

    def step(self, x, state):
        """One decision of N rows: `x [N, D]`, `state [N, S]` to `(y [N, width], state [N, S])`."""
        raise NotImplementedError

    def unroll(self, x, state, reset=None, acting=None):
        """T decisions of N rows.

        Args:
            x: `[T, N, D]`.
            state: `[N, S]` before the first.
            reset: numpy bool `[T, N]`, a game begins here: its state is zeroed first. None: nowhere.
            acting: numpy bool `[T, N]`; elsewhere the state stays as it is and the output is 0. None: everywhere.

        Returns:
            `y [T, N, width]`, `state [N, S]` after the last.
        """
        raise NotImplementedError

    def beside(self, other: Backbone, x):
        """Outputs of this backbone and of another one of its kind for the same `x [N, D]`; both without memory."""
        return self.step(x, None)[0], other.step(x, None)[0]


class MLP(Backbone):
    """Dense layers; remembers nothing."""

    def __init__(self, inputs: int, settings: PolicySettings):
        super().__init__()
        self.layers = nn.ModuleList()
        for width in settings.hidden:
            self.layers.append(nn.Linear(inputs, width))
            inputs = width
        self.width = inputs
        self.activation = settings.activation
        # looked up once: reaching a parameter through its modules takes as long as a small matrix product
        self._weights = tuple(part for layer in self.layers for part in (layer.weight, layer.bias))

    def forward(self, x):
        return dense(x, [self._weights], self.activation)[0]

    def beside(self, other, x):
        return dense(x, [self._weights, other._weights], self.activation)

    def step(self, x, state):
        return self.forward(x), state

    def unroll(self, x, state, reset=None, acting=None):
        return self.forward(x), state


class Recurrent(Backbone):
    """Dense layers, then GRU or LSTM layers.

    A sequence is cut into one piece a game and row, without the frames in which the row does not act, and packed, so
    that torch's fused kernels run and nothing is computed twice or in vain.
    """

    def __init__(self, inputs: int, settings: PolicySettings, cell: type[nn.RNNBase]):
        super().__init__()
        self.dense = MLP(inputs, settings)
        self.core = cell(self.dense.width, settings.memory, settings.layers)
        self.parts = 2 if cell is nn.LSTM else 1
        self.width = settings.memory
        self.state_size = self.parts * settings.layers * settings.memory

    def _hidden(self, state):
        """Flat `[N, S]` to what torch's recurrent modules take, `[layers, N, memory]` (a pair for LSTM)."""
        parts = state.view(len(state), self.parts, self.core.num_layers, self.width).permute(1, 2, 0, 3).contiguous()
        return (parts[0], parts[1]) if self.parts == 2 else parts[0]

    def _flat(self, hidden):
        parts = torch.stack(hidden if self.parts == 2 else (hidden,))
        return parts.permute(2, 0, 1, 3).reshape(parts.shape[2], self.state_size)

    def step(self, x, state):
        y, hidden = self.core(self.dense(x).unsqueeze(0), self._hidden(state))
        return y[0], self._flat(hidden)

    def unroll(self, x, state, reset=None, acting=None):
        x = self.dense(x)
        if (reset is None or not reset[1:].any()) and (acting is None or acting.all()):
            if reset is not None and reset[0].any():
                state = state * torch.from_numpy(~reset[0]).to(state.device).unsqueeze(1)
            y, hidden = self.core(x, self._hidden(state))
            return y, self._flat(hidden)
        steps, rows, width = x.shape
        shape = (steps, rows)
        pieces = cut(
            np.zeros(shape, bool) if reset is None else reset, np.ones(shape, bool) if acting is None else acting
        )
        order = torch.from_numpy(pieces.order).to(x.device)
        padded = torch.cat((state, state.new_zeros(1, self.state_size)))
        first = padded[torch.from_numpy(pieces.row).to(x.device)]
        y = x.new_zeros(steps * rows, self.width)
        last = first
        if len(order):
            packed = PackedSequence(x.reshape(-1, width)[order], torch.from_numpy(pieces.batch_sizes))
            packed, hidden = self.core(packed, self._hidden(first))
            y = y.index_copy(0, order, packed.data)
            last = self._flat(hidden)
        return y.view(steps, rows, self.width), torch.cat((last, padded))[torch.from_numpy(pieces.final).to(x.device)]


class Pieces(NamedTuple):
    """A `[T, N]` grid cut into P pieces, one a game and row, longest first.

    Args:
        order: int64; flat index `t * N + n` of each acting cell, in packed order.
        batch_sizes: int64; how many pieces are at least 1, 2, ... long.
        row: int64 `[P]`; the row whose state the piece starts from, N for a game that begins within the grid.
        final: int64 `[N]`; where each row's state after the grid lies in `[piece states; row states; zeros]`.
    """

    order: np.ndarray
    batch_sizes: np.ndarray
    row: np.ndarray
    final: np.ndarray


def cut(reset, acting) -> Pieces:
    """Cut bool `[T, N]` grids into the pieces between resets, keeping only acting cells."""
    steps, rows = acting.shape
    game = np.cumsum(reset, axis=0)
    step, row = np.nonzero(acting.T)[::-1]
    cells = row * (steps + 1) + game[step, row]
    keys, piece, length = np.unique(cells, return_inverse=True, return_counts=True)
    position = np.arange(len(cells)) - np.repeat(np.cumsum(length) - length, length)
    longest = np.argsort(-length, kind="stable")
    rank = np.empty_like(longest)
    rank[longest] = np.arange(len(longest))
    order = np.lexsort((rank[piece], position))
    owner, number = np.divmod(keys[longest], steps + 1)
    # a row's last piece holds its final state; without one it keeps its state, or has zeros after a reset
    final = np.where(game[-1] > 0, len(keys) + rows, len(keys) + np.arange(rows))
    last = number == game[-1][owner]
    final[owner[last]] = np.flatnonzero(last)
    return Pieces((step * rows + row)[order], np.bincount(position), np.where(number == 0, owner, rows), final)


_backbones: dict[str, Callable[[int, PolicySettings], Backbone]] = {
    "mlp": MLP,
    "gru": lambda inputs, settings: Recurrent(inputs, settings, nn.GRU),
    "lstm": lambda inputs, settings: Recurrent(inputs, settings, nn.LSTM),
}


def register_backbone(name: str, factory: Callable[[int, PolicySettings], Backbone]) -> None:
    """Make a backbone known by `name`; `factory(input width, settings)` builds it."""
    if name in _backbones:
        raise ValueError(f"a backbone named {name!r} is registered already")
    _backbones[name] = factory


def backbone_names() -> list[str]:
    """Names of all backbones, sorted."""
    return sorted(_backbones)


def build_backbone(inputs: int, settings: PolicySettings) -> Backbone:
    """The backbone that `settings` name, for `inputs` features.

    Raises:
        ValueError: unknown name; the message gives the nearest ones.
    """
    if settings.backbone not in _backbones:
        near = difflib.get_close_matches(settings.backbone, _backbones, n=3, cutoff=0.3) or backbone_names()
        raise ValueError(f"no backbone named {settings.backbone!r}; did you mean {', '.join(near)}?")
    return _backbones[settings.backbone](inputs, settings)
