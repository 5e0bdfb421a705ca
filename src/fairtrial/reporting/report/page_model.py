"""What a page of the report holds, as plain data; HTML, Markdown and PDF are set from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairtrial.reporting.figures.figure_files import RenderedFigure
    from fairtrial.reporting.tables.table import Table

TITLES: Final = {  # of the figures and tables of a study
    "contrasts": "Declared contrasts",
    "sensitivity": "Sensitivity to the learning rate",
    "crossover": "Who leads at each step and each second",
    "norm-by-weight-std": "Norm and weight standardization, crossed",
    "ladder": "What each step earns",
    "arms": "Accuracy of each arm",
    "pairing": "What pairing buys",
    "variance": "Where the spread comes from",
    "budget-parity": "What each arm spent",
    "fairness": "Fairness checks",
    "tuning": "How the rates were chosen",
    "common-rate": "The contrasts at one common rate",
    "anova": "Analysis of variance",
}
TERMS: Final = (  # the legend of each page
    (
        "BN, GN, WS",
        "BatchNorm, GroupNorm, Weight Standardization: ways to keep the numbers in a network in range",
    ),
    ("seed", "one repetition: images, order and, where nothing is pre-trained, initial weights of all arms"),
    ("arm", "one way to train, such as gn+ws; a contrast compares two arms"),
    ("points", "of 100 test images, how many more are recognized"),
    (
        "[low, high]",
        "where the mean difference lies: 95 of 100 such intervals hold it, or as many as is named",
    ),
    ("n-shot", "trained on n images of each class"),
    ("upstream checkpoint", "a pre-trained network that runs start from"),
    ("margin", "the smallest difference that matters, declared before the runs"),
    ("n", "how many independent repetitions the interval is made of"),
    ("better, worse", "the interval leaves out 0"),
    ("equivalent", "the difference is shown to be too small to matter"),
    ("undecided", "neither could be shown with these runs; inconclusive in the table"),
    (
        "Holm p",
        "how surprising the difference would be if there were none, corrected for all contrasts of a study",
    ),
    ("A/A", "one arm run twice, with other draws: a check that equal arms come out equal"),
    ("confirmatory", "declared before the runs; exploratory is what was asked afterwards"),
    ("embedded, mini", "small settings for a laptop; neither is BiT itself"),
)
LONGEST_CAPTION: Final = 60  # words that stand under a figure; the rest is its notes
_SENTENCE_END: Final = re.compile(r"(?<=[.?])\s+(?=[A-Z0-9])")


@dataclass(frozen=True, eq=False)
class NumberedFigure:
    """One figure on a page. plain: a sentence for readers outside the field, before the caption.

    source: the study or bench that it was drawn from. notes: what a caption of LONGEST_CAPTION words has no
    room for.
    """

    number: int
    title: str
    plain: str
    source: str
    caption: str
    notes: str
    figure: RenderedFigure


@dataclass(frozen=True, eq=False)
class NumberedTable:
    """One table on a page. plain: a sentence for readers outside the field."""

    number: int
    title: str
    plain: str
    table: Table


@dataclass(frozen=True)
class LinkedFigure:
    """A figure that has no place on the page: its file, its title, where it comes from."""

    name: str
    title: str
    source: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """A table of the primary contrasts, and each sentence behind it: (plain one, statistical one, study).

    deciding: so many of its rows, the first ones, settle something with enough units.
    """

    table: NumberedTable | None
    sentences: tuple[tuple[str, str, str], ...]
    secondary: Table | None = None
    deciding: int = 0


@dataclass(frozen=True, eq=False)
class QuestionPage:
    """One question: the answer and the figure that shows it, then what explains it, then the evidence.

    answer: at most four sentences, the last one reconciles the evidence. sources: (key, name, line of
    provenance) of each study that the page quotes. missing: (id, title, what would make it). alarms: of the
    warnings those that nobody may miss.
    """

    key: str
    slug: str
    title: str
    asks: str
    answer: tuple[str, ...]
    main: NumberedFigure | None
    explaining: tuple[NumberedFigure, ...]
    tables: tuple[NumberedTable, ...]
    evidence: Evidence
    may: tuple[str, ...]
    may_not: tuple[str, ...]
    more: tuple[LinkedFigure, ...] = ()
    more_tables: tuple[Table, ...] = ()
    missing: tuple[tuple[str, str, str], ...] = ()
    sources: tuple[tuple[str, str, str], ...] = ()
    alarms: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def split_caption(caption: str) -> tuple[str, str]:
    """Return the first whole sentences of at most LONGEST_CAPTION words, and what follows them."""
    sentences = _SENTENCE_END.split(caption.strip())
    taken, words = 0, 0
    for sentence in sentences:
        words += len(sentence.split())
        if words > LONGEST_CAPTION:
            break
        taken += 1
    if taken:
        return " ".join(sentences[:taken]), " ".join(sentences[taken:])
    first = re.split(r"(?<=;)\s", sentences[0])  # one long sentence ends at a semicolon
    part, rest = " ".join(first[:1]).rstrip(";"), " ".join([*first[1:], *sentences[1:]])
    short = part.split()
    if len(short) > LONGEST_CAPTION:
        part, rest = " ".join(short[:LONGEST_CAPTION]) + " ...", caption
    return part if part.endswith((".", "...")) else f"{part}.", rest


def title_of(name: str) -> str:
    """Return the title of a figure or table of a study: 'Test accuracy by batch size'."""
    return TITLES.get(name) or re.sub("[-_]", " ", name).replace(" acc ", " accuracy ").capitalize()


def without_provenance(caption: str, provenance: str) -> str:
    """Return a caption without what its page says once."""
    return caption.removesuffix(provenance).rstrip()
