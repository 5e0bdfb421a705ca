"""Presets name known factors, with values in their one spelling."""

import pytest

from fairtrial.study.factors import FACTORS, canon
from fairtrial.study.presets import DEFAULT, PRESETS


def test_the_default_is_one_of_them():
    assert DEFAULT in PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_known_factors_only(preset):
    assert PRESETS[preset].keys() <= FACTORS.keys()
    for name, value in PRESETS[preset].items():
        assert canon(name, value) == value
        assert type(canon(name, value)) is type(value)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_leaves_what_is_studied_to_the_study(preset):
    assert not {"norm", "weight_std", "batch_size", "mixup", "lr"} & PRESETS[preset].keys()
