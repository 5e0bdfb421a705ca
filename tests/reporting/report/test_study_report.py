"""The whole report: what is written, that it repeats, and that nothing in a record can act in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fairtrial.reporting.report import study_page, study_report
from fairtrial.reporting.report.pdf_document import Line
from fairtrial.reporting.report.pdf_report import of_study
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.study.study import Contrast
from tests.reporting.judging import BN, GN_WS
from tests.support.elsewhere import elsewhere

ROOT = Path(__file__).parents[3]
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "--><svg onload=alert(1)>",
    "$\\frac{$ \\input{/etc/passwd} %&_#^~",
    "=cmd|'/c calc'!A1",
    "line\nbreak\x00\u202e | cell ](http://x) `code`",
)


class Page(HTMLParser):
    """What a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def accuracy(noise):
    def outcome(cell):
        gain = 0.05 if cell.levels["norm"] == "gn" and cell.levels["weight_std"] else 0.0
        return 0.8 + gain + 0.006 * noise(cell, "acc")

    return outcome


def in_a_new_process(folder: Path) -> subprocess.CompletedProcess:
    """Build it there, as another machine would."""
    code = (
        "import sys; from pathlib import Path; from fairtrial.storage.store import Store;"
        "from fairtrial.reporting.report import study_report;"
        "study_report.build(Store(Path(sys.argv[1]))); print('torch' in sys.modules)"
    )
    arguments = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(arguments, env=elsewhere(), capture_output=True, text=True, check=True)


