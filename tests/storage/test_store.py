"""A study's folder: declaration and history, attempts, leases, repair."""

import json
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.reporting.results.load import rows
from fairtrial.storage.integrity import sealed
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.record import cell_message, is_timing, parsed, read
from fairtrial.storage.store import Store
from fairtrial.study.factors import recorded_digest, upgraded
from fairtrial.study.settings import Settings
from fairtrial.study.study import Contrast
from fairtrial.study.tuning_plan import Tuning
from tests.support.records import ORIGIN, done, killed, publish, trial
from tests.support.toy import toy_study

FIRST = Contrast("first", treatment={"norm": "gn"}, control={"norm": "bn"})
WAY = {"layout": "nhwc", "kernels": "torch"}
LATER = Contrast("later", treatment={"norm": "bn"}, control={"norm": "gn"})


@pytest.fixture
def study():
    return toy_study(primary=FIRST)


@pytest.fixture
def store(study, tmp_path):
    store = Store.of(study, tmp_path)
    store.declare(study)
    return store


def only_file(store):
    (path,) = (store.folder / "cells").iterdir()
    return path


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


@pytest.mark.parametrize("schema", [None, "1", 0, True, 1.0])
def test_a_schema_that_is_no_version_is_a_fault(store, study, schema):
    record = publish(store, study.cells()[0])
    only_file(store).write_text(sealed(record.as_json() | {"schema": schema}))
    with pytest.raises(Fault, match="not a version number"):
        store.attempts()


def test_fields_of_a_later_time_are_kept_and_missing_ones_named(store, study):
    record = publish(store, study.cells()[0])
    later = record.as_json() | {"mood": "fine"}
    later["measured"] = later["measured"] | {"smell": [1]}
    only_file(store).write_text(sealed(later))
    (found,) = store.attempts()
    assert (found.other, found.measured.other) == ({"mood": "fine"}, {"smell": [1]})
    assert found.as_json() == later
    only_file(store).write_text(sealed({n: value for n, value in later.items() if n != "status"}))
    with pytest.raises(Fault, match="the record lacks status"):
        store.attempts()


KEPT = {
    "file": "0123456789ab-1.safetensors",
    "bytes": 8,
    "sha256": "0" * 64,
    "images": f"images-{'0' * 16}.u64",
}
IMPOSSIBLE = [
    ("measured.test_acc", 93.1, "expected a fraction in 0..1; got 93.1"),
    ("measured.test_acc", -0.2, "expected a fraction in 0..1; got -0.2"),
    ("measured.test_acc", True, "expected a fraction in 0..1; got True"),
    ("measured.test_acc", "0.9", "expected a fraction in 0..1; got '0.9'"),
    ("measured.test_acc", None, "expected a fraction in 0..1 in a cell that is done; got none"),
    ("measured.train_curve", [[1, 2.0, 0.1]], r"expected a list of \[step, loss\]"),
    ("measured.val_curve", [[1, 2.0, 0.1]], r"expected a list of \[step, accuracy, loss\]"),
    ("measured.test_reads", -1, "expected a whole number from 0 on; got -1"),
    ("measured.checkpoint", {"file": "a"}, "the record lacks measured.checkpoint.bytes"),
    ("measured", [], r"expected an object; got \[\]"),
    ("spent", None, "expected an object; got None"),
    ("spent.train_s", -1.0, "expected a finite number from 0 on; got -1.0"),
    ("spent.steps", 1.5, "expected a whole number from 0 on; got 1.5"),
    ("status", ["done"], "expected one of done, diverged"),
    ("budget", ["8st"], "expected a budget"),
    ("budget", "8 parsecs", "expected a budget"),
    ("attempt", 0, "expected a whole number from 1 on; got 0"),
    ("attempt", 1.0, "expected a whole number from 1 on; got 1.0"),
    ("spent.steps", 10**400, "expected a whole number from 0 on"),
    ("measured.test_loss", 10**400, "expected a finite number"),
    ("settings.norm", "ln3", "norm='ln3' is not a known name"),
    ("settings.batch_size", 0, "batch_size=0 is outside"),
    ("settings.weight_std", 1, "weight_std=1 is int, not True or False"),
    ("measured.checkpoint", {**KEPT, "file": "../../x.safetensors"}, r"expected CELL-ATTEMPT\.safetensors"),
    ("measured.checkpoint", {**KEPT, "images": "/etc/passwd"}, r"expected images-DIGEST\.u64"),
    ("measured.checkpoint", {**KEPT, "sha256": "none"}, "expected 64 hexadecimal digits"),
    ("study", ["a"], "expected a text"),
    ("cell", 7, "expected 12 hexadecimal digits; got 7"),
    ("seed", True, "expected a whole number from 0 on; got True"),
    ("levels", {"norm": {}}, "expected a table of plain values"),
    ("settings", [], "expected a table of plain values"),
    ("origin.threads", "1", "expected a whole number from 0 on; got '1'"),
    ("drawn.upstream", "gone", "expected an object; got 'gone'"),
    ("error", {"what": 1, "where": "job"}, "error.what: expected a text; got 1"),
]


