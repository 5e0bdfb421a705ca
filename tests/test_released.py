"""What ships in results/released: whole records, and documents that say what these records say."""

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from fairtrial import weights
from fairtrial.cli.options import apply
from fairtrial.models.resnet import create_model
from fairtrial.reporting.figures import figure_files, style
from fairtrial.reporting.figures.figure_files import RenderedFigure
from fairtrial.reporting.readme_tables import BEGIN, END, with_contrasts, with_first, with_studies
from fairtrial.reporting.report import figure_registry, full_report
from fairtrial.reporting.report.missing_items import Drawings
from fairtrial.reporting.report.page_model import LONGEST_CAPTION
from fairtrial.reporting.report.questions import QUESTIONS
from fairtrial.reporting.report.study_report import build
from fairtrial.reporting.report_item import STUDY
from fairtrial.reporting.results.load import summary
from fairtrial.reporting.tables.table import csv_text, table_files
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.store import Store
from fairtrial.study.loader import find, load
from fairtrial.study.study import Study
from fairtrial.tuning.selection import expected_cells

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
UPSTREAM = ROOT / "results" / "upstream"
STUDIES = [UPSTREAM, *sorted(path for path in (ROOT / "results" / "released").iterdir() if path.is_dir())]


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """What ships is read once for all these tests: it is nine thousand files."""
    read, known = Store.attempts, cache(lambda folder: tuple(read(Store(folder))))

    def attempts(store):
        return list(known(store.folder)) if store.folder in STUDIES else read(store)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Store, "attempts", attempts)
        yield


@pytest.fixture(scope="module")
def judged():
    """The verdicts on a folder, made once."""
    return cache(lambda folder: judge_study(Store(folder)))


@pytest.fixture(scope="module")
def pages(judged):
    """The report over what ships, its files by name; figures of studies are read, others stay blank."""
    draw = full_report.draw

    def blank(name, caption, figure, formats):
        return RenderedFigure(name, caption, {"svg": b"<svg></svg>"}, figure.get_figwidth() > style.COLUMN)

    def drawn(task):
        if task.source != STUDY:
            return draw(task)
        told = (task.folder / "report.md").read_text()
        captions = dict(re.findall(r"!\[([^]]+)\]\([^)]+\)\n\nFigure \d+: (.+)", told))
        figures = []
        for path in sorted(task.folder.glob("figures/*.svg")):
            svg, name = path.read_bytes(), f"{task.key}-{path.stem}"
            wide = float(re.search(rb'width="([0-9.]+)pt"', svg)[1]) > 72 * style.COLUMN
            figures.append(RenderedFigure(name, captions[path.stem], {"svg": svg}, wide))
        return Drawings(task.key, figures, study=full_report.judge(task))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(full_report, "draw", drawn)
        patched.setattr(full_report, "judge_study", lambda store, partial: judged(store.folder))
        patched.setattr(figure_registry, "render", blank)
        patched.setattr(full_report, "table_files", lambda tables: {})  # only pages are read here
        return full_report.report_files(ROOT / "results", formats=(), jobs=1)[0]


def expected(study, attempts):
    """The ids of all cells that a study asks for, trials included, once its trials have chosen."""
    cells, trials = expected_cells(study, outcomes(attempts, study.failures))
    return {cell.id for cell in (*cells, *trials)}


