"""Parquet files: what opens, and what is refused with file and row."""

import os
import subprocess
import sys
import unicodedata

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from fairtrial import parquet_reader  # noqa: E402
from fairtrial.data import check_dataset, open_dataset, parquet_labels, parquet_table  # noqa: E402
from fairtrial.errors import BAD_INPUT, Fault  # noqa: E402
from tests.data.making import encoded, picture, png, write_parquet  # noqa: E402


def refused(path, **options):
    """The Fault of opening a folder; every problem has its three parts."""
    with pytest.raises(Fault) as caught:
        open_dataset(f"parquet:{path}", **options)
    assert caught.value.code == BAD_INPUT
    for problem in caught.value.problems:
        assert problem.what and problem.where and problem.do
    return caught.value


def test_images_and_labels_come_in_file_order(tmp_path):
    data = open_dataset(f"parquet:{write_parquet(tmp_path / 'mine')}")
    assert data.name == "parquet:mine"
    assert data.train_labels.tolist() == [0, 1, 0, 1]
    assert data.test_labels.tolist() == [1, 0]
    assert (data.train_images[2].numpy() == np.asarray(picture(2)).transpose(2, 0, 1)).all()
    assert (data.test_images[1].numpy() == np.asarray(picture(101)).transpose(2, 0, 1)).all()


def test_class_names_come_from_the_metadata(tmp_path):
    assert open_dataset(f"parquet:{write_parquet(tmp_path / 'a', names=['cat', 'dog'])}").classes == (
        "cat",
        "dog",
    )
    assert open_dataset(f"parquet:{write_parquet(tmp_path / 'b')}").classes == ("0", "1")


@pytest.mark.parametrize(
    "metadata", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"label": {"names": 5}}}}']
)
def test_unreadable_metadata_is_no_metadata(tmp_path, metadata):
    path = write_parquet(tmp_path / "mine")
    for split in ("train", "test"):
        table = pq.read_table(path / f"{split}.parquet").replace_schema_metadata({"huggingface": metadata})
        pq.write_table(table, path / f"{split}.parquet")
    assert open_dataset(f"parquet:{path}").classes == ("0", "1")


@pytest.mark.parametrize("options", [{"image": "image"}, {"plain": True}, {"label_type": pa.uint8()}])
def test_common_variants_give_the_same_content(tmp_path, options):
    usual = open_dataset(f"parquet:{write_parquet(tmp_path / 'a')}")
    assert open_dataset(f"parquet:{write_parquet(tmp_path / 'b', **options)}").sha256 == usual.sha256


def test_the_digest_is_of_the_content_and_not_of_the_path(tmp_path):
    first = open_dataset(f"parquet:{write_parquet(tmp_path / 'a')}")
    other = write_parquet(tmp_path / "b", images={("train", 3): png(77)})
    swapped = write_parquet(tmp_path / "c", ([1, 0, 0, 1], [1, 0]))
    digests = {first.sha256, *(open_dataset(f"parquet:{p}").sha256 for p in (other, swapped))}
    assert len(digests) == 3


def test_a_resolution_resizes_both_splits(tmp_path):
    data = open_dataset(f"parquet:{write_parquet(tmp_path / 'mine')}", resolution=5)
    assert data.train_images.shape == (4, 3, 5, 5)
    assert data.test_images.shape == (2, 3, 5, 5)


def test_without_a_resolution_sizes_must_agree(tmp_path):
    path = write_parquet(tmp_path / "mine", images={("test", 1): png(9, (10, 8))})
    problem = refused(path).problems[0]
    assert problem.what == "expected 8x8 pixels like the first image; got 10x8"
    assert "row 1" in problem.where and "resolution" in problem.do
    assert len(open_dataset(f"parquet:{path}", resolution=8).test_images) == 2


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "mine")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Fault) as caught:
        open_dataset(f"parquet:{path}")
    assert caught.value.problems[0].do == 'pip install "fairtrial[data]"'


def test_missing_files_are_both_named(tmp_path):
    found = refused(tmp_path / "nowhere")
    assert [problem.where.rsplit("/")[-1] for problem in found.problems] == ["train.parquet", "test.parquet"]


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b"text", lambda b: b[: len(b) // 2], lambda b: b[:-1]]
)
def test_a_damaged_file_is_named(tmp_path, damage):
    file = write_parquet(tmp_path / "mine") / "test.parquet"
    file.write_bytes(damage(file.read_bytes()))
    assert refused(tmp_path / "mine").problems[0].where == str(file)


def test_a_missing_column_lists_the_ones_there_are(tmp_path):
    path = write_parquet(tmp_path / "mine", image="photo")
    assert refused(path).problems[0].what == "expected a column img or image; the file has photo, label"