@pytest.mark.parametrize(("at", "value", "said"), IMPOSSIBLE, ids=[f"{at}={v!r}" for at, v, _ in IMPOSSIBLE])
def test_a_sealed_record_of_what_cannot_be_is_damage_and_named(store, study, at, value, said):
    body = publish(store, study.cells()[0]).as_json()
    *inside, name = at.split(".")
    (body[inside[0]] if inside else body)[name] = value
    only_file(store).write_text(sealed(body))
    with pytest.raises(Fault, match=said) as damaged:
        store.attempts()
    assert damaged.value.code == 3
    assert damaged.value.problems[0].where == str(only_file(store))
    assert at.partition(".")[0] in damaged.value.problems[0].what
    good, faults = store.read_attempts()
    assert (good, len(faults)) == ([], 1)
    assert len(store.set_aside()) == 1


def test_every_impossible_field_of_a_file_is_named_at_once(store, study):
    body = publish(store, study.cells()[0]).as_json()
    body["measured"] |= {"test_acc": 2, "test_loss": "low"}
    only_file(store).write_text(sealed(body))
    with pytest.raises(Fault) as damaged:
        store.attempts()
    assert len(damaged.value.problems) == 2


def test_whatever_stands_in_a_field_is_read_or_refused():
    """Only our own error, whatever a sealed record holds."""
    (file,) = (OLD / "cells").glob("*.json")
    body = json.loads(file.read_text())
    refused = 0
    for path in [(name,) for name in body] + [(g, n) for g in body if type(body[g]) is dict for n in body[g]]:
        for value in (None, [], {}, "x", -1, True, 2.5, [[1]], {"a": {}}, 10**30):
            spoilt = json.loads(json.dumps(body))
            (spoilt[path[0]] if len(path) == 2 else spoilt)[path[-1]] = value
            try:
                parsed(spoilt, "here").as_json()
            except Fault as error:
                refused += 1
                assert error.code == 3
    assert refused > 300


def test_a_trial_is_done_with_validation_images_alone(store, study):
    tuned = toy_study(val_per_class=2, tuning={})
    body = publish(store, tuned.trial_cell(tuned.arms()[0], 0, {"lr": 0.1}), 1, trial()).as_json()
    assert body["measured"].get("test_acc") is None
    assert store.attempts()[0].measured.val_acc == 0.5
    body["measured"]["val_acc"] = None
    only_file(store).write_text(sealed(body))
    with pytest.raises(Fault, match=r"measured\.val_acc: expected a fraction"):
        store.attempts()


