"""The part of the spread that comes from the choice of test images: single images are parted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import variance_sources
from fairtrial.study.study import Contrast
from tests.reporting.planted_variances import IMAGES, PLAIN, TRANSFER, planted, recorded, right, sized


def test_images_are_parted_into_what_draws_and_what_runs_share(make_study, publish):
    study = make_study(**PLAIN)
    results = load.load(publish(study, recorded))
    found = variance_sources.examine(results)
    cells = {(c.seed, c.replica): right(c).astype(float) for c in study.cells() if c.levels["norm"] == "gn"}
    pairs = np.array([[cells[s, r] for r in (0, 1)] for s in range(10)])  # seeds x runs x images
    within = pairs - pairs.mean(1, keepdims=True)
    left = within - within.mean(2, keepdims=True)
    assert found.single.variance == pytest.approx((left**2).sum() / (10 * (IMAGES - 1)) / IMAGES)
    y = pairs.mean(1)
    rest = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    ms_res = (rest**2).sum() / (9 * (IMAGES - 1))
    assert found.images.variance == pytest.approx((10 * y.mean(0).var(ddof=1) - ms_res) / 10 / IMAGES)
    made, rows = sized(results)
    assert rows.loc["choice of test images", "share"] == ""
    wider = [int(share.removesuffix(" %")) for share in rows["share, new images"]]
    by_row = dict(zip(rows.index, wider, strict=True))
    assert by_row["one run, new images"] == 100
    here, on_top = by_row["one run, this test set"], by_row["choice of test images"]
    assert here + on_top == pytest.approx(100, abs=1)
    assert "comes on top for new images alone" in made.caption


def test_the_two_scopes_agree_with_the_error_over_new_images(make_study, publish):
    """s²/S + images is (MS_seed + MS_item - MS_res)/(S·N): STATISTICS 10 by the road of components."""
    study = make_study(**PLAIN)
    found = variance_sources.examine(load.load(publish(study, recorded)))
    cells = {(c.seed, c.replica): right(c).astype(float) for c in study.cells() if c.levels["norm"] == "gn"}
    y = np.array([(cells[s, 0] + cells[s, 1]) / 2 for s in range(10)])
    rest = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    ms_res = (rest**2).sum() / (9 * (IMAGES - 1))
    ms_seed, ms_item = IMAGES * y.mean(1).var(ddof=1), 10 * y.mean(0).var(ddof=1)
    by_squares = (ms_seed + ms_item - ms_res) / (10 * IMAGES)
    assert y.mean(1).var(ddof=1) / 10 + found.images.variance == pytest.approx(by_squares)


def test_runs_of_checkpoints_are_crossed_with_images_by_checkpoint(make_transfer, publish):
    study = make_transfer(**TRANSFER)
    found = variance_sources.examine(load.load(publish(study, recorded)))
    arm = [c for c in study.cells() if c.levels == TRANSFER["aa"]]
    y = np.array([np.mean([right(c) for c in arm if c.seed % 3 == k], axis=0) for k in range(3)])
    rest = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    ms_res = (rest**2).sum() / (2 * (IMAGES - 1))
    raw = (3 * y.mean(0).var(ddof=1) - ms_res) / 3 / IMAGES
    assert raw > 0 and found.images.variance == pytest.approx(raw)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: c.seed == 3 and "diverged", "some runs have no record of single images"),
        (
            lambda c: c.seed == 3 and recorded(c, IMAGES - 1),
            "test sets differ in size",
        ),
    ],
)
def test_why_there_are_no_rows_of_images(make_study, publish, spoil, says):
    made, rows = sized(load.load(publish(make_study(**PLAIN), lambda c: spoil(c) or recorded(c))))
    assert f"No rows of test images: {says}" in made.caption
    assert "choice of test images" not in rows.index and "share, new images" not in rows


def test_a_loss_has_no_images(make_study, publish):
    fields = PLAIN | {"primary": Contrast("n", {"norm": "gn"}, {"norm": "bn"}, metric="test_loss")}

    def outcome(cell):
        return {"measured": {"test_loss": planted(cell)}}

    made, rows = sized(load.load(publish(make_study(**fields), outcome)))
    assert "No rows of test images: the metric is not a count of right images" in made.caption
    assert rows["unit"].iloc[0] == "in test loss"
