"""A good file of each kind that is read, as (path, what asks its reader), to be damaged."""

import hashlib
import io
import json

import numpy as np
import pandas as pd
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
from fairtrial.storage import cell_checkpoints
from fairtrial.storage.calibrations import chosen_ways, read_calibration, sessions_of
from fairtrial.storage.lease import read_lease
from fairtrial.storage.outcomes import failures, outcomes
from fairtrial.storage.record import cell_message, read
from fairtrial.study.study import Study
from fairtrial.training.loop import State
from fairtrial.training.optimizer import SGD
from fairtrial.training.timing import Ledger
from fairtrial.weights import npz
from fairtrial.weights.weights_source import held
from tests.data.making import png, write_parquet
from tests.support.records import ORIGIN, publish

DATA = "0" * 64
WAY = {"layout": "nhwc", "kernels": "torch"}
LABELS = np.array([0, 1] * 4)
ROW = {
    "name": "test_work",
    "group": None,
    "params": None,
    "stats": {"median": 0.1, "ops": 10.0, "data": [0.1, 0.11], "rounds": 2},
    "extra_info": {"calls": 2, "rounds_s": {"a": [0.1, 0.11], "b": [0.2, 0.21]}},
}


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
