"""Every reader of files: whatever is done to one, it is read as it was or refused by our own error, at once.

Three rounds: damaged bytes, after which a sealed file never gives another value; of what we write, a cut and
zeros at every offset and single bits; and records of another shape under a right seal, which are read or
refused, and never break what asks them next.
"""

import base64
import hashlib
import io
import json
import os
import random

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save as to_bytes

from fairtrial.data import decoded_cache, open_dataset
from fairtrial.data.decode import Unusable, pixels
from fairtrial.data.index_file import read_indices
from fairtrial.data.split_arrays import Arrays, Source
from fairtrial.errors import Fault
from fairtrial.execution.cell.resume import Keeper, Resumable
from fairtrial.measurements import measurement_record
from fairtrial.regression import baseline, history
from fairtrial.reporting.comparison.compare_table import Asked, compare_table
from fairtrial.reporting.comparison.table_columns import TableColumns
from fairtrial.reporting.comparison.table_file import read_table
from fairtrial.reporting.results.record_checks import problems
from fairtrial.reporting.results.shared_runs import of_summary
from fairtrial.reporting.results.timings import read_file as read_timings
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage import cell_checkpoints
from fairtrial.storage.calibrations import chosen_ways, read_calibration, sessions_of
from fairtrial.storage.integrity import sealed
from fairtrial.storage.lease import read_lease
from fairtrial.storage.outcomes import failures, outcomes
from fairtrial.storage.record import cell_message, read
from fairtrial.storage.store import Store
from fairtrial.study.identity import arm_key
from fairtrial.study.study import Contrast, Study
from fairtrial.training.loop import State
from fairtrial.training.optimizer import SGD
from fairtrial.training.timing import Ledger
from fairtrial.weights import npz
from fairtrial.weights.weights_source import held
from tests.data.making import png, write_parquet
from tests.support.mutations import NUMBERS, SEED, changed, refusals, tried
from tests.support.records import ORIGIN, done, publish
from tests.support.toy import toy_study

pytestmark = pytest.mark.slow

DATA = "0" * 64
WAY = {"layout": "nhwc", "kernels": "torch"}
LABELS = np.array([0, 1] * 4)
# bytes in which every offset is tried, and single bits
OFFSETS = [(4096, 200), pytest.param(64 * 1024, 2000, marks=pytest.mark.soak)]
ROW = {
    "name": "test_work",
    "group": None,
    "params": None,
    "stats": {"median": 0.1, "ops": 10.0, "data": [0.1, 0.11], "rounds": 2},
    "extra_info": {"calls": 2, "rounds_s": {"a": [0.1, 0.11], "b": [0.2, 0.21]}},
}


@pytest.fixture(scope="module")
def study():
    return toy_study(seeds=2)


@pytest.fixture
def store(study, tmp_path):
    store = Store.of(study, tmp_path)
    store.declare(study)
    return store


def plain(value):
    """What was read, to be compared."""
    return json.dumps(value, sort_keys=True, default=repr)


def attempt(store, study):
    publish(store, study.cells()[0])
    (path,) = (store.folder / "cells").iterdir()

    def ask(path):
        one = read(path)
        outcomes([one]), failures([one])
        assert one.failed in (True, False) and one.provenance.modified in (True, False)
        assert len(one.timed) == 5 and one.settings.start_key
        list(problems(store))
        return one.as_json()

    return path, ask


def lease(store, study):
    store.lease(cell_message(study.cells()[0]), 1, 7, ORIGIN)
    (path,) = (store.folder / "leases").iterdir()

    def ask(path):
        one = read_lease(path)
        store.renew(one.cell["id"], one.number, 3.0)
        return one.closed("toy", "", 1.0).as_json()

    return path, ask


def declaration(store, study):
    def ask(path):
        declared = store.declared()
        Study.of(declared["declaration"]).cells()
        return [declared, store.hashes()]

    return store.folder / "study.json", ask


def calibration(store, study):
    store.calibrate({"a": 0.1}, ORIGIN, rounds={"a": [0.1, 0.2]}, ways={"a": WAY})
    (path,) = store.folder.glob("calibration-*.json")

    def ask(path):
        one = read_calibration(path)
        chosen_ways([one]), sessions_of([one])
        return one.as_json()

    return path, ask


def measurement(store, study):
    path = measurement_record.write(store.folder / "axes.json", "axes", {"shape": [1, 2]}, {"threads": 1})
    return path, lambda path: measurement_record.read(path, "axes")


def stored_baseline(store, study):
    path = baseline.save(store.folder, [{"benchmarks": [ROW]}] * 2, {"cpu": "abacus"}, {"commit": "c" * 40})
    return path, lambda path: vars(baseline.load(path, {"cpu": "abacus"}, store.folder, other_device=True))


def night(store, study):
    path = history.append(store.folder, [{"a": 0.1}], {"cpu": "abacus"}, {"commit": "c" * 40}, None)
    return path, lambda _: history.nights(store.folder)


