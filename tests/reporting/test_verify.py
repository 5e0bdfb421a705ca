"""A digit changed anywhere in a report, or in what it rests on, is found and named."""

from __future__ import annotations

import io
import json
import re
import shutil
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, Fault
from fairtrial.measurements import measurement_record as record
from fairtrial.reporting import differences, verify
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import MADE_BY
from fairtrial.reporting.report import speed_report, study_report
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.integrity import sealed
from fairtrial.storage.store import Store
from fairtrial.study.factors import recorded_digest
from fairtrial.study.study import Contrast

ROOT = Path(__file__).parents[2]
NORM = ROOT / "results" / "released" / "norm"
BENCH = ROOT / "results" / "bench"
KINDS = ("csv", "md", "tex")
PLAIN = {
    "factors": {"norm": ("bn", "gn")},
    "primary": Contrast("n", {"norm": "gn"}, {"norm": "bn"}),
    "aa": None,
    "seeds": range(4),
}


@pytest.fixture(scope="module")
def anew():
    """The files of the report of a released study, made here."""
    return study_report.report_files(judge_study(Store(NORM)))


@pytest.fixture
def folder(anew, tmp_path):
    """The study with that report, to spoil."""
    own = ("figures", "tables", "report.*", "summary.csv", "verdicts.json")
    shutil.copytree(NORM, tmp_path / "norm", ignore=shutil.ignore_patterns(*own))
    write_files(tmp_path / "norm", anew)
    return tmp_path / "norm"


@pytest.fixture
def found(folder, anew):
    """File -> what is said of it, where the records are as they were: nothing is drawn again."""
    return lambda: by_file(folder, verify.compare_files(folder, anew).problems)


@pytest.fixture
def small(make_study, publish, noise):
    """A small study with its report."""
    store = publish(make_study(**{**PLAIN, "seeds": range(3)}), lambda cell: 0.8 + noise(cell, "acc") / 100)
    study_report.build(store)
    return store.folder


def by_file(folder: Path, problems) -> dict[str, str]:
    assert len({problem.where for problem in problems}) == len(problems), "one block a file"
    return {str(Path(problem.where).relative_to(folder)): problem.what for problem in problems}


def checked(folder: Path) -> dict[str, str]:
    """The same, with everything that `fairtrial verify` does."""
    return by_file(folder, verify.check(folder).problems)


def change(path: Path, old: str, new: str) -> None:
    """Replace the first place of a text by another one."""
    text = path.read_text()
    assert old in text and old != new
    path.write_text(text.replace(old, new, 1))


def other(number: str) -> str:
    """The number with another last digit."""
    return number[:-1] + str((int(number[-1]) + 3) % 10)


def cell(folder: Path) -> tuple[Path, dict]:
    """The first record of a cell that is no trial: only those read the test split."""
    read = ((path, json.loads(path.read_text())) for path in sorted((folder / "cells").glob("*.json")))
    return next((path, record) for path, record in read if record["settings"]["stage"] != "tuning")


def test_an_untouched_copy_of_a_released_study_is_fine(tmp_path):
    copy = Path(shutil.copytree(NORM, tmp_path / "norm"))
    for path in (copy / "report.html", *(copy / "figures").glob("*.p??")):
        path.unlink(missing_ok=True)  # a checkout has none of them
    said = verify.check(copy)
    assert said.problems == ()
    assert "not kept here, not compared: .html, .pdf and .png" in said.notes


def test_a_whole_report_says_what_its_records_say(folder, anew):
    said = verify.compare_files(folder, anew)
    assert (said.problems, said.notes) == ((), ())
    assert said.files == 2 + 2 + 3 * 7 + 3 * 10  # documents, data, figures, tables
    assert said.numbers > 5000


def test_the_report_that_stands_is_left_as_it_is(small):
    change(small / "report.md", "n = 3", "n = 4")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in small.rglob("*")}
    assert list(checked(small)) == ["report.md"]
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in small.rglob("*")} == before


def test_an_edited_cell_is_named_with_the_value_that_the_summary_knows(folder):
    path, record = cell(folder)
    told = str(record["measured"]["test_acc"])
    change(path, f'"test_acc": {told}', f'"test_acc": {other(told)}')
    said = checked(folder)
    assert list(said) == [f"cells/{path.name}"]
    assert "the record was edited: its sha256 is" in said[f"cells/{path.name}"]
    assert f"test_acc is {float(other(told))}, summary.csv has {told}" in said[f"cells/{path.name}"]


def test_an_edited_cell_with_a_new_seal_contradicts_its_own_images(folder):
    path, record = cell(folder)
    del record["sha256"]
    right = round(record["measured"]["test_acc"] * record["measured"]["test_n"])
    record["measured"]["test_acc"] -= 0.01
    path.write_text(sealed(record))
    what = checked(folder)[f"cells/{path.name}"]
    assert f"but {right} of 596 images are right: {right / 596}" in what


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


