"""Norms with their relu in one pass: values, gradients and statistics of torch's, in every case."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fairtrial.kernels import cpu
from fairtrial.kernels.dispatch import FUSED
from fairtrial.layers import NORMS
from fairtrial.models.resnet import create_model
from tests.support.filters import need

# images, channels, side: several pixels to a row, whole strips, a strip and a rest, a rest alone, many rows
SHAPES = [(3, 16, 4), (2, 64, 6), (2, 40, 3), (5, 6, 5), (2, 32, 20), (1, 256, 2)]
CASES = ("gn", "ln", "in")


def maps(images: int, channels: int, side: int, seed: int, mean: float = 0.0) -> Tensor:
    drawn = torch.randn(images, channels, side, side, generator=torch.Generator().manual_seed(seed))
    return (drawn + mean).contiguous(memory_format=torch.channels_last)


def layer_of(norm: str, channels: int, kernels: str) -> nn.Module:
    groups = 2 if norm == "gn" else 1
    layer = NORMS[norm].build(channels, groups=groups)
    layer.kernels = kernels
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-0.5, 1.5, channels))
        layer.bias.copy_(torch.linspace(-1, 1, channels))
    return layer


def results(layer: nn.Module, x: Tensor, relu: bool) -> dict[str, Tensor]:
    """Map and gradients, and the map without a gradient."""
    x = x.detach().requires_grad_()
    y = layer(x, relu=relu)
    (y * maps(*x.shape[:3], seed=1).to(x.dtype)).sum().backward()
    found = {"y": y.detach(), "x": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad}
    with torch.no_grad():
        return found | {"evaluated": layer(x, relu=relu)}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("norm", CASES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_maps_and_gradients_are_those_of_torch_in_float64(shape, norm, relu):
    need("compiled")
    x = maps(*shape, seed=0, mean=3.0)
    fused = results(layer_of(norm, shape[1], FUSED), x, relu)
    plain = results(layer_of(norm, shape[1], "torch").double(), x.double(), relu)
    assert fused["y"].is_contiguous(memory_format=torch.channels_last)
    for name, expected in plain.items():
        gap = (fused[name].double() - expected).abs().max() / expected.abs().max().clamp(min=1)
        assert gap < 2e-5, f"{name} differs by {gap:.1e}"


def test_a_mean_far_from_zero_rounds_no_variance_away():
    need("compiled")
    x = maps(2, 64, 8, seed=0, mean=1000.0)
    y, kept = cpu.normalize(x, 8, torch.ones(64), torch.zeros(64), 1e-5, False)
    plain = torch.var(x.double().view(2, 8, 8, 64), (2, 3), correction=0)
    torch.testing.assert_close(kept[16:32].view(2, 8).double(), plain, rtol=1e-5, atol=0)
    assert abs(float(y.std()) - 1) < 1e-2


def test_nan_stays_so_that_a_diverged_network_is_seen():
    need("compiled")
    x = maps(2, 16, 4, seed=0)
    x[1, 3, 2, 2] = float("nan")
    y = layer_of("gn", 16, FUSED)(x, relu=True)
    assert torch.isfinite(y[0]).all() and y[1, :8].isnan().all() and torch.isfinite(y[1, 8:]).all()


def test_other_layouts_and_dtypes_are_refused_by_c_and_computed_by_torch():
    need("compiled")
    x, ones = maps(2, 16, 4, seed=0), torch.ones(16)
    for other, words in ((x.contiguous(), "channels-last alone"), (x.double(), "float32 on a CPU")):
        with pytest.raises(ValueError, match=words):
            cpu.normalize(other, 2, ones, ones, 1e-5, True)
        layer, plain = (layer_of("gn", 16, kernels).to(other.dtype) for kernels in (FUSED, "torch"))
        assert torch.equal(layer(other, relu=True), plain(other, relu=True))


def test_norms_are_the_same_for_one_thread_and_two():
    need("compiled")
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(results(layer_of("gn", 64, FUSED), maps(5, 64, 6, seed=0), True))
    torch.set_num_threads(before)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_every_norm_of_a_network_is_told_which_kernels():
    model = create_model("mini", 10, "gn", kernels=FUSED)
    told = [layer.kernels for name, layer in model.named_modules() if name.split(".")[-1].startswith("norm")]
    assert told == [FUSED] * 19
