"""SGD with momentum, as BiT trains: one pass over all parameters."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

from fairtrial.kernels.cpu_sgd import ForC, Rates, by_c, by_torch


class SGD:
    """v <- momentum * v + (g + weight_decay * w);  w <- w - lr * v, with v = g at the first step.

    The formula and the order of operations of torch.optim.SGD(foreach=True), to the bit (test), by whatever
    computes it (kernels/cpu_sgd.py). Our own, because building torch's optimizer imports torch's compiler:
    3.3 s in every job, the time of three cells.
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, lr: float, momentum: float, weight_decay: float
    ) -> None:
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.parameters = list(parameters)
        self.velocity: list[Tensor] | None = None  # one per parameter, after the first step

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update; a parameter without a gradient is a RuntimeError: every layer must take part."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if len(gradients) < len(self.parameters):
            raise RuntimeError("a parameter has no gradient: it does not take part in the loss")
        given = self.parameters, gradients, self.velocity, Rates(self.lr, self.momentum, self.weight_decay)
        lie = self._for_c
        if lie is not None and lie.fit(gradients) and lie.fit(self.velocity or gradients):
            self.velocity = by_c(*given, lie)
        else:
            self.velocity = by_torch(*given)

    @cached_property
    def _for_c(self) -> ForC | None:
        """Asked at the first step: by then a process has tried its kernels."""
        return ForC.of(self.parameters)
