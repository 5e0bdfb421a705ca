"""Bytes and operations, counted by hand."""

import pytest
import torch
from torch import nn

from bench.harness.roofline import Roof
from bench.harness.workloads import Work, of_conv, of_evaluation, of_filters, of_norm, of_step
from fairtrial.kernels.standardization import WAYS
from fairtrial.models.resnet import create_model

X = torch.zeros(2, 3, 8, 8)  # 384 values


@pytest.mark.parametrize(("run", "times"), [("forward", 1), ("forward_backward", 3)])
def test_a_convolution(run, times):
    work = of_conv(nn.Conv2d(3, 4, 3, padding=1, bias=False), X, run)  # 108 weights, 512 outputs
    assert work.bytes_moved == times * 4 * (384 + 108 + 512)
    assert work.flops == times * 2 * 512 * 27
    assert work.images == 2


def test_filters_move_five_times_their_bytes_there_and_back():
    assert of_filters([torch.zeros(4, 3, 3, 3), torch.zeros(2, 4, 1, 1)]).bytes_moved == 5 * 4 * (108 + 8)
    assert of_filters([torch.zeros(4, 3, 3, 3)], "forward").bytes_moved == 2 * 4 * 108


def test_a_norm():
    assert of_norm(X, "forward").bytes_moved == 2 * 4 * 384
    assert of_norm(X, "forward_backward").bytes_moved == 5 * 4 * 384


def moved_by_mini(batch, side, conv, norm):
    """Convolutions and norms of mini by the shapes that its table of units says."""
    spatial, cin = side // 2, 16
    values = conv * (batch * 3 * side**2 + 27 * 16 + batch * 16 * spatial**2)
    for number in range(3):
        cmid, cout = 16 * 2**number, 64 * 2**number
        for unit in range(2):
            after = spatial // 2 if number and not unit else spatial
            here, there = batch * spatial**2, batch * after**2
            values += norm * (here * cin + here * cmid + there * cmid)
            values += conv * (here * cin + cin * cmid + here * cmid)
            values += conv * (here * cmid + 9 * cmid**2 + there * cmid)
            values += conv * (there * cmid + cmid * cout + there * cout)
            if not unit:
                values += conv * (here * cin + cin * cout + there * cout)
            spatial, cin = after, cout
    return 4 * (values + norm * batch * cin * spatial**2)


def test_a_training_step_of_mini_by_its_table():
    model = create_model("mini", 10, "gn", False)
    assert of_step(model, 4, 32).bytes_moved == moved_by_mini(4, 32, conv=3, norm=5)


def test_micro_batches_standardize_once():
    plain, standardized = create_model("mini", 10, "gn", False), create_model("mini", 10, "gn", True)
    filters = 4 * sum(conv.weight.numel() for conv in standardized.bank.convs)
    one, eight = of_step(plain, 2, 32), of_step(standardized, 2, 32, 8)
    assert eight.bytes_moved == 8 * one.bytes_moved + 5 * filters
    assert (eight.flops, eight.images) == (8 * one.flops, 16)


def test_an_evaluation_is_forward_alone():
    work = of_evaluation(create_model("mini", 10, "gn", False), 4, 32, 3)
    assert work.bytes_moved == 3 * moved_by_mini(4, 32, conv=1, norm=2)
    assert work.images == 12


def test_counting_leaves_the_model_as_it_was():
    model = create_model("mini", 10, "bn", False).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    of_step(model, 2, 32)
    assert model.training and all(module.training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_the_roof_is_the_slower_of_bytes_and_operations():
    roof = Roof(copy_bytes_per_s=10.0, matrix_flops_per_s=100.0)
    assert roof.seconds(Work(50, "")) == 5.0
    assert roof.seconds(Work(50, "", flops=1000)) == 10.0


def test_the_bench_of_filters_knows_every_way():
    """Its picture names them; a way that is added finds its look there."""
    from fairtrial.reporting.figures.speed_figures import LOOKS

    assert set(WAYS) <= set(LOOKS)
