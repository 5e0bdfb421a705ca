"""Files appear whole or not at all; nothing that is damaged is believed."""

import errno
import json
import os
import resource
import signal

import pytest

from fairtrial.errors import Fault
from fairtrial.storage import atomic

TEXT = json.dumps({"cell": "0123456789ab", "score": 0.9312, "words": "Größe"}, ensure_ascii=False) + "\n"


@pytest.fixture
def calls(monkeypatch):
    """The system calls of a publication, in order, by what they were given."""
    seen, names = [], {}

    def spy(name, call):
        def recorded(*arguments, **keywords):
            result = call(*arguments, **keywords)
            if name == "open":
                names[result] = "folder" if os.path.isdir(arguments[0]) else "file"  # noqa: PTH112
            seen.append((name, names.get(arguments[0])) if name in ("write", "fsync") else (name, None))
            return result

        monkeypatch.setattr(os, name, recorded)

    for name in ("open", "write", "fsync", "link", "replace", "rename"):
        spy(name, getattr(os, name))
    return seen


@pytest.mark.parametrize(("overwrite", "shows"), [(False, "link"), (True, "replace")])
def test_a_name_is_given_after_the_bytes_are_safe_and_before_the_folder_is(tmp_path, calls, overwrite, shows):
    atomic.publish(tmp_path / "a.json", TEXT, overwrite=overwrite)
    assert [call for call in calls if call[0] != "open"] == [
        ("write", "file"), ("fsync", "file"), (shows, None), ("fsync", "folder"),
    ]  # fmt: skip


