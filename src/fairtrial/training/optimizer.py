"""SGD with momentum, as BiT trains: one pass over all parameters."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class SGD:
    """v <- momentum * v + (g + weight_decay * w);  w <- w - lr * v, with v = g at the first step.

    The formula and the order of operations of torch.optim.SGD(foreach=True), to the bit (test). Our own,
    because building torch's optimizer imports torch's compiler: 3.3 s in every job, the time of three cells.
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
        if self.weight_decay:
            gradients = list(torch._foreach_add(gradients, self.parameters, alpha=self.weight_decay))
        if self.velocity is None:
            self.velocity = [gradient.clone() for gradient in gradients]
        else:
            torch._foreach_mul_(self.velocity, self.momentum)
            torch._foreach_add_(self.velocity, gradients)
        torch._foreach_add_(self.parameters, self.velocity, alpha=-self.lr)
