"""Results folders as people have them: read-only, elsewhere, long or odd names; and with planted links."""

import json
import os
import subprocess
import sys

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, RESOURCES, Fault
from fairtrial.reporting.derived_files import write_files
from fairtrial.storage.record import cell_message
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import PARTS
from tests.support.mounts import within
from tests.support.records import ORIGIN, declared_store, publish
from tests.support.studies import study, write
from tests.support.toy import ROOT, run, store_of, table, toy_study

COMMANDS = f"""
import contextlib, io, json, sys
sys.path.insert(0, {str(ROOT)!r})
from fairtrial.cli.main import main
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        code = main(words)
    print(json.dumps([code, said.getvalue()]))
"""


@pytest.fixture
def folder(tmp_path):
    """A study with its records."""
    write(tmp_path)
    store = declared_store(study(), tmp_path / "results")
    for cell in study().cells():
        publish(store, cell)
    return tmp_path


def test_a_read_only_folder_is_read_and_refuses_to_be_written_to_in_one_block(folder):
    file, results = str(folder / "small.py"), ["--results", str(folder / "results")]
    reads = [["status", file], ["verdict", file, "--allow-partial"], ["plan", file]]
    writes = [["run", file, "--seeds", "4"], ["report", file], ["repair", file], ["run", "norm"]]
    before = sorted(folder.rglob("*"))
    found = subprocess.run(
        [*within("read-only", folder / "results"), sys.executable, "-P", "-c", COMMANDS,
         json.dumps([[*words, *results] for words in (*reads, *writes)])],
        capture_output=True, text=True, timeout=240, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    ends = [json.loads(line) for line in found.stdout.splitlines()]
    assert [end for end in ends[: len(reads)] if end[0] != DONE] == []
    for code, words in ends[len(reads) :]:
        assert code == RESOURCES and words.count("error: ") == 1, words
        assert "Read-only file system" in words and "do:    choose a folder that you may write to" in words
    assert sorted(folder.rglob("*")) == before


def test_a_folder_for_records_that_others_own_is_found_out_before_the_first_cell(tmp_path, monkeypatch):
    store = declared_store(toy_study(), tmp_path)
    opened = os.open

    def refuse(path, flags, *more, **how):
        if flags & os.O_CREAT and str(path).startswith(str(store.folder / "cells")):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *more, **how)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Fault, match="Permission denied") as refused, store.driving(toy_study(), None):
        pytest.fail("a cell would be lost")
    assert refused.value.code == RESOURCES and "may write to" in refused.value.problems[0].do


def test_odd_names_a_link_to_the_folder_and_a_strict_umask_change_nothing(tmp_path):
    odd = tmp_path / "disk" / ("x" * 250) / "a b\n'ü\u2028"
    odd.mkdir(parents=True)
    (tmp_path / "link").symlink_to(odd)
    before = os.umask(0o077)
    try:
        code, words = run(tmp_path / "link")
    finally:
        os.umask(before)
    assert code == 0, words
    assert run(tmp_path / "plain")[0] == 0
    assert table(tmp_path / "link") == table(tmp_path / "plain")
    assert store_of(odd).attempts() == store_of(tmp_path / "link").attempts()
    assert {path.stat().st_mode & 0o077 for path in odd.rglob("*.json")} == {0}


@pytest.mark.parametrize("name", ["x" * 256, "/".join(["y" * 200] * 21)], ids=["name", "path"])
def test_a_name_or_path_that_is_too_long_is_one_block(tmp_path, monkeypatch, capsys, name):
    write(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["run", str(tmp_path / "small.py"), "--results", str(tmp_path / name)]) == RESOURCES
    words = capsys.readouterr().err
    assert words.count("error: ") == 1 and "File name too long" in words and "shorter" in words
    assert {path.name for path in tmp_path.iterdir()} <= {"small.py", "cache"}


@pytest.mark.parametrize("part", PARTS)
def test_a_link_planted_in_a_study_is_refused_by_all_that_write_or_delete(folder, capsys, part):
    outside, store = folder / "precious", Store(folder / "results" / "small")
    outside.mkdir()
    (outside / ".fairtrial-0123456789abcdef.tmp").write_text("precious")
    (outside / "0123456789ab-1.json").write_text("precious")
    if (place := store.folder / part).exists():
        place.rename(folder / "put aside")
    place.symlink_to(outside)
    before = {path: path.read_text() for path in outside.iterdir()}
    file, results = str(folder / "small.py"), ["--results", str(folder / "results")]
    merge = ["merge", str(folder / "results"), *results]
    for words in (["run", file, *results], ["repair", file, *results], merge):
        assert main(words) == BAD_INPUT
        said = capsys.readouterr().err
        assert said.count("error: ") == 1, said
        assert f"{part} is a link" in said and f"where: {place}\n" in said
    assert {path: path.read_text() for path in outside.iterdir()} == before


@pytest.mark.parametrize("part", ["figures", "tables"])
def test_a_report_is_not_drawn_through_a_link(tmp_path, part):
    (tmp_path / "precious").mkdir()
    (tmp_path / part).symlink_to(tmp_path / "precious")
    with pytest.raises(Fault, match=f"{part} is a link"):
        write_files(tmp_path, {"summary.csv": "", f"{part}/a": ""})
    assert not list((tmp_path / "precious").iterdir()) and not (tmp_path / "summary.csv").exists()


def test_a_file_that_is_a_link_is_read_but_only_the_link_is_replaced_or_touched(folder):
    store, cell = Store(folder / "results" / "small"), study().cells()[0]
    store.lease(cell_message(cell), 2, 7, ORIGIN)
    for name in ("study.json", f"leases/{cell.id}-2.json"):
        path, there = store.folder / name, folder / name.replace("/", "-")
        path.rename(there)
        path.symlink_to(there)
        os.utime(there, (1, 1))
    store.renew(cell.id, 2, 5.0)
    store.release(cell.id, 2)
    store.declare(study(seeds=range(3), margin=0.05))
    kept = sorted(folder.glob("*.json"))
    assert [path.stat().st_mtime for path in kept] == [1, 1]
    assert not (store.folder / "study.json").is_symlink()
