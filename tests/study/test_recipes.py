"""The learning rate: linear in the batch, a function of the fraction of the budget alone."""

import itertools
import math
from dataclasses import replace

import pytest

from fairtrial.study.recipes import MOMENTUM, own
from tests.support.studies import study

SETTINGS = study().settings({"norm": "gn", "batch_size": 16})


def test_the_learning_rate_grows_with_the_batch():
    rates = [own(replace(SETTINGS, lr=0.3, batch_size=size)).lr for size in (4, 64, 128)]
    assert rates == pytest.approx([0.3 / 16, 0.3, 0.6])


def test_a_recipe_takes_its_numbers_from_the_settings():
    recipe = own(replace(SETTINGS, weight_decay=0.01, mixup=0.1, micro_batch=8, warmup=0.2))
    found = (recipe.batch_size, recipe.micro_batch, recipe.weight_decay, recipe.mixup, recipe.warmup)
    assert found == (16, 8, 0.01, 0.1, 0.2)
    assert recipe.momentum == MOMENTUM == 0.9


def test_the_schedule_is_half_a_cosine_after_a_linear_warm_up():
    recipe = own(replace(SETTINGS, lr=1.0, batch_size=64, warmup=0.2))
    assert recipe.lr_at(0.0) == 0.0
    assert recipe.lr_at(0.1) == pytest.approx(0.5)
    assert recipe.lr_at(0.2) == pytest.approx(1.0)
    assert recipe.lr_at(0.6) == pytest.approx(0.5)  # half way through what is left
    assert recipe.lr_at(0.4) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_without_warm_up_it_starts_at_the_peak_and_falls():
    recipe = own(replace(SETTINGS, lr=1.0, batch_size=64))
    rates = [recipe.lr_at(step / 100) for step in range(100)]
    assert rates[0] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert 0 < rates[-1] < 1e-3
