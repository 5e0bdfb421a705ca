"""The report over all studies: what it shows, what it says is missing, and that it repeats byte for byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, USAGE, Fault
from fairtrial.reporting.figures.figure_files import FORMATS
from fairtrial.reporting.report import full_report
from fairtrial.reporting.report.figure_registry import report_items
from fairtrial.reporting.report.latex import Macros, name_of
from fairtrial.reporting.report.questions import QUESTIONS, SHORT
from fairtrial.reporting.report_item import NIGHTLY, RESULTS
from fairtrial.study.study import Contrast
from tests.reporting.report.test_study_report import PAYLOADS, Page, accuracy
from tests.support.elsewhere import elsewhere

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
NORM = Contrast("norm 10", {"norm": "gn"}, {"norm": "bn"})


@pytest.fixture
def results(make_study, publish, noise, tmp_path):
    """Two studies: norms at two batches, and MixUp at two numbers of images."""
    publish(make_study(seeds=range(4)), accuracy(noise))
    shots = {"mixup": (0.0, 0.1), "shots": (5, 100)}
    mixed = Contrast("mixes", {"mixup": 0.1}, {"mixup": 0.0}, {"shots": 5})
    study = make_study(name="mixes", factors=shots, primary=mixed, aa=None, seeds=range(4))
    publish(study, lambda cell: 0.8 + 0.01 * noise(cell, "acc"))
    return tmp_path


@pytest.fixture
def built(kept, request):
    """The report, drawn once: these tests read it."""
    if not kept:
        results = request.getfixturevalue("results")
        kept["built"] = full_report.build(results, results / "report", jobs=1), results / "report"
    return kept["built"]


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_a_new_process(results: Path, jobs: int, formats: tuple[str, ...], refused: Path) -> None:
    """Build it as another machine would; an import of torch, in any process, leaves a file in `refused`."""
    refused.mkdir()
    (refused / "torch.py").write_text("open(f'{__file__}.asked', 'w')\nraise ImportError('no torch here')")
    code = (
        "import sys; from pathlib import Path; from fairtrial.reporting.report import full_report as report\n"
        "if __name__ == '__main__':\n"
        "    results, jobs, *formats = sys.argv[1:]\n"
        "    files = report.report_files(Path(results), jobs=int(jobs), formats=formats)[0]\n"
        "    report.write_files(Path(results, 'report'), files)"
    )
    paths = os.pathsep.join([str(refused), os.environ.get("PYTHONPATH", "")])
    environment = elsewhere() | {"PYTHONPATH": paths}
    arguments = [sys.executable, "-c", code, str(results), str(jobs), *formats]
    subprocess.run(arguments, env=environment, check=True)
    assert not (refused / "torch.py.asked").exists()


@pytest.mark.parametrize("formats", [(), pytest.param(FORMATS, marks=pytest.mark.soak)])
def test_two_builds_are_byte_identical_however_many_processes_draw_and_import_no_torch(
    built, formats, tmp_path
):
    """Drawn as svg alone, or twice anew in every format."""
    _, folder = built
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder.parent, copy, ignore=shutil.ignore_patterns("report"))
    in_a_new_process(copy, 2, formats, tmp_path / "refused")
    if formats:
        folder = Path(shutil.copytree(folder.parent, tmp_path / "alone")) / "report"
        shutil.rmtree(folder)
        in_a_new_process(folder.parent, 1, formats, tmp_path / "refused alone")
    first, second = written(folder), written(copy / "report")
    assert first.keys() == second.keys() and len(first) > 40
    assert [name for name in first if first[name] != second[name]] == []


def test_there_is_a_page_per_question_and_one_that_holds_them_all(built):
    made, folder = built
    for question in QUESTIONS.values():
        assert (folder / f"{question.slug}.md").is_file()
        page = Page((folder / f"{question.slug}.html").read_text())
        for text in (question.asks, *question.may, *question.may_not, SHORT):
            assert text in page.text
    every = Page(made.path.read_text())
    assert all(question.asks in every.text for question in QUESTIONS.values())
    assert made.complete and made.studies == 2 and made.cells == 36 + 16


def test_what_is_drawn_and_what_is_missing_make_up_the_list(built):
    made, folder = built
    missing = {line.split(" ")[0] for line in made.missing}
    assert missing <= set(report_items()) and made.drawn == len(report_items()) - len(missing)
    assert {"F1.1", "F3.1", "F3.4", "F4.3"} <= missing
    assert not {"F3.3", "F4.2"} & missing
    text = Page((folder / "normalization.html").read_text()).text
    assert "fairtrial run batch-statistics" in text


def test_every_page_loads_nothing_and_has_each_id_once(built):
    _, folder = built
    for path in folder.glob("*.html"):
        text = path.read_text()
        page = Page(text)
        assert not {"script", "img", "iframe", "object", "link", "base", "form"} & set(page.tags)
        ids = [value for name, value in page.attributes if name == "id"]
        assert len(ids) == len(set(ids)), path.name
        inner = {v[1:] for n, v in page.attributes if n == "href" and v.startswith("#")}
        assert inner <= set(ids), (path.name, inner - set(ids))
        others = {v for n, v in page.attributes if n == "href" and not v.startswith(("#", "data:"))}
        assert all((folder / name).is_file() for name in others)


def test_what_answers_two_questions_is_drawn_once_on_the_page_of_all(make_study, publish, tmp_path):
    shutil.copytree(ROOT / "results" / "networks", tmp_path / "networks")
    arms = {"mixup": (0.0, 0.1), "norm": ("bn", "gn"), "shots": (5, 100)}
    study = make_study(name="mixes", factors=arms, primary=(), aa=None, seeds=range(2))
    publish(study, lambda cell: 0.8)
    full_report.build(tmp_path, tmp_path / "report", jobs=1)
    text = (tmp_path / "report" / "report.html").read_text()
    ids = [value for name, value in Page(text).attributes if name == "id"]
    assert len(ids) == len(set(ids)) and {"Q2-table-1", "Q4-figure-1"} <= set(ids)
    assert text.count('<a href="#Q2-table-1">stands above</a>') == 1  # T2.2 serves Q2 and Q5


def test_an_average_over_what_a_question_is_about_leads_no_page(make_study):
    factors = {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (2, 32)}
    study = make_study(factors=factors, primary=(), aa=None)
    alone = QUESTIONS["Q3"].alone
    gn = Contrast("GN", {"norm": "gn"}, {"norm": "bn"})
    assert not alone(study, gn)
    assert alone(study, replace(gn, at={"weight_std": True}))  # over batches alone
    assert alone(study, replace(gn, by={"weight_std": (True, False)}))
    assert not alone(study, Contrast("batch", {"batch_size": 32}, {"batch_size": 2}))


def test_an_item_about_a_factor_needs_a_study_that_sweeps_it(make_study):
    cells = report_items()["F3.11"][0].cells
    arms = {"norm": ("bn", "gn"), "weight_decay": (0.0, 1e-4)}
    assert cells.fits(make_study(factors=arms, primary=(), aa=None))
    assert not cells.fits(make_study(factors=arms | {"weight_decay": (1e-4,)}, primary=(), aa=None))
    assert not cells.fits(make_study())


def test_headings_go_down_one_level_at_a_time(built):
    for path in built[1].glob("*.html"):
        levels = [int(tag[1]) for tag in Page(path.read_text()).tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(below - above <= 1 for above, below in pairwise(levels)), path.name


def test_each_number_of_a_sentence_is_a_macro_and_the_macros_read_as_the_sentence(results):
    made = Macros()
    text = "gn beats bn at batch 2 by 7.2 points [-5.8, 8.7], n = 10 paired seeds, Holm p < 0.0001."
    name = made.sentence("ftTry", text)
    values = {"Diff": "7.2", "Low": "$-$5.8", "High": "8.7", "N": "10", "P": "0.0001", "Number": "2"}
    assert {made.defined[f"ftTry{role}"] for role in values} == set(values.values())
    read = made.defined[name]
    assert not re.search(r"\d", read)
    for macro in sorted(made.defined, key=len, reverse=True):
        read = read.replace(f"\\{macro}{{}}", made.defined[macro])
    assert read.replace("$-$", "-").replace(r"\textless{}", "<") == text


def test_macros_have_letters_only_and_no_name_twice(built):
    names = re.findall(r"\\newcommand\{\\([^}]*)\}", (built[1] / "macros.tex").read_text())
    assert len(names) == len(set(names)) > 20 and all(re.fullmatch("[A-Za-z]+", name) for name in names)
    assert name_of("shots-mini", "transfer at 10 shots") == "ftShotsMiniTransferAtOneZeroShots"
    used = re.findall(r"\\(ft[A-Za-z]+)\{\}", (built[1] / "report.tex").read_text())
    assert used and set(used) <= set(names)


def test_names_that_read_alike_stay_apart():
    made = Macros()
    assert [made.define("ftA", value) for value in "123"] == ["ftA", "ftAB", "ftAC"]


def test_hostile_strings_stay_text(make_study, publish, noise, tmp_path):
    contrasts = tuple(
        Contrast(payload, {"norm": "gn"}, {"norm": "bn"}, {"batch_size": 4 if index % 2 else 64})
        for index, payload in enumerate(PAYLOADS)
    )
    publish(make_study(question=" ".join(PAYLOADS), primary=contrasts, seeds=range(3)), accuracy(noise))
    made = full_report.build(tmp_path, tmp_path / "report", jobs=1)
    page = Page(made.path.read_text())
    assert not {"script", "img", "iframe", "object", "link", "base", "form"} & set(page.tags)
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert PAYLOADS[0] in page.text
    latex = "".join(path.read_text() for path in sorted((tmp_path / "report").glob("*.tex")))
    code = "\n".join(line for line in latex.splitlines() if not line.startswith("%"))
    assert r"\input{/etc" not in code and r"\frac" not in code


def test_a_study_of_ones_own_replaces_the_one_that_ships_which_is_not_touched(
    make_study, publish, noise, tmp_path
):
    store = publish(make_study(seeds=range(3)), lambda cell: accuracy(noise)(cell) if cell.seed else None)
    ships = tmp_path / "released" / store.name
    shutil.copytree(store.folder, ships)
    before = {path: path.stat().st_mtime_ns for path in ships.rglob("*")}
    made = full_report.build(tmp_path, tmp_path / "report", jobs=1)
    assert not made.complete and made.studies == 1
    assert any("incomplete" in line for line in made.told) and any("incomplete" in w for w in made.warnings)
    assert re.search('role="alert">[^<]*incomplete', (tmp_path / "report" / "report.html").read_text())
    text = (tmp_path / "report" / "macros.tex").read_text()
    assert "ftMadeUpCells" in text and "Released" not in text
    assert {path: path.stat().st_mtime_ns for path in ships.rglob("*")} == before


def test_the_list_is_whole_and_every_row_can_be_acted_on():
    ids = list(report_items())
    assert {f"F{q}" for q in ("1.1", "1.2", "3.5", "3.12", "4.1", "4.3")} | {"T2.2", "T5.2", "FE.1"} <= set(
        ids
    )
    assert (
        len(ids) == 37
        and ids[:5] == ["F1.1", "F1.2", "F1.3", "F1.4", "T1.5"]
        and ids[-2:] == ["FE.4", "FS.1"]
    )
    for name, (item, row) in report_items().items():
        assert item.questions and set(item.questions) <= set(QUESTIONS), name
        assert item.claim and item.tier in ("smoke", "report", NIGHTLY)
        assert item.fill or row.source == RESULTS, "a Fault names the command"


def test_what_cannot_be_reported_is_refused_in_words(tmp_path, capsys):
    with pytest.raises(Fault) as told:
        full_report.build(tmp_path, tmp_path / "report")
    assert told.value.code == BAD_INPUT and "fairtrial run norm" in told.value.block()
    assert main(["report", "--preset", "mini", "--results", str(tmp_path)]) == USAGE
    assert "no STUDY was given" in capsys.readouterr().err
    assert main(["report", "norm", "--to", str(tmp_path), "--results", str(tmp_path)]) == USAGE
