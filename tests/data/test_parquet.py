"""Images in parquet files: columns, images, splits, what is damaged."""

import os
import sys

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from fairtrial.data import check_dataset, open_dataset  # noqa: E402
from fairtrial.errors import Fault  # noqa: E402
from tests.data.making import encoded, picture, png, write_parquet  # noqa: E402
from tests.data.parquet_sets import refused  # noqa: E402


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


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path):
    root = write_parquet(tmp_path / "mine")
    (root / "test.parquet").unlink()
    os.mkfifo(root / "test.parquet")
    assert "a named pipe, not a file" in refused(root).problems[0].what