def state_of_a_cell():
    model = torch.nn.Linear(3, 1)
    return State(model, SGD(model.parameters(), lr=1.0, momentum=0.9, weight_decay=0.0), torch.zeros(5), None)


def cell_checkpoint(store, study):
    state, folder = state_of_a_cell(), cell_checkpoints.of_study(store.folder)
    record = {"made": {}, "state": state.facts(), "seconds": {"train": 1.5, "load": 0.5}}
    saved = cell_checkpoints.Saved(study.cells()[0].id, 1, 3, folder)
    cell_checkpoints.write(saved, record, to_bytes(state.arrays()))

    def ask(_):
        record, data = cell_checkpoints.read(saved.json)
        Keeper(Resumable(folder, 2, {}), saved.cell, Ledger()).begin(state_of_a_cell())
        return [record, hashlib.sha256(data).hexdigest()]

    return saved.json, ask


def cell_arrays(store, study):
    path, ask = cell_checkpoint(store, study)
    return path.with_suffix(".safetensors"), ask


def decoded_labels(store, study):
    """An entry of the cache: its JSON file. A damaged one is built again, which stands for a refusal here."""
    pictures = np.arange(8 * 3 * 4 * 4, dtype=np.uint8).reshape(8, 3, 4, 4)
    arrays = Arrays(("cat", "dog"), pictures[:6], LABELS[:6], pictures[6:], LABELS[6:])
    decoded_cache.through(Source("stamp", lambda _: arrays), 4)

    def build(_):
        raise Fault([], 3)

    def ask(path):
        found, sha256 = decoded_cache.through(Source("stamp", build), 4)
        return [found.sha256(), sha256, found.classes, found.notes, found.sizes]

    (path,) = (decoded_cache.folder() / "images").glob("*.json")
    return path, ask


def decoded_images(store, study):
    path, ask = decoded_labels(store, study)
    return path.with_suffix(".npy"), ask


RECORDS = (attempt, declaration, calibration, measurement, stored_baseline, night, cell_checkpoint)
SEALED = (*RECORDS, cell_arrays, decoded_labels, decoded_images)


def bench_report(store, study):
    path = store.folder / "report.json"
    path.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": "abacus"}}, "benchmarks": [ROW]}))
    return path, read_timings


def index_file(store, study):
    path = store.folder / "indices.json"
    path.write_text(json.dumps({"data": DATA, "subsets": {"0": [0, 1, 2, 3], "1": [4, 5]}}))

    def ask(path):
        read_indices(path, labels=LABELS, test_n=4, data_sha256=DATA, num_classes=2).subset(0, 1)

    return path, ask


def side_record(store, study):
    weights = store.folder / "weights.npz"
    weights.write_bytes(b"")
    path = store.folder / "weights.npz.json"
    path.write_text(json.dumps({"name": "a", "url": "https://a", "size": 0, "sha256": None, "etag": None}))

    def ask(path):
        with weights.open("rb") as file:
            held(weights, file)

    return path, ask


PLAIN = (lease, bench_report, index_file, side_record)


def arrays(store, study):
    path = store.folder / "weights.npz"
    np.savez(path, a=np.ones((2, 3), np.float32), b=np.arange(4, dtype=np.float16))

    def ask(path):
        with npz.opened(path, most=4096) as archive:
            return [archive.read(name).tolist() for name in archive.members]

    return path, ask


def image(format):
    def made(store, study):
        file = io.BytesIO()
        Image.open(io.BytesIO(png(1))).save(file, format)
        path = store.folder / f"image.{format}"
        path.write_bytes(file.getvalue())

        def ask(path):
            try:
                pixels(path.read_bytes(), 8)
            except Unusable as refused:
                raise Fault([], 3) from refused

        return path, ask

    made.__name__ = format
    return made


def parquet(store, study):
    root = write_parquet(store.folder / "images", names=["cat", "dog"])
    return root / "train.parquet", lambda _: open_dataset(f"parquet:{root}", resolution=8)


def summary(store, study):
    path = store.folder / "summary.csv"
    path.write_text("cell,weights_sha256\na,b\nc,d\n")
    return path, lambda path: of_summary(path.parent)


def table_of(end):
    def made(store, study):
        frame = pd.DataFrame({"norm": ["bn", "gn"] * 3, "seed": [0, 0, 1, 1, 2, 2], "acc": [0.5, 0.625] * 3})
        path = store.folder / f"runs.{end}"
        if end == "csv":
            frame.to_csv(path, index=False)
        elif end == "jsonl":
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_parquet(path)
        asked = Asked(TableColumns("norm", "acc", "seed", "", {}, ""), ("gn",), "bn")
        return path, lambda path: len(compare_table(read_table(path), asked, "runs").lines())

    made.__name__ = f"table_{end}"
    return made


TABLES = [table_of(end) for end in ("csv", "jsonl", "parquet")]
IMAGES = [image(format) for format in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]
BYTES = (*SEALED, *PLAIN, arrays, *IMAGES, parquet, summary, *TABLES)
WRITTEN = (*SEALED, lease, side_record)


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
    store = Store.of(study, tmp_path)
    store.declare(study)
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
