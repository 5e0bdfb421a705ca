"""The compiled library: made once per machine, kept whole, and refused in words where it cannot be had."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairtrial.kernels import compiler as compiler_module
from fairtrial.kernels.compiler import Unavailable, build

LOADS = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('loaded')"


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """Where libraries are kept in this test. They are of a source that is compiled in no time."""
    source = tmp_path / "small.c"
    source.write_text("int standardize_filters(void) { return 1; }\n")
    monkeypatch.setattr(compiler_module, "sources", lambda: [source])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "cache" / "fairtrial" / "kernels"


@pytest.fixture
def compiler() -> str:
    try:
        return compiler_module.find_compiler()[0]
    except Unavailable as error:
        pytest.skip(str(error))


def program(path: Path, text: str) -> str:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def counting(tmp_path: Path, compiler: str, options: str = "") -> str:
    """A compiler that leaves a line in calls.txt each time it is called."""
    return program(
        tmp_path / "counting-cc", f'echo x >> {tmp_path}/calls.txt\nexec {compiler} {options} "$@"'
    )


def calls(tmp_path: Path) -> int:
    listing = tmp_path / "calls.txt"
    return len(listing.read_text().split()) if listing.exists() else 0


def test_a_library_is_compiled_once_then_kept(tmp_path, kept, compiler, monkeypatch):
    monkeypatch.setenv("CC", counting(tmp_path, compiler))
    first = build()
    once = calls(tmp_path)
    assert once == len(compiler_module.sources()) + 1  # each source, then the link
    assert build() == first
    assert calls(tmp_path) == once
    assert list(kept.iterdir()) == [first]
    assert ctypes.CDLL(str(first)).standardize_filters


def test_the_environment_may_name_a_compiler_with_options(compiler, monkeypatch):
    monkeypatch.setenv("CC", f"{compiler} -g0")
    assert compiler_module.find_compiler() == (compiler, "-g0")
    assert build().is_file()


def test_without_a_compiler_the_reason_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no C compiler is installed"):
        build()


@pytest.mark.parametrize("name", ["no-such-cc", "/no/such/cc", "no-such-cc -O2", "'"])
def test_a_compiler_that_is_named_but_missing_is_not_replaced(monkeypatch, name):
    monkeypatch.setenv("CC", name)
    with pytest.raises(Unavailable, match="which is not there"):
        build()


def test_an_empty_name_of_a_compiler_names_none(monkeypatch, compiler):
    monkeypatch.setenv("CC", " ")
    assert compiler_module.find_compiler() == (compiler,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 1", "could not compile"),
        ("echo 'x.c:1: error: no such thing' >&2; exit 1", "no such thing"),
        ("exit 0", "made no library"),
        ("kill -9 $$", "could not compile"),
    ],
)
def test_a_compiler_that_fails_is_a_reason_in_one_line(tmp_path, kept, monkeypatch, text, reason):
    monkeypatch.setenv("CC", program(tmp_path / "cc", text))
    with pytest.raises(Unavailable, match=reason) as caught:
        build()
    assert "\n" not in str(caught.value)
    assert not kept.exists()


def test_without_a_folder_for_temporary_files_the_reason_is_said(compiler, monkeypatch):
    def full(**_):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(compiler_module.tempfile, "TemporaryDirectory", full)
    with pytest.raises(Unavailable, match="No usable temporary directory"):
        build()


@pytest.mark.parametrize("obstacle", ["a file", "no right", "a full disk"])
def test_a_cache_that_cannot_be_written_is_a_reason(kept, compiler, monkeypatch, obstacle):
    if obstacle == "a file":
        kept.parent.mkdir(parents=True)
        kept.write_text("in the way")
    else:  # root writes anywhere, so the refusal is played
        number = errno.EACCES if obstacle == "no right" else errno.ENOSPC

        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("fairtrial.storage.atomic._write", refuse)
    with pytest.raises(Unavailable, match="cannot write") as caught:
        build()
    assert "\n" not in str(caught.value)
    assert not kept.is_dir() or not list(kept.iterdir())


@pytest.mark.parametrize("damage", ["empty", "first page", "half", "end", "flipped", "text", "folder"])
def test_a_damaged_library_is_built_again(compiler, damage):
    """Loaded as it is, one that is cut ends the process with SIGBUS: see the next test."""
    path = build()
    good = path.read_bytes()
    middle = len(good) // 2
    bad = {
        "empty": b"",
        "first page": good[:4096],
        "half": good[:middle],
        "end": good[:-1],
        "flipped": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "text": b"not what it was",
        "folder": None,
    }[damage]
    path.unlink()
    if bad is None:
        path.mkdir()
        with pytest.raises(Unavailable, match="cannot write"):
            build()
        return
    path.write_bytes(bad)
    assert build() == path
    assert subprocess.run([sys.executable, "-c", LOADS, str(path)], capture_output=True).returncode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how Linux maps a file that was cut")
def test_a_cut_library_would_end_the_process(compiler, tmp_path):
    """So that the test above can fail."""
    cut = tmp_path / "cut.so"
    cut.write_bytes(build().read_bytes()[:4096])
    assert subprocess.run([sys.executable, "-c", LOADS, str(cut)], capture_output=True).returncode != 0


@pytest.mark.parametrize("change", ["flags", "processor", "compiler", "options", "source"])
def test_what_changes_the_code_changes_the_file(tmp_path, compiler, monkeypatch, change):
    before = build()
    if change == "flags":
        monkeypatch.setattr(compiler_module, "FLAGS", (*compiler_module.FLAGS, "-g0"))
    elif change == "processor":
        monkeypatch.setattr(compiler_module, "_processor", lambda: "model name: another")
    elif change == "compiler":
        monkeypatch.setenv("CC", counting(tmp_path, compiler))
    elif change == "options":
        monkeypatch.setenv("CC", f"{compiler} -g0")
    else:
        source = compiler_module.sources()[0]
        source.write_text(source.read_text() + "/* changed */\n")
    assert build() != before
    assert before.is_file()


def test_the_processor_is_known_by_more_than_nothing():
    assert compiler_module._processor().strip()


@pytest.mark.parametrize("words", ["failed to map segment from shared object", "file too short"])
def test_a_library_that_the_system_does_not_load_is_a_reason(monkeypatch, tmp_path, words):
    """So ends a cache on a file system that is mounted noexec."""

    def refuse(path, **_):
        raise OSError(f"{path}: {words}")

    monkeypatch.setattr(compiler_module.ctypes, "CDLL", refuse)
    with pytest.raises(Unavailable, match=f"do not load: .*{words}"):
        compiler_module.load(tmp_path / "kernels.so")


def test_a_runtime_of_openmp_that_is_not_there_is_a_reason(monkeypatch, compiler):
    monkeypatch.setattr(compiler_module, "_openmp", lambda: "/no/such/libgomp.so")
    with pytest.raises(Unavailable, match="do not load"):
        compiler_module.load(build())


def test_two_processes_that_build_at_once_both_end_well(tmp_path, kept, compiler):
    code = (
        "from fairtrial.kernels import dispatch as d; print('go', flush=True); input(); print(d.check('cpu'))"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    assert [child.communicate(timeout=60)[0].strip() for child in children] == ["None", "None"]
    assert [file.suffix for file in kept.iterdir()] == [".so"]


PLANTED = '__attribute__((constructor)) void planted(void) { fclose(fopen(CANARY, "w")); }'


@pytest.fixture
def planted(tmp_path, compiler) -> bytes:
    """A library that is whole, sealed as ours are, and leaves a canary when it is loaded."""
    source, made = tmp_path / "planted.c", tmp_path / "planted.so"
    source.write_text(f'#include <stdio.h>\n#define CANARY "{tmp_path}/canary"\n{PLANTED}\n')
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(made)], check=True)
    library = made.read_bytes()
    return library + compiler_module._seal(library)


def test_a_planted_library_would_leave_its_canary(kept, planted, tmp_path):
    """So that the tests below can fail: in a folder of the user's alone it is what was compiled."""
    path = build()
    path.write_bytes(planted)
    with pytest.raises(Unavailable, match="do not load"):  # it has none of our functions
        compiler_module.load(build())
    assert (tmp_path / "canary").exists()


