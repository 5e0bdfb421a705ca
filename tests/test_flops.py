"""Counted operations against torch's counter, and by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fairtrial.flops import flops_of_step
from fairtrial.resnetv2 import MODELS, create_model


@pytest.mark.parametrize("side", [32, 57])
@pytest.mark.parametrize("name", MODELS)
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
