"""Verification of small studies, benches, probes and networks, and the words of the command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, Fault
from fairtrial.measurements import measurement_record as record
from fairtrial.reporting import verify
from fairtrial.reporting.report import speed_report, study_report
from fairtrial.storage.integrity import sealed
from fairtrial.study.factors import recorded_digest
from fairtrial.study.study import Contrast
from tests.reporting.spoiling import KINDS, ROOT, cell, change, checked, other

BENCH = ROOT / "results" / "bench"
PLAIN = {
    "factors": {"norm": ("bn", "gn")},
    "primary": Contrast("n", {"norm": "gn"}, {"norm": "bn"}),
    "aa": None,
    "seeds": range(4),
}


@pytest.fixture
def small(make_study, publish, noise):
    """A small study with its report."""
    store = publish(make_study(**{**PLAIN, "seeds": range(3)}), lambda cell: 0.8 + noise(cell, "acc") / 100)
    study_report.build(store)
    return store.folder


def test_the_report_that_stands_is_left_as_it_is(small):
    change(small / "report.md", "n = 3", "n = 4")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in small.rglob("*")}
    assert list(checked(small)) == ["report.md"]
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in small.rglob("*")} == before


@pytest.mark.every_format
def test_an_edited_cell_with_a_new_seal_is_named_wherever_it_counts(small):
    path, record = cell(small)
    del record["sha256"]
    measured, spent = record["measured"], record["spent"]
    before = {**measured, **spent}
    for name in ("test_acc", "test_loss", "val_acc", "train_loss"):
        measured[name] /= 2
    for name in ("parameters", "flops", "examples", "steps"):
        spent[name] *= 2
    path.write_text(sealed(record))
    what = checked(small)
    for name, value in {**measured, **spent}.items():
        told = f"column '{name}': {before[name]}, expected {value}"
        assert (told in what["summary.csv"]) == (value != before[name])
    assert record["cell"] in what["summary.csv"]
    others = {"verdicts.json", "report.html", "report.md", "figures/contrasts.svg", "figures/contrasts.png"}
    assert (
        others | {f"tables/{name}.{kind}" for name in ("arms", "contrasts") for kind in KINDS} < what.keys()
    )


def test_an_edited_declaration_is_named_with_and_without_a_new_seal(small):
    change(small / "study.json", '"margin": 0.01', '"margin": 0.02')
    assert "edited: its sha256" in checked(small)["study.json"]
    record = json.loads((small / "study.json").read_text())
    del record["sha256"]
    (small / "study.json").write_text(sealed(record, indent=1))
    assert "its history says" in checked(small)["study.json"]
    last = record["history"][-1]
    record["history"] = [last | {"hash": recorded_digest(record["declaration"])}]
    (small / "study.json").write_text(sealed(record, indent=1))
    said = checked(small)
    assert said.keys() == {f"cells/{path.name}" for path in (small / "cells").glob("*.json")}
    assert all(f"it ran under declaration {last['hash'][:12]}..." in what for what in said.values())
    record["history"].insert(0, last)
    (small / "study.json").write_text(sealed(record, indent=1))
    said = checked(small)
    assert "study.json" not in said
    assert '"margin": 0.02' in said["verdicts.json"]
    assert "column 'margin': 1.0, expected 2.0" in said["tables/contrasts.csv"]


def test_a_report_with_missing_cells_is_verified_as_it_was_drawn(make_study, publish, noise):
    study = make_study(**PLAIN)
    store = publish(study, lambda cell: 0.8 + noise(cell, "acc") / 100 if cell.seed < 3 else None)
    study_report.build(store, allow_partial=True)
    assert verify.check(store.folder, partial=True).problems == ()
    assert verify.check(store.folder).problems != ()


def test_the_tables_captions_and_rounds_of_a_bench_are_verified(tmp_path):
    (races,) = BENCH.glob("*/train-step-torch-*.json")
    copy = tmp_path / "bench" / races.parent.name
    copy.mkdir(parents=True)
    shutil.copy(races, copy)
    speed_report.draw(copy)
    assert checked(copy) == {}
    caption = (copy / "captions.md").read_text()
    number = re.search(r"\d+\.\d+", caption)[0]
    change(copy / "captions.md", number, other(number))
    told = json.loads(races.read_text())
    rounds = told["benchmarks"][0]["extra_info"]["rounds_s"]
    name = list(rounds)[1]
    assert list(checked(copy)) == ["captions.md"]
    rounds[name] = [3 * value for value in rounds[name]]
    (copy / races.name).write_text(json.dumps(told))
    assert {path.suffix for path in map(Path, checked(copy))} >= {".md", ".csv", ".tex"}


def test_the_command_says_it_in_blocks_and_exits_with_3(small, capsys):
    assert main(["verify", str(small)]) == DONE
    assert re.search(r"made-up: \d+ files with [\d,]+ numbers say what the", capsys.readouterr().out)
    change(small / "report.md", "n = 3", "n = 4")
    change(small / "tables" / "arms.csv", ",3,", ",5,")
    assert main(["verify", "--results", str(small.parent)]) == BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("error: ") == 2 and "n = 4" in err and "n = 3" in err and "5, expected 3" in err
    assert main(["verify", str(small), "--json"]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert json.loads(out)["folders"][0]["problems"] == 2
    assert [json.loads(line)["code"] for line in err.splitlines()] == [3, 3]


def test_a_folder_without_a_study_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "no"):
        with pytest.raises(Fault) as told:
            list(verify.verify([path]))
        assert told.value.code == BAD_INPUT


def test_a_study_without_a_report_is_told(make_study, publish, noise):
    store = publish(make_study(**PLAIN), lambda cell: 0.8 + noise(cell, "acc") / 100)
    assert verify.check(store.folder).line().endswith("no report yet")


def test_hostile_names_pass_through_a_comparison(make_study, publish, noise):
    hostile = {"primary": Contrast("=1+1|<!-- 5 -->", {"norm": "gn"}, {"norm": "bn"})}
    study = make_study(**{**PLAIN, **hostile}, question='<svg>"1,2\n</svg> & $7$ | `8`')
    store = publish(study, lambda cell: 0.8 + noise(cell, "acc") / 100)
    study_report.build(store)
    assert verify.check(store.folder).problems == ()


@pytest.mark.parametrize("name", record.NAMES)
def test_a_changed_digit_in_a_probe_is_named(name, tmp_path, capsys):
    """The file of each probe that ships; the message says how to have it back."""
    (shipped,) = (ROOT / "results").glob(f"*/{name}.json")
    copy = tmp_path / shipped.parent.name
    copy.mkdir()
    path = Path(shutil.copy(shipped, copy))
    assert main(["verify", str(copy)]) == DONE
    assert "1 record as sealed" in capsys.readouterr().out
    number = re.search(r"\d+\.\d+|\d{3,}", path.read_text()[200:]).group()
    change(path, number, other(number))
    assert main(["verify", str(copy)]) == BAD_INPUT
    told = capsys.readouterr().err
    assert "the record was edited" in told and str(path) in told
    assert f"fairtrial {'' if name == 'networks' else 'probe '}{name}" in told


def test_the_probes_that_are_verified_are_those_that_are_measured():
    from fairtrial.measurements.command import MEASUREMENTS

    assert set(record.NAMES) == set(MEASUREMENTS)
    shipped = {
        path.stem for part in ("networks", "probes") for path in (ROOT / "results" / part).glob("*.json")
    }
    assert shipped == set(record.NAMES)


def test_a_network_that_is_not_the_one_of_its_record_is_named(tmp_path):
    shutil.copytree(ROOT / "results" / "upstream", tmp_path / "upstream")
    folder = tmp_path / "upstream"
    path = sorted((folder / "weights").glob("*.safetensors"))[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (problem,) = verify.check(folder).problems
    assert problem.where == str(path) and "its record says" in problem.what
