"""Every reader of files: whatever is done to one, it is read as it was or refused by our own error, at once.

Three rounds: damaged bytes, after which a sealed file never gives another value; of what we write, a cut and
zeros at every offset and single bits; and records of another shape under a right seal, which are read or
refused, and never break what asks them next.
"""

import base64
import json
import os
import random

import pytest

from fairtrial.data import decoded_cache
from fairtrial.errors import Fault
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.integrity import sealed
from fairtrial.study.identity import arm_key
from fairtrial.study.study import Contrast
from tests.support.made_files import BYTES, PLAIN, RECORDS, SEALED, WAY, WRITTEN, attempt, lease
from tests.support.mutations import NUMBERS, SEED, changed, refusals, tried
from tests.support.records import ORIGIN, declared_store, done, publish
from tests.support.toy import toy_study

pytestmark = pytest.mark.slow
# bytes in which every offset is tried, and single bits
OFFSETS = [(4096, 200), pytest.param(64 * 1024, 2000, marks=pytest.mark.soak)]


@pytest.fixture(scope="module")
def study():
    return toy_study(seeds=2)


@pytest.fixture
def store(study, tmp_path):
    return declared_store(study, tmp_path)


def plain(value):
    """What was read, to be compared."""
    return json.dumps(value, sort_keys=True, default=repr)


@pytest.fixture(autouse=True)
def cache_of_its_own_and_nothing_synced(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(decoded_cache._log, "disabled", True)  # a line for each damage
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no machine stops here


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("made", BYTES, ids=lambda made: made.__name__)
def test_damaged_bytes_are_refused_or_change_nothing(store, study, made, number):
    path, ask = made(store, study)
    before, refused = plain(ask(path)), 0
    for found in tried(path, ask, number):
        refused += isinstance(found, Fault)
        assert isinstance(found, Fault) or made not in SEALED or plain(found) == before
    assert refused > number / 20


@pytest.mark.parametrize(("most", "bits"), OFFSETS)
@pytest.mark.parametrize("made", WRITTEN, ids=lambda made: made.__name__)
def test_a_cut_or_zeros_at_any_offset_and_any_bit_are_refused_or_change_nothing(
    store, study, made, most, bits
):
    path, ask = made(store, study)
    data, draws, refused = path.read_bytes(), random.Random(SEED), 0
    before, length = plain(ask(path)), len(data)
    offsets = range(length) if length <= most else sorted(draws.sample(range(length), min(most, 2000)))

    def asked():
        try:
            found = plain(ask(path))
            assert made not in SEALED or found == before  # without its newline; 1e-05 spelled 1E-05
        except Fault as error:
            assert all(path.stem in problem.where for problem in error.problems)
            return 1
        return 0

    for at in reversed(offsets):
        os.truncate(path, at)
        refused += asked()
    assert refused >= len(offsets) - 1
    for at in offsets[:: 1 if bits > 200 else 32]:
        path.write_bytes(data[:at] + bytes(length - at))
        asked()
    for _ in range(bits):
        body = bytearray(data)
        body[draws.randrange(length)] ^= 1 << draws.randrange(8)
        path.write_bytes(bytes(body))
        asked()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("made", [*RECORDS, *PLAIN], ids=lambda made: made.__name__)
def test_a_record_of_another_shape_is_read_or_refused(store, study, made, number):
    """Under a right seal, where there is one; what is read goes through what asks it next."""
    path, ask = made(store, study)
    ask(path)
    record = json.loads(path.read_text())
    record.pop("sha256" if made in RECORDS else "", None)

    def other(_, draws):
        body = changed(record, draws)
        text = sealed(body) if made in RECORDS and isinstance(body, dict) else json.dumps(body)
        return text.encode("utf-8", "surrogatepass")

    assert refusals(path, ask, number, other) > number / 20


def whole_result(cell):
    """A run with a value in every field that verdicts look at."""
    made = done(0.5 + cell.seed / 8, weights=cell.id)
    curves = {"val_curve": [[4, 0.4, 1.0], [8, 0.5, 0.9]], "train_curve": [[4, 1.0], [8, 0.9]]}
    images = {"test_n": 8, "correct": base64.b64encode(bytes([(1 << 4 + cell.seed) - 1])).decode()}
    made["measured"] |= curves | images | {"val_acc": 0.5, "val_n": 20, "train_loss": 0.9, "test_ece": 0.1}
    made["spent"] |= {"calibrated_step_s": 1.0, "train_s": 8.0 + cell.seed / 100, "parameters": 7}
    made["drawn"] |= {"subset": "s", "order": str(cell.seed), "init": "i", **WAY}
    return made


@pytest.mark.parametrize("number", NUMBERS)
def test_a_record_of_another_shape_is_judged_or_refused(tmp_path, number):
    """What verdicts rest on, in a study whose every record has every part: layout, curves, single images."""
    contrast = Contrast("first", {"norm": "gn"}, {"norm": "bn"})
    study = toy_study(budget="8s", val_per_class=2, primary=contrast, aa={"norm": "gn"})
    store = declared_store(study, tmp_path)
    arms = {arm_key(cell.settings) for cell in study.cells()}
    rounds, ways = {arm: [1.0, 1.0] for arm in arms}, dict.fromkeys(arms, WAY)
    store.calibrate(dict.fromkeys(arms, 1.0), ORIGIN, rounds=rounds, ways=ways)
    for cell in study.cells():
        publish(store, cell, 1, whole_result(cell), data_notes=["a note"], commit="c" * 40)
    assert judge_study(store).results.sound
    path = store.folder / "cells" / f"{study.cells()[0].id}-1.json"
    record = json.loads(path.read_text())
    del record["sha256"]

    def other(_, draws):
        return sealed(changed(record, draws)).encode("utf-8", "surrogatepass")

    assert number / 2 < refusals(path, lambda _: judge_study(store), number, other) < number


def test_what_has_happened_elsewhere_stays_untouched(store, study, tmp_path):
    """No record, lease or name in them leads out of the study's folder: 100 of each, then repair."""
    outside = tmp_path / "x"
    outside.write_text("precious")
    draws = random.Random(SEED)
    for made in (attempt, lease):
        path, ask = made(store, study)
        record = json.loads(path.read_text())
        record.pop("sha256", None)
        for _ in range(100):
            body = changed(record, draws)
            path.write_bytes((sealed(body) if made is attempt else json.dumps(body)).encode())
            try:
                ask(path)
            except Fault:
                store.set_aside()
    assert outside.read_text() == "precious"
    assert {each.name for each in tmp_path.iterdir()} == {"x", store.name}
