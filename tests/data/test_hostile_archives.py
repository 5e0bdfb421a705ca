"""Hostile archives: links, other names, bombs and sizes that no file has are refused before writing."""

import gzip
import tarfile
import zipfile

import pytest

from fairtrial.data import archive_members
from tests.data.archives import (
    SUFFIXES,
    archives,
    entry,
    failed,
    good,
    record,
    refused,
    write,
    write_tar,
    write_zip,
)
from tests.data.making import png

pytestmark = pytest.mark.usefixtures("without_the_unpackers_of_python")
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
