"""What leads a page: evidence that decides, with arms at settled rates, before a smaller p."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fairtrial.reporting.report.answers import ENOUGH, Said, in_order

WHOLE = {"primary": True, "alone": True, "settled": True, "verdict": "better", "n": ENOUGH, "p": 0.04}


def said(key, **lacks):
    is_ = WHOLE | lacks
    finding = SimpleNamespace(verdict=is_["verdict"], n=is_["n"], decided_by=SimpleNamespace(p=is_["p"]))
    finding.open_choices = () if is_["settled"] else ("lr of bn chosen at the edge of its range",)
    levels = is_.get("levels", 2)
    data = is_.get("data", ("parquet:cifar10",))
    return Said(SimpleNamespace(key=key), finding, key, is_["primary"], is_["alone"], levels, data)


@pytest.mark.parametrize(
    "lacks",
    [
        {"settled": False},
        {"verdict": "inconclusive"},
        {"n": ENOUGH - 1},
        {"alone": False},
        {"primary": False},
    ],
    ids=str,
)
def test_what_lacks_one_thing_follows_however_small_its_p(lacks):
    """`shots-mini` led the few-shot page by its p, with arms up to 8 points below their best rates."""
    order = in_order([said("lacking", p=1e-9, **lacks), said("whole")])
    assert [one.study.key for one in order] == ["whole", "lacking"]


def test_a_point_of_a_curve_leads_before_a_smaller_p_of_fewer_points():
    """`shots-mini`, at 1, 5 and 10 images per class, took the lead of `shots-curve` on the few-shot page."""
    order = in_order([said("three", p=1e-9, levels=3), said("curve", levels=12)])
    assert [one.study.key for one in order] == ["curve", "three"]


def test_of_equal_evidence_the_smaller_p_leads():
    order = in_order([said("second"), said("first", p=0.01)])
    assert [one.study.key for one in order] == ["first", "second"]


@pytest.mark.parametrize(
    "lacks", [{}, {"settled": False}, {"verdict": "inconclusive"}, {"n": ENOUGH - 1}], ids=str
)
def test_real_images_lead_before_digits_with_more_evidence(lacks):
    """Four batches of scanned digits led the page of norms; CIFAR-10, at two batches, has the other sign."""
    digits = said("digits", p=1e-9, levels=12, data=("digits",))
    assert [one.study.key for one in in_order([digits, said("real", **lacks)])] == ["real", "digits"]


@pytest.mark.parametrize("lacks", [{"alone": False}, {"primary": False}], ids=str)
def test_what_is_not_about_the_question_leads_on_no_data(lacks):
    order = in_order([said("real", **lacks), said("digits", data=("digits",))])
    assert [one.study.key for one in order] == ["digits", "real"]