def test_a_column_without_bytes_is_refused(tmp_path):
    path = write_parquet(tmp_path / "mine")
    pq.write_table(pa.table({"img": ["a.png"], "label": [0]}), path / "train.parquet")
    assert "it holds string" in refused(path).problems[0].what


def test_an_empty_file_is_refused(tmp_path):
    path = write_parquet(tmp_path / "mine", ([0, 1], []), label_type=pa.int64())
    found = refused(path)
    assert "no row" in found.problems[0].what or "holds" in found.problems[0].what


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


# D1, D2
def test_bad_images_are_all_named_by_row(tmp_path):
    cut = encoded(picture(0, (32, 32)), "JPEG")[:400]
    bad = {("train", 0): cut, ("train", 3): b"words", ("test", 1): None, ("test", 0): b""}
    found = refused(write_parquet(tmp_path / "mine", images=bad))
    seen = {problem.where.split(str(tmp_path))[1]: problem.what for problem in found.problems}
    assert "damaged JPEG" in seen["/mine/train.parquet, row 0"]
    assert "the content is text" in seen["/mine/train.parquet, row 3"]
    assert "the content is empty" in seen["/mine/test.parquet, row 0"]
    assert "the row has none" in seen["/mine/test.parquet, row 1"]


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


# D9
def test_a_duplicate_across_the_splits_is_an_error(tmp_path):
    path = write_parquet(tmp_path / "mine", images={("test", 0): png(1), ("test", 1): png(3)})
    problem = refused(path).problems[0]
    assert problem.what == "2 test images are byte-identical to training images, 1 with another label"
    assert f"{path}/train.parquet, row 1 = {path}/test.parquet, row 0" in problem.where


def test_a_duplicate_within_a_split_is_left_alone(tmp_path):
    assert open_dataset(f"parquet:{write_parquet(tmp_path / 'mine', images={('train', 0): png(2)})}")


def test_twenty_offenders_are_shown_and_all_are_counted(tmp_path):
    labels = [0, 1] * 30
    bad = {("train", row): b"words" for row in range(2, 47)}
    path = write_parquet(tmp_path / "mine", (labels, [0, 1]), images=bad)
    found = refused(path)
    assert len(found.problems) == 21
    assert found.problems[20].what == "45 problems in all; 25 more are not shown"
    assert len(check_dataset(f"parquet:{path}")) == 45


def test_good_data_has_no_problem(tmp_path):
    assert check_dataset(f"parquet:{write_parquet(tmp_path / 'mine')}") == []


# the layouts of hubs


def shards(root, *names, labels=(0, 1, 0, 1, 1, 0), column=None, start=0):
    """Parquet files of six images each, all different."""
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        rows = [png(start + 100 * index + number) for number in range(6)]
        table = {"image": column(rows) if column else pa.array(rows, pa.binary()), "label": pa.array(labels)}
        pq.write_table(pa.table(table), root / name)
    return root


@pytest.mark.parametrize(
    "names",
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("train-00000-of-00001-0123456789abcdef.parquet", "test-00000-of-00001-89abcdef01234567.parquet"),
        ("data/train.parquet", "data/test.parquet"),
        ("train.parquet", "data/test-00000-of-00001.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("data/my_train_0.parquet", "data/my_test_0.parquet"),
    ],
)
def test_the_file_names_of_a_hub_are_those_of_plain_files(tmp_path, names):
    usual = open_dataset(f"parquet:{shards(tmp_path / 'a', 'train.parquet', 'test.parquet')}")
    assert open_dataset(f"parquet:{shards(tmp_path / 'b', *names)}").sha256 == usual.sha256


def test_validation_stands_for_a_test_split_that_is_not_there_and_it_is_said(tmp_path):
    root = shards(
        tmp_path / "mine", "x/train/0000.parquet", "x/train/0001.parquet", "x/validation/0000.parquet"
    )
    data = open_dataset(f"parquet:{root}")
    assert (len(data.train_labels), len(data.test_labels)) == (12, 6)
    assert data.notes[0] == "there is no test split: 1 files of validation are the test split"


def test_files_of_one_split_in_two_folders_are_refused_with_their_names(tmp_path):
    root = shards(tmp_path / "mine", "a/train/0.parquet", "b/train/0.parquet", "a/test/0.parquet")
    problem = refused(root).problems[0]
    assert "there are a/train/0.parquet, b/train/0.parquet" in problem.what
    assert "name the folder of one" in problem.do


SHARDS = tuple(f"train-0000{number}-of-00003.parquet" for number in range(3))