def test_hidden_files_of_a_system_are_no_records(store, study):
    """A Mac leaves `._NAME` beside each file on exFAT, on a share or in a tar."""
    record = publish(store, study.cells()[0])
    store.calibrate({"a": 0.1}, ORIGIN)
    store.lease(cell_message(study.cells()[0]), 2, 1, ORIGIN)
    for path in [*store.folder.glob("*/*.json"), *store.folder.glob("*.json")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X        ")
    assert store.attempts() == [record]
    assert len(store.calibrations()) == len(store.abandoned()) == 1
    assert store.set_aside() == []


OLD = Path(__file__).with_name("old")


def test_a_record_of_schema_1_is_read_and_stays_as_it_is():
    (path,) = (OLD / "cells").glob("*.json")
    before = path.read_bytes()
    record = json.loads(before)
    attempt = Store(OLD).attempt(record["cell"], record["attempt"])
    assert record["schema"] == 1 and {"compile_s", "checkpoint_s", "joules"} <= record["spent"].keys()
    assert "tune" in record["settings"]
    assert attempt.schema == 3 and attempt.spent.other == {}
    assert attempt.settings.finetune == record["settings"]["tune"] and attempt.settings.extra == {}
    assert attempt.provenance.kernels == "torch" and "kernels" not in record["origin"]
    assert attempt.measured.test_acc == record["measured"]["test_acc"]
    assert path.read_bytes() == before


def test_what_an_old_record_booked_is_kept():
    (path,) = (OLD / "cells").glob("*.json")
    record = json.loads(path.read_text())
    record["spent"]["compile_s"] = 1.5
    assert parsed(record, "here").spent.other == {"compile_s": 1.5}


def test_all_that_is_recorded_in_results_is_read():
    files = sorted((Path(__file__).parents[2] / "results").rglob("cells/*.json"))
    assert len(files) > 1500
    for path in files:
        record = json.loads(path.read_text())
        for unbooked in ("compile_s", "checkpoint_s", "joules") if record["schema"] == 1 else ():
            assert not record["spent"].pop(unbooked, None)
        known = {name: value for name, value in record.items() if name not in ("schema", "sha256")}
        known["settings"] = Settings.of(upgraded(record["settings"])).record()
        known["levels"] = upgraded(record["levels"])
        assert without_none(known) == without_none(read(path).as_json(), "schema", record["origin"])


def without_none(value, drop=None, origin=None):
    """A JSON value without what is null, and without what the reader adds to an old record."""
    if not isinstance(value, dict):
        return value
    found = {name: without_none(each) for name, each in value.items() if each is not None and name != drop}
    if origin is not None and "kernels" not in origin:
        del found["origin"]["kernels"]
    return found


def test_a_record_of_a_declaration_that_the_study_never_had_is_refused_and_repair_moves_it(store, study):
    good, strange = publish(store, study.cells()[0]), study.cells()[1]
    publish(store, strange, declaration="ab" * 32)
    with pytest.raises(Fault, match="it ran under declaration abababababab") as refused:
        store.attempts()
    (problem,) = refused.value.problems
    path = store.folder / "cells" / f"{strange.id}-1.json"
    assert (refused.value.code, problem.where) == (3, str(path)) and "fairtrial repair" in problem.do
    with pytest.raises(Fault, match="it ran under declaration abababababab"):
        store.declare(toy_study(primary=FIRST, seeds=5))
    (moved,) = store.set_aside()
    assert moved.name.endswith(path.name) and not path.exists()
    assert store.attempts() == [good]


def test_a_record_says_what_it_ran_under_unless_it_is_older_than_schema_3(store, study):
    body = publish(store, study.cells()[0]).as_json()
    del body["origin"]["declaration"]
    only_file(store).write_text(sealed(body))
    with pytest.raises(Fault, match=r"the record lacks origin\.declaration"):
        store.attempts()
    only_file(store).write_text(sealed(body | {"schema": 2}))
    assert store.attempts()[0].provenance.declaration is None


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


# declaration


def test_an_unchanged_declaration_is_not_written_again(store, study):
    before = (store.folder / "study.json").stat().st_mtime_ns
    store.declare(study)
    assert (store.folder / "study.json").stat().st_mtime_ns == before
    assert [entry["seen"] for entry in store.declared()["history"]] == [0]


def test_what_pilots_chose_is_told_and_declares_nothing_anew(store, study):
    history = store.declared()["history"]
    told = replace(study, pilots="seeds 7 and 8 chose the budget")
    store.declare(told)
    assert store.declared()["pilots"] == "seeds 7 and 8 chose the budget"
    assert store.declared()["history"] == history
    assert recorded_digest(told.declaration()) == history[0]["hash"]
    store.declare(study)
    assert "pilots" not in store.declared()


def test_history_says_how_many_outcomes_were_known(store, study):
    for cell in study.cells()[:3]:
        publish(store, cell)
    publish(store, study.cells()[3], 1, killed())  # no outcome
    store.declare(toy_study(primary=FIRST, seeds=5))
    first, second = store.declared()["history"]
    assert (first["seen"], second["seen"]) == (0, 3)


def test_a_contrast_declared_after_results_is_told_from_one_declared_before(store, study):
    publish(store, study.cells()[0])
    store.declare(toy_study(primary=FIRST, secondary=(LATER,)))
    first, second = store.declared()["history"]
    assert second["contrasts"]["first"] == first["contrasts"]["first"]  # known since nothing was seen
    assert second["contrasts"]["later"] not in first["contrasts"].values()
    assert second["seen"] == 1


def test_a_contrast_is_another_one_when_its_frame_changes(store, study):
    store.declare(toy_study(primary=FIRST, seeds=5))
    first, second = store.declared()["history"]
    assert first["contrasts"]["first"] != second["contrasts"]["first"]


def test_one_can_go_back_to_an_old_declaration(store, study):
    store.declare(toy_study(primary=FIRST, seeds=5))
    publish(store, study.cells()[0])
    store.declare(study)
    history = store.declared()["history"]
    assert [entry["hash"] for entry in history].count(recorded_digest(study.declaration())) == 2
    assert history[0]["contrasts"] == history[2]["contrasts"]
    assert [entry["seen"] for entry in history] == [0, 0, 1]


@pytest.mark.parametrize(
    ("old", "new"), [('"seen": 3', '"seen": 0'), ("Does it come back?", "Did it come back?")]
)
def test_an_edited_declaration_or_history_is_named(store, study, old, new):
    for cell in study.cells()[:3]:
        publish(store, cell)
    store.declare(toy_study(primary=FIRST, seeds=5))
    path = store.folder / "study.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Fault, match="the record was edited"):
        store.declared()


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("declaration", [], "declaration: expected an object"),
        ("declaration.seeds", "0..3", r"declaration\.seeds: expected a list of whole numbers"),
        ("declaration.seeds", [0, 0, 1], "declaration: .*seed"),
        ("declaration.factors", {"norm": "bn"}, r"declaration\.factors: expected a list of levels"),
        ("declaration.factors", {"norm": ["bn", "ln3"]}, "declaration: .*ln3"),
        ("declaration.budget", "8 parsecs", "declaration: .*parsecs"),
        ("declaration.primary", [{"name": "first"}], "no study can be made of it"),
        ("declaration.margin", "wide", r"declaration\.margin: expected a finite number"),
        ("declaration.alpha", 5, r"declaration\.alpha: expected a fraction"),
        ("declaration.study", "../x", "declaration: .*'../x'"),
        ("history", [], "history: expected a list of what was declared"),
        ("history", [{"hash": 7, "contrasts": {}, "seen": 0}], r"history\.0\.hash: expected 64 hexadecimal"),
        ("pilots", ["a"], "pilots: expected a text"),
    ],
)
def test_a_sealed_declaration_that_no_study_has_is_damage_and_named(store, study, at, value, said):
    path = store.folder / "study.json"
    body = {name: each for name, each in json.loads(path.read_text()).items() if name != "sha256"}
    *inside, name = at.split(".")
    (body[inside[0]] if inside else body)[name] = value
    path.write_text(sealed(body))
    for reader in (store.declared, store.attempts, lambda: store.declare(study)):
        with pytest.raises(Fault, match=said) as damaged:
            reader()
        assert (damaged.value.code, damaged.value.problems[0].where) == (3, str(path))
    assert len(store.set_aside()) == 1


