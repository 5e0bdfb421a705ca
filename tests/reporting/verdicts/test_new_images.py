"""A contrast over new images: seeds crossed with the images of the test set."""

from __future__ import annotations

import numpy as np
import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import findings
from fairtrial.reporting.verdicts.new_images import over_new_images
from tests.reporting.judging import recorded_bits

IMAGES = 83  # no multiple of 8: the last byte is filled up


def right(cell):
    """Which images a cell gets right; gn+ws gets more of them."""
    draw = np.random.default_rng([int(cell.id, 16)])
    hard = np.random.default_rng(7).random(IMAGES)
    return draw.random(IMAGES) < 0.4 + 0.3 * hard + 0.2 * (cell.settings.weight_std)


def outcome(cell, n=IMAGES):
    """What a run records that saw the first n images."""
    return recorded_bits(right(cell)[:n])


def looked_at(store):
    results = load.load(store)
    (finding,) = findings.judge(results)
    return finding, over_new_images(results, finding)


def test_it_is_the_two_way_table_of_differences(make_study, publish):
    study = make_study()
    finding, found = looked_at(publish(study, outcome))
    cells = {(c.seed, c.arm): right(c).astype(float) for c in study.cells() if not c.replica}
    y = np.array([cells[s, "gn+ws, batch 4"] - cells[s, "bn, batch 4"] for s in range(10)])
    rows, columns, all_ = y.mean(1, keepdims=True), y.mean(0, keepdims=True), y.mean()
    ms_seed = IMAGES * ((rows - all_) ** 2).sum() / 9
    ms_item = 10 * ((columns - all_) ** 2).sum() / (IMAGES - 1)
    ms_res = ((y - rows - columns + all_) ** 2).sum() / (9 * (IMAGES - 1))
    assert found.estimate == pytest.approx(finding.interval.estimate)
    assert found.se_new_images**2 == pytest.approx(
        (max(ms_seed - ms_res, 0) + max(ms_item - ms_res, 0) + ms_res) / y.size
    )
    assert (found.low, found.high) == pytest.approx((finding.interval.low, finding.interval.high))
    assert found.low_new_images <= found.low and found.high_new_images >= found.high
    assert found.n == 10


def test_a_run_without_single_images_leaves_it_open(make_study, publish):
    def failing(cell):
        return "diverged" if cell.seed == 3 and cell.arm == "bn, batch 4" else outcome(cell)

    finding, found = looked_at(publish(make_study(), failing))
    assert finding.interval is not None and found is None


def test_test_sets_of_different_sizes_are_not_crossed(make_study, publish):
    def cut(cell):
        return outcome(cell, IMAGES - (cell.seed == 3))

    assert looked_at(publish(make_study(), cut))[1] is None