@pytest.mark.parametrize("folder", STUDIES, ids=lambda path: path.name)
def test_a_released_study_is_complete_and_says_the_same_again(folder, judged):
    declared, attempts = Study.of(Store(folder).declared()["declaration"]), Store(folder).attempts()
    assert expected(declared, attempts) == {record.cell for record in attempts}
    made = judged(folder)
    assert csv_text(*summary(made.results)) == (folder / "summary.csv").read_text(encoding="utf-8")
    shipped = json.loads((folder / "verdicts.json").read_text())  # its last digits depend on scipy's version
    assert made.sentences == tuple(contrast["sentence"] for contrast in shipped["contrasts"])
    assert (made.control and made.control.sentence) == (shipped["aa"] and shipped["aa"]["sentence"])


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(path, id=path.name, marks=[] if path.name == "norm" else pytest.mark.soak)
        for path in STUDIES
    ],
)
def test_a_released_study_draws_the_same_again(folder, tmp_path, monkeypatch):
    for kind in ("pdf", "png"):  # svg alone: these are the figures that ship
        monkeypatch.delitem(figure_files._METADATA, kind)
    copy = tmp_path / folder.name
    for path in (*folder.glob("cells/*.json"), *folder.glob("calibration-*.json"), folder / "study.json"):
        (copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    build(Store(copy))
    assert (copy / "summary.csv").read_bytes() == (folder / "summary.csv").read_bytes()
    for path in folder.glob("figures/*.svg"):
        assert (copy / path.relative_to(folder)).is_file(), path.name


@pytest.mark.parametrize("folder", STUDIES, ids=lambda path: path.name)
def test_a_released_study_is_the_one_of_its_file(folder, tmp_path):
    """To run it again declares nothing anew: its contrasts stay confirmatory."""
    declared, attempts = Store(folder).declared()["declaration"], Store(folder).attempts()
    made = load(find(declared["study"]))
    preset = None if declared["preset"] == made.preset else declared["preset"]
    made = apply(made, preset=preset, data=declared["fixed"]["data"])
    assert expected(made, attempts) == {record.cell for record in attempts}
    store = Store.of(made, tmp_path)
    store.folder.mkdir()
    (store.folder / "study.json").write_bytes((folder / "study.json").read_bytes())
    store.declare(made)
    assert store.folder.name == folder.name
    assert (store.folder / "study.json").read_bytes() == (folder / "study.json").read_bytes()


def test_the_readme_quotes_what_the_records_say(judged):
    quoted = [line[2:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("> ")]
    every = [judged(folder) for folder in STUDIES]
    said = {sentence for made in every for sentence in made.sentences}
    said |= {made.control.sentence for made in every if made.control}
    assert quoted and set(quoted) <= said


def test_the_readme_shows_every_primary_contrast_of_the_studies_that_it_quotes():
    """Made anew by `python analysis/readme.py`."""
    readme = (ROOT / "README.md").read_text()
    assert with_contrasts(readme, ROOT / "results") == readme
    assert with_first(readme, ROOT / "results") == readme
    assert readme[readme.index(BEGIN) : readme.index(END)].count("(preset ") >= 3


def test_the_page_of_results_lists_every_study_that_ships():
    """Made anew by `python analysis/readme.py`."""
    page = (ROOT / "results" / "README.md").read_text()
    assert with_studies(page, ROOT / "results") == page
    assert all(f"]({folder.relative_to(ROOT / 'results')}/report.md)" in page for folder in STUDIES)


def test_a_study_that_a_reader_ran_again_is_not_quoted_twice(tmp_path):
    """The README's first command writes results/norm; its second one must pass after it."""
    readme = (ROOT / "README.md").read_text()
    for folder in (*STUDIES, ROOT / "results" / "released" / "norm"):
        part = "released" if folder.parent.name == "released" else ""
        own = tmp_path / part / folder.name
        own = tmp_path / folder.name if own.exists() else own
        own.mkdir(parents=True)
        for name in ("study.json", "verdicts.json"):
            (own / name).write_bytes((folder / name).read_bytes())
    assert (tmp_path / "norm" / "verdicts.json").is_file()
    assert with_contrasts(readme, tmp_path) == readme


def test_every_checkpoint_that_ships_loads_and_is_the_one_of_its_record():
    records = [each for each in Store(UPSTREAM).attempts() if each.settings.stage == "upstream"]
    assert len(records) == 20
    for record in records:
        settings, kept = record.settings, record.measured.checkpoint
        model = create_model(settings.model, 10, settings.norm, settings.weight_std)
        source = weights.load(model, UPSTREAM / "weights" / kept.file, head="zero")
        assert (source.sha256, source.metadata["seed"]) == (kept.sha256, record.seed)
    assert sum(path.stat().st_size for path in (UPSTREAM / "weights").iterdir()) <= 20e6


def test_the_page_on_the_ladder_has_the_table_of_its_records(judged):
    told = (ROOT / "docs" / "ladder.md").read_text()
    tables = figure_registry.tabulate_study(judged(ROOT / "results" / "released" / "ladder"))
    assert table_files(tables)["tables/ladder.md"].strip() in told


# the report over all that ships


class Outside(HTMLParser):
    """What a reader sees before any fold is opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hidden: list[str] = []
        self.words = self.figures = 0
        self.captions: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in ("details", "style", "svg", "title"):
            self.figures += tag == "svg" and not self.hidden
            self.hidden.append(tag)
        if tag == "figcaption":
            self.captions.append("")

    def handle_endtag(self, tag):
        if self.hidden and self.hidden[-1] == tag:
            self.hidden.pop()

    def handle_data(self, data):
        self.words += 0 if self.hidden else len(data.split())
        if self.lasttag in ("figcaption", "i") and self.captions and not self.hidden:
            self.captions[-1] += data


def test_a_page_keeps_to_what_a_reader_takes(pages):
    """About 8 screens of 1280x800: measured as 110 words, or a figure, a screen."""
    for question in QUESTIONS.values():
        text = pages[f"{question.slug}.html"]
        seen = Outside(text)
        assert seen.figures <= 6 and seen.words <= 1100, (question.slug, seen.figures, seen.words)
        assert all(len(caption.split()) <= LONGEST_CAPTION + 5 for caption in seen.captions)
        assert text.count('<div class="answer">') == 1
        answer = text.partition('<div class="answer">')[2].partition("</div>")[0]
        assert 1 <= answer.count("<p>") <= 4
        first = text.index("<figure")
        assert text.index('<div class="answer">') < first < text.index("<table")
    assert all(len(page) < 2_000_000 for name, page in pages.items() if name.endswith(".html"))
    assert Outside(pages["report.html"]).words < 4500


def test_each_sentence_of_statistics_has_a_plain_one_before_it(pages):
    text = pages["normalization.html"]
    sentences = re.findall(r'<li>([^<]+)<span class="small">([^<]+)</span></li>', text)
    assert len(sentences) > 30
    for plain, statistical in sentences:
        assert plain.strip().endswith(".") and not re.search(r"\bn = |Holm|\[", plain)
        assert ": " in statistical


def test_what_a_page_quotes_is_reconciled_in_a_line(pages):
    answer = pages["normalization.html"].partition('<div class="answer">')[2].partition("</div>")[0]
    summary = answer.rpartition("<p>")[2]
    assert re.search(r"In all, \d+ primary contrasts of \d+ studies: \d+ better, \d+ worse", summary)
    assert "decide" in summary and "on fewer than 6 units, to be read with care" in summary
    assert re.search(r"the verdict on .*GN\+WS against BN\b.* depends on the setting", summary)
    assert (
        "what GN+WS instead of BN is worth with another batch size" in summary
    )  # an interaction may be torn


def test_a_row_of_evidence_says_what_its_sentence_says(pages):
    """Of an equivalence both tell its own interval, and not that of the difference."""
    for name in ("normalization.html", "mixup.html"):
        rows = re.findall(r"<tr[^>]*>(.*?)</tr>", pages[name], re.DOTALL)
        cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
        equal = [row[4] for row in cells if len(row) == 7 and row[0].startswith("≡")]
        sentences = " ".join(re.findall(r'<span class="small">([^<]+)</span>', pages[name]))
        assert equal
        for shown in equal:
            number, _, limits = shown.partition(" ")
            assert re.search(rf"{re.escape(number)} points {re.escape(limits)}", sentences), shown


def test_what_decides_nothing_is_a_fold_away_and_counted(pages):
    text = pages["normalization.html"]
    shown, _, folded = text.partition("<h3>The evidence</h3>")[2].partition("<details>")
    folded = folded.partition("</details>")[0]
    assert "? inconclusive</td>" not in shown and "better</td>" in shown and "worse</td>" in shown
    rows = int(re.search(r"of fewer than 6 units: (\d+) rows", folded)[1])
    assert folded.count("? inconclusive</td>") >= 5 and folded.count("<tr") == rows + 1
    every = int(re.search(r"In all, (\d+) primary contrasts", text)[1])
    assert shown.count("<tr") - 1 + rows == every


def test_the_few_shot_page_opens_with_arms_at_settled_rates_and_the_whole_curve(pages):
    """`shots-mini` has a smaller p, rates below their best, and three numbers of images."""
    first, beside, *_ = re.findall(r"^- (.+)", pages["few-shot.md"], re.M)
    assert "study shots-curve" in first and "study shots-curve" in beside
    figure = re.search(r"^Figure 1\. .*", pages["few-shot.md"], re.M)[0]
    assert "released/shots-curve (preset mini, CIFAR-10)" in figure
    power = re.search(r"^Figure \d+\. Noise and power .*", pages["few-shot.md"], re.M)[0]
    assert "our study shots-curve, GN+WS fine-tuned, CIFAR-10, preset mini" in power


def test_no_page_opens_with_digits_where_real_images_were_asked_the_same(pages):
    """The page of norms opened with 3.9 points on digits, unsaid; on CIFAR-10 they are -2.8."""
    for question in QUESTIONS.values():
        opening = re.findall(r"^- (.+)", pages[f"{question.slug}.md"], re.M)[0]
        assert re.match(r"On (CIFAR-10|Tiny ImageNet), ", opening), question.slug
    other = next(
        line for line in pages["normalization.md"].splitlines() if line.startswith("- Other data, another")
    )
    assert "GN+WS against BN at batch 64 is worse on CIFAR-10 (norm-mini) and better on digits (batch)" in (
        other.replace("\\", "")
    )


def test_the_page_on_scope_says_how_small_the_networks_are_and_what_they_reach():
    text = (ROOT / "docs" / "scope.md").read_text()
    means = {}
    for name in ("norm-mini", "batch-mini"):
        table = pd.read_csv(ROOT / "results" / "released" / name / "summary.csv")
        table = table[table["replica"] == 0]
        assert set(table["examples"]) == {20480} and set(table["parameters"]) == {219482}
        arms = table.groupby(["norm", "weight_std", "batch_size"])["test_acc"].mean()
        means |= {(name, *arm): 100 * mean for arm, mean in arms.items()}
    low = {arm: mean for arm, mean in means.items() if mean < 40.5}
    rest = [mean for arm, mean in means.items() if arm not in low]
    assert {arm[1:]: round(mean) for arm, mean in low.items()} == {
        ("bn", False, 2): 32,
        ("gn", False, 64): 37,
    }
    assert "GN without WS at 37 %, BN with a batch of two at 32 %" in " ".join(text.split())
    assert f"at {min(rest):.0f} to {max(rest):.0f} % of the test images" in text
    assert "219 482 parameters" in text and "20 480 images" in text


def test_a_legend_of_terms_is_one_tap_away_and_the_verdict_stays_in_view(pages):
    for question in QUESTIONS.values():
        text = pages[f"{question.slug}.html"]
        head = text.partition("</header>")[0]
        assert "<summary>Terms used here</summary>" in head and "<dt>points</dt>" in head
        assert re.search(r"\.marked \{[^}]*position: sticky; left: 0", text)