@pytest.mark.parametrize(
    "way", [{"layout": "nhwc"}, WAY | {"layout": "nhw"}, WAY | {"lr": 0.1}, WAY | {"kernels": 1}]
)
def test_a_calibration_in_a_way_that_no_cell_is_computed_in_is_damage_and_named(store, way):
    store.calibrate({"a": 0.1}, ORIGIN, ways={"a": way})
    with pytest.raises(Fault, match="ways: expected a known layout with known kernels") as refused:
        store.calibrations()
    assert refused.value.code == 3
    assert len(store.set_aside()) == 1 and store.calibrations() == []


def test_a_copied_calibration_is_named_and_not_counted_twice(store):
    store.calibrate({"a": 0.1}, ORIGIN)
    (path,) = store.folder.glob("calibration-*.json")
    copy = path.with_name(f"{path.stem} (copy).json")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(Fault, match="it is called") as refused:
        store.calibrations()
    assert refused.value.code == 3
    assert len(store.set_aside()) == 1 and len(store.calibrations()) == 1


def test_another_study_in_the_folder_is_refused_with_both_ids(store):
    with pytest.raises(
        Fault, match=r"holds study toy \(preset embedded\), not game \(preset embedded\)"
    ) as refused:
        store.declare(replace(toy_study(), name="game"))
    assert refused.value.code == 4


