"""Image folders: what opens, and what is refused with its path."""

import os
import shutil
import unicodedata

import numpy as np
import pytest

from fairtrial.data import image_folder, open_dataset
from tests.data.making import encoded, fault_of, picture, png, write_folder


def refused(path):
    return fault_of(f"folder:{path}")


def only(path):
    """The single problem of a folder."""
    (problem,) = refused(path).problems
    return problem


def test_classes_are_the_training_names_sorted(pets):
    data = open_dataset(f"folder:{pets}")
    assert data.name == "folder:pets"
    assert data.classes == ("cat", "dog")
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    assert (data.train_images[4].numpy() == np.asarray(picture(4)).transpose(2, 0, 1)).all()


def test_a_class_keeps_its_index_when_the_test_split_lacks_another(pets):  # D5
    shutil.rmtree(pets / "test" / "cat")
    data = open_dataset(f"folder:{pets}")
    assert data.test_labels.tolist() == [1, 1]
    assert data.notes == ("without a test image: cat",)


def test_the_digest_does_not_depend_on_the_path(pets, tmp_path):
    shutil.copytree(pets, tmp_path / "copy")
    assert open_dataset(f"folder:{tmp_path / 'copy'}").sha256 == open_dataset(f"folder:{pets}").sha256


def test_a_changed_image_changes_the_digest(pets):
    before = open_dataset(f"folder:{pets}").sha256
    (pets / "train" / "dog" / "1.png").write_bytes(png(99))
    assert open_dataset(f"folder:{pets}").sha256 != before


def test_a_missing_split_is_named(pets):
    shutil.rmtree(pets / "test")
    assert only(pets).where == str(pets / "test")


def test_one_class_alone_is_refused(pets):
    for split in ("train", "test"):
        shutil.rmtree(pets / split / "dog")
    assert "expected images of two classes or more; all are of class 'cat'" in only(pets).what


def test_a_split_without_classes_is_named(pets):
    shutil.rmtree(pets / "train")
    (pets / "train").mkdir()
    assert "one folder per class" in only(pets).what


# D1, D2, D7
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encoded(picture(0, (32, 32)), "JPEG")[:400], "damaged JPEG"),
        (b"", "empty"),
        (b"words", "text"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC"),
        (encoded(picture(0, (1, 1))), "at least 2"),
        (encoded(picture(0, (2, 90))), "at most 20"),
    ],
)
def test_a_bad_image_is_named_by_its_path(pets, data, said):
    bad = pets / "train" / "dog" / "1.jpg"
    bad.write_bytes(data)
    problem = only(pets)
    assert problem.where == str(bad)
    assert said in problem.what


# D5
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_class_folder_is_refused(pets, split):
    shutil.rmtree(pets / split / "dog")
    (pets / split / "dog").mkdir()
    problem = only(pets)
    assert "'dog'" in problem.what and problem.where == str(pets / split / "dog")


def test_a_class_only_in_test_is_refused_with_the_names_of_training(pets):
    (pets / "test" / "emu").mkdir()
    (pets / "test" / "emu" / "0.png").write_bytes(png(50))
    problem = only(pets)
    assert "cat, dog" in problem.what and "'emu'" in problem.what


# D9
def test_a_duplicate_across_the_splits_is_an_error(pets):
    shutil.copy(pets / "train" / "cat" / "0.png", pets / "test" / "dog" / "other-name.png")
    problem = only(pets)
    assert problem.what == "1 test images are byte-identical to training images, 1 with another label"
    assert problem.where == f"{pets}/train/cat/0.png = {pets}/test/dog/other-name.png"


# D13
def test_what_desktops_leave_behind_is_skipped_and_listed(pets):
    for name in ("train/.DS_Store", "train/cat/Thumbs.db", "test/dog/._0.png", "train/cat/desktop.ini"):
        (pets / name).write_bytes(b"junk")
    (pets / "train" / "__MACOSX").mkdir()
    data = open_dataset(f"folder:{pets}")
    assert len(data.train_images) == 6
    assert data.notes == (
        "skipped 5 files: train/.DS_Store, train/__MACOSX, train/cat/Thumbs.db, train/cat/desktop.ini, "
        "test/dog/._0.png",
    )


