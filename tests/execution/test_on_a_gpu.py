"""Whole networks on a GPU with our own kernels, against the plain formula; skipped where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairtrial.kernels.dispatch import own_kernels
from fairtrial.kernels.standardization import DEFINITIONS, WAYS, ways_on
from fairtrial.layers import made_once
from fairtrial.models.resnet import ResNetV2, create_model, init_weights
from fairtrial.study.recipes import Recipe
from fairtrial.training import batches, loop
from fairtrial.training.precision import precision
from fairtrial.training.timing import Ledger

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
GPU = torch.device("cuda")
LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}
HALF = 2**-8  # one rounding to bfloat16


@pytest.fixture(autouse=True)
def exact():
    """As a job sets them: no TF32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def network(kernels: str, layout: str, seed: int = 0) -> ResNetV2:
    model = create_model("mini", 10, kernels=kernels)
    init_weights(model, lambda name: np.random.default_rng([seed, len(name)]))
    with torch.no_grad():
        model.head.conv.weight.normal_(generator=torch.Generator().manual_seed(seed), std=0.02)
    return model.to(GPU, memory_format=LAYOUTS[layout])


def gradients(model: ResNetV2, layout: str) -> list[torch.Tensor]:
    """Loss and gradients of one batch of noise."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, 32, 32, generator=draw).to(GPU).contiguous(memory_format=LAYOUTS[layout])
    loss = F.cross_entropy(model(images), torch.arange(8, device=GPU))
    return [loss, *torch.autograd.grad(loss, list(model.parameters()))]


def apart(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """The largest distance, relative to the length of what is expected."""
    return max(float((one - other).norm() / other.norm()) for one, other in zip(found, expected, strict=True))


def test_our_own_kernels_run_here():
    assert own_kernels(GPU) == "triton"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_gives_what_the_plain_kernels_give(layout):
    found = gradients(network("fastest", layout), layout)
    assert apart(found, gradients(network("plain", layout), layout)) < 1e-4


@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_bf16_it_lies_as_near_float32_as_the_plain_kernels_do(layout):
    exact = gradients(network("plain", layout), layout)
    with torch.autocast("cuda", torch.bfloat16):
        ours, plain = (gradients(network(kernels, layout), layout) for kernels in ("fastest", "plain"))
    assert apart(ours, exact) < 1.5 * apart(plain, exact) + HALF


def test_micro_batches_in_bf16_add_up_in_float32():
    model = network("fastest", "nchw")
    with torch.autocast("cuda", torch.bfloat16), made_once(model):
        for _ in range(3):
            F.cross_entropy(
                model(torch.randn(4, 3, 32, 32, device=GPU)), torch.arange(4, device=GPU)
            ).backward()
        assert {conv.made.grad.dtype for conv in model.bank.convs} == {torch.float32}
    assert all(conv.weight.grad.dtype == torch.float32 for conv in model.bank.convs)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_way_on_a_gpu_equals_float64(name):
    definition = DEFINITIONS[name]
    draw = np.random.default_rng(0)
    shapes = [(64, 64, 3, 3), (16, 3, 7, 7), (256, 64, 1, 1), (4, 1024, 3, 3)]
    arrays, upstream = ([draw.normal(0.3, 1, shape) for shape in shapes] for _ in range(2))
    exact = [torch.tensor(each, requires_grad=True) for each in arrays]
    expected = WAYS["var_mean"](exact, definition)
    slopes = torch.autograd.grad(expected, exact, [torch.tensor(each) for each in upstream])
    for way in ways_on(GPU):
        if way in ("batch_norm", "layer_norm") and (definition.outside or definition.correction):
            continue
        leaves = [torch.tensor(each, dtype=torch.float32, device=GPU, requires_grad=True) for each in arrays]
        made = WAYS[way](leaves, definition)
        ups = [torch.tensor(each, dtype=torch.float32, device=GPU) for each in upstream]
        found = torch.autograd.grad(made, leaves, ups)
        for ours, right in zip([*made, *found], [*expected, *slopes], strict=True):
            gap = (ours.detach().cpu().double() - right.detach()).abs().max()
            assert gap <= 1e-5 * right.detach().abs().max(), way


def test_a_compiled_network_gives_the_same():
    model = network("fastest", "nchw").eval()
    images = torch.randn(4, 3, 32, 32, device=GPU)
    compiled = torch.compile(model, backend="aot_eager")
    torch.testing.assert_close(compiled(images), model(images), rtol=1e-4, atol=1e-4)


def trained(norm: str, recipe: Recipe, numbers: str = "fp32") -> tuple[loop.Outcome, dict[str, torch.Tensor]]:
    """A few steps of a mini on noise, on the GPU."""
    draw = np.random.default_rng(0)
    images = torch.from_numpy(draw.integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)).to(GPU)
    labels = (torch.arange(64) % 10).to(GPU)
    order = batches.Order(np.arange(64), 0)
    task = batches.Task(images, labels, images[:8], labels[:8], 10, order, "none", 0, 0)
    model = create_model("mini", 10, norm)
    init_weights(model, lambda name: np.random.default_rng([0, len(name)]))
    model = model.to(GPU)
    with precision(numbers, GPU):
        outcome = loop.fit(model, task, recipe, 12, Ledger())
    return outcome, model.state_dict()


RECIPES = {
    "whole": Recipe(16, None, lr=0.01, warmup=0.1, weight_decay=1e-4, mixup=0.0),
    "mixup": Recipe(16, None, lr=0.01, warmup=0.1, weight_decay=1e-4, mixup=0.2),
    "micro": Recipe(16, 4, lr=0.01, warmup=0.1, weight_decay=1e-4, mixup=0.0),
}


@pytest.mark.parametrize("numbers", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("norm", "recipe"), [("bn", "whole"), ("gn", "whole"), ("gn", "mixup"), ("gn", "micro")]
)
def test_replayed_steps_are_the_eager_ones_to_the_bit(norm, recipe, numbers, monkeypatch):
    outcome, state = trained(norm, RECIPES[recipe], numbers)
    assert outcome.eager is None
    monkeypatch.setattr(loop, "replay_of", lambda *_: (None, "asked for"))
    eager, expected = trained(norm, RECIPES[recipe], numbers)
    assert eager.eager == "asked for"
    assert (outcome.train_loss, outcome.val_curve) == (eager.train_loss, eager.val_curve)
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_a_network_that_cannot_be_captured_trains_eagerly_and_says_why(monkeypatch):
    look = loop.passes

    def peeks(model, x, y, recipe):
        loss = look(model, x, y, recipe)
        loss.item()  # waits for the GPU, which a capture forbids
        return loss

    monkeypatch.setattr(loop, "passes", peeks)
    outcome, _ = trained("gn", RECIPES["whole"])
    assert outcome.eager.startswith("no CUDA graph: ")
    assert outcome.train_loss is not None
