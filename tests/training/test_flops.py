"""Counted operations against torch's counter, and by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fairtrial.models.resnet import MODELS, create_model
from fairtrial.training.finetuning import freeze
from fairtrial.training.flops import flops_of_features, flops_of_step


@pytest.mark.parametrize("side", [32, 57])
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ("mini", "r50x1") else pytest.mark.soak) for name in MODELS],
)
def test_the_count_is_that_of_torchs_counter(name, side):
    with torch.device("meta"):
        network = create_model(name, 10, "none", False)
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(3, 3, side, side)).sum().backward()
    assert flops_of_step(name, 3, side, 10) == counter.get_total_flops()


def test_one_more_class_costs_what_it_costs_by_hand():
    one = flops_of_step("mini", 1, 16, 10)
    assert flops_of_step("mini", 2, 16, 10) == 2 * one
    assert flops_of_step("mini", 1, 16, 11) - one == 3 * 2 * 256  # forward, and backward twice


@pytest.mark.parametrize("name", ["mini", "r50x1"])
def test_the_last_stage_costs_what_torch_counts_with_the_rest_frozen(name):
    with torch.device("meta"):
        network = create_model(name, 10, "gn", False)
        freeze(network, "last", "updated")
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(3, 3, 64, 64)).sum().backward()
    assert flops_of_step(name, 3, 64, 10, "last") == counter.get_total_flops()


def test_a_probe_pays_for_its_head_each_step_and_for_the_features_once():
    assert (
        flops_of_step("mini", 4, 16, 10, "linear_probe") == 2 * 4 * 2 * 256 * 10
    )  # forward, gradient of the map
    with torch.device("meta"):
        network = create_model("mini", 10, "none", False)
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(5, 3, 16, 16))
    assert flops_of_features("mini", 5, 16, 10) == counter.get_total_flops()
