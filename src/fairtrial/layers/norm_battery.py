"""What every normalization must fulfil, ours and a plug-in's: one check each, on layers of 16 channels.

A check takes a row of NORMS and returns what is wrong, "" where nothing is. `fairtrial check` runs all on a
plug-in, a worker those of QUICK before its first cell, the tests all of them on each of our own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from fairtrial.layers.norms import Norm

BATCH, CHANNELS, SIDE, GROUPS = 6, 16, 5, 4
LEFT: Final = 0.3  # of a negative half that a relu or gate leaves at most, next to the positive one

Check = Callable[[Norm], str]


def images(batch: int = BATCH, channels: int = CHANNELS, side: int = SIDE, seed: int = 0) -> Tensor:
    """Return normal numbers, mean 0.5 and deviation 2. -> (batch, channels, side, side) float32."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randn((batch, channels, side, side), generator=draws) * 2 + 0.5


def layer_of(norm: Norm) -> nn.Module:
    """Build the layer that the checks look at."""
    return norm.build(CHANNELS, groups=GROUPS)


def keeps_the_shape(norm: Norm) -> str:
    """Check that a map comes back in its shape and type; in evaluation one image too."""
    layer = layer_of(norm)
    for x in (images(), images(side=8)):
        out = layer(x)
        if not isinstance(out, Tensor) or (out.shape, out.dtype) != (x.shape, x.dtype):
            came = f"{tuple(out.shape)} {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            return f"returns {came} for {tuple(x.shape)} {x.dtype}; the shape and the type must stay"
    out = layer.eval()(images(batch=1))
    return (
        "" if out.shape == (1, CHANNELS, SIDE, SIDE) else "returns another shape for one image in evaluation"
    )


def repeats_itself(norm: Norm) -> str:
    """Check that two layers of equal state give equal bits, and the same again."""
    first, second = layer_of(norm), layer_of(norm)
    second.load_state_dict(first.state_dict())
    outs = [layer.eval()(images()) for layer in (first, second, first)]
    same = torch.equal(outs[0], outs[1]) and torch.equal(outs[0], outs[2])
    trained = [layer.train()(images()) for layer in (first, second)]
    if same and torch.equal(*trained):
        return ""
    return "gives other numbers for the same input and state: draw nothing in it"


def has_finite_gradients(norm: Norm) -> str:
    """Check the gradients of input and parameters, also where an image is constant."""
    for constant in (False, True):
        layer, x = layer_of(norm), images()
        if constant:
            x[:] = 3.0
        x.requires_grad_()
        (layer(x) * images(seed=1)).sum().backward()
        named = {"the input": x, **dict(layer.named_parameters())}
        for name, tensor in named.items():
            if tensor.grad is None or not torch.isfinite(tensor.grad).all():
                where = " of a constant image" if constant else ""
                return (
                    f"the gradient of {name}{where} is {'missing' if tensor.grad is None else 'not finite'}"
                )
            if not constant and not tensor.grad.any():
                return f"gives a gradient of {name} that is 0 throughout"
    return ""


def has_exact_gradients(norm: Norm) -> str:
    """Check the gradients against finite differences, in double precision, away from where a layer starts."""
    layer = norm.build(4, groups=2).double()
    with torch.no_grad():
        for number, value in enumerate(layer.parameters()):
            ramp = torch.linspace(-0.2, 0.3, value.numel(), dtype=torch.float64)
            value.add_(ramp.view(value.shape) * (number + 1))
    x, values = images(2, 4, 3).double().requires_grad_(), dict(layer.named_parameters())

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, dict(zip(values, parameters, strict=True)), (x,))
        return out

    try:
        torch.autograd.gradcheck(call, (x, *values.values()))
    except Exception as error:
        return f"has gradients that are not those of its values: {str(error).strip().splitlines()[0]}"
    return ""


def makes_the_round_trip(norm: Norm) -> str:
    """Check that a state_dict holds everything: a copy that loads it evaluates alike."""
    layer, copy = layer_of(norm), layer_of(norm)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    layer(images())  # moves running statistics
    copy.load_state_dict(layer.state_dict())
    if torch.equal(copy.eval()(images(seed=1)), layer.eval()(images(seed=1))):
        return ""
    return "a copy that loads its state_dict evaluates otherwise: keep all state in parameters and buffers"


def mixes_as_it_says(norm: Norm) -> str:
    """Check `mixes_batch` by changing a neighbour; no layer may mix the batch in evaluation."""
    layer, x = layer_of(norm), images()
    other = x.clone()
    other[1] = images(seed=1)[1]
    mixes = not torch.equal(layer(x)[0], layer(other)[0])
    if mixes is not norm.mixes_batch:
        seen = "changes" if mixes else "does not change"
        return f"says mixes_batch: {norm.mixes_batch}, but a changed neighbour {seen} an image"
    layer.eval()
    return "" if torch.equal(layer(x)[0], layer(other)[0]) else "mixes the batch in evaluation"


def activates_as_it_says(norm: Norm) -> str:
    """Check `activates`: a relu or a gate leaves far less of what is negative than of what is positive."""
    out = layer_of(norm)(torch.cat([images() - 0.5, 0.5 - images()]))  # symmetric about zero
    gated = bool(out.clamp(max=0).abs().mean() < LEFT * out.clamp(min=0).mean())
    if gated is norm.activates:
        return ""
    return f"says activates: {norm.activates}, but negative values are {'' if gated else 'not '}held back"


def lets_relu_follow(norm: Norm) -> str:
    """Check `relu_in_place`: gradients survive a relu that overwrites the output."""
    if norm.activates or not norm.relu_in_place:
        return ""
    x = images().requires_grad_()
    out = layer_of(norm)(x)
    try:
        (torch.relu(out) if out is x else torch.relu_(out)).sum().backward()
    except RuntimeError:
        return "says relu_in_place: True, but its gradient needs the output"
    return ""


def agrees_in_channels_last(norm: Norm) -> str:
    """Check that the order of a map in memory changes no value."""
    layer, x = layer_of(norm), images()
    other = layer(x.contiguous(memory_format=torch.channels_last))
    near = torch.allclose(other, layer(x), rtol=1e-5, atol=1e-5)
    return "" if near else "gives other values where images are stored channels last"


QUICK: Final[dict[str, Check]] = {
    "shape": keeps_the_shape,
    "determinism": repeats_itself,
}
CHECKS: Final[dict[str, Check]] = {
    **QUICK,
    "finite gradients": has_finite_gradients,
    "exact gradients": has_exact_gradients,
    "state_dict round trip": makes_the_round_trip,
    "mixes_batch": mixes_as_it_says,
    "activates": activates_as_it_says,
    "relu_in_place": lets_relu_follow,
    "channels last": agrees_in_channels_last,
}
