"""Image folders in zip and tar files: opened as the folder, or refused before a byte is written. D8, D12."""

import errno
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from fairtrial.data import archive, archive_members, check_dataset, open_dataset
from fairtrial.errors import BAD_INPUT, RESOURCES, Fault
from tests.data.making import png, write_folder

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


@pytest.fixture(autouse=True)
def without_the_unpackers_of_python(monkeypatch):
    """So that no test passes thanks to a filter that another Python lacks."""
    for owner in (zipfile.ZipFile, tarfile.TarFile):
        for name in ("extract", "extractall"):
            monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("unpacked by the standard library"))


@pytest.fixture
def pets(tmp_path):
    return write_folder(tmp_path / "pets")


def good(top=""):
    """name -> bytes of a small image folder."""
    kinds = [(split, name) for split in ("train", "test") for name in ("cat", "dog")]
    return {f"{top}{split}/{name}/0.png": png(number) for number, (split, name) in enumerate(kinds)}


def entry(name, data=b"", *, mode=0o644, kind=tarfile.REGTYPE, link="", **other):
    """One member of a tar, as tarfile would never make it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type, info.linkname = len(data), mode, kind, link
    for key, value in other.items():
        setattr(info, key, value)
    return info, data


def record(name, data=b"", *, mode=0o100644, method=zipfile.ZIP_DEFLATED, **other):
    """One member of a zip."""
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, method
    for key, value in other.items():
        setattr(info, key, value)
    return info, data


def write_tar(path, entries=(), files=None, format=tarfile.GNU_FORMAT):
    mode = "w:gz" if path.suffix in (".gz", ".tgz") else "w"
    plain = good() if files is None else files
    with tarfile.open(path, mode, format=format) as made:
        for info, data in [*(entry(name, data) for name, data in plain.items()), *entries]:
            made.addfile(info, io.BytesIO(data))
    return path


def write_zip(path, entries=(), files=None):
    plain = good() if files is None else files
    with zipfile.ZipFile(path, "w") as made:
        for info, data in [*(record(name, data) for name, data in plain.items()), *entries]:
            made.writestr(info, data, info.compress_type)
    return path


def write(path, files=None):
    return (write_zip if path.suffix == ".zip" else write_tar)(path, files=files)


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def archives(cache_home):
    """What lies in the cache for archives, but for the locks."""
    home = cache_home / "fairtrial" / "archives"
    return sorted(p.name for p in home.iterdir() if not p.name.endswith(".lock")) if home.exists() else []


def failed(path, code=BAD_INPUT):
    """The Fault of opening an archive; every problem has its three parts."""
    with pytest.raises(Fault) as caught:
        open_dataset(f"folder:{path}")
    assert caught.value.code == code
    for problem in caught.value.problems:
        assert problem.what and problem.where and problem.do
    return caught.value


def refused(path, tmp_path):
    """The Fault of an archive that is refused; nothing at all was written for it."""
    before = everything(tmp_path)
    fault = failed(path)
    assert everything(tmp_path) == before
    return fault


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


LONG = "train/cat/" + "x" * 300
TARS = {
    "D8 parent": ([entry("../evil.png", b"x")], "leads out", "../evil.png"),
    "D8 parent inside": ([entry("train/cat/../../../evil.png")], "leads out", "train/cat/../../../evil.png"),
    "D8 absolute": ([entry("/tmp/evil.png", b"x")], "an absolute path", "/tmp/evil.png"),
    "D8 drive": ([entry("C:evil.png", b"x")], "an absolute path", "C:evil.png"),
    "D8 symlink": ([entry("train/a", kind=tarfile.SYMTYPE, link="/tmp")], "a symbolic link", "train/a"),
    "D8 write through a symlink": (
        [entry("train/a", kind=tarfile.SYMTYPE, link="../.."), entry("train/a/evil.png", b"x")],
        "a symbolic link",
        "train/a",
    ),
    "D8 hard link": (
        [entry("train/cat/1.png", kind=tarfile.LNKTYPE, link="../secret")], "a hard link", "train/cat/1.png",
    ),
    "D8 device": ([entry("train/cat/null", kind=tarfile.CHRTYPE)], "a device", "train/cat/null"),
    "D8 disk": ([entry("train/cat/sda", kind=tarfile.BLKTYPE)], "a device", "train/cat/sda"),
    "D8 pipe": ([entry("train/cat/pipe", kind=tarfile.FIFOTYPE)], "a pipe", "train/cat/pipe"),
    "D8 unknown type": ([entry("train/cat/v", kind=b"V")], "an entry of type b'V'", "train/cat/v"),
    "D8 setuid": ([entry("train/cat/1.png", b"x", mode=0o4755)], "a set-user-id bit", "train/cat/1.png"),
    "D8 setgid": ([entry("train/cat/1.png", b"x", mode=0o2755)], "a set-user-id bit", "train/cat/1.png"),
    "D8 setuid folder": (
        [entry("train/emu", mode=0o4755, kind=tarfile.DIRTYPE)], "a set-user-id bit", "train/emu",
    ),
    "D8 case of a file": ([entry("train/cat/0.PNG", b"x")], "but for case", "train/cat/0.PNG"),
    "D8 case of a folder": ([entry("train/CAT/1.png", b"x")], "but for case", "train/CAT/1.png"),
    "D8 accents": (
        [entry("train/cat/\u00e9", b"x"), entry("train/cat/e\u0301", b"y")], "accents", "train/cat/e\u0301",
    ),
    "D8 twice": ([entry("train/cat/0.png", b"x")], "a second member", "train/cat/0.png"),
    "D8 a file as a folder": ([entry("train/cat/0.png/a", b"x")], "a second member", "train/cat/0.png/a"),
    "D8 a folder as a file": ([entry("train/cat", b"x")], "a second member", "train/cat"),
    "D8 backslash": ([entry("..\\evil.png", b"x")], "a backslash", "..\\evil.png"),
    "D8 not UTF-8": ([entry("train/cat/\udce9.png", b"x")], "not UTF-8", "train/cat/\udce9.png"),
    "D8 long": ([entry(LONG, b"x")], "more than 255 bytes", LONG),
    "D8 no name": ([entry("./", b"x")], "a file without a name", "./"),
}  # fmt: skip
ZIPS = {
    "D8 parent": ([record("../evil.png", b"x")], "leads out", "../evil.png"),
    "D8 absolute": ([record("/tmp/evil.png", b"x")], "an absolute path", "/tmp/evil.png"),
    "D8 symlink": ([record("train/a", b"/tmp", mode=0o120777)], "a symbolic link", "train/a"),
    "D8 device": ([record("train/cat/null", mode=0o020644)], "a device", "train/cat/null"),
    "D8 pipe": ([record("train/cat/pipe", mode=0o010644)], "a pipe", "train/cat/pipe"),
    "D8 socket": ([record("train/cat/s", mode=0o140644)], "neither file nor folder", "train/cat/s"),
    "D8 folder in disguise": ([record("train/cat/1", mode=0o040755)], "neither file nor", "train/cat/1"),
    "D8 setuid": ([record("train/cat/1.png", b"x", mode=0o104755)], "a set-user-id bit", "train/cat/1.png"),
    "D8 case of a file": ([record("train/cat/0.PNG", b"x")], "but for case", "train/cat/0.PNG"),
    "D8 case of a folder": ([record("Train/dog/1.png", b"x")], "but for case", "Train/dog/1.png"),
    "D8 backslash": ([record("..\\evil.png", b"x")], "a backslash", "..\\evil.png"),
    "D8 method": (
        [record("train/cat/1.png", b"x", method=zipfile.ZIP_BZIP2)], "another method", "train/cat/1.png",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "said", "member"), TARS.values(), ids=list(TARS))
@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_a_tar_with_a_hostile_member_is_refused_before_writing(suffix, entries, said, member, tmp_path):
    path = write_tar(tmp_path / f"pets{suffix}", entries)
    problem = refused(path, tmp_path).problems[0]
    assert said in problem.what and problem.what.endswith("refused")
    assert problem.where == f"{path}, {member}"


@pytest.mark.parametrize(("entries", "said", "member"), ZIPS.values(), ids=list(ZIPS))
def test_a_zip_with_a_hostile_member_is_refused_before_writing(entries, said, member, tmp_path):
    path = write_zip(tmp_path / "pets.zip", entries)
    problem = refused(path, tmp_path).problems[0]
    assert said in problem.what and problem.what.endswith("refused")
    assert problem.where == f"{path}, {member}"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_member_of_one_name_is_refused_in_a_zip_too(tmp_path):  # D8
    path = write_zip(tmp_path / "pets.zip", [record("train/cat/0.png", b"x")])
    assert "a second member of the name 'train/cat/0.png'" in refused(path, tmp_path).problems[0].what


def test_a_name_that_ends_at_a_nul_is_refused(tmp_path):  # D8
    path = write_zip(tmp_path / "pets.zip", [record("train/cat/1.pngZ../evil", b"x")])
    path.write_bytes(path.read_bytes().replace(b"1.pngZ..", b"1.png\x00.."))
    assert "a NUL" in refused(path, tmp_path).problems[0].what


def test_an_encrypted_member_is_refused(tmp_path):  # D8
    path = write_zip(tmp_path / "pets.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path, tmp_path).problems[0].what


def test_all_hostile_members_are_named_at_once(tmp_path):  # D8
    entries = [entry("../a", b"x"), entry("/b", b"x"), entry("train/c", kind=tarfile.SYMTYPE, link="/")]
    assert len(refused(write_tar(tmp_path / "pets.tar", entries), tmp_path).problems) == 3


def test_a_million_members_are_the_most(tmp_path, monkeypatch):  # D8
    assert archive_members.MOST_MEMBERS == 10**6
    monkeypatch.setattr(archive_members, "MOST_MEMBERS", 5)
    for suffix in SUFFIXES:
        files = {f"train/cat/{number}.png": png(number) for number in range(7)}
        path = write(tmp_path / f"pets{suffix}", files)
        (problem,) = refused(path, tmp_path).problems
        assert problem.what == "more than 5 members, refused"
        assert problem.where == f"{path}, train/cat/5.png"


def test_a_bomb_is_refused_by_its_ratio(tmp_path):  # D8
    for suffix in (".zip", ".tgz", ".tar.gz"):
        path = write(tmp_path / f"pets{suffix}", good() | {"train/cat/zeros.png": bytes(10**6)})
        (problem,) = refused(path, tmp_path).problems
        assert "1,0" in problem.what and "declared" in problem.what
        assert problem.where == f"{path}, train/cat/zeros.png"


def test_a_bomb_is_refused_by_its_size(tmp_path, monkeypatch):  # D8
    assert archive_members.MOST_BYTES == 64 * 2**30
    monkeypatch.setattr(archive_members, "MOST_BYTES", 500)
    for suffix in SUFFIXES:
        path = write(tmp_path / f"pets{suffix}")
        (problem,) = refused(path, tmp_path).problems
        assert "at most 500 are taken" in problem.what


def test_a_tar_that_declares_what_it_does_not_hold_is_refused(tmp_path):  # D8
    path = write_tar(tmp_path / "pets.tar")
    info, _ = entry("train/cat/huge.png")
    info.size = 70 * 2**30
    path.write_bytes(path.read_bytes()[: -2 * 10_240] + info.tobuf(tarfile.GNU_FORMAT))
    assert "huge.png" in refused(path, tmp_path).problems[0].where


def test_a_zip_that_declares_less_than_it_holds_is_refused_and_leaves_nothing(tmp_path, cache_home):  # D8
    path = write_zip(tmp_path / "pets.zip", [record("train/cat/1.png", bytes(range(200)))])
    data = path.read_bytes()
    path.write_bytes(data.replace((200).to_bytes(4, "little"), (20).to_bytes(4, "little")))
    (problem,) = failed(path).problems
    assert problem.where == f"{path}, train/cat/1.png"
    assert archives(cache_home) == []
    assert archives(cache_home) == []


def negative(name):
    """A tar header with a size below 0, which sends tarfile of Python 3.11 back and in circles."""
    header = bytearray(entry(name)[0].tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" + (-1024).to_bytes(11, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def test_a_negative_size_does_not_lead_in_circles(tmp_path):  # D8
    path = tmp_path / "pets.tar"
    start = write_tar(path).read_bytes()[: 2 * 1024]
    path.write_bytes(start + negative("train/cat/back.png") + bytes(1024))
    (problem,) = refused(path, tmp_path).problems
    assert problem.what == "a size of -1,024 bytes, refused" and "back.png" in problem.where


def test_a_name_of_a_gigabyte_is_not_read(tmp_path):  # D8
    info, _ = entry("././@LongLink", kind=tarfile.GNUTYPE_LONGNAME)
    info.size = 2**30
    path = tmp_path / "pets.tgz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**20)))
    assert "a header of more than 65,536 bytes" in refused(path, tmp_path).problems[0].what


def test_gigabytes_behind_the_end_are_not_read(tmp_path, monkeypatch):  # D8
    monkeypatch.setattr(archive_members, "PADDING", 0)
    path = tmp_path / "pets.tgz"
    path.write_bytes(gzip.compress(gzip.decompress(write_tar(path).read_bytes()) + bytes(10**6)))
    assert "it goes on for more than" in refused(path, tmp_path).problems[0].what


def test_a_sparse_member_is_refused(tmp_path):  # D8
    info, _ = entry("train/cat/hole.png", kind=tarfile.GNUTYPE_SPARSE)
    path = write_tar(tmp_path / "pets.tar", [(info, b"")])
    assert "a sparse file" in refused(path, tmp_path).problems[0].what
    headers = {"GNU.sparse.map": "0,4", "GNU.sparse.size": "1000"}  # the same in another dialect
    plain = entry("train/cat/hole.png", b"data", pax_headers=headers)
    path = write_tar(tmp_path / "pets.tar", [plain], format=tarfile.PAX_FORMAT)
    assert "a sparse file" in refused(path, tmp_path).problems[0].what


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


def test_modes_of_the_archive_are_not_applied(tmp_path):
    path = write_tar(tmp_path / "pets.tar", [entry("train/cat/1.png", png(8), mode=0o000)])
    assert (archive.unpacked(path) / "train" / "cat" / "1.png").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    old = os.umask(0)
    os.umask(old)
    return old


def part_of(path, cache_home):
    """Where an archive would be unpacked to, before it has its name."""
    whole = archive.unpacked(path)
    part = whole.with_name(f"{whole.name}.part")
    whole.rename(part)
    return part


def test_what_a_killed_process_left_is_begun_anew(tmp_path, cache_home):
    path = write(tmp_path / "pets.zip")
    part = part_of(path, cache_home)
    (part / "train" / "dog" / "left.png").write_bytes(png(50))
    assert len(open_dataset(f"folder:{path}").train_images) == 2
    assert not part.exists()


def test_a_planted_link_is_not_followed(tmp_path, cache_home):
    path = write(tmp_path / "pets.zip")
    part = part_of(path, cache_home)
    precious = write_folder(tmp_path / "precious")
    shutil.rmtree(part)
    part.symlink_to(precious)
    before = everything(precious)
    assert len(open_dataset(f"folder:{path}").train_images) == 2
    assert everything(precious) == before
    assert not archive.unpacked(path).is_symlink()


def test_links_below_a_part_are_deleted_and_not_followed(tmp_path, cache_home):
    path = write(tmp_path / "pets.zip")
    part = part_of(path, cache_home)
    precious = write_folder(tmp_path / "precious")
    (part / "train" / "more").symlink_to(precious)
    (part / "train" / "one.png").symlink_to(precious / "train" / "cat" / "0.png")
    assert len(open_dataset(f"folder:{path}").train_images) == 2
    assert len(everything(precious)) == 16


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, cache_home, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive.shutil, "copyfileobj", full)
    path = write(tmp_path / "pets.zip")
    assert "No space left on device" in failed(path, RESOURCES).problems[0].what
    assert archives(cache_home) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path, cache_home):
    cache_home.write_text("in the way")
    with pytest.raises(Fault, match="could not write") as caught:
        open_dataset(f"folder:{write(tmp_path / 'pets.zip')}")
    assert caught.value.code == RESOURCES


def test_an_interrupt_leaves_nothing(tmp_path, cache_home, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(archive.shutil, "copyfileobj", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(f"folder:{write(tmp_path / 'pets.zip')}")
    assert archives(cache_home) == []


def test_processes_that_unpack_one_archive_take_turns(tmp_path, cache_home):
    files = {
        f"{split}/cat/{n}.png": png(n + 1000 * (split == "test"))
        for split in ("train", "test")
        for n in range(150)
    }
    path, gun = write(tmp_path / "pets.tgz", files), tmp_path / "gun"
    code = (
        "import sys, time; from pathlib import Path; from fairtrial.data import archive\n"
        "print('ready', flush=True)\n"
        "while not Path(sys.argv[2]).exists(): time.sleep(0.001)\n"
        "print(archive.unpacked(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(path), str(gun)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    gun.touch()
    found = {child.communicate(timeout=60)[0].strip() for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert found == {str(archive.unpacked(path))}
    assert len(archives(cache_home)) == 2
    assert len([name for name in everything(archive.unpacked(path)) if name.endswith(".png")]) == 300