def test_a_folder_without_a_study_says_what_to_run(tmp_path):
    with pytest.raises(Fault, match="no study is recorded here") as missing:
        Store(tmp_path / "toy").declared()
    assert missing.value.problems[0].do == "run it first: fairtrial run toy"


def test_a_cloned_folder_without_its_empty_parts_is_declared_again(store, study):
    (store.folder / "leases").rmdir()
    store.declare(study)
    store.lease(cell_message(study.cells()[0]), 1, 1, ORIGIN)


# leases


def test_a_lease_says_what_a_later_driver_needs(store, study):
    cell = study.cells()[3]
    store.lease(cell_message(cell), 2, 77, ORIGIN)
    store.renew(cell.id, 2, 12.5)
    ((lease, ran_s),) = store.abandoned()
    assert (lease.cell["seed"], lease.number, lease.pid, lease.origin) == (cell.seed, 2, 77, ORIGIN)
    assert ran_s == pytest.approx(12.5, abs=1e-3)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("cell.id", "../../../precious", "cell: expected 12 hexadecimal digits; got '../../../precious'"),
        ("cell.id", None, "expected 12 hexadecimal digits"),
        ("cell.id", "0" * 12, "are those of cell"),
        ("attempt", 2, "the file is called"),
        ("attempt", 0, "attempt: expected a whole number from 1 on; got 0"),
        ("attempt", "/../x", "expected a whole number from 1 on"),
        ("cell", {}, r"the record lacks cell\.id"),
        ("cell.settings", [], "settings: expected a table"),
        ("started", -1e12, "started: expected seconds since 1970"),
        ("started", 1e300, "started: expected seconds since 1970"),
        ("origin", [], "origin: expected an object"),
        ("pid", "1", "pid: expected a whole number"),
    ],
)
def test_a_lease_that_no_driver_wrote_touches_nothing(store, study, tmp_path, at, value, said):
    cell = study.cells()[0]
    store.lease(cell_message(cell), 1, 77, ORIGIN)
    (path,) = (store.folder / "leases").iterdir()
    body = json.loads(path.read_text())
    *inside, name = at.split(".")
    (body[inside[0]] if inside else body)[name] = value
    path.write_text(json.dumps(body))
    precious = tmp_path / "precious-1.json"
    precious.write_text("{}")
    for reader in (store.abandoned, lambda: store.renew(cell.id, 1, 2.0)):
        with pytest.raises(Fault, match=said) as damaged:
            reader()
        assert (damaged.value.code, damaged.value.problems[0].where) == (3, str(path))
    assert [moved.name.endswith(path.name) for moved in store.set_aside()] == [True]
    assert precious.read_text() == "{}" and not path.exists()


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0, -2e9])
def test_a_jump_of_the_wall_clock_bills_nothing(store, study, monkeypatch, jump):
    now, cell = time.time(), study.cells()[0]
    monkeypatch.setattr(time, "time", lambda: now)
    store.lease(cell_message(cell), 1, 77, ORIGIN)
    monkeypatch.setattr(time, "time", lambda: now + jump)
    store.renew(cell.id, 1, 4.0)
    assert store.abandoned()[0][1] == pytest.approx(4.0, abs=1e-3)


