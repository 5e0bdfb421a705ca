"""Parquet as hubs lay it out: shards, file names, spellings of bytes."""

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from fairtrial import parquet_reader  # noqa: E402
from fairtrial.data import open_dataset, parquet_labels  # noqa: E402
from tests.data.making import encoded, picture, png, write_parquet  # noqa: E402
from tests.data.parquet_sets import refused, shards  # noqa: E402


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
