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
from fairtrial.errors import BAD_INPUT
from fairtrial.reporting import differences, verify
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import MADE_BY
from fairtrial.reporting.report import study_report
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.integrity import sealed
from fairtrial.storage.store import Store
from tests.reporting.spoiling import KINDS, ROOT, by_file, cell, change, checked, other

NORM = ROOT / "results" / "released" / "norm"


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


def test_an_edited_cell_is_named_with_the_value_that_the_summary_knows(folder):
    path, record = cell(folder)
    told = str(record["measured"]["test_acc"])
    (key,) = re.findall('"test_acc": ?', path.read_text())  # older records have spaces
    change(path, f"{key}{told}", f"{key}{other(told)}")
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


@pytest.mark.parametrize("field, value", [("seed", 99), ("settings", {"lr": 0.2}), ("budget", "4096ex")])
def test_a_cell_under_a_false_name_is_named(folder, field, value):
    path, record = cell(folder)
    del record["sha256"]
    record[field] = record[field] | value if isinstance(value, dict) else value
    path.write_text(sealed(record))
    assert f"not of {record['cell']}" in checked(folder)[f"cells/{path.name}"]


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


def test_a_drawing_of_an_older_version_says_its_matplotlib_too():
    head = (
        b"<svg>\n<metadata>\n<dc:creator>\n<dc:title>matplotlib 3.9.0</dc:title>\n</dc:creator>\n</metadata>"
    )
    new = f"<svg>\n<metadata>{MADE_BY}</metadata>\n<!-- by 7 points -->\n</svg>\n".encode()
    told = differences.compare(".svg", head + b"\n<g>\n<!-- by 7 points -->\n</g>\n</svg>\n", new)
    assert told.places == () and "drawn by matplotlib 3.9.0" in told.note


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


def test_a_study_is_verified_by_its_name(folder, capsys):
    change(folder / "study.json", '"margin": 0.01', '"margin": 0.02')
    assert main(["verify", "norm", "--results", str(folder.parent)]) == BAD_INPUT
    assert str(folder / "study.json") in capsys.readouterr().err
