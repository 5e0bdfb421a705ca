"""Labels and class names of parquet files."""

import subprocess
import sys
import unicodedata

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from fairtrial.data import open_dataset, parquet_labels, parquet_table  # noqa: E402
from fairtrial.errors import Fault  # noqa: E402
from tests.data.making import png, write_parquet  # noqa: E402
from tests.data.parquet_sets import refused, shards  # noqa: E402


def test_labels_of_other_number_than_the_rows_are_damage(tmp_path):
    """One flipped bit of the footer can leave a file that opens, with no labels."""
    path = write_parquet(tmp_path / "mine") / "train.parquet"
    data, told = path.read_bytes(), set()
    for place in range(len(data) // 4, len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            assert len(parquet_table.Table(path).labels) == 4
        except Fault as fault:
            told.update(problem.what for problem in fault.problems)
    assert any("0 labels for 4 rows" in what for what in told)


# D3
@pytest.mark.parametrize(
    ("labels", "row", "got"),
    [
        ([0, 1, 2, 1], 2, "got 2"),
        ([0, -1, 0, 1], 1, "got -1"),
        ([0, 1, 0, None], 3, "got none"),
        ([0, 1, 2**62, 1], 2, "got 4611686018427387904"),
    ],
)
def test_a_bad_label_names_row_and_range(tmp_path, labels, row, got):
    problem = refused(write_parquet(tmp_path / "mine", (labels, [0, 1]), names=["cat", "dog"])).problems[0]
    assert problem.where.endswith(f"train.parquet, row {row}")
    assert "0..1" in problem.what and got in problem.what


def test_without_names_the_training_labels_set_the_range(tmp_path):
    problem = refused(write_parquet(tmp_path / "mine", ([0, 1], [2, 0]))).problems[0]
    assert problem.where.endswith("test.parquet, row 0") and "0..1; got 2" in problem.what


def test_a_huge_label_does_not_make_as_many_classes(tmp_path):
    assert (
        "0..3; got 2000000000"
        in refused(write_parquet(tmp_path / "m", ([0, 1, 2_000_000_000, 1], [0]))).problems[0].what
    )


@pytest.mark.parametrize(("labels", "kind"), [([0.0, 1.0], "double"), ([b"cat", b"dog"], "binary")])
def test_labels_of_another_type_are_refused(tmp_path, labels, kind):
    problem = refused(write_parquet(tmp_path / "mine", (labels, labels))).problems[0]
    assert f"holds {kind}" in problem.what and "row 0" in problem.where


@pytest.mark.parametrize("spelling", ["string", "large_string", "string_view", "dictionary"])
def test_text_labels_are_classes_in_sorted_order_and_it_is_said(tmp_path, spelling):
    texts = {"train": ["owl", "cat", "caff\u00e8", "caff\u00e8"], "test": ["caffe\u0300", "owl", "cat"]}

    def column(rows):
        made = pa.array(rows, pa.string() if spelling == "dictionary" else getattr(pa, spelling)())
        return made.dictionary_encode() if spelling == "dictionary" else made

    root = tmp_path / "mine"
    root.mkdir()
    for split, rows in texts.items():
        images = [png(len(split) * 100 + row) for row in range(len(rows))]
        pq.write_table(pa.table({"image": images, "category": column(rows)}), root / f"{split}.parquet")
    data = open_dataset(f"parquet:{root}")
    assert data.classes == ("caff\u00e8", "cat", "owl")  # a name of a Mac is the same name
    assert (data.train_labels.tolist(), data.test_labels.tolist()) == ([2, 1, 0, 0], [0, 2, 1])
    assert data.notes == ("labels are texts: 3 classes in sorted order",)


def test_a_text_that_training_lacks_and_a_missing_one_are_named_by_row(tmp_path):
    labels = (["cat", None, "dog"], ["cat", "emu"])
    found = refused(write_parquet(tmp_path / "mine", labels, label_type=pa.string())).problems
    assert [problem.where.rsplit("/")[-1] for problem in found] == [
        "train.parquet, row 1",
        "test.parquet, row 1",
    ]
    assert [problem.what.rpartition("; ")[2] for problem in found] == ["got none", "got 'emu'"]


def test_text_labels_beside_numbers_are_refused(tmp_path):
    root = write_parquet(tmp_path / "mine", (["cat", "dog"], ["cat"]), label_type=pa.string())
    pq.write_table(pa.table({"img": [png(9)], "label": [1]}), root / "test.parquet")
    assert (
        "expected text labels, as in train.parquet; test.parquet has numbers"
        in refused(root).problems[0].what
    )


# D5
def test_other_class_names_in_the_test_file_are_refused(tmp_path):
    path = write_parquet(tmp_path / "mine", names=["cat", "dog"], test_names=["dog", "cat"])
    assert "('cat', 'dog')" in refused(path).problems[0].what


TWO_SPELLINGS = [unicodedata.normalize(form, "caff\u00e8") for form in ("NFC", "NFD")]


def test_class_names_in_the_two_spellings_of_unicode_are_one(tmp_path):
    composed, of_a_mac = TWO_SPELLINGS
    path = write_parquet(tmp_path / "mine", names=[composed, "dog"], test_names=[of_a_mac, "dog"])
    assert open_dataset(f"parquet:{path}").classes == (composed, "dog")
    path = write_parquet(tmp_path / "other", names=[of_a_mac, "dog"])
    assert open_dataset(f"parquet:{path}").classes == (composed, "dog")


def test_text_labels_that_share_their_beginnings_are_read(tmp_path):
    """As other writers encode them."""
    path, labels = write_parquet(tmp_path / "mine"), [["cat", "car"] * 2, ["car", "cat"]]
    for split, rows in zip(("train", "test"), labels, strict=True):
        file = path / f"{split}.parquet"
        table = pq.read_table(file).set_column(1, "label", pa.array(rows))
        pq.write_table(table, file, use_dictionary=False, column_encoding={"label": "DELTA_BYTE_ARRAY"})
    data = open_dataset(f"parquet:{path}")
    assert (data.classes, data.train_labels.tolist()) == (("car", "cat"), [1, 0, 1, 0])


@pytest.mark.parametrize("names", [TWO_SPELLINGS, ["cat", "cat"]])
def test_two_classes_of_one_name_are_refused(tmp_path, names):
    path = write_parquet(tmp_path / "mine", names=names)
    problem = refused(path).problems[0]
    assert f"classes 0 and 1 are both called {names[0]!r}" in problem.what
    assert "(NFC, NFD)" in problem.what and problem.where == str(path / "train.parquet")


def test_text_labels_that_are_all_missing_are_named_by_row(tmp_path):
    path = write_parquet(tmp_path / "mine", ([None, None], [None]), label_type=pa.string())
    assert [problem.what.rpartition("; ")[2] for problem in refused(path).problems] == ["got none"] * 3


def test_a_named_class_without_training_images_is_refused(tmp_path):
    path = write_parquet(tmp_path / "mine", ([0, 1], [0]), names=["cat", "dog", "emu"])
    assert "class 'emu' has none" in refused(path).problems[0].what


def test_a_class_without_test_images_is_a_note(tmp_path):
    path = write_parquet(tmp_path / "mine", ([0, 1], [0]), names=["cat", "dog"])
    assert open_dataset(f"parquet:{path}").notes == ("without a test image: dog",)


def test_labels_from_1_are_read_and_said(tmp_path):
    names = ("train.parquet", "test.parquet")
    data = open_dataset(f"parquet:{shards(tmp_path / 'a', *names, labels=(1, 2, 3, 1, 2, 3))}")
    assert data.classes == ("1", "2", "3")
    assert data.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.notes == ("labels start at 1: the first class is called 1",)


def test_labels_from_1_beside_class_names_are_refused_as_that(tmp_path):
    found = refused(write_parquet(tmp_path / "mine", ([1, 2, 1], [2, 1]), names=["cat", "dog"]))
    assert [problem.what for problem in found.problems] == [
        "labels start at 1, up to 2; the file names 2 classes, from 0 on"
    ]


GROWTH = """
import resource, sys
from pathlib import Path
from fairtrial.data.parquet import source
from fairtrial.errors import Fault
import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        source(Path(path)).build(8)
    except Fault as refused:
        print(refused.problems[0].what)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_no_labels_take_300_mb(tmp_path):
    """In a process of its own, as its memory never shrinks: two texts in all rows, and one more each row."""
    rows, text, images = 320, "x" * 2**20, [png(0), png(1)] * 160
    numbers = pa.array(np.arange(rows, dtype=np.int32) % 2)
    few = pa.DictionaryArray.from_arrays(numbers, pa.array([f"{text}a", f"{text}b"]))
    many = pa.array([f"{text}{row:03}" for row in range(rows)])
    shared = {"use_dictionary": False, "column_encoding": {"label": "DELTA_BYTE_ARRAY"}}
    usual = {"compression": "zstd", "dictionary_pagesize_limit": 2**30, "write_statistics": False}
    for name, labels, how in (("few", few, usual), ("many", many, usual | shared)):
        root = write_parquet(tmp_path / name, label_type=pa.int64())
        pq.write_table(pa.table({"img": images, "label": labels}), root / "train.parquet", **how)
        assert (root / "train.parquet").stat().st_size < 100_000
    command = [sys.executable, "-c", GROWTH, *(str(tmp_path / name) for name in ("few", "many"))]
    *told, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "a text of 1,048,577 characters as a label" in told[0]
    assert "more than 4,194,304 bytes of different texts as labels" in told[1]
    assert float(grown) < 300


def test_of_many_wrong_labels_a_thousand_are_named_and_all_are_counted(tmp_path, monkeypatch):
    """16 million of them in 16 MB would take gigabytes of sentences."""
    monkeypatch.setattr(parquet_labels, "_MOST_TOLD", 3)
    root = write_parquet(tmp_path / "mine", ([0, 1] * 4, [1, 0]))
    table = pq.read_table(root / "train.parquet")
    labels = pa.array([-1 - row for row in range(table.num_rows)])
    pq.write_table(
        table.set_column(table.schema.get_field_index("label"), "label", labels), root / "train.parquet"
    )
    with pytest.raises(Fault) as refused:
        open_dataset(f"parquet:{root}", resolution=8)
    first, *named = refused.value.problems
    assert f"{table.num_rows} rows have others" in first.what
    assert [one.what.rpartition(" ")[2] for one in named][:3] == ["-1", "-2", "-3"] and len(named) < 6
