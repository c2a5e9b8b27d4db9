"""Adam over all parameters as one flat vector: a few kernels a step however many layers there are."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn


class FlatAdam:
    """Adam with decoupled weight decay.

    The parameters become views of one vector. Weights loaded in place (`Module.load_state_dict`,
    `Policy.load_arrays`) stay views of it.

    Args:
        module: its parameters, all on one device and float32.
        betas, eps, weight_decay: as in AdamW.

    Source: Kingma, Ba 2015, arXiv 1412.6980; Loshchilov, Hutter 2019, arXiv 1711.05101.
    """

    def __init__(self, module: nn.Module, *, betas=(0.9, 0.999), eps=1e-5, weight_decay=0.0):
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.flat = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.scratch = torch.empty_like(self.flat)
        self.units: torch.Tensor | None = None
        self.steps = 0
        self.spans, start = {}, 0
        for parameter in self.parameters:
            end = start + parameter.numel()
            parameter.data = self.flat[start:end].view_as(parameter)
            self.spans[id(parameter)] = slice(start, end)
            start = end

    def set_unit(self, module: nn.Module, unit: float) -> None:
        """From now on learn the parameters of `module` as multiples of `unit`: their steps are that much longer."""
        if self.units is None:
            self.units = torch.ones_like(self.flat)
        for parameter in module.parameters():
            self.units[self.spans[id(parameter)]] = unit

    def differentiate(self, outputs, derivatives=None) -> torch.Tensor:
        """The gradient as one vector.

        Args:
            outputs: tensors that depend on the parameters: a loss, or what a loss is computed from.
            derivatives: of the loss by each of `outputs`; None where the outputs are losses.
        """
        gradients = torch.autograd.grad(
            outputs, self.parameters, derivatives, allow_unused=True, materialize_grads=True
        )
        return torch.cat([gradient.reshape(-1) for gradient in gradients])

    @torch.no_grad()
    def step(self, gradient: torch.Tensor, learning_rate: float, max_norm: float | None = None) -> float:
        """Move against the gradient.

        Args:
            gradient: from `differentiate`; overwritten.
            learning_rate: for this step.
            max_norm: scale the gradient down to this norm where it is longer; None never does.

        Returns:
            The norm of the gradient before scaling.

        Raises:
            FloatingPointError: the gradient is not finite; nothing was moved.
        """
        scratch = self.scratch
        if self.units is not None:
            gradient.mul_(self.units)
        norm = float(torch.linalg.vector_norm(gradient))
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"the gradient's norm is {norm} after {self.steps} steps; nothing was changed: look for infinite rewards "
                "or observations, or lower the learning rate"
            )
        if max_norm is not None and norm > max_norm:
            gradient.mul_(max_norm / (norm + 1e-6))
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        if self.weight_decay:
            self.flat.mul_(1 - learning_rate * self.weight_decay)
        torch.sqrt(self.square, out=scratch).div_((1 - second**self.steps) ** 0.5).add_(self.eps)
        if self.units is not None:
            scratch.div_(self.units)
        self.flat.addcdiv_(self.mean, scratch, value=-learning_rate / (1 - first**self.steps))
        return norm

    def state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON-able counters, and arrays."""
        arrays = {"mean": self.mean.numpy(force=True).copy(), "square": self.square.numpy(force=True).copy()}
        return {"steps": self.steps}, arrays

    def restore(self, counters: dict, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state` gave.

        Raises:
            ValueError: for another number of parameters.
        """
        if arrays["mean"].shape != tuple(self.mean.shape):
            raise ValueError(f"optimizer state of {arrays['mean'].size} parameters, expected {self.mean.numel()}")
        self.steps = counters["steps"]
        self.mean.copy_(torch.from_numpy(arrays["mean"]))
        self.square.copy_(torch.from_numpy(arrays["square"]))
