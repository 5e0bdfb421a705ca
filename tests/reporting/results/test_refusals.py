"""Records that cannot be evidence are refused with the reason, or stamped on all that is said."""

import json
from dataclasses import replace

import pytest

from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.reporting.report.study_report import build
from fairtrial.reporting.results import load
from fairtrial.reporting.tables.outcome_tables import arm_table
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.reporting.verdicts.study_verdicts import judge_study, sentences
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.study.budget import Budget
from fairtrial.study.identity import digest
from tests.reporting.conftest import ORIGIN, made_up


def outcome(noise, **origin):
    def said(cell):
        acc = 0.8 + 0.01 * noise(cell, "acc") + 0.05 * (cell.settings.norm == "gn")
        return {"measured": {"test_acc": acc}, "origin": origin}

    return said


def refused(store):
    with pytest.raises(Fault) as caught:
        open_study(store.folder)
    assert caught.value.code == BAD_INPUT
    return str(caught.value)


def again(store, cell, attempt, acc, **changed):
    """Publish one more attempt of a cell."""
    result = made_up(cell, {"measured": {"test_acc": acc}})
    origin = ORIGIN | {"declaration": store.hashes()[-1]}
    record = attempt_record(store.name, cell_message(cell), attempt, result, origin)
    assert store.publish(replace(record, **changed))


def test_sound_records_have_no_flaw(make_study, publish, noise):
    store = publish(make_study(), outcome(noise))
    assert load.load(store).flaws == () and load.load(store).sound


def test_a_cell_that_ended_twice_with_different_results_is_a_duplicate_seed(make_study, publish, noise):
    study = make_study()
    store = publish(study, outcome(noise))
    again(store, study.cells()[0], 2, 0.99)
    assert "duplicate seeds" in refused(store) and study.cells()[0].id in refused(store)


def test_a_cell_that_repeats_bit_for_bit_is_no_duplicate(make_study, publish, noise):
    study = make_study()
    store = publish(study, outcome(noise))
    publish(study, lambda cell: outcome(noise)(cell) if cell.seed == 0 else None, attempt=2)
    assert load.load(store).flaws == ()


def test_a_retry_after_an_error_is_no_duplicate(make_study, publish, noise):
    study, first = make_study(), make_study().cells()[0].id
    store = publish(study, lambda cell: "error" if cell.id == first else outcome(noise)(cell))
    publish(study, lambda cell: outcome(noise)(cell) if cell.id == first else None, attempt=2)
    assert load.load(store).flaws == ()


def test_a_missing_seed_is_incomplete(make_study, publish, noise):
    store = publish(make_study(), lambda cell: None if cell.seed == 4 else outcome(noise)(cell))
    results = open_study(store.folder)
    said, complete = sentences(results), results.complete
    assert not complete and all("incomplete: 81 of 90 cells" in each for each in said)


def test_recorded_seeds_that_the_declaration_leaves_out_are_missing(make_study, publish, noise):
    publish(make_study(), outcome(noise))
    store = publish(make_study(seeds=(0, 1, 2, 3, 4, 5, 7, 9)), lambda cell: None)
    assert "missing seeds: 2 recorded seeds (6 and 8) left out by the declaration" in refused(store)


def test_fewer_seeds_than_are_recorded_are_the_smaller_study_which_says_so(make_study, publish, noise):
    publish(make_study(), outcome(noise))
    store = publish(make_study(seeds=range(8)), lambda cell: None)
    found = judge_study(store)
    assert found.results.sound and found.results.done == 72
    assert found.findings[0].n == 8
    assert "2 recorded seeds (8 and 9) are left out: fewer seeds are declared now" in found.warnings


def test_cells_of_another_study_design_in_the_folder_are_no_missing_seeds(make_study, publish, noise):
    publish(make_study(budget=Budget(examples=1024), seeds=range(20, 30)), outcome(noise))
    store = publish(make_study(), outcome(noise))
    assert load.load(store).flaws == ()


@pytest.mark.parametrize("origin", [{"commit": "fedcba9876543210"}, {"dirty": "a" * 64}, {"commit": None}])
def test_mixed_code_is_refused(make_study, publish, noise, origin):
    store = publish(make_study(), lambda cell: outcome(noise, **(origin if cell.seed > 4 else {}))(cell))
    assert "mixed code" in refused(store)