def test_a_library_in_a_folder_that_others_write_to_is_ignored_with_a_line(kept, planted, tmp_path, capfd):
    path = build()
    path.write_bytes(planted)
    kept.chmod(0o777)
    with pytest.raises(Unavailable):
        compiler_module.kept()  # a worker loads nothing that the process before it did not make
    assert build() == path
    assert ctypes.CDLL(str(path)).standardize_filters
    assert not (tmp_path / "canary").exists()
    assert kept.stat().st_mode & 0o777 == 0o700
    assert f"note: ignored the kernels of {path}: others may write to kernels" in capfd.readouterr().err


def test_a_pipe_in_place_of_a_library_is_replaced_by_one(kept, compiler):
    path = build()
    path.unlink()
    os.mkfifo(path)
    assert not compiler_module._whole(path)
    assert build() == path and path.is_file()


@pytest.mark.parametrize("how", ["another owner", "a link"])
def test_a_folder_that_is_not_the_users_own_is_refused(kept, planted, tmp_path, monkeypatch, how):
    path = build()
    path.write_bytes(planted)
    if how == "a link":
        kept.rename(tmp_path / "theirs")
        kept.symlink_to(tmp_path / "theirs")
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
    words = "kernels is a link" if how == "a link" else "belongs to user .*, not to 4321"
    for ask in (build, compiler_module.kept):
        with pytest.raises(Unavailable, match=words if ask is build else "no longer"):
            ask()
    assert not (tmp_path / "canary").exists()


def test_an_empty_cache_is_made_for_the_user_alone(kept, compiler):
    build()
    assert kept.stat().st_mode & 0o777 == 0o700
