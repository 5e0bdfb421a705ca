"""What fine-tuning trains, and what it leaves as it is."""

import numpy as np
import pytest
import torch

from fairtrial.models.resnet import create_model, init_weights
from fairtrial.rng import key, stream
from fairtrial.study.recipes import Recipe
from fairtrial.training.batches import Order, Task
from fairtrial.training.finetuning import Features, Probe, freeze, re_estimate
from fairtrial.training.loop import fit
from fairtrial.training.timing import Ledger

IDS = np.arange(12)
RECIPE = Recipe(batch_size=4, micro_batch=None, lr=0.1, warmup=0.0, weight_decay=0.0, mixup=0.0)


def network(norm="bn", seed=0):
    model = create_model("mini", 3, norm, norm == "gn")
    init_weights(model, lambda name: stream("init", seed, key(name)))
    rng = np.random.default_rng(1)
    for module in model.modules():  # statistics that no batch would give
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(torch.from_numpy(rng.normal(size=module.num_features)))
            module.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2, module.num_features)))
    return model


def task(pad=2):
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (12, 3, 16, 16), dtype=np.uint8))
    return Task(
        images=torch.nn.functional.pad(images, (pad, pad, pad, pad)),
        labels=torch.arange(12) % 3,
        val_images=images[:5],
        val_labels=torch.arange(5) % 3,
        num_classes=3,
        order=Order(IDS, 0),
        augment="none",
        pad=pad,
        replicate=0,
    )


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def moved(model, before):
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def trained(model, finetune="full", bn_mode="updated"):
    """The names of what two updates change."""
    before = state(model)
    fit(model, task(), RECIPE, 2, Ledger(), mode=freeze(model, finetune, bn_mode))
    return moved(model, before)


def test_full_fine_tuning_moves_every_parameter_and_running_statistic():
    model = network()
    assert trained(model) == set(model.state_dict())


def test_the_last_stage_moves_alone_and_the_rest_keeps_its_statistics():
    found = trained(network(), "last")
    assert found and all(name.startswith(("body.block3.", "head.")) for name in found)
    assert "body.block3.unit01.norm1.running_mean" in found


@pytest.mark.parametrize("bn_mode", ["frozen", "re-estimated"])
def test_frozen_statistics_stay_while_scales_and_filters_move(bn_mode):
    model = network()
    found = trained(model, "full", bn_mode)
    buffers = {name for name, _ in model.named_buffers()}
    assert found == set(model.state_dict()) - buffers


def test_a_frozen_bn_network_does_not_mix_its_batch_and_an_updated_one_does():
    images = task().val_images.float().div(127.5).sub(1)
    for bn_mode, mixes in (("frozen", False), ("updated", True)):
        model = network()
        freeze(model, "full", bn_mode)(model)
        alone = model.features(images[:2])
        beside = model.features(torch.cat([images[:1], images[2:3]]))
        assert torch.allclose(alone[0], beside[0]) is not mixes


def test_re_estimated_statistics_are_those_of_the_training_images():
    """By hand for the first norm: mean and unbiased variance of what reaches it, over all batches."""
    model, made = network(), task()
    reached = []
    model.body.block1.unit01.norm1.register_forward_pre_hook(lambda _, args: reached.append(args[0].double()))
    re_estimate(model, made, IDS, 6)
    norm = model.body.block1.unit01.norm1
    assert len(reached) == 2
    means = torch.stack([x.mean((0, 2, 3)) for x in reached]).mean(0)
    variances = torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in reached]).mean(0)
    torch.testing.assert_close(norm.running_mean.double(), means, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(norm.running_var.double(), variances, rtol=1e-4, atol=1e-6)
    assert norm.momentum == 0.1


@pytest.mark.parametrize("norm", ["bn", "gn"])
def test_a_probe_sees_the_features_of_the_whole_network_and_moves_its_head_alone(norm):
    model, made = network(norm), task()
    features = Features.of(model, made, IDS[::-1].copy())
    rows, labels = features.batch(1, 4, 0.0)
    ids = np.concatenate([ids for _, ids in made.order.batch(1, 4)])
    assert torch.equal(labels, made.labels[ids])
    model.eval()
    with torch.no_grad():
        images = made.images[ids][:, :, 2:-2, 2:-2]
        torch.testing.assert_close(rows, model.features(made.view(images)))
    before = state(model)
    fit(Probe(model), features, RECIPE, 3, Ledger())
    assert moved(model, before) == {"head.conv.weight", "head.conv.bias"}
    with torch.no_grad():
        logits = Probe(model)(features.val_images)
        torch.testing.assert_close(logits, model(made.view(made.val_images)))


def test_a_probe_equals_training_the_head_of_a_frozen_network():
    """By another road: full passes through a network of which the head alone takes a gradient."""
    one, other, made = network("gn"), network("gn"), task()
    fit(Probe(one), Features.of(one, made, IDS), RECIPE, 5, Ledger())
    other.requires_grad_(False)
    other.head.conv.requires_grad_(True)
    fit(other, made, RECIPE, 5, Ledger(), mode=torch.nn.Module.eval)
    torch.testing.assert_close(one.head.conv.weight, other.head.conv.weight, rtol=1e-4, atol=1e-6)
