"""Problems of a study come all at once, with the line, and near names; what is only unusual is taken."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, REFUSED, USAGE
from fairtrial.storage.store import Store
from fairtrial.study.loader import load
from tests.study.malformed import FIXED, LEVELS, SEEDS, SIZES, blocks, listing
from tests.support.studies import TEXT, study, write

ROOT = Path(__file__).parents[2]


def test_all_errors_come_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path, ('"small"', '"Small"'), (LEVELS, '("bn", "gm")'), (FIXED, '"mixup": -1'), (SEEDS, "(1, 1)")
    )
    assert main(["plan", "small.py"]) == USAGE
    found = {where: what for what, where, _ in blocks(capsys.readouterr().err)}
    assert found == {
        "small.py:4, name": "study name 'Small' is not allowed",
        "small.py:7, factors['norm']": "norm='gm' is not a known name, did you mean 'gn'?",
        "small.py:11, fixed['mixup']": "mixup=-1 is not >= 0",
        "small.py:14, seeds": "seed 1 stands more than once; a copy would count as a new replicate",
    }


def test_all_bad_options_come_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    given = (
        "--preset x --seeds y --budget z --set norm --set lr=-1 --jobs 0 --threads 0 --limit 0 --device tpu"
    )
    assert main(["run", "small.py", *given.split()]) == USAGE
    locations = [where for _, where, _ in blocks(capsys.readouterr().err)]
    for option in (
        "--preset",
        "--seeds",
        "--budget z",
        "--set norm",
        "--set lr",
        "--jobs",
        "--threads",
        "--limit",
    ):
        assert option in locations
    assert "--device" in locations


def test_more_problems_than_fit_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, (SIZES, "range(-50, 0)"))
    assert main(["plan", "small.py"]) == USAGE
    err = capsys.readouterr().err
    assert len(blocks(err)) == 20
    assert err.endswith("... and 30 more of 50\n")


def test_a_computed_value_names_the_line_it_is_used_in(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ('fixed={\n        "lr": 0.3,\n    }', "fixed=dict(lr=-0.3)"))
    assert main(["plan", "small.py"]) == USAGE
    assert [where for _, where, _ in blocks(capsys.readouterr().err)] == ["small.py:10, fixed['lr']"]


def test_a_fault_of_options_and_file_together_names_both(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    assert main(["plan", "small.py", "--set", "micro_batch=3"]) == USAGE
    found = blocks(capsys.readouterr().err)
    assert "--set micro_batch and small.py:8, factors['batch_size']" in {where for _, where, _ in found}


def test_c20_a_contrast_whose_level_is_set_away_says_so(tmp_path, monkeypatch, capsys):
    """--set changes levels: what cannot be compared any more falls away, aloud."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    assert main(["plan", "small.py", "--set", "batch_size=8,16"]) == DONE
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "contrast 'small batch' falls away: --set runs a level of it no longer",
        "no contrast is left, so no verdict: declare one in a study of yours (fairtrial init NAME)",
    ]
    assert "cells      12 = 4 arms" in out and "(small batch)" not in out
    assert "detects    nothing: no contrast is declared" in out


def test_a_mistyped_network_is_told_near_ones_and_no_page_of_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    assert main(["plan", "small.py", "--set", "model=torchvision:resnet5"]) == USAGE
    ((what, _, do),) = blocks(capsys.readouterr().err)
    assert "did you mean 'torchvision:resnet50'?" in what
    assert "r152x4, torchvision:NAME (80 names)" in do and len(do) < 200


def test_a_broken_preset_of_the_study_is_found_without_asking_for_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ("    seeds=", '    presets={"mini": {"fixed": {"lr": -1}}},\n    seeds='))
    assert main(["plan", "small.py"]) == USAGE
    [(what, where, _)] = blocks(capsys.readouterr().err)
    assert what == "lr=-1 is not > 0"
    assert where == "small.py:14, presets['mini'], fixed['lr']"


def test_c12_a_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "small.py").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load(tmp_path / "small.py") == study()


def test_c8_seed_zero_is_honoured(tmp_path):
    path = write(tmp_path, (SEEDS, "(0, 5)"))
    assert {cell.seed for cell in load(path).cells()} == {0, 5}


def test_c15_the_results_of_another_study_are_refused(tmp_path, monkeypatch, capsys):
    """Study small-mini, and study small under preset mini, have one folder."""
    monkeypatch.chdir(tmp_path)
    theirs = study(name="small-mini")
    with Store.of(theirs, tmp_path / "results").locked():
        Store.of(theirs, tmp_path / "results").declare(theirs)
    write(tmp_path, ("    seeds=", '    presets={"mini": {"fixed": {"lr": 0.1}}},\n    seeds='))
    assert main(["run", "small.py", "--preset", "mini"]) == REFUSED
    [(what, where, do)] = blocks(capsys.readouterr().err)
    assert "study small-mini (preset embedded)" in what
    assert "small (preset mini)" in what
    assert "small-mini" in where
    assert "--results" in do


@pytest.mark.parametrize("name", ["missing.py", "./missing", "folder/", "x" * 300 + ".py", "nrom", "norm2"])
def test_c19_a_study_that_is_not_there_names_those_that_are(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert main(["run", name]) == USAGE
    [(what, where, do)] = blocks(capsys.readouterr().err)
    assert name[:20].strip("./") in what + where
    assert "norm" in do or "can be read" in do


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_c19_a_study_that_may_not_be_read(tmp_path, capsys):
    path = write(tmp_path)
    path.chmod(0)
    assert main(["plan", str(path)]) == USAGE
    assert "cannot be read: Permission denied" in capsys.readouterr().err


def test_c4_more_shots_than_a_class_has_is_bad_input(tmp_path, monkeypatch, capfd):
    """Only the data can tell (D4): the job that opens it refuses, and no cell has a result."""
    monkeypatch.chdir(tmp_path)
    assert main(["run", "norm", "--set", "shots=500", "--jobs", "1"]) == BAD_INPUT
    found = blocks(capfd.readouterr().err)
    assert any(
        re.search(r"shots=500 .*needs 5\d\d images of class .*; the training split has \d+", what)
        for what, *_ in found
    )
    assert not any('"done"' in path.read_text() for path in tmp_path.glob("results/norm/cells/*"))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["-m", "fairtrial", "run", "small.py"], "small.py:7, factors['norm']"),
        (["-m", "fairtrial", "run", "norm", "--set", "norm=bn,gm"], "--set norm"),
        ([str(ROOT / "ablations/norm.py"), "--set", "norm=bn,gm"], "--set norm"),
    ],
    ids=["file", "option", "script"],
)
def test_a_real_command_prints_blocks_and_nothing_else(command, says, tmp_path):
    write(tmp_path, (LEVELS, '("bn", "gm")'))
    before = listing(tmp_path)
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert ("norm='gm' is not a known name, did you mean 'gn'?", says) in [b[:2] for b in blocks(done.stderr)]
    assert done.stderr.count("\n") == 3 * len(blocks(done.stderr))
    assert listing(tmp_path) == before
