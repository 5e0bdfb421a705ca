"""What a study's page says first: its answer, each verdict in plain words, short captions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairtrial.reporting.report import study_page
from fairtrial.reporting.report.page_model import LONGEST_CAPTION
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.study.study import Contrast
from tests.reporting.report.pages import PLAIN

ROOT = Path(__file__).parents[3]
TITLE_WORDS = 12


def test_a_page_begins_with_the_answer_and_says_each_verdict_in_plain_words_first(page):
    text = page.read_text()
    places = (
        "<h1>",
        "<summary>Terms used here",
        '<div class="answer">',
        "<figure>",
        ">Verdicts</h2>",
        "<table",
    )
    assert sorted(places, key=text.index) == list(places)
    answer = re.findall("<p>(.+)</p>", text.partition('<div class="answer">')[2].partition("</div>")[0])
    assert 1 <= len(answer) <= 3 and answer[-1].startswith("In all, 1 primary contrast: ")
    cards = re.findall(r"</span></p>\n<p>([^<]+)</p>\n<p class=\"small\">([^<]+)</p>", text)
    assert len(cards) == text.count('<section class="card') == 1
    for plain, statistical in cards:
        assert plain.endswith(".") and not re.search(r"\bn = |Holm|\[", plain)
        assert re.search(r"\bn = \d", statistical)


def test_the_answer_begins_with_what_was_declared_first_whatever_came_of_it(make_study, publish, noise):
    """Of the study of norms on CIFAR-10, which asks of small batches, the larger batch led by its p."""
    first, second = (Contrast(f"at {b}", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": b}) for b in (4, 64))
    study = make_study(**PLAIN | {"primary": (first, second), "seeds": range(8)})

    def outcome(cell):
        gain = 0.1 if cell.levels == {"norm": "gn", "batch_size": 64} else 0.0
        return 0.7 + gain + noise(cell, "acc") / 100

    told = study_page.facts(judge_study(publish(study, outcome)), {})["answer"]
    assert told[0].startswith("These runs cannot tell whether GN or BN is better at batch 4 (8 seeds, ")
    assert re.match(
        r"GN gets (9|10)\.\d more of 100 test images right than BN at batch 64 \(8 seeds, ", told[1]
    )
    assert told[2] == 'In all, 2 primary contrasts: 1 better and 1 undecided; "at 64" decides.'


def test_captions_are_short_and_where_the_numbers_come_from_is_said_once(page):
    text = page.read_text()
    captions = re.findall(r"<figcaption>Figure \d+: [^.]+\. ([^<]*)</figcaption>", text)
    assert len(captions) > 1 and all(0 < len(each.split()) <= LONGEST_CAPTION for each in captions)
    assert text.count("tudy hash") == text.count("Commit ") == text.count("not a BiT result") == 1
    assert text.count("tudy hash", 0, text.index("</header>")) == 1


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/**/report.md")), ids=lambda path: path.parent.name)
def test_the_released_pages_keep_to_what_a_reader_takes(path):
    """Their texts: the answer, then one figure, then the verdicts; captions short, provenance once."""
    if not (path.parent / "study.json").exists():
        return
    text = path.read_text()
    head, _, rest = text.partition("\n![")
    assert 1 <= len(re.findall("^- ", head, re.M)) <= 3
    assert rest.index("\nFigure 1: ") < rest.index("\n## Verdicts\n") < rest.index("\n![")
    verdicts = re.findall(r"^- \*\*[a-z ]+\*\*: (.+)\n  - (.+)", rest, re.M)
    assert len(verdicts) == rest.count("\n- **")
    for plain, statistical in verdicts:
        assert plain.endswith(".") and not re.search(r"\bn = |Holm", plain) and "n = " in statistical
    captions = re.findall(r"^Figure \d+: (.+)", text, re.M)
    assert captions and all(len(each.split()) <= LONGEST_CAPTION + TITLE_WORDS for each in captions)
    assert text.count("tudy hash") == 1


def test_a_page_whose_contrasts_are_all_secondary_opens_with_the_first_of_them(make_study, publish, noise):
    """It said that no contrast was declared, above a verdict."""
    contrast = Contrast("at 4", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": 4})
    study = make_study(**PLAIN | {"primary": (), "secondary": (contrast,), "seeds": range(8)})
    store = publish(study, lambda cell: 0.7 + noise(cell, "acc") / 100)
    told = study_page.facts(judge_study(store), {})["answer"]
    assert told[0].startswith("These runs cannot tell whether GN or BN is better at batch 4 (8 seeds, ")
    assert told[-1] == "In all, 1 secondary contrast: 1 undecided."


def test_the_second_sentence_speaks_of_another_comparison_before_another_setting_of_the_first(
    make_study, publish, noise
):
    gn, bn = {"norm": "gn"}, {"norm": "bn"}
    primary = (
        Contrast("at 4", gn, bn, {"batch_size": 4}),
        Contrast("at 64", gn, bn, {"batch_size": 64}),
        Contrast("batch", {"batch_size": 4}, {"batch_size": 64}, bn),
    )

    def outcome(cell):
        gain = {("gn", 4): 0.1, ("gn", 64): -0.3}.get((cell.levels["norm"], cell.levels["batch_size"]), 0.0)
        return 0.7 + gain - 0.1 * (cell.levels == {"norm": "bn", "batch_size": 4}) + noise(cell, "acc") / 100

    study = make_study(**PLAIN | {"primary": primary, "seeds": range(8)})
    told = study_page.facts(judge_study(publish(study, outcome)), {})["answer"]
    assert told[1].startswith("Batch 4 gets ") and "than batch 64 with BN" in told[1]
