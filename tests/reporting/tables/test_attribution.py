"""What each component earns, from every combination of them, where it means something."""

from __future__ import annotations

import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.tables.attribution import attribution_tables, components
from fairtrial.study.study import Contrast
from tests.reporting.judging import truth

FACTORS = {"norm": ("bn", "gn"), "weight_std": (False, True), "mixup": (0.0, 0.1)}
ALL = {"norm": "gn", "weight_std": True, "mixup": 0.1}
NONE = {"norm": "bn", "weight_std": False, "mixup": 0.0}


@pytest.fixture
def study(make_study):
    return make_study(factors=FACTORS, primary=(Contrast("all", ALL, NONE),), aa=ALL, fixed={"batch_size": 4})


def made(study, publish, noise):
    return attribution_tables(load.load(publish(study, lambda cell: truth(cell, noise))))


def test_each_component_gets_what_it_earns(study, publish, noise):
    earned, _ = made(study, publish, noise)
    rows = {row.pop("component"): row for row in earned.frame.to_dict("records")}
    told = {name: {key: text.split(" ")[0] for key, text in row.items()} for name, row in rows.items()}
    assert told["gn"] == {"alone": "4.0", "last": "7.0", "Shapley": "5.5"}
    assert told["ws"] == {"alone": "1.0", "last": "4.0", "Shapley": "2.5"}
    assert told["mixup 0.1"] == {"alone": "-2.0", "last": "-2.0", "Shapley": "-2.0"}
    assert told["gn with ws"]["alone"] == "3.0"
    assert told["all together"]["Shapley"] == "6.0"  # 5.5 + 2.5 - 2.0


def test_shares_of_variance_are_those_of_the_cell_means(study, publish, noise):
    """Effects of 5.5, 2.5, 1.5 and 2.0 points between halves: each share is its square over their sum."""
    _, anova = made(study, publish, noise)
    shares = {row["effect"]: row["share"] for row in anova.frame.to_dict("records")}
    total = 5.5**2 + 2.5**2 + 1.5**2 + 2.0**2
    assert shares["gn"] == f"{100 * 5.5**2 / total:.0f} %"
    assert shares["mixup 0.1"] == f"{100 * 2.0**2 / total:.0f} %"
    assert shares["gn x ws"] == f"{100 * 1.5**2 / total:.0f} %"
    assert shares["gn x mixup 0.1"] == "0 %"


def test_on_is_what_the_contrast_that_switches_all_at_once_says(make_study):
    turned = make_study(
        factors=FACTORS, primary=(Contrast("none", NONE, ALL),), aa=ALL, fixed={"batch_size": 4}
    )
    assert components(turned).on == NONE


def test_nobody_said_what_is_on(make_study):
    partly = Contrast("gn", {"norm": "gn"}, {"norm": "bn"})
    study = make_study(factors=FACTORS, primary=(partly,), aa=ALL, fixed={"batch_size": 4})
    assert components(study) is None


def test_three_levels_are_no_component(make_study):
    swept = {**FACTORS, "mixup": (0.0, 0.1, 0.2)}
    assert components(make_study(factors=swept, primary=(Contrast("all", ALL, NONE),), aa=ALL)) is None


def test_a_missing_cell_leaves_no_attribution(study, publish, noise):
    last = study.cells()[0].id
    store = publish(study, lambda cell: None if cell.id == last else truth(cell, noise))
    assert attribution_tables(load.load(store)) == []
