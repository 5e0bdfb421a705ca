"""The filters of a network made at once are those that each layer makes on its own, and never stale."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from fairtrial.kernels.dispatch import KERNELS
from fairtrial.kernels.standardization import DEFINITIONS
from fairtrial.layers import StdConv2d, made_once
from fairtrial.layers.filter_bank import FilterBank
from fairtrial.models.resnet import ResNetV2
from tests.support.networks import gap, gradients, images, network

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
every_choice = pytest.mark.parametrize("kernels", KERNELS)
every_conv = pytest.mark.parametrize("weight_std", [True, "scaled"])


def on_their_own(model: ResNetV2) -> ResNetV2:
    """The same network, in which each layer makes its own filters."""
    model.bank.convs = []
    return model


def learned(model: nn.Module, x: Tensor) -> dict[str, Tensor | None]:
    """The gradients of a loss that weighs every output otherwise."""
    model.zero_grad()
    out = model(x)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    return gradients(model)


def remembered(model: ResNetV2) -> list[Tensor]:
    return [conv.made for conv in model.modules() if isinstance(conv, StdConv2d) and conv.made is not None]


@every_choice
@every_conv
def test_one_pass_gives_outputs_and_gradients_of_layers_on_their_own(kernels, weight_std):
    banked, alone = network(kernels, weight_std), on_their_own(network("plain", weight_std))
    assert len(banked.bank.convs) == 22  # a root, 6 units of 3, 3 projections
    torch.testing.assert_close(banked(images()), alone(images()), **CLOSE)
    # Gradients pass through all layers, whose rounding differs: ten times that of one.
    assert gap(learned(banked, images()), learned(alone, images())) < 1e-4
    torch.testing.assert_close(banked.features(images()), alone.features(images()), **CLOSE)
    assert not remembered(banked)


@every_conv
def test_the_compiled_filters_of_a_network_are_bit_for_bit_those_of_a_layer(weight_std):
    banked, alone = network(weight_std=weight_std), on_their_own(network(weight_std=weight_std))
    assert torch.equal(banked(images()), alone(images()))
    found, expected = learned(banked, images()), learned(alone, images())
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@every_choice
@every_conv
def test_micro_batches_give_the_gradient_of_the_whole_batch(kernels, weight_std):
    model = network(kernels, weight_std)
    whole = learned(model, images(12))
    model.zero_grad()
    weights = torch.linspace(-1, 1, 48).view(12, 4)
    with made_once(model):
        for part, weight in zip(images(12).split(5), weights.split(5), strict=True):
            (model(part) * weight).sum().backward()
    assert gap(gradients(model), whole) < 1e-5
    assert not remembered(model)


@every_choice
def test_gradients_are_added_to_those_that_were_there(kernels):
    model = network(kernels)
    once = learned(model, images())
    out = torch.linspace(-1, 1, 16).view(4, 4)
    with made_once(model):
        (model(images()) * out).sum().backward()
    doubled = {name: 2 * value for name, value in once.items()}
    assert gap(gradients(model), doubled) < 1e-5


@every_choice
@every_conv
@pytest.mark.parametrize("quiet", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_folded_evaluation_is_that_of_each_pass(kernels, weight_std, quiet):
    model = network(kernels, weight_std).eval()
    with quiet():
        apart = [model(images(seed=seed)) for seed in range(3)]
        with made_once(model):
            folded = [model(images(seed=seed)) for seed in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(apart, folded, strict=True))


def test_filters_are_made_once_for_all_passes_inside(monkeypatch):
    model, count = network(), 0
    make = model.bank._make

    def counted(rounded):
        nonlocal count
        count += 1
        return make(rounded)

    monkeypatch.setattr(model.bank, "_make", counted)
    with made_once(model), made_once(model):
        for _ in range(3):
            model(images()).sum().backward()
        assert len(remembered(model)) == 22
    assert count == 1
    model(images())
    assert count == 2


@pytest.mark.parametrize("context", ["one_pass", "once"])
def test_an_error_inside_leaves_no_filters_behind(context):
    model = network()
    expected = model(images())
    with pytest.raises(MemoryError), getattr(model.bank, context)():
        assert remembered(model)
        raise MemoryError
    assert not remembered(model)
    assert all(value.grad is None for value in model.parameters())
    assert torch.equal(model(images()), expected)


@every_choice
@pytest.mark.parametrize("road", ["no_grad", "data", "load", "optimizer"])
def test_weights_that_change_between_passes_are_seen(kernels, road):
    model, other = network(kernels), network(kernels)
    with torch.no_grad():
        for value in other.parameters():
            value.add_(torch.linspace(0, 0.3, value.numel()).view_as(value))
    before = model(images())
    pairs = list(zip(model.parameters(), other.parameters(), strict=True))
    if road == "load":
        model.load_state_dict(other.state_dict())
    elif road == "data":
        for value, wanted in pairs:
            value.data = wanted.data.clone()
    elif road == "no_grad":
        with torch.no_grad():
            for value, wanted in pairs:
                value.copy_(wanted)
    else:
        for value, wanted in pairs:
            value.grad = value.detach() - wanted.detach()
        torch.optim.SGD(model.parameters(), lr=1.0).step()
    torch.testing.assert_close(model(images()), other(images()), **CLOSE)
    assert not torch.allclose(model(images()), before, atol=1e-2)


@every_choice
def test_frozen_layers_have_no_gradient_and_the_others_their_own(kernels):
    """finetune='last': the last block and the head. Their gradients do not know that the rest was frozen."""
    model = network(kernels)
    whole = learned(model, images())
    last = {name for name in whole if name.startswith(("body.block3", "head"))}
    for name, value in model.named_parameters():
        value.requires_grad_(name in last)
    assert gap(learned(model, images()), {n: g if n in last else None for n, g in whole.items()}) < 1e-5
    model.zero_grad()
    with made_once(model):
        (model(images()) * torch.linspace(-1, 1, 16).view(4, 4)).sum().backward()
    assert gap(gradients(model), {n: g if n in last else None for n, g in whole.items()}) < 1e-5


@every_choice
@pytest.mark.parametrize(
    "trained", [("body.block3", "head"), ("head",), ("body.block1.unit01.norm1", "head"), ()]
)
def test_two_passes_before_the_first_backward_are_right_whatever_is_frozen(kernels, trained):
    """The images ask for a gradient, so the filters of the first pass are needed after the second."""
    model = network(kernels)
    for name, value in model.named_parameters():
        value.requires_grad_(name.startswith(trained) if trained else False)
    first, second = images(seed=1).requires_grad_(), images(seed=2).requires_grad_()
    expected = [torch.autograd.grad(model(x).square().sum(), x)[0] for x in (first, second)]
    losses = [model(x).square().sum() for x in (first, second)]
    with torch.no_grad():
        model(images(seed=3))
    for x, loss, wanted in zip((first, second), losses, expected, strict=True):
        assert torch.equal(torch.autograd.grad(loss, x)[0], wanted)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_is_a_network_of_its_own(how):
    model = network()
    built, model.built = model.built, None
    learned(model, images())  # memory is on the shelf
    model.zero_grad()
    model.built = built
    other = how(model)
    assert {id(conv) for conv in other.bank.convs} == {
        id(layer) for layer in other.modules() if isinstance(layer, StdConv2d)
    }
    expected = model(images())
    with torch.no_grad():
        for conv in other.bank.convs:
            conv.weight.zero_()
    assert torch.equal(model(images()), expected)
    assert not torch.allclose(other(images()), expected, atol=1e-2)


def test_the_state_of_a_network_knows_nothing_of_the_bank():
    model = network()
    names = set(model.state_dict())
    with model.bank.one_pass():
        assert set(model.state_dict()) == names
    assert names == {name for name, _ in model.named_parameters()}
    assert not [name for name in names if "made" in name or "bank" in name]


def test_layers_of_several_definitions_kernels_and_dtypes_share_a_bank():
    """And none of them is computed as the first one is."""
    layers = nn.Sequential(*[StdConv2d(3, 3, 3, padding=1, bias=False) for _ in range(4)])
    layers[1].definition = DEFINITIONS["timm"]
    layers[2].kernels = "torch"
    layers[3].double()
    bank = FilterBank(layers)
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(1e-4)  # so that eps is seen
    with bank.one_pass():
        banked = [layer.made for layer in layers]
    for layer, made in zip(layers, banked, strict=True):
        x = torch.eye(27, dtype=layer.weight.dtype).view(27, 3, 3, 3)
        expected = layer(x)[:, :, 1, 1].T.reshape(layer.weight.shape)
        torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-6)
        assert made.dtype == layer.weight.dtype


@every_choice
def test_a_network_in_double_precision_runs(kernels):
    model, x = network(kernels).double(), images().double()
    torch.testing.assert_close(model(x).float(), network(kernels)(images()), rtol=1e-4, atol=1e-4)


def test_a_module_without_a_bank_is_left_as_it_is():
    layer = nn.Linear(2, 2)
    with made_once(layer):
        layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad.any()


def test_a_network_without_standardization_has_nothing_to_make():
    model = network(weight_std=False)
    with made_once(model):
        model(images()).sum().backward()
    assert model.bank.convs == []