def test_shards_are_one_split_in_the_order_of_their_numbers(tmp_path):
    root = shards(tmp_path / "mine", *SHARDS, "test.parquet")
    data = open_dataset(f"parquet:{root}")
    assert data.train_labels.tolist() == [0, 1, 0, 1, 1, 0] * 3
    for row, seed in ((0, 0), (7, 101), (17, 205)):
        assert (data.train_images[row].numpy() == np.asarray(picture(seed)).transpose(2, 0, 1)).all()


def test_a_bad_image_is_named_by_its_shard_and_row(tmp_path):
    root = shards(tmp_path / "mine", *SHARDS, "test.parquet")
    pq.write_table(pa.table({"image": [png(7), b"words"], "label": [0, 1]}), root / SHARDS[1])
    assert refused(root).problems[0].where == f"{root / SHARDS[1]}, row 1"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((SHARDS[0], SHARDS[2]), "expected 3 shards of train; there are 2, without train-00001-of-00003"),
        ((*SHARDS, "train.parquet"), "expected one file or one set of shards of train"),
        ((SHARDS[0], "train-00000-of-00001.parquet"), "expected one file or one set of shards of train"),
        ((*SHARDS, "data/train-00000-of-00003.parquet"), "expected one file or one set of shards of train"),
    ],
)
def test_shards_that_are_no_whole_set_are_refused(tmp_path, names, said):
    assert said in refused(shards(tmp_path / "mine", *names, "test.parquet")).problems[0].what


SPELLINGS = {
    "large_binary": lambda rows: pa.array(rows, pa.large_binary()),
    "dictionary": lambda rows: pa.array(rows, pa.binary()).dictionary_encode(),
    "struct of large_binary": lambda rows: pa.array(
        [{"bytes": row, "path": None} for row in rows],
        pa.struct([("bytes", pa.large_binary()), ("path", pa.string())]),
    ),
    "fixed_size_binary": lambda rows: pa.array(
        [row.ljust(max(map(len, rows)), b"\0") for row in rows], pa.binary(max(map(len, rows)))
    ),
    "binary_view": lambda rows: pa.array(rows, pa.binary_view()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_bytes_are_bytes_however_arrow_spells_them(tmp_path, spelling):
    names = ("train.parquet", "test.parquet")
    usual = open_dataset(f"parquet:{shards(tmp_path / 'a', *names)}")
    root = shards(tmp_path / "b", *names, column=SPELLINGS[spelling])
    assert open_dataset(f"parquet:{root}").sha256 == usual.sha256


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


# bombs: few bytes that stand for many


@pytest.mark.parametrize("bomb", ["compressed", "dictionary", "rows", "few bytes", "texts", "a text"])
def test_a_column_of_many_bytes_in_a_small_file_is_refused(tmp_path, monkeypatch, bomb):
    monkeypatch.setattr(parquet_reader, "FREE", 2**20)
    monkeypatch.setattr(parquet_reader, "MOST_ROWS" if bomb == "rows" else "FREE_ROWS", 10_000)
    monkeypatch.setattr(parquet_labels, "MOST_TEXT", 2**15)
    root = write_parquet(tmp_path / "mine")
    rows, labels = {
        "compressed": ([bytes(2**23)], [0]),
        "dictionary": ([encoded(picture(0, (100, 100)), "BMP")] * 400, [0, 1] * 200),
        "rows": ([None] * 20_000, [0] * 20_000),
        "few bytes": ([None] * 20_000, [0] * 20_000),
        "texts": ([None] * 40, [f"{row}".ljust(999) for row in range(40)]),
        "a text": ([None] * 2, ["cat", "x" * 1001]),
    }[bomb]
    table = pa.table({"img": pa.array(rows, pa.binary()), "label": pa.array(labels)})
    pq.write_table(table, root / "train.parquet", compression="zstd", dictionary_pagesize_limit=2**30)
    assert (root / "train.parquet").stat().st_size < 40_000
    problem = refused(root).problems[0]
    said = {
        "compressed": "bytes declared by",
        "dictionary": "bytes decoded of row group 0",
        "rows": "20,000 rows in one file",
        "few bytes": "20,000 rows in a file of",
        "texts": "more than 32,768 bytes of different texts as labels",
        "a text": "a text of 1,001 characters as a label",
    }
    assert said[bomb] in problem.what and problem.where == str(root / "train.parquet")


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


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path):
    root = write_parquet(tmp_path / "mine")
    (root / "test.parquet").unlink()
    os.mkfifo(root / "test.parquet")
    assert "a named pipe, not a file" in refused(root).problems[0].what


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