@pytest.mark.parametrize("field, value", [("seed", 99), ("settings", {"lr": 0.2}), ("budget", "4096ex")])
def test_a_cell_under_a_false_name_is_named(folder, field, value):
    path, record = cell(folder)
    del record["sha256"]
    record[field] = record[field] | value if isinstance(value, dict) else value
    path.write_text(sealed(record))
    assert f"not of {record['cell']}" in checked(folder)[f"cells/{path.name}"]


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["arms", "contrasts", "budget-parity", "fairness"])
def test_a_changed_number_in_any_table_is_named(folder, found, name, kind):
    path = folder / "tables" / f"{name}.{kind}"
    lines = path.read_text().splitlines()
    row = next(n for n, line in enumerate(lines[1:], 1) if re.search(r"\d", line) and line[0] != "%")
    number = re.findall(r"\d+(?:\.\d+)?", lines[row])[-1]
    head, _, tail = lines[row].rpartition(number)
    lines[row] = head + other(number) + tail
    path.write_text("\n".join(lines) + "\n")
    what = found()
    assert list(what) == [f"tables/{name}.{kind}"]
    said = what[f"tables/{name}.{kind}"]
    assert "expected" in said and "one place is" in said
    assert f"{'row' if kind == 'csv' else 'line'} {row + 1}" in said


@pytest.mark.parametrize(
    "name, old, new, said",
    [
        ("report.md", "2.5 points more", "2.3 points more", "2.5 points more"),
        ("report.html", "2.5 points more", "2.3 points more", "2.5 points more"),
        ("report.md", "n = 20 seeds, the replication", "n = 21 seeds, the replication", "n = 20 seeds"),
        ("report.html", "n = 20 seeds, the replication", "n = 21 seeds, the replication", "n = 20 seeds"),
        ("report.md", "cannot be told apart", "are the same", "expected"),
        ("tables/arms.tex", "% Test accuracy", "% Test loss", "line 1"),
        ("verdicts.json", '"n": 20', '"n": 21', '"n": 21,", expected ""n": 20,"'),
        ("verdicts.json", '"verdict": "better"', '"verdict": "worse"', "better"),
        ("verdicts.json", ' "complete": true,\n', "", "complete"),
        ("figures/contrasts.svg", "<!-- batch 2", "<!-- batch 3", "expected"),
    ],
)
def test_a_changed_caption_sentence_or_verdict_is_named(folder, found, name, old, new, said):
    if name.endswith(".svg"):
        old = re.search(r"<!-- [^>]*\d", (folder / name).read_text())[0]
        new = other(old)
    change(folder / name, old, new)
    what = found()
    assert list(what) == [name] and said in what[name]


def test_a_changed_digit_in_any_float_of_the_verdicts_is_named_by_its_path(folder, found):
    told = json.loads((folder / "verdicts.json").read_text())
    told["contrasts"][1]["interval"]["low"] += 1e-8
    (folder / "verdicts.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    what = found()["verdicts.json"]
    assert "one place is" in what and '"low": ' in what


def test_the_last_digits_of_a_float_are_told_but_no_fault(folder, anew):
    told = json.loads((folder / "verdicts.json").read_text())
    told["contrasts"][1]["interval"]["low"] *= 1 + 1e-14
    (folder / "verdicts.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    said = verify.compare_files(folder, anew)
    assert said.problems == () and said.notes == (
        "verdicts.json: 1 floats differ beyond their ninth digit, as versions of scipy and processors do",
    )


def test_a_moved_dot_is_named_by_its_line(folder, found):
    path = folder / "figures" / "contrasts.svg"
    lines = path.read_text().splitlines(keepends=True)
    number = max(n for n, line in enumerate(lines) if "<use" in line and ' y="' in line)
    lines[number] = re.sub(r' y="(\d+)', lambda y: f' y="{int(y[1]) + 1}', lines[number])
    path.write_text("".join(lines))
    what = found()
    assert list(what) == ["figures/contrasts.svg"] and f"line {number + 1}:" in what["figures/contrasts.svg"]


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_another_picture_under_the_same_name_is_named(folder, found, kind):
    first, second, *_ = sorted((folder / "figures").glob(f"*.{kind}"))
    first.write_bytes(second.read_bytes())
    assert found() == {
        f"figures/{first.name}": "one place is not what the records say: "
        "the picture is not the one that the records give"
    }


def a_pdf(numbers: str) -> bytes:
    """The part of a pdf that draws."""
    head = f"1 0 obj\n<< /Creator ({MADE_BY}) >>\nstream\n".encode()
    return head + zlib.compress(numbers.encode()) + b"\nendstream\nendobj\nxref"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("1 0 -0 1 20.0004882813 0 cm BT", True),  # on another processor
        ("1 0 0 1 20.00049 0\ncm BT", True),  # by five decimals, its lines broken elsewhere
        ("1 0 0 1 20.001 0 cm BT", False),
        ("1 0 0 1 20.00049 0 cm ET", False),
        ("1 0 0 1 20.00049 0 0 cm BT", False),
    ],
)
def test_numbers_of_a_pdf_are_compared_as_far_as_they_are_seen(other, same):
    told = differences.compare(".pdf", a_pdf("1 0 -0 1 20.0004882812 0 cm BT"), a_pdf(other))
    assert (told.places == ()) == same


