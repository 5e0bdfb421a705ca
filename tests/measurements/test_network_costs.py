"""Sizes of networks: what is recorded is what the shapes say, and what is published."""

from pathlib import Path

import pytest

from fairtrial.measurements import measurement_record
from fairtrial.measurements.network_costs import kept_bytes, row
from fairtrial.models.resnet import MODELS
from tests.models.test_resnet import GMACS, MILLIONS

RECORDED = Path(__file__).parents[2] / "results" / "networks" / "networks.json"


@pytest.fixture(scope="module")
def recorded():
    return {
        each["model"]: each for each in measurement_record.read(RECORDED, "networks")["values"]["networks"]
    }


@pytest.mark.parametrize("name", MILLIONS)
def test_the_recorded_numbers_are_the_published_ones(recorded, name):
    found = recorded[name]
    for classes, millions in zip(("1000", "10"), MILLIONS[name], strict=True):
        assert found["parameters"][classes] / 1e6 == pytest.approx(millions, abs=0.0052)
    assert found["macs"]["128"]["10"] / 1e9 == pytest.approx(GMACS[name][2], abs=0.0052)
    assert found["macs"]["224"]["1000"] / 1e9 == pytest.approx(GMACS[name][0], rel=0.034)


def test_every_network_is_recorded_as_the_code_counts_it_now(recorded):
    assert list(recorded) == list(MODELS)
    assert recorded["mini"] == row("mini")


def test_state_is_three_float32_a_parameter(recorded):
    assert recorded["mini"]["state_bytes"] == 12 * 219_482


def test_what_is_kept_grows_with_the_pixels():
    """Maps of 4 times the pixels; what has one value a channel keeps its size, hence not quite 4 times."""
    small, large = kept_bytes("mini", 32), kept_bytes("mini", 64)
    assert 3.9 < large / small <= 4
    maps = 16 * 16 * 16 * 4  # the root's output alone, in float32
    assert small > 10 * maps
