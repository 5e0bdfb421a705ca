"""LaTeX: a macro for every number in a sentence, so that a paper holds none typed by hand; and report.tex."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from fairtrial.reporting.report.questions import QUESTIONS
from fairtrial.reporting.wording import capital

if TYPE_CHECKING:
    from fairtrial.reporting.figures.figure_files import RenderedFigure
    from fairtrial.reporting.report.missing_items import CoveredItem
    from fairtrial.reporting.report.recorded_studies import RecordedStudy

MACROS: Final = "macros.tex"
_DIGITS: Final = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_NUMBER: Final = re.compile(r"(?:(?<!\w)-)?\d+(?:,\d{3})*(?:\.\d+)?")
_SPECIAL: Final = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"\ensuremath{\pm}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}  # fmt: skip
_ROLES: Final = (  # what stands before a number, what stands after it, what the number is
    (re.compile(r"\[$"), re.compile(""), "Low"),
    (re.compile(r"\[-?[\d.,]+, $"), re.compile(""), "High"),
    (re.compile(r"\bn = $"), re.compile(""), "N"),
    (re.compile(r"\bp [=<] $"), re.compile(""), "P"),
    (re.compile(r"±$"), re.compile(""), "Margin"),
    (re.compile(""), re.compile(r" (points|in test loss)"), "Diff"),
)


def escaped(text: str) -> str:
    """The text with everything escaped that LaTeX would act on; other scripts stay as they are."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def name_of(*words: str) -> str:
    """'ftNormSmallBatch': letters only, digits spelled; 'ft' alone where no word has any."""
    found = [part for word in words for part in re.findall(r"[A-Za-z]+|[0-9]", word)]
    return "ft" + "".join(_DIGITS[int(part)] if part.isdigit() else capital(part) for part in found)


class Macros:
    """Definitions in the order they were made; a name that is taken gets a letter."""

    def __init__(self) -> None:
        self.defined: dict[str, str] = {}
        self.lines: list[str] = []

    def heading(self, text: str) -> None:
        """A comment above a group."""
        self.lines += ["", f"% {text}"]

    def define(self, name: str, value: str) -> str:
        """Define a macro; the name that it got."""
        own = next(each for each in _names(name) if each not in self.defined)
        self.defined[own] = value
        self.lines.append(f"\\newcommand{{\\{own}}}{{{value}}}")
        return own

    def sentence(self, name: str, text: str) -> str:
        """Define each number of a sentence, then the sentence out of them; the name of the sentence."""
        parts, end = [], 0
        for match in _NUMBER.finditer(text):
            macro = self.define(name + _role(text, match), match[0].replace("-", "$-$"))
            parts += [escaped(text[end : match.start()]), f"\\{macro}{{}}"]
            end = match.end()
        return self.define(f"{name}Sentence", "".join([*parts, escaped(text[end:])]))

    def text(self) -> str:
        """The file."""
        head = "% Every number of the report, made by `fairtrial report`: \\input this in the preamble."
        return "\n".join([head, *self.lines]) + "\n"


def _names(name: str) -> Iterator[str]:
    yield name
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    round_ = 1
    while True:
        yield from (name + letter * round_ for letter in letters[1:])
        round_ += 1


def _role(text: str, match: re.Match[str]) -> str:
    before, after = text[: match.start()], text[match.end() :]
    return next(
        (role for left, right, role in _ROLES if left.search(before) and right.match(after)), "Number"
    )


def define(studies: Sequence[RecordedStudy]) -> tuple[Macros, dict[str, list[str]]]:
    """The macros of all studies, and for each study the names of its sentences, the A/A check last."""
    made, names = Macros(), {}
    for study in studies:
        results = study.verdicts.results
        made.heading(f"{study.name}, study hash {results.hash}")
        for word, number in _counts(study):
            made.define(name_of(study.key, word), f"{number:,}")
        names[study.key] = [
            made.sentence(name_of(study.key, finding.contrast.name), text)
            for finding, text in zip(study.verdicts.findings, study.verdicts.sentences, strict=True)
        ]
        if study.verdicts.control is not None:
            names[study.key].append(made.sentence(name_of(study.key, "AA"), study.verdicts.control.sentence))
    return made, names


def _counts(study: RecordedStudy) -> Iterable[tuple[str, int]]:
    results = study.verdicts.results
    yield "Cells", results.done
    yield "Seeds", len(results.seeds)
    yield "Arms", len(results.study.arms())
    yield "Failed", int(results.ended["failed"].sum())


def files(studies: Sequence[RecordedStudy], covered: Sequence[CoveredItem]) -> dict[str, str]:
    """Return macros.tex, and report.tex that sets sentences and figures with it."""
    macros, names = define(studies)
    lines = ["% \\input{macros} in the preamble, graphicx loaded; then \\input{report} where it belongs."]
    placed: set[str] = set()
    for key, question in QUESTIONS.items():
        lines += ["", f"\\subsection*{{{escaped(question.title)}}}"]
        for study in studies:
            about = study.sentences_about(question.about)
            # the A/A check has a name, and no contrast
            pairs = zip(study.verdicts.sentences, names[study.key], strict=False)
            macro_calls = [f"\\{name}{{}}" for sentence, name in pairs if sentence in about]
            lines += [f"\\paragraph{{{escaped(study.name)}}}", *macro_calls] if macro_calls else []
        own = [item for item in covered if item.item.questions[0] == key]
        for figure in (figure for item in own for _, figure in item.figures):
            lines += [] if figure.name in placed else _figure(figure)
            placed.add(figure.name)
    return {MACROS: macros.text(), "report.tex": "\n".join(lines) + "\n"}


def _figure(figure: RenderedFigure) -> list[str]:
    star = "*" if figure.wide else ""
    return [
        f"\\begin{{figure{star}}}",
        f"\\centering\\includegraphics{{figures/{figure.name}.pdf}}",
        f"\\caption{{{escaped(figure.full_caption)}}}\\label{{fig:{figure.name}}}",
        f"\\end{{figure{star}}}",
    ]
