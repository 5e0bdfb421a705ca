"""Finding and loading a study file; what goes wrong with one is in test_malformed_studies.py."""

import sys
from pathlib import Path

import pytest

from fairtrial.errors import Fault
from fairtrial.study.loader import find, known_studies, load
from fairtrial.study.source_locations import SOURCE_LOCATIONS
from tests.support.studies import TEXT, study, write


def test_the_file_gives_the_study(tmp_path):
    assert load(write(tmp_path)) == study()


def test_known_studies_are_found_by_name():
    assert "norm" in known_studies()
    for name in known_studies():
        assert load(find(name)).name == name


def test_a_path_is_found_with_or_without_a_folder(tmp_path, monkeypatch):
    path = write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("small.py", "./small.py", str(path)):
        assert load(find(name)) == study()


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(Fault, match="unknown study 'nrom', did you mean 'norm'"):
        find("nrom")


def test_a_study_remembers_where_it_was_written(tmp_path):
    path = write(tmp_path)
    locations = load(path).locations
    told = {name: int(place.removeprefix(f"{path}:")) for name, place in locations.items()}
    assert told[""] == 3
    assert (told["name"], told["factors"], told["factors['batch_size']"]) == (4, 6, 8)
    assert (told["fixed['lr']"], told["seeds"], told["contrast 'small batch'"]) == (11, 14, 15)


def test_the_places_of_one_file_are_not_those_of_the_next(tmp_path):
    load(write(tmp_path))
    assert not SOURCE_LOCATIONS.get()
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(Fault):
        load(tmp_path / "bad.py")
    assert not SOURCE_LOCATIONS.get()


def test_a_study_file_sees_its_neighbours_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "levels_next_door.py").write_text('NORMS = ("bn", "gn")\n')
    path = write(tmp_path, ('("bn", "gn")', "NORMS"))
    path.write_text(
        "import sys\nfrom levels_next_door import NORMS\nsys.path.append('/left')\n" + path.read_text()
    )
    before, modules = list(sys.path), set(sys.modules)
    assert load(path) == study()
    assert sys.path == before
    assert set(sys.modules) - modules <= {"levels_next_door"}
    assert not list(tmp_path.glob("__pycache__/small*"))


def test_a_study_file_may_define_dataclasses(tmp_path):
    path = write(tmp_path)
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    body = "@dataclass\nclass Level:\n    value: int\n"
    path.write_text(head + body + path.read_text().replace("(4, 16)", "(Level(4).value, 16)"))
    assert load(path) == study()


def test_the_text_that_was_checked_is_the_text_that_runs(tmp_path):
    """A coding line could otherwise make Python read other text than the check did."""
    path = tmp_path / "small.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\n" + TEXT.replace("small?", "smäll?").encode())
    assert load(path).question.endswith("smäll?")


LEAVES = {
    "os._exit": ("import os\nos._exit(0)\n", "ends the program while it is loaded, with exit code 0"),
    "abort": ("import os\nos.abort()\n", "with signal 6"),
    "signal": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "with signal 9"),
    "exec": ("import os\nos.execv('/bin/true', ['true'])\n", "with exit code 0"),
    "crash": ("import ctypes\nctypes.string_at(0)\n", "with signal 11"),
    "sleeps": ("import time\ntime.sleep(60)\n", "was not loaded within 1 s"),
    "loops": (
        "while True:\n    try:\n        pass\n    except BaseException:\n        pass\n",
        "was not loaded within",
    ),
    "stuck": ("import ctypes\nctypes.PyDLL(None).sleep(60)\n", "was not loaded within 1 s"),
    "child": ("import subprocess\nsubprocess.run(['sleep', '61.5'])\n", "was not loaded within 1 s"),
    "exit": ("raise SystemExit(0)\n", "ends the program"),
    "interrupt": ("raise KeyboardInterrupt\n", "raised KeyboardInterrupt"),
    "generator": ("raise GeneratorExit('x')\n", "raised GeneratorExit: x"),
    "exotic": ("class Odd(BaseException): pass\nraise Odd('no')\n", "raised Odd: no"),
    "asks": ("input()\n", "raised"),
}


@pytest.mark.parametrize("way", LEAVES)
def test_a_study_file_that_leaves_in_any_way_is_a_fault(tmp_path, monkeypatch, way):
    text, words = LEAVES[way]
    monkeypatch.setattr("fairtrial.plugins.user_program.LOADING_S", 1.0)
    (tmp_path / "odd.py").write_text(TEXT + text)
    with pytest.raises(Fault) as refused:
        load(tmp_path / "odd.py")
    (problem,) = refused.value.problems
    assert refused.value.code == 2
    assert words in problem.what
    assert problem.where.startswith(str(tmp_path / "odd.py"))
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"61.5" in _read(p)]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_a_study_file_prints_is_printed_once(tmp_path, capfd):
    (tmp_path / "says.py").write_text(TEXT + "print('hello')\n")
    load(tmp_path / "says.py")
    assert capfd.readouterr().out == "hello\n"
