"""Records of what cannot be are damage, and named; old ones are read as they were written."""

import json
from pathlib import Path

import pytest

from fairtrial.errors import Fault
from fairtrial.storage.integrity import sealed
from fairtrial.storage.record import cell_message, parsed, read
from fairtrial.storage.store import Store
from fairtrial.study.factors import upgraded
from fairtrial.study.settings import Settings
from tests.storage.making import only_file
from tests.support.records import ORIGIN, publish, trial
from tests.support.toy import toy_study


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