def test_publishing_drops_the_lease_and_dropping_it_twice_is_fine(store, study):
    cell = study.cells()[0]
    store.lease(cell_message(cell), 1, os.getpid(), ORIGIN)
    publish(store, cell)
    assert store.abandoned() == []
    store.release(cell.id, 1)
    store.renew(cell.id, 1, 3.0)  # its driver has not heard yet


def test_calibrations_come_oldest_first_and_numbered_ones_before_them(store):
    for value in (3.0, 4.0, 5.0):
        store.calibrate({"a": value}, ORIGIN)
    for number, value in ((10, 2.0), (9, 1.0)):  # as they were written before they had a time
        record = {"schema": 1, "step_s": {"a": value}, "origin": ORIGIN}
        (store.folder / f"calibration-{number}.json").write_text(sealed(record))
    assert [each.step_s["a"] for each in store.calibrations()] == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0, -86_400.0, -2e9])
def test_a_jump_of_the_wall_clock_does_not_reorder_calibrations(store, monkeypatch, jump):
    """The newest sets steps, the first one the layout: each was the other one after a clock went back."""
    now = time.time()
    record = {"schema": 1, "step_s": {"a": 0.1}, "origin": {**ORIGIN, "ended": now}}
    (store.folder / "calibration-1.json").write_text(sealed(record))  # from before they were counted
    store.calibrate({"a": 0.2}, ORIGIN, ways={"a": WAY | {"layout": "nchw"}})
    monkeypatch.setattr(time, "time", lambda: now + jump)
    store.calibrate({"a": 0.3}, ORIGIN, ways={"a": WAY})
    assert [each.step_s["a"] for each in store.calibrations()] == [0.1, 0.2, 0.3]


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


def test_a_published_file_is_one_line_of_json(store, study):
    publish(store, study.cells()[0])
    text = only_file(store).read_text()
    assert text.count("\n") == 1
    assert json.loads(text)["sha256"]


def test_a_factor_that_is_added_later_declares_nothing_anew(store, study, monkeypatch):
    """The folder was declared by a version that did not have the factor yet; contrasts stay confirmatory."""
    declaration = study.declaration()
    older = {**declaration, "fixed": {n: v for n, v in declaration["fixed"].items() if n != "precision"}}
    with monkeypatch.context() as patch:
        patch.setattr(type(study), "declaration", lambda _: older)
        store.declare(study)
    before = (store.folder / "study.json").read_bytes()
    store.declare(study)
    assert (store.folder / "study.json").read_bytes() == before
    store.declare(replace(study, fixed={**study.fixed, "lr": 0.123}))
    assert len(store.declared()["history"]) == 2


def test_a_contrast_declared_after_the_trials_but_before_the_first_result_has_seen_nothing(tmp_path):
    tuned = toy_study(val_per_class=2, primary=FIRST, tuning=Tuning({"lr": (0.1, 0.3)}))
    store = Store.of(tuned, tmp_path)
    store.declare(tuned)
    publish(store, tuned.trial_cell(tuned.arms()[0], tuned.tuning.seeds_of(0)[0], {"lr": 0.1}), 1, trial())
    store.declare(replace(tuned, secondary=LATER))
    publish(store, tuned.provisional().cells()[0])
    store.declare(replace(tuned, secondary=(LATER, replace(LATER, name="last"))))
    assert [entry["seen"] for entry in store.declared()["history"]] == [0, 0, 1]