def test_published_text_is_there_in_full_with_the_rights_the_user_set(tmp_path):
    before = os.umask(0o027)
    try:
        atomic.publish(tmp_path / "a.json", TEXT)
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").read_text() == TEXT
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_stands_is_never_overwritten_unless_asked(tmp_path):
    atomic.publish(tmp_path / "a.json", "old")
    with pytest.raises(FileExistsError):
        atomic.publish(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old"
    atomic.publish(tmp_path / "a.json", "new", overwrite=True)
    assert (tmp_path / "a.json").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    atomic.publish(tmp_path / "a.json", TEXT)
    assert (tmp_path / "a.json").read_text() == TEXT


FAILS = [  # (call, which of them, the rename of an older file's successor?) and whether the name is given
    *((("open", 1, over), False) for over in (False, True)),
    *((("write", 1, over), False) for over in (False, True)),
    *((("write", 2, over), False) for over in (False, True)),
    *((("fsync", 1, over), False) for over in (False, True)),
    (("link", 1, False), False),
    (("rename", 1, True), False),
    *((("open", 2, over), True) for over in (False, True)),  # of the folder
    *((("fsync", 2, over), True) for over in (False, True)),
]


@pytest.mark.parametrize(("which", "named"), FAILS, ids=str)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_call_that_fails_is_exit_6_and_leaves_nothing_half(tmp_path, monkeypatch, which, named, number):
    """The nth call of a kind: the old file stands or the whole new one; then the same works."""
    (call, nth, overwrite), calls = which, []
    path, old = tmp_path / "a.json", {"a.json": "old"} if overwrite else {}
    for text in old.values():
        path.write_text(text)

    def failing(name, act):
        def acted(*given, **named):
            calls.append(name)
            if calls.count(call) == nth and name == call:
                raise OSError(number, os.strerror(number))
            return act(given[0], given[1][:50]) if name == "write" else act(*given, **named)

        return acted

    with monkeypatch.context() as patch:
        for name in ("open", "write", "fsync", "link", "replace", "rename"):
            patch.setattr(os, name, failing(name.replace("replace", "rename"), getattr(os, name)))
        with pytest.raises(Fault, match=os.strerror(number)) as stopped:
            atomic.publish(path, TEXT, overwrite=overwrite)
    assert stopped.value.code == 6
    assert ("free some space" in stopped.value.problems[0].do) == (number == errno.ENOSPC)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == (
        {path.name: TEXT} if named else old
    )
    atomic.publish(path, TEXT, overwrite=overwrite or named)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {path.name: TEXT}


def in_a_child(act):
    """Run `act` in a forked process; how it ended."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        except BaseException as error:
            os._exit(getattr(error, "code", 99))
        os._exit(0)
    return os.waitpid(pid, 0)[1]


LONG = TEXT * 4
SIZES = [(len(LONG.encode()) - 1) * n // 63 for n in range(64)]


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=pytest.mark.soak if n % 9 else ()) for n, size in enumerate(SIZES)]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_disk_that_fills_at_any_size_is_exit_6_and_leaves_nothing(tmp_path, size, overwrite):
    def act():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        atomic.publish(tmp_path / "a.json", LONG, overwrite=overwrite)

    if overwrite:
        (tmp_path / "a.json").write_text("old")
    assert os.waitstatus_to_exitcode(in_a_child(act)) == 6
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"] * overwrite


@pytest.mark.parametrize(
    ("call", "shown"),
    [("write", False), ("fsync", False), ("link", False), ("unlink", True), ("close", None)],
)
def test_a_kill_at_any_call_leaves_the_file_whole_or_absent(tmp_path, call, shown):
    def act():
        setattr(os, call, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        atomic.publish(tmp_path / "a.json", TEXT)

    assert in_a_child(act) == signal.SIGKILL
    there = (tmp_path / "a.json").exists()
    assert shown is None or there == shown
    assert not there or (tmp_path / "a.json").read_text() == TEXT
    assert all(path.name.startswith(atomic.MARK) for path in tmp_path.glob("*.tmp"))


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    with pytest.raises(Fault, match=r"could not write a\.json: No such file") as stopped:
        atomic.publish(tmp_path / "gone" / "a.json", TEXT)
    assert stopped.value.problems[0].where == str(tmp_path / "gone")


# reading


def test_what_was_published_is_read_back(tmp_path):
    atomic.publish(tmp_path / "a.json", TEXT)
    assert atomic.read_json(tmp_path / "a.json") == json.loads(TEXT)


def test_a_missing_file_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic.read_json(tmp_path / "a.json")


def test_a_cut_names_file_and_byte(tmp_path):
    path, data = tmp_path / "a.json", TEXT.encode()
    for length in range(len(data) - 1):  # without its newline the object is whole
        path.write_bytes(data[:length])
        with pytest.raises(Fault) as damaged:
            atomic.read_json(path)
        where = damaged.value.problems[0].where
        assert where.startswith(f"{path}, byte ")
        assert where.endswith(f" of {length}")
        assert int(where.split()[-3]) <= length
        assert damaged.value.code == 3


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "null", '{"a": NaN}', '{"a": Infinity}', '{"a": 1e999}', '{"a": "\\ud800"}', "\ufeff{}",
     "[" * 100_000, '{"a":' * 60 + "1" + "}" * 60, '{"a": ' + "9" * 5000 + "}", "{'a': 1}", '{"a": 1} {}'],
)  # fmt: skip
def test_what_is_no_plain_object_is_a_fault(tmp_path, text):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(Fault) as damaged:
        atomic.read_json(tmp_path / "a.json", cap=10**6)
    assert damaged.value.code == 3
    assert str(tmp_path / "a.json") in damaged.value.problems[0].where


def test_a_file_over_the_cap_is_not_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": "' + "x" * atomic.RECORD_CAP + '"}')
    with pytest.raises(Fault, match=r"65,545 bytes where at most 65,536"):
        atomic.read_json(tmp_path / "a.json")


def test_several_faults_become_one(tmp_path):
    both = atomic.gather([Fault(Fault([]).problems, 3), atomic.fault("a", "b", "c", 3)])
    assert (len(both.problems), both.code) == (1, 3)
