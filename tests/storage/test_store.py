"""Attempts of a study as files: published once, read whole or refused, repaired."""

import json
import random
from dataclasses import replace

import pytest

from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.reporting.results.load import rows
from fairtrial.storage.integrity import sealed
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.record import cell_message, is_timing
from fairtrial.storage.store import Store
from tests.storage.making import only_file
from tests.support.records import ORIGIN, done, killed, publish, spaced

# attempts


def test_an_attempt_is_read_back_as_it_was_published(store, study):
    record = publish(store, study.cells()[0])
    assert store.attempts() == [record]
    assert store.attempt(record.cell, 1) == record


def test_an_attempt_number_is_given_once_and_the_first_file_stands(store, study):
    record = publish(store, study.cells()[0], 1, done(0.5))
    assert not store.publish(replace(record, measured=replace(record.measured, test_acc=0.6)))
    assert store.attempts()[0].measured.test_acc == 0.5


def test_a_record_too_long_to_be_read_back_is_not_written(store, study):
    images = {"test_n": 70_000 * 6, "correct": "A" * 70_000}
    long = done(0.0) | {"measured": done(0.0)["measured"] | images}
    with pytest.raises(Fault, match="at most 65,536 are read back"):
        publish(store, study.cells()[0], 1, long)
    assert store.attempts() == []


def test_no_cut_of_a_file_is_believed(store, study):
    """Of one in eight here; tests/test_mutated_files.py cuts every kind of file at every offset."""
    record = publish(store, study.cells()[0])
    path, data = only_file(store), only_file(store).read_bytes()
    for length in range(0, len(data) - 1, 8):
        path.write_bytes(data[:length])
        with pytest.raises(Fault) as damaged:
            store.attempts()
        where = damaged.value.problems[0].where
        assert str(path) in where
        assert f"of {length}" in where
    path.write_bytes(data)
    assert store.attempts() == [record]


def test_no_flipped_bit_changes_a_value(store, study):
    record = publish(store, study.cells()[0])
    path, data = only_file(store), only_file(store).read_bytes()
    draws = random.Random(7)
    refused = 0
    for _ in range(600):
        damaged, position = bytearray(data), draws.randrange(len(data))
        damaged[position] ^= 1 << draws.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            assert store.attempts() == [record]  # such as 1e-05 spelled 1E-05
        except Fault as error:
            refused += 1
            assert str(path) in error.problems[0].where
    assert refused > 590


def test_an_edited_digit_is_named(store, study):
    publish(store, study.cells()[0], 1, done(0.8125))
    path = only_file(store)
    path.write_text(path.read_text().replace("0.8125", "0.9125"))
    with pytest.raises(Fault, match="the record was edited: its sha256 is") as edited:
        store.attempts()
    assert edited.value.code == 3
    assert edited.value.problems[0].where == str(path)


def test_a_newer_record_is_named_and_repair_keeps_it(store, study):
    record = publish(store, study.cells()[0])
    only_file(store).write_text(sealed(record.as_json() | {"schema": 4}))
    newer = "written by a newer fairtrial: schema 4, this one reads up to 3"
    with pytest.raises(Fault, match=newer) as refused:
        store.attempts()
    assert refused.value.code == BAD_INPUT
    with pytest.raises(Fault, match="written by a newer fairtrial"):
        store.set_aside()
    assert only_file(store).exists()


def test_a_copy_under_another_name_is_a_fault(store, study):
    record = publish(store, study.cells()[0])
    copy = only_file(store).with_name(f"{record.cell}-2.json")
    copy.write_bytes(only_file(store).read_bytes())
    with pytest.raises(Fault, match=f"is called {copy.name}, but holds {record.cell}-1"):
        store.attempts()


def test_every_damaged_file_is_listed_at_once_and_the_others_can_be_had(store, study):
    good = [publish(store, cell) for cell in study.cells()[:3]]
    for record in good[:2]:
        (store.folder / "cells" / f"{record.cell}-1.json").write_text("{")
    with pytest.raises(Fault) as damaged:
        store.attempts()
    assert len(damaged.value.problems) == 2
    assert store.read_attempts()[0] == good[2:]


def test_records_of_two_studies_in_one_folder_are_refused_by_name(store, study, tmp_path):
    publish(store, study.cells()[0])
    other = Store(tmp_path / "other")
    other.declare(study)
    publish(other, study.cells()[1])
    moved = next((other.folder / "cells").iterdir())
    moved.rename(store.folder / "cells" / moved.name)
    with pytest.raises(Fault, match="2 studies lie in one folder: other, toy"):
        store.attempts()


# repair


def test_repair_moves_what_is_damaged_away_and_the_rest_is_readable(store, study):
    good = [publish(store, cell) for cell in study.cells()[:2]]
    store.calibrate({"a": 0.1}, ORIGIN)
    store.lease(cell_message(study.cells()[0]), 2, 1, ORIGIN)
    (calibration,) = store.folder.glob("calibration-*.json")
    for path in (f"cells/{good[0].cell}-1.json", f"leases/{good[0].cell}-2.json", calibration.name):
        (store.folder / path).write_bytes(b'{"schema": 1')
    (store.folder / "study.json").write_text("{}")
    assert len(store.set_aside()) == 4
    assert store.attempts() == good[1:]
    assert (store.abandoned(), store.calibrations()) == ([], [])
    assert len(list((store.folder / "damaged").iterdir())) == 4
    store.declare(study)
    assert store.declared()["history"][-1]["seen"] == 1  # what was known is not forgotten
    assert store.set_aside() == []


def test_sweep_deletes_our_temporary_files_and_nothing_else(store):
    ours = store.folder / "cells" / ".fairtrial-00.tmp"
    theirs = store.folder / "cells" / "notes.tmp"
    ours.touch()
    theirs.touch()
    assert store.sweep() == [ours]
    assert theirs.exists()


# the table


def test_a_row_per_declared_cell_with_the_first_outcome(store, study):
    first, second = study.cells()[:2]
    publish(store, first, 1, killed())
    publish(store, first, 2, done(0.7))
    publish(store, first, 10, done(0.8))
    publish(store, first, 11, killed())
    publish(store, second, 1, killed())
    table = rows(study.cells(), store.attempts())
    assert [row["status"] for row in table] == ["done", "killed"] + ["pending"] * 4
    assert table[0]["test_acc"] == 0.7
    assert outcomes(store.attempts())[first.id].number == 2


def test_timing_columns_are_told_from_those_that_repeat():
    columns = [
        "train_s",
        "lost_s",
        "calibrated_step_s",
        "joules",
        "peak_memory_bytes",
        "steps",
        "test_loss",
        "arm",
    ]
    assert [column for column in columns if not is_timing(column)] == ["steps", "test_loss", "arm"]


def test_a_published_file_is_one_line_of_json_without_spaces_and_one_with_them_reads_the_same(store, study):
    record = publish(store, study.cells()[0])
    path, text = only_file(store), only_file(store).read_text()
    assert text.count("\n") == 1
    assert json.loads(text)["sha256"]
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) + "\n"
    path.write_text(spaced(text))
    assert path.stat().st_size > len(text.encode()) and store.attempts() == [record]


def test_a_declaration_keeps_a_line_for_each_value(store):
    """Version control shows which of them changed."""
    lines = (store.folder / "study.json").read_text().splitlines()
    assert ' "schema": 2,' in lines and len(lines) > 20