@pytest.mark.parametrize("origin", [{"cpu": "faster"}, {"threads": 2}, {"device": "cuda"}])
def test_mixed_hardware_is_refused_where_the_budget_is_in_seconds(make_study, publish, noise, origin):
    def said(cell):
        return outcome(noise, **(origin if cell.seed > 4 else {}))(cell)

    assert load.load(publish(make_study(), said)).flaws == ()
    store = publish(make_study(name="timed", budget=Budget(seconds=2.0)), said)
    assert "mixed hardware in a contrast of seconds" in refused(store)


def test_an_edited_row_is_refused_by_its_seal(make_study, publish, noise):
    store = publish(make_study(), outcome(noise))
    path = next(iter(sorted((store.folder / "cells").glob("*.json"))))
    record = json.loads(path.read_text())
    record["measured"]["test_acc"] = 0.99
    path.write_text(json.dumps(record))
    assert "the record was edited" in refused(store)
    with pytest.raises(Fault):
        open_study(store.folder, partial=True)  # no option reads an edited row


def test_a_row_under_another_seed_is_refused_even_with_a_fresh_seal(make_study, publish, noise):
    store = publish(make_study(), outcome(noise))
    path = next(iter(sorted((store.folder / "cells").glob("*.json"))))
    record = json.loads(path.read_text())
    record["seed"] += 1
    del record["sha256"]
    path.write_text(json.dumps(record | {"sha256": digest(record)}))
    assert f"not of {record['cell']}" in refused(store)


def test_seeds_that_change_nothing_are_refused(make_study, publish):
    def said(cell):
        acc = 0.8 + 0.05 * (cell.settings.norm == "gn")
        return {"measured": {"test_acc": acc, "weights_sha256": None}}

    store = publish(make_study(), said)
    assert "seeds that change nothing: all seeds of 9 arms" in refused(store)


def test_equal_weights_betray_idle_seeds_whatever_was_measured(make_study, publish, noise):
    def said(cell):
        found = outcome(noise)(cell)
        found["measured"]["weights_sha256"] = cell.arm
        return found

    assert "seeds that change nothing" in refused(publish(make_study(), said))


def test_with_allow_partial_every_verdict_figure_and_table_carries_the_reason(make_study, publish, noise):
    store = publish(
        make_study(), lambda cell: outcome(noise, **({"commit": "fedcba98"} if cell.seed > 4 else {}))(cell)
    )
    with pytest.raises(Fault):
        build(store)
    assert not (store.folder / "report.html").exists()
    report = build(store, allow_partial=True)
    assert all("mixed code" in each for each in report.sentences[:1])
    assert any("mixed code" in each for each in report.warnings)
    assert "mixed code" in judge_study(store, partial=True).alarms[0]
    (origin,) = (
        line for line in (store.folder / "report.md").read_text().splitlines() if "tudy hash" in line
    )
    tables = [path.read_text() for path in report.tables if path.suffix == ".tex"]
    assert tables and all("ixed code" in text for text in (origin, *tables))
    drawn = [path.read_text() for path in report.figures if path.suffix == ".svg"]
    assert drawn and all("mixed code" in text for text in drawn)


def test_uneven_classes_are_told_with_what_the_largest_one_scores(make_study, publish):
    def uneven(cell):
        return {"measured": {"test_acc": 0.8, "majority": 0.75, "balanced_acc": 0.6 + cell.seed / 100}}

    judged = judge_study(publish(make_study(seeds=range(3)), uneven))
    (said,) = (warning for warning in judged.warnings if "uneven" in warning)
    assert "always answering the largest one scores 75.0 % accuracy" in said
    assert "bn, batch 4 61.0" in said and "(A/A) 61.0" in said
    table = arm_table(judged.results, partial=False)
    assert set(table.frame["balanced acc"]) == {"61.0"} and "balanced acc is the mean over" in table.caption


def test_an_arm_that_never_ended_has_no_balanced_accuracy_and_even_classes_no_column(make_study, publish):
    def uneven(cell):
        measured = {"test_acc": 0.8, "majority": 0.75, "balanced_acc": 0.6}
        return "diverged" if cell.settings.norm == "bn" else {"measured": measured}

    frame = arm_table(judge_study(publish(make_study(seeds=range(3)), uneven)).results, partial=False).frame
    assert set(zip(frame["failed"], frame["balanced acc"], strict=True)) == {("3", ""), ("0", "60.0")}
    even = judge_study(publish(make_study(name="even", seeds=range(3)), lambda cell: 0.8)).results
    assert "balanced acc" not in arm_table(even, partial=False).frame
