"""The report that is handed in: what it says and in which order, that it repeats, and that nothing is cut."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from fairtrial.cli.main import main
from fairtrial.errors import DONE, USAGE
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import RenderedFigure
from fairtrial.reporting.report import full_report
from fairtrial.reporting.report.missing_items import Drawings
from fairtrial.reporting.report.page_model import Evidence, NumberedFigure, NumberedTable, QuestionPage
from fairtrial.reporting.report.pdf_document import Document, Line, Section, Tabular, typeset
from fairtrial.reporting.report.pdf_questions import of_questions
from fairtrial.reporting.report.pdf_report import of_study
from fairtrial.reporting.report.questions import QUESTIONS
from fairtrial.reporting.report.study_report import report_files
from fairtrial.reporting.report_item import STUDY
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.loader import load
from tests.reporting.conftest import ORIGIN, made_up
from tests.support import studies

ENDED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
QUESTION = r"Does #norm help $x$ of a_b, \"n\" <b>at</b> @bn [1] *much* // 😀 ≡ £?"
NAME = r"#let x = $1$; \\ {small}" + "wide" * 40
A4 = (595.3, 841.9)  # points
MARGIN = 42.5  # points, 15 mm: a table that does not fit comes nearer to an edge


@pytest.fixture(scope="module")
def typst():
    return pytest.importorskip("typst", reason="the extra pdf is not installed")


@pytest.fixture(scope="module")
def built(typst, tmp_path_factory):
    """A study whose texts are markup to somebody, its records, and its report with --pdf."""
    folder = tmp_path_factory.mktemp("pdf")
    edits = [("Does GN beat BN when the batch is small?", QUESTION), ('"small batch"', f'r"{NAME}"')]
    path = studies.write(folder, *edits, ("question=", "question=r"), ("examples=64", "examples=3072"))
    study = load(path)
    store = Store.of(study, folder / "results")
    store.folder.mkdir(parents=True)
    store.declare(study)
    origin = ORIGIN | {"declaration": store.hashes()[-1]}
    for cell in study.cells():
        acc = 0.8 + 0.01 * cell.seed + (0.1 if cell.levels["norm"] == "gn" else 0)
        record = attempt_record(store.name, cell_message(cell), 1, made_up(cell, acc), origin)
        store.publish(replace(record, provenance=replace(record.provenance, ended=ENDED.timestamp())))
    assert main(["report", str(path), "--pdf", "--results", str(folder / "results")]) == DONE
    return store.folder


@pytest.fixture(scope="module")
def pages(built):
    """The text of every page."""
    return texts(built / "report.pdf")


@pytest.fixture(scope="module")
def text(pages):
    return squeezed("".join(page.get_text_range() for page in pages))


def texts(path):
    pdfium = pytest.importorskip("pypdfium2", reason="the extra dev is not installed")
    return [page.get_textpage() for page in pdfium.PdfDocument(path)]


def squeezed(text: str) -> str:
    """Without what a line break adds: spaces and hyphens."""
    return re.sub(r"[\s\x02\x00\ufffe\xad\u200b-]", "", text)


def test_it_says_the_answer_first_then_the_rest_in_order(built, pages, text):
    for said in json.loads((built / "verdicts.json").read_text())["contrasts"]:
        assert squeezed(said["sentence"]) in text
    headings = (
        "1Answer",
        "2Results",
        "3Whatwasrun",
        "4Warnings",
        "5Howtoreadtheverdicts",
        "References",
        "ATables",
    )
    at = [text.index(heading) for heading in headings]
    assert at == sorted(at) and len(pages) == 3
    captions = re.findall(r"(Figure|Table)(\d)\.[A-Z]", text)
    assert sorted(captions) == [("Figure", n) for n in "12"] + [("Table", n) for n in "1234"]
    first = pages[0].get_text_range()
    tops = [pages[0].get_charbox(first.index(part))[3] for part in ("1 Answer", "Figure 1.", "Figure 2.")]
    assert tops == sorted(tops, reverse=True)
    assert text.count("studyhash") == 0 and text.count("hash") == 1  # provenance once


def test_texts_of_users_are_printed_as_they_are(text):
    assert squeezed(QUESTION) in text and squeezed(NAME) in text


def test_nothing_is_cut(pages):
    uncut(pages)


def uncut(pages):
    for page in pages:
        boxes = [page.get_charbox(i) for i in range(page.count_chars()) if page.get_text_range(i, 1).strip()]
        left, bottom, right, top = zip(*boxes, strict=True)
        assert min(left) >= MARGIN and max(right) <= A4[0] - MARGIN
        assert min(bottom) >= MARGIN / 2 and max(top) <= A4[1] - MARGIN / 2


@pytest.mark.every_format
def test_equal_records_give_equal_bytes_anywhere_and_the_date_of_the_last_run(built, tmp_path):
    copy = tmp_path / "elsewhere" / built.name
    shutil.copytree(built, copy, ignore=shutil.ignore_patterns("report*", "figures", "tables"))
    data = (built / "report.pdf").read_bytes()
    assert report_files(judge_study(Store(copy)), ("pdf",), pdf=True)["report.pdf"] == data
    assert b"D:20260304050607" in data and str(built.parent.parent).encode() not in data


def test_without_the_extra_one_block_names_the_command_before_anything_is_drawn(built, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "typst" else found(name))
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    study = built.parent.parent / "small.py"
    assert main(["report", str(study), "--pdf", "--results", str(built.parent)]) == USAGE
    said = capsys.readouterr().err
    assert said.count("error:") == 1 and 'pip install "fairtrial[pdf]"' in said
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before


def judged_only(draw, tasks, jobs):
    return [Drawings(t.key, study=full_report.judge(t) if t.source == STUDY else None) for t in tasks]


@pytest.fixture(scope="module")
def whole(built):
    """The report over all studies with --pdf, without drawings: the texts of its pages."""
    folder = built.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_report, "in_processes", judged_only)
        assert main(["report", "--pdf", "--results", str(folder), "--to", str(folder / "whole")]) == DONE
    return texts(folder / "whole" / "report.pdf")


def test_all_questions_are_one_document_answers_first(built, whole):
    text = squeezed("".join(page.get_text_range() for page in whole))
    asked = [text.index(squeezed(question.asks)) for question in QUESTIONS.values()]
    sections = [text.index(squeezed(f"{n} {q.title}")) for n, q in enumerate(QUESTIONS.values(), 2)]
    at = [*asked, *sections, text.index("References"), text.index("AEveryverdict")]
    assert at == sorted(at)
    for said in json.loads((built / "verdicts.json").read_text())["contrasts"]:
        assert text.count(squeezed(said["sentence"])) == 1
    assert (
        text.count("Studyhash") == 1
        and "GroupNorm,WeightStandardization,BatchNorm:everyprimarycontrast" in text
    )
    uncut(whole)


def drawn_page(built, *, names=("contrasts",), table=None):
    """A page of a question with drawings as wide as a column, and evidence."""
    data = (built / "figures" / "contrasts.pdf").read_bytes()
    figures = [RenderedFigure(name, "", {"pdf": data}, wide=False, provenance="budget") for name in names]
    main, *others = (
        NumberedFigure(n, "One_title", "Plain *words*.", "study", "A caption.", "The rest.", figure)
        for n, figure in enumerate(figures, 1)
    )
    return QuestionPage(
        "Q1", "a", "First", "Why?", ("So.",), main, tuple(others), (), Evidence(table, ()), (), ()
    )


def pages_of(document, folder):
    write_files(folder, {"made.pdf": typeset(document)})
    return texts(folder / "made.pdf")


def test_a_figure_or_evidence_of_two_questions_stands_once_and_its_notes_follow(typst, built, tmp_path):
    frame = pd.DataFrame({"verdict": ["better"], "study": ["(study up)"]})
    evidence = NumberedTable(1, "", "Plain.", Table("evidence", "Every contrast.", frame))
    page = drawn_page(built, table=evidence)
    document = of_questions([page, replace(page, slug="b", title="Second", alarms=("up: mixed code",))], [])
    assert document.alarms == ("up: mixed code",)
    text = squeezed("".join(page.get_text_range() for page in pages_of(document, tmp_path)))
    assert text.count("Figure1.One_title.Plain*words*.Acaption.From:study.") == 1
    shown = "Shownin:One_title(Figure1),First:everyprimarycontrast(Table1)."
    assert text.count(shown) == 2 and text.count("Figure1.Therest.") == 1
    assert text.count("(studyup)") == 1 and "Table2" not in text


def test_notes_stand_in_the_text_beside_the_last_figures(typst, built, tmp_path):
    """In the appendix they left the page half white on which the last figures of shots-curve stand."""
    data = (built / "figures" / "contrasts.pdf").read_bytes()
    caption = "What is drawn. " + "One more thing is said of it. " * 30
    figures = [RenderedFigure(f"drawn-{n}", caption, {"pdf": data}, wide=True) for n in range(7)]
    document = of_study(judge_study(Store(built)), figures, [], {})
    sheets = [squeezed(page.get_text_range()) for page in pages_of(document, tmp_path)]
    text = "".join(sheets)
    assert text.index("6Notesonthefigures") < text.index("References") and "ANotes" not in text
    (last,) = [sheet for sheet in sheets if "Figure7.Drawn6.Whatisdrawn." in sheet]
    assert last.count("Onemorethingissaidofit.") > 30  # of captions alone: 9 each


def plain(paragraphs, blocks=()):
    """A document of so many paragraphs of a hundred words, with these blocks at its end."""
    cites = ("bit", "bn", "gn", "ws")
    lines = tuple(Line("word " * 100, f"Paragraph {number}.", cites=cites) for number in range(paragraphs))
    sections, appendix = (Section("Text", lines),), (Section("Tables", tuple(blocks)),)
    return Document("Title", "Subtitle", ENDED, "maker", sections, appendix=appendix)


def feet(page):
    """How low the letters of each column end, in points; header and footer do not count."""
    letters = [i for i in range(page.count_chars()) if page.get_text_range(i, 1).strip()]
    boxes = [box for i in letters if 60 < (box := page.get_charbox(i))[1] < A4[1] - 60]
    return [min(box[1] for box in boxes if (box[0] > A4[0] / 2) == side) for side in (False, True)]


@pytest.mark.parametrize("paragraphs", [15, 17, 19])
def test_no_page_of_the_text_ends_in_an_empty_column(typst, tmp_path, paragraphs):
    """The fourth page of transfer-mini had notes and references on its left, and nothing on its right."""
    _, text, references = pages_of(plain(paragraphs), tmp_path)
    for page, line in ((text, 210), (references, 80)):  # points of a paragraph, of two works
        left, right = feet(page)
        assert abs(left - right) < line


def test_columns_that_had_no_room_are_below_with_the_rows_that_say_something_there(typst, tmp_path):
    """Eleven published rows of the main table stood there with their names alone."""
    wide = {f"column number {number}": ["a cell of several words, ours", ""] for number in range(12)}
    table = Table("main", "", pd.DataFrame({"arm": ["here", "published"], "all": ["1", "2"], **wide}))
    _, sheet = pages_of(plain(1, [Tabular("main", table, "Main.", "")]), tmp_path)
    text = squeezed(sheet.get_text_range())
    assert text.count("here") > 1 and text.count("published") == 1


def test_a_fault_of_typst_in_its_tags_costs_no_document(typst, built, tmp_path, monkeypatch):
    """Of norm at mini an "internal error" was all that came of --pdf; what else it says is a fault."""
    compiled, asked = typst.compile, []

    def tried(*given, **how):
        asked.append(how.get("pdf_tags", True))
        if asked[-1] and said:
            raise typst.TypstError(said)
        return compiled(*given, **how)

    monkeypatch.setattr(typst, "compile", tried)
    document, said = of_questions([drawn_page(built)], []), "internal error: parent group (occurred at ...)"
    assert "One_title" in pages_of(document, tmp_path)[0].get_text_range() and asked == [True, False]
    said = "label `<a>` does not exist in the document"
    with pytest.raises(typst.TypstError, match="does not exist"):
        typeset(document)


def test_what_moves_on_stands_above_the_text_and_the_answer_above_what_is_drawn(typst, built, tmp_path):
    page = replace(drawn_page(built, names=[f"drawn-{n}" for n in range(16)]), may=("It is so.",) * 90)
    sheets = pages_of(of_questions([page], []), tmp_path)
    tops = []
    for sheet, said in zip(sheets, ("1 Answers", "It is so."), strict=False):
        text = sheet.get_text_range()
        tops.append([sheet.get_charbox(text.index(word))[3] for word in ("One_title. Plain", said)])
    (drawn, answer), (moved, rest) = tops
    assert drawn < answer and moved > rest
