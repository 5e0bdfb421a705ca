"""Archives of images: opened as the folder they were made from, damaged ones refused."""

import os
import tarfile

import pytest

from fairtrial.data import archive, check_dataset, open_dataset
from fairtrial.errors import BAD_INPUT, Fault
from tests.data.archives import SUFFIXES, archives, entry, good, refused, write, write_tar
from tests.data.making import png, write_folder

pytestmark = pytest.mark.usefixtures("without_the_unpackers_of_python")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("top", ["", "./", "pets/"])
def test_an_archive_opens_as_the_folder_it_was_made_from(suffix, top, tmp_path, pets):
    files = {f"{top}{file.relative_to(pets)}": file.read_bytes() for file in pets.rglob("*.png")}
    data = open_dataset(f"folder:{write(tmp_path / f'copy{suffix}', files)}")
    assert data.name == f"folder:copy{suffix}"
    assert data.sha256 == open_dataset(f"folder:{pets}").sha256
    assert data.classes == ("cat", "dog")


def test_what_a_mac_adds_is_skipped(tmp_path):
    files = good("pets/") | {"__MACOSX/pets/train/cat/._0.png": b"fork", "pets/train/cat/.DS_Store": b"junk"}
    data = open_dataset(f"folder:{write(tmp_path / 'pets.zip', files)}")
    assert len(data.train_images) == 2
    assert data.notes == ("skipped 1 files: train/cat/.DS_Store",)


def test_it_is_unpacked_once(tmp_path, monkeypatch, cache_home):
    path = write(tmp_path / "pets.zip")
    first = open_dataset(f"folder:{path}").sha256
    monkeypatch.setattr(archive, "checked", lambda *_: pytest.fail("listed again"))
    assert open_dataset(f"folder:{path}").sha256 == first
    path.rename(tmp_path / "other.zip")
    assert open_dataset(f"folder:{tmp_path / 'other.zip'}").sha256 == first
    assert len(archives(cache_home)) == 2  # the folder and its record


@pytest.mark.parametrize("change", ["lost", "added", "cut"])
def test_files_that_changed_in_the_cache_are_unpacked_again(change, tmp_path, caplog):
    path = write(tmp_path / "pets.tgz")
    first = open_dataset(f"folder:{path}").sha256
    file = archive.unpacked(path) / "train" / "cat" / "0.png"
    if change == "lost":
        file.unlink()
    elif change == "added":
        file.with_name("1.png").write_bytes(png(9))
    else:
        file.write_bytes(file.read_bytes()[:-5])
    assert open_dataset(f"folder:{path}").sha256 == first
    assert "have changed" in caplog.text


def test_another_content_under_the_same_name_is_other_data(tmp_path):  # D12
    path = write(tmp_path / "pets.zip")
    first = open_dataset(f"folder:{path}")
    second = open_dataset(f"folder:{write(path, good() | {'train/cat/0.png': png(99)})}")
    assert second.name == first.name
    assert second.sha256 != first.sha256


def test_the_group_bit_of_a_shared_folder_is_no_harm(tmp_path):
    path = write_tar(tmp_path / "pets.tar", [entry("train/cat", mode=0o2775, kind=tarfile.DIRTYPE)])
    assert len(open_dataset(f"folder:{path}").train_images) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_archive_is_refused_wherever_it_is_cut(suffix, tmp_path):
    path = write(tmp_path / f"pets{suffix}")
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0")) if suffix == ".tar" else len(whole)  # its last zeros may be padding
    for length in [*range(0, end, max(1, end // 40)), end - 1]:
        path.write_bytes(whole[:length])
        assert refused(path, tmp_path).problems[0].where.startswith(str(path))


def test_a_tar_that_is_cut_between_two_members_is_refused(tmp_path):
    path = write_tar(tmp_path / "pets.tar")
    path.write_bytes(path.read_bytes()[: 2 * 1024])  # a header and a small image take 1024 bytes
    assert "it is cut" in refused(path, tmp_path).problems[0].what


def test_a_tar_does_not_end_at_a_damaged_header(tmp_path):
    """tarfile takes it for the end: images would be missing, and nobody would know."""
    path = write_tar(tmp_path / "pets.tar")
    data = bytearray(path.read_bytes())
    data[2 * 1024 + 150] ^= 7  # the checksum of the third member
    path.write_bytes(data)
    assert "damaged, where a header should be" in refused(path, tmp_path).problems[0].what


@pytest.mark.parametrize("suffix", [".zip", ".tgz"])
def test_a_flipped_bit_is_noticed_or_changes_no_image(suffix, tmp_path):
    path = write(tmp_path / f"pets{suffix}")
    whole, noticed = path.read_bytes(), 0
    for at in range(40, len(whole) * 2 // 3, 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        try:
            folder = archive.unpacked(path)
        except Fault as found:
            assert found.code == BAD_INPUT
            noticed += 1
        else:  # a date, or an attribute that is not applied
            assert {name: (folder / name).read_bytes() for name in good()} == good()
    assert noticed > 5


@pytest.mark.parametrize(
    ("suffix", "content"), [(".zip", b"words"), (".tar", b"x" * 2000), (".tgz", b"words")]
)
def test_something_else_under_the_name_of_an_archive_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"pets{suffix}"
    path.write_bytes(content)
    assert f"expected a whole {suffix} archive" in refused(path, tmp_path).problems[0].what


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_without_a_file_is_refused(suffix, tmp_path):
    path = write(tmp_path / f"pets{suffix}", files={})
    assert "it holds no file" in refused(path, tmp_path).problems[0].what


def test_what_is_no_file_is_refused_without_being_read(tmp_path):
    assert "No such file" in refused(tmp_path / "pets.zip", tmp_path).problems[0].what
    os.mkfifo(tmp_path / "pipe.tar")
    assert "a named pipe, not a file" in refused(tmp_path / "pipe.tar", tmp_path).problems[0].what


def test_a_folder_called_zip_is_a_folder(tmp_path):
    assert len(open_dataset(f"folder:{write_folder(tmp_path / 'pets.zip')}").train_images) == 6


def test_a_bad_image_is_named_by_its_member(tmp_path):
    path = write(tmp_path / "pets.zip", good() | {"train/dog/1.png": b"words", "test/emu/0.png": png(7)})
    first, *_ = check_dataset(f"folder:{path}")
    assert first.where == f"{path}, test/emu"
    path = write(tmp_path / "pets.zip", good() | {"train/dog/1.png": b"words"})
    (problem,) = check_dataset(f"folder:{path}")
    assert problem.where == f"{path}, train/dog/1.png"


def test_an_empty_class_folder_is_unpacked_and_refused(tmp_path):
    path = write_tar(tmp_path / "pets.tar", [entry("train/emu", mode=0o755, kind=tarfile.DIRTYPE)])
    (problem,) = check_dataset(f"folder:{path}")
    assert "'emu'; the folder is empty" in problem.what and problem.where == f"{path}, train/emu"