def written(folder: Path) -> dict[str, bytes]:
    derived = (*folder.glob("figures/*"), *folder.glob("tables/*"), *folder.glob("report.*"))
    paths = [*derived, folder / "summary.csv", folder / "verdicts.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def everything(kept, request):
    """The store of a study and its report in every format, drawn once: these tests read it."""
    if not kept:
        make_study, publish, noise = map(request.getfixturevalue, ("make_study", "publish", "noise"))
        store = publish(make_study(), accuracy(noise))
        kept["everything"] = store, study_report.build(store)
    return kept["everything"]


@pytest.mark.every_format
def test_two_builds_are_byte_identical_whatever_the_machine_and_import_no_torch(everything, tmp_path):
    store, _ = everything
    copy = tmp_path / "elsewhere" / store.name
    shutil.copytree(store.folder, copy)
    for name in written(copy):
        (copy / name).unlink()
    assert in_a_new_process(copy).stdout.strip() == "False"
    first, second = written(store.folder), written(copy)
    assert first.keys() == second.keys() and len(first) >= 25
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.every_format
def test_everything_is_written_and_told(everything):
    store, made = everything
    assert made.complete and not made.alarm
    assert made.path == store.folder / "report.html"
    assert len(made.sentences) == 2 and made.sentences[1].startswith(("A/A: quiet", "A/A: no alarm"))
    assert {path.suffix for path in made.figures} == {".svg", ".pdf", ".png"}
    assert {path.suffix for path in made.tables} == {".csv", ".md", ".tex"}
    assert all(path.stat().st_size for path in (*made.figures, *made.tables))
    page = Page(made.path.read_text())
    for sentence in made.sentences:
        assert sentence in page.text
    assert (
        "preset embedded: digits, mini network trained from scratch; not a BiT result"
        in page.text.lower().replace("bit", "BiT")
    )
    told = json.loads((store.folder / "verdicts.json").read_text())
    assert [each["verdict"] for each in told["contrasts"]] == list(made.verdicts) == ["better"]
    assert told["aa"]["holds"] is True


@pytest.mark.parametrize("stage", ["downstream", "upstream"])
def test_a_study_without_an_a_a_arm_says_that_none_was_declared_and_pre_training_why(
    make_study, publish, noise, stage
):
    verdicts = judge_study(publish(make_study(aa=None, fixed={"stage": stage}), accuracy(noise)))
    why = ": pre-training keeps one checkpoint of each arm and seed, and a twin's would be a second one"
    said = f"No A/A arm was declared{why if stage == 'upstream' else ''}. Nothing shows that equal arms"
    content = study_page.facts(verdicts, {}), [], [], ()
    document = of_study(verdicts, [], [], {})
    assert said in Page(study_page.html(*content)).text
    assert said in study_page.markdown(*content)
    assert any(said in line.text for line in document.sections[0].blocks if isinstance(line, Line))


def test_each_figure_says_n_unit_and_interval_and_its_page_budget_preset_commit_and_hash(
    make_study, publish, noise
):
    store = publish(make_study(), lambda cell: "diverged" if cell.seed == 3 else accuracy(noise)(cell))
    study_report.build(store)
    text = (store.folder / "report.md").read_text().replace("\\", "")
    digest = store.declared()["history"][-1]["hash"][:8]
    figures = [part.partition("\n![")[0] for part in re.split(r"^Figure \d+: ", text, flags=re.M)[1:]]
    captions = [figure for figure in figures if "Dots" in figure]
    assert len(captions) == 3
    for caption in captions:
        for part in ("n = 10 seeds, the replication unit", "95 %", "t interval"):
            assert part in caption
    (origin,) = (line for line in text.splitlines() if "tudy hash" in line)
    for part in ("3,072 examples per run", "not a BiT result", "Commit 0123456", digest):
        assert part in origin
    assert "9 of 90 runs failed (10 %, 95 % Clopper-Pearson" in origin


def test_hostile_strings_stay_text(make_study, publish, noise):
    contrasts = tuple(
        Contrast(payload, GN_WS, BN, {"batch_size": 4 if index % 2 else 64})
        for index, payload in enumerate(PAYLOADS)
    )
    study = make_study(question=" ".join(PAYLOADS), primary=contrasts)
    origin = dict.fromkeys(("commit", "cpu", "device"), f"{PAYLOADS[0]} {PAYLOADS[1]}")

    def outcome(cell):
        return {"measured": {"test_acc": accuracy(noise)(cell)}, "origin": origin}

    store = publish(study, outcome)
    made = study_report.build(store)
    page = Page(made.path.read_text())
    assert not {"script", "img", "iframe", "object", "link", "base", "form"} & set(page.tags)
    assert page.tags.count("a") == 1  # to the verdicts
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert not any(value.strip().lower().startswith("javascript:") for _, value in page.attributes)
    assert {value[0] for name, value in page.attributes if name.endswith("href")} == {"#"}
    assert "49" not in page.text.split("Verdicts")[0].split("hash")[0]
    assert PAYLOADS[0] in page.text  # shown, as text
    markdown = made.path.with_suffix(".md").read_text()
    assert "<script" not in markdown.replace("\\<", "") and "](http" not in markdown.replace("\\]", "")
    latex = (store.folder / "tables" / "contrasts.tex").read_text()
    assert "\\input{/etc" not in latex.split("\n", 1)[1]
    cells = (store.folder / "tables" / "contrasts.csv").read_text().splitlines()
    assert any(line.startswith("'=cmd") for line in cells) and not any(line.startswith("=") for line in cells)


@pytest.mark.every_format
def test_the_page_loads_nothing(everything):
    text = everything[1].path.read_text()
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    for word in ("<script", "http://", "https://", "@import", "url(http"):
        assert word not in text.replace("http://www.w3.org/", "")
    ids = [value for name, value in Page(text).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_an_incomplete_study_is_drawn_without_intervals_and_says_so(make_study, publish, noise):
    store = publish(make_study(), lambda cell: accuracy(noise)(cell) if cell.seed < 4 else None)
    made = study_report.build(store)
    assert not made.complete and set(made.verdicts) == {"refused"}
    page = Page(made.path.read_text())
    assert "incomplete: 36 of 90 cells" in page.text and "no intervals" in page.text
    partial = study_report.build(store, allow_partial=True)
    assert set(partial.verdicts) == {"better"}
    assert "Incomplete: 36 of 90 cells" in Page(partial.path.read_text()).text


def test_the_alarm_stands_above_every_verdict(make_study, publish, noise):
    made = study_report.build(publish(make_study(), lambda cell: accuracy(noise)(cell) - 0.2 * cell.replica))
    assert made.alarm and made.warnings[0].startswith("A/A ALARM")
    text = Page(made.path.read_text()).text
    assert text.index("A/A ALARM") < text.index("Verdicts")


def test_a_cell_that_failed_three_times_is_named_with_its_reason(make_study, publish, noise):
    def outcome(cell):
        lost = cell.arm == "bn, batch 4" and (cell.seed == 2 or (cell.seed == 3 and attempt == 1))
        error = {"what": "no space left", "where": "data.py:7"}
        return {"status": "error", "error": error} if lost else accuracy(noise)(cell)

    for attempt in (1, 2, 3):
        store = publish(make_study(), outcome, attempt=attempt)
    made = study_report.build(store)
    (named,) = [warning for warning in made.warnings if warning.startswith("failed")]
    assert named == "failed: bn, batch 4, seed 2 broke: no space left (data.py:7); 3 attempts failed"
    assert named in Page(made.path.read_text()).text


def test_cells_that_failed_once_are_named_with_their_reason_and_many_are_counted(make_study, publish, noise):
    def outcome(cell):
        error = {"what": "no space left", "where": "data.py:7"}
        return {"status": "error", "error": error} if cell.arm == "bn, batch 4" else accuracy(noise)(cell)

    made = study_report.build(publish(make_study(seeds=range(12)), outcome))
    named = [warning for warning in made.warnings if warning.startswith("failed")]
    assert named[0] == "failed: bn, batch 4, seed 0 broke: no space left (data.py:7)"
    assert len(named) == 11 and named[-1] == "failed: 2 further cells failed and would be tried again"
    assert named[0] in Page(made.path.read_text()).text


def test_the_summary_knows_no_clock_and_no_attempt(make_study, publish, noise, tmp_path):
    study = make_study()

    def slower(cell):
        return {"measured": {"test_acc": accuracy(noise)(cell)}, "spent": {"train_s": 99.0}}

    store = publish(study, accuracy(noise))
    study_report.build(store)
    first = (store.folder / "summary.csv").read_bytes()
    shutil.rmtree(store.folder)
    store = publish(study, slower, attempt=3)
    study_report.build(store)
    assert (store.folder / "summary.csv").read_bytes() == first
    lines = first.decode().splitlines()
    assert len(lines) == 1 + 90
    assert [line.split(",")[0] for line in lines[1:]] == [cell.id for cell in study.cells()]


def test_nothing_under_results_is_run(make_study, publish, noise):
    store = publish(make_study(seeds=range(3)), accuracy(noise))
    canary = store.folder / "canary"
    for name in ("report.py", "page.html", "conftest.py", "matplotlibrc", "sitecustomize.py"):
        (store.folder / name).write_text(f"open({str(canary)!r}, 'w')\n{{{{ 1 / 0 }}}}")
    study_report.build(store)
    assert not canary.exists()


@pytest.mark.parametrize(
    "factors, contrast",
    [
        ({"norm": ("bn", "gn", "ln")}, Contrast("a", {"norm": "gn"}, {"norm": "bn"})),
        ({"mixup": (0.0, 0.1, 0.4), "shots": (1, 5, "all")}, Contrast("b", {"mixup": 0.1}, {"mixup": 0.0})),
        (
            {"stat_batch": (None, 4, 16), "norm": ("bn",)},
            Contrast("c", {"stat_batch": 4}, {"stat_batch": None}),
        ),
    ],
)
def test_other_studies_are_drawn_too(make_study, publish, noise, factors, contrast):
    study = make_study(factors=factors, primary=contrast, aa=None, seeds=range(4))
    made = study_report.build(publish(study, lambda cell: 0.8 + 0.01 * noise(cell, "acc")))
    assert made.complete and len(made.sentences) == 1


def test_a_study_without_contrasts_still_has_a_report(make_study, publish, noise):
    made = study_report.build(publish(make_study(primary=(), seeds=(0,)), accuracy(noise)))
    assert made.sentences[0].startswith("A/A: undecided")
    assert "declares no contrast" in made.path.read_text()


def test_what_is_known_of_the_data_is_told_once(make_study, publish, noise):
    """D10: the note that an opened data set carries."""
    note = "3.25 % of the test images have a near duplicate <b>in training</b>"
    store = publish(
        make_study(),
        lambda cell: {
            "measured": {"test_acc": 0.8 + 0.01 * noise(cell, "a")},
            "drawn": {"data_notes": [note]},
        },
    )
    made = study_report.build(store)
    assert [warning for warning in made.warnings if warning.startswith("data:")] == [f"data: {note}"]
    assert "near duplicate <b>in" not in made.path.read_text()