def test_a_symlink_loop_is_an_error_and_no_endless_walk(pets):
    (pets / "train" / "dog" / "loop.png").symlink_to("loop.png")
    (pets / "train" / "dog" / "up").symlink_to(pets / "train")
    link, upward = refused(pets).problems
    assert "symbolic links" in link.what and link.where.endswith("loop.png")
    assert "got a folder" in upward.what


def test_a_link_to_an_image_is_an_image(pets, tmp_path):
    (tmp_path / "far.png").write_bytes(png(60))
    (pets / "train" / "dog" / "near.png").symlink_to(tmp_path / "far.png")
    assert len(open_dataset(f"folder:{pets}").train_images) == 7


def test_an_unreadable_file_is_named(pets, monkeypatch):
    """Root may read everything, so the refusal is played."""
    secret, plain = pets / "train" / "cat" / "1.png", image_folder.read_file

    def refuse(path, most):
        if path == secret:
            raise PermissionError(13, "Permission denied")
        return plain(path, most)

    monkeypatch.setattr(image_folder, "read_file", refuse)
    problem = only(pets)
    assert problem.where == str(secret) and "Permission denied" in problem.what


def test_a_name_that_is_not_utf8_is_refused_in_ascii(pets):
    bad = os.fsencode(pets / "train" / "cat") + b"/caf\xe9.png"
    try:
        with open(bad, "wb") as file:  # noqa: PTH123 - Path takes no bytes
            file.write(png(70))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    problem = only(pets)
    assert "UTF-8" in problem.what and problem.where.endswith("caf\\xe9.png")


def test_a_pipe_is_refused_without_being_read(pets):
    os.mkfifo(pets / "train" / "cat" / "pipe.png")
    assert "a special file" in only(pets).what


def test_a_stray_file_among_the_classes_is_refused(pets):
    (pets / "train" / "labels.csv").write_text("a,b")
    assert "expected a folder of a class; got a file" in only(pets).what


def test_all_offenders_are_named_at_once(pets):
    (pets / "train" / "cat" / "0.png").write_bytes(b"words")
    (pets / "test" / "dog" / "1.png").write_bytes(b"")
    assert len(refused(pets).problems) == 2


# one name in two spellings of Unicode
NFC, NFD = (unicodedata.normalize(form, "caffè") for form in ("NFC", "NFD"))


def spelled(root, train, test):
    seed = 0
    for split, names in (("train", train), ("test", test)):
        for name in (*names, "owl"):
            (root / split / name).mkdir(parents=True)
            (root / split / name / "0.png").write_bytes(png(seed := seed + 1))
    return root


@pytest.mark.parametrize(("train", "test"), [(NFC, NFD), (NFD, NFC)])
def test_a_class_is_one_however_each_split_spells_it(tmp_path, train, test):
    """A Mac writes NFD, Linux what was typed, most often NFC."""
    data = open_dataset(f"folder:{spelled(tmp_path / 'mine', [train], [test])}", resolution=8)
    assert data.classes == (train, "owl")
    assert data.test_labels.tolist() == [0, 1] and data.notes == ()


@pytest.mark.parametrize("split", ["train", "test"])
def test_two_spellings_in_one_split_are_refused_as_that(tmp_path, split):
    names = {"train": [NFC], "test": [NFC]} | {split: [NFC, NFD]}
    problem = only(spelled(tmp_path / "mine", **names))
    assert "one name in two spellings of Unicode (NFC and NFD)" in problem.what
    assert "'caff\\xe8'" in problem.what and "'caffe\\u0300'" in problem.what


@pytest.mark.parametrize("name", image_folder.VALIDATION)
def test_without_a_test_split_validation_is_it_and_a_note_says_so(name, tmp_path):
    """As of a hub's parquet: most people's folders are called train and val."""
    pets, same = (write_folder(tmp_path / each) for each in ("pets", "same"))
    (pets / "test").rename(pets / name)
    spec = f"folder:{pets}"
    data, other = open_dataset(spec, resolution=8), open_dataset(f"folder:{same}", resolution=8)
    assert data.sha256 == other.sha256 and other.notes == ()
    assert data.notes == (f"there is no test split: {name} is the test split",)
    assert open_dataset(spec, resolution=8).notes == data.notes  # from the cache
    (pets / name / "fox").mkdir()
    assert f"where: {pets / name / 'fox'}" in fault_of(spec).block()
    (same / "val").mkdir()  # beside a test split it is not read
    assert open_dataset(f"folder:{same}", resolution=8).notes == ()