@pytest.mark.parametrize(("shade", "same"), [(1, True), (40, False)])
def test_shades_of_a_png_are_compared_as_far_as_they_are_seen(shade, same):
    """On another processor, 11 pixels of the noise of BN's statistics are a shade darker or lighter."""
    told = []
    for value in (100, 100 + shade):
        file, info = io.BytesIO(), PngInfo()
        info.add_text("Software", MADE_BY)
        picture = Image.new("RGB", (4, 4), (100, 100, 100))
        picture.putpixel((1, 2), (100, value, 100))
        picture.save(file, "PNG", pnginfo=info)
        told.append(file.getvalue())
    assert (differences.compare(".png", *told).places == ()) == same


def drawn_by(version: bytes, path: Path) -> None:
    """The file, as another matplotlib would have drawn it."""
    data = path.read_bytes()
    assert MADE_BY.encode() in data
    if path.suffix == ".png":
        info = PngInfo()
        info.add_text("Software", f"matplotlib {version.decode()}")
        Image.open(path).convert("L").save(path, pnginfo=info)
        return
    data = data.replace(MADE_BY.encode(), b"matplotlib " + version, 1)
    path.write_bytes(data.replace(b"stroke-width", b"stroke-wide"))


@pytest.mark.parametrize("kind", ["png", "pdf", "svg", "html"])
def test_a_picture_of_another_matplotlib_is_told_and_no_fault(folder, anew, kind):
    path = folder / "report.html" if kind == "html" else folder / "figures" / f"contrasts.{kind}"
    drawn_by(b"3.9.0", path)
    said = verify.compare_files(folder, anew)
    assert said.problems == ()
    (note,) = said.notes
    assert "drawn by matplotlib 3.9.0" in note and "the drawing is not compared" in note


@pytest.mark.parametrize(
    "name, old", [("figures/contrasts.svg", r"<!-- [^>]*\d"), ("report.html", r"worth 2\.5")]
)
def test_what_a_picture_of_another_matplotlib_says_is_compared_all_the_same(folder, found, name, old):
    drawn_by(b"3.9.0", folder / name)
    number = re.search(old, (folder / name).read_text())[0]
    change(folder / name, number, other(number))
    assert list(found()) == [name]


def test_a_missing_figure_and_a_strange_one_are_named(folder, found):
    (folder / "figures" / "contrasts.png").unlink()
    (folder / "figures" / "mine.svg").write_text("<svg/>")
    (folder / "verdicts.json").unlink()
    what = found()
    assert what.keys() == {"figures/contrasts.png", "figures/mine.svg", "verdicts.json"}
    assert what["figures/contrasts.png"] == what["verdicts.json"] == "the file is missing"
    assert "no record gives this file" in what["figures/mine.svg"]


def test_a_figure_that_is_missing_in_every_kind_is_named(folder, found):
    for kind in ("svg", "pdf", "png"):
        for path in (folder / "figures").glob(f"*.{kind}"):
            path.unlink()
    assert len(found()) == 21


def test_a_line_too_much_and_a_line_too_few_are_named_alone(folder, found):
    lines = (folder / "report.md").read_text().splitlines(keepends=True)
    (folder / "report.md").write_text("".join([*lines[:6], "- **better**: all of it\n", *lines[6:]]))
    change(folder / "report.html", "<h2", "\n<h2")
    lines = (folder / "tables" / "arms.md").read_text().splitlines(keepends=True)
    (folder / "tables" / "arms.md").write_text("".join(lines[:3] + lines[4:]))
    what = found()
    assert 'line 7: "- **better**: all of it", expected' in what["report.md"]
    assert f"it has {len(lines) - 1} lines, expected {len(lines)}" in what["tables/arms.md"]
    assert "report.html" in what


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


def test_a_study_is_verified_by_its_name(folder, capsys):
    change(folder / "study.json", '"margin": 0.01', '"margin": 0.02')
    assert main(["verify", "norm", "--results", str(folder.parent)]) == BAD_INPUT
    assert str(folder / "study.json") in capsys.readouterr().err


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
