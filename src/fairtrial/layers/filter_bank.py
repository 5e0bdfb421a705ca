"""The standardized filters of a network, made all at once: for one pass, or for a whole update."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fairtrial.kernels.buffer_pool import BufferPool
from fairtrial.kernels.standardization import standardize_all
from fairtrial.layers.std_conv import StdConv2d


class FilterBank:
    """The layers of a network that standardize their filters, and the memory that those take."""

    def __init__(self, network: nn.Module) -> None:
        self.convs = [module for module in network.modules() if isinstance(module, StdConv2d)]
        self._pool = BufferPool()

    @contextmanager
    def one_pass(self) -> Iterator[None]:
        """Filters for the forward pass inside; autograd knows where they come from."""
        if self._made or not self.convs:
            yield
            return
        self._give(self._make(rounded=True))
        try:
            yield
        finally:
            self._forget()

    @contextmanager
    def once(self) -> Iterator[None]:
        """Filters for all passes inside, forward and backward; see `made_once`."""
        if self._made or not self.convs:
            yield
            return
        made = self._make(
            rounded=not torch.is_grad_enabled()
        )  # gradients of several passes add up in float32
        self._give([filters.detach().requires_grad_(filters.requires_grad) for filters in made])
        try:
            yield
            self._pass_on(made)
        finally:
            self._forget()

    @property
    def _made(self) -> bool:
        return bool(self.convs) and self.convs[0].made is not None

    def _make(self, rounded: bool) -> list[Tensor]:
        """The filters of each layer; rounded: to what autocast would make of them, where it is on."""
        made: dict[StdConv2d, Tensor] = {}
        for part in self._alike():
            weights = [conv.weight for conv in part]
            alone = weights[0].requires_grad or not torch.is_grad_enabled()  # else other passes may hold them
            pool = self._pool if alone and len(part) == len(self.convs) else None
            dtype = _autocast(weights[0].device) if rounded and part[0].convolves_made else None
            found = standardize_all(weights, part[0].definition, part[0].kernels, pool, dtype)
            made.update(zip(part, found, strict=True))
        return [made[conv] for conv in self.convs]

    def _alike(self) -> Collection[list[StdConv2d]]:
        """The layers that one call can serve. Frozen ones apart: autograd asks nothing on their behalf."""
        parts: dict[tuple, list[StdConv2d]] = {}
        for conv in self.convs:
            weight = conv.weight
            kind = weight.requires_grad, weight.dtype, weight.device, conv.kernels, id(conv.definition)
            parts.setdefault((*kind, conv.convolves_made), []).append(conv)
        return parts.values()

    def _give(self, made: Sequence[Tensor]) -> None:
        for conv, filters in zip(self.convs, made, strict=True):
            conv.made = filters

    def _forget(self) -> None:
        for conv in self.convs:
            conv.made = None

    def _pass_on(self, made: Sequence[Tensor]) -> None:
        """Add to the gradient of each weight, from that of its filters."""
        told = [
            (filters, conv.weight, conv.made.grad)
            for filters, conv in zip(made, self.convs, strict=True)
            if conv.made is not None and conv.made.grad is not None
        ]
        if not told:
            return
        self._forget()
        filters, weights, gradients = zip(*told, strict=True)
        for weight, gradient in zip(weights, torch.autograd.grad(filters, weights, gradients), strict=True):
            weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)


def _autocast(device: torch.device) -> torch.dtype | None:
    """What autocast rounds the filters of a convolution to on a GPU; None where it is off, and elsewhere."""
    if device.type != "cuda" or not torch.is_autocast_enabled("cuda"):
        return None
    return torch.get_autocast_dtype("cuda")


@contextmanager
def made_once(network: nn.Module) -> Iterator[None]:
    """All filters are made once for all forward and backward passes inside, as their weights do not change.

    For the micro-batches of one update, and for evaluation, where the standardization is thus folded into the
    filters. The gradient through the standardization is taken once, at the end: it is linear, so the sum over
    the passes goes through it as one. A network without a bank is left as it is.
    """
    bank = getattr(network, "bank", None)
    if isinstance(bank, FilterBank):
        with bank.once():
            yield
    else:
        yield
