"""Runs that two studies share are named in both reports and in the whole one, and counted once."""

import os
import shutil

import pytest

from fairtrial.reporting import verify
from fairtrial.reporting.report import full_report, study_report
from fairtrial.study.budget import Budget

NAMED = "runs with the same final weights stand in {} too"


@pytest.fixture
def twins(make_study, publish, noise):
    """Two studies of 16 runs; in the second, the eight runs of bn end with the weights of the first's."""
    factors = {"norm": ("bn", "gn"), "weight_std": (False, True)}
    small = {"factors": factors, "seeds": range(4), "primary": (), "aa": None}
    first, second = (
        make_study(name=name, budget=budget, **small)
        for name, budget in (("first", Budget(examples=3072)), ("second", Budget(steps=48)))
    )
    digest = {(str(cell.levels), cell.seed): cell.id for cell in first.cells()}

    def outcome(cell):
        same = cell.settings.norm == "bn"
        told = digest[str(cell.levels), cell.seed] if same else cell.id
        measured = {"test_acc": 0.8 + 0.01 * noise(cell, "acc"), "weights_sha256": told}
        return {"measured": measured, "spent": {"steps": 48}}

    return publish(first, lambda cell: 0.8 + 0.01 * noise(cell, "acc")), publish(second, outcome)


def report(store):
    return (store.folder / "report.md").read_text()


def test_both_reports_name_the_other_study_in_whatever_order_they_are_drawn(twins):
    first, second = twins
    study_report.build(first)
    assert "shared runs" not in report(first)
    study_report.build(second)
    assert NAMED.format("first (8)") in report(second)
    assert NAMED.format("second (8)") in report(first)  # drawn anew, as it could not know before
    assert NAMED.format("second (8)") in (first.folder / "report.html").read_text()
    assert not any(verify.check(store.folder).problems for store in twins)


def test_a_copy_of_one_study_alone_says_what_its_records_say(twins, tmp_path):
    for store in twins:
        study_report.build(store)
    copy = tmp_path / "elsewhere" / "first"
    shutil.copytree(twins[0].folder, copy)
    assert not verify.check(copy).problems
    page = copy / "report.md"
    page.write_text(page.read_text().replace("final weights stand", "final weights lie"))
    assert verify.check(copy).problems


def test_a_page_that_is_no_text_is_a_finding_and_breaks_no_neighbour(twins):
    first, second = twins
    for store in twins:
        study_report.build(store)
    page = first.folder / "report.md"
    page.write_bytes(b"\xff\xfe" + page.read_bytes())
    study_report.build(second)
    assert "report.md" in verify.check(first.folder).problems[0].where
    page.write_bytes(b"\xff" * 100)
    study_report.build(second)
    assert NAMED.format("second (8)") in report(first)  # it said nothing, and was drawn anew
    page.unlink()
    os.mkfifo(page)
    study_report.build(second)
    assert page.is_fifo()


def test_the_whole_report_names_pairs_and_counts_each_run_once(twins, tmp_path):
    full_report.build(tmp_path, tmp_path / "report", jobs=1)
    page = (tmp_path / "report" / "index.md").read_text()
    assert "| first | second | 8 |" in page and "| second | first | 8 |" in page
    assert "32, in 2 studies; runs that studies share counted once: 24" in page
    for name, neighbour in (("first", "second"), ("second", "first")):
        page = (tmp_path / "report" / f"study-{name}.html").read_text()
        assert NAMED.format(f"{neighbour} (8)") in page
