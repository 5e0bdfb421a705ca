"""Findings on one question, or of one study -> plain sentences in order, and how they fit together."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from fairtrial.reporting.verdicts.sentences import arms, change_words, helps, levels_of_by
from fairtrial.reporting.wording import capital, clean, fixed, listed, plural
from fairtrial.study.factors import spaced

if TYPE_CHECKING:
    from fairtrial.reporting.report.questions import Question
    from fairtrial.reporting.verdicts.rulings import Finding
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
    from fairtrial.study.contrast import Contrast

# Below six units the exact sign-flip test cannot reject at 0.05 (2 / 2^5 = 0.06): `stats.sign_flip_p`.
ENOUGH: Final = 6
_ABBREVIATED: Final = re.compile(r"\b(bn|gn|ln|ws|sws|frn)\b")
_TURNED: Final = {"better": "worse", "worse": "better"}
_SIZED: Final = ("better", "worse", "different_but_negligible")  # verdicts whose plain sentence has a size
_DECIDED: Final = (*_SIZED, "equivalent")
_MOST_NAMED: Final = 3  # contrasts of one study; more are counted
_COUNTED: Final = {
    "better": "better", "worse": "worse", "equivalent": "equivalent",
    "different_but_negligible": "negligible", "inconclusive": "undecided", "refused": "refused",
}  # fmt: skip


class Source(NamedTuple):
    """The study that says it. key: as pages name it; name: with its preset."""

    key: str
    name: str


@dataclass(frozen=True, eq=False)
class Said:
    """One finding of a study on a question, with its statistical sentence.

    alone: `Question.alone`. levels: how many the study has of a factor at whose level the contrast is read.
    """

    study: Source
    finding: Finding
    sentence: str
    primary: bool
    alone: bool
    levels: int = 1

    @property
    def settled(self) -> bool:
        """Whether nothing leaves open that its arms had their best settings."""
        return not self.finding.open_choices

    @property
    def decides(self) -> bool:
        """Whether it settles something, with enough units that one of them cannot."""
        return self.finding.verdict in _DECIDED and self.finding.n >= ENOUGH


def said_of(verdicts: StudyVerdicts, source: Source, question: Question | None = None) -> list[Said]:
    """Return the findings of a study that speak of a question; without one, every finding."""
    declared = verdicts.results.study
    primary = {contrast.name for contrast in declared.primary_contrasts}
    found = []
    for finding, sentence in zip(verdicts.findings, verdicts.sentences, strict=True):
        contrast = finding.contrast
        if question is None or question.about(declared, contrast):
            alone = question is None or question.alone(declared, contrast)
            levels = max((len(declared.factors.get(name, ())) for name in contrast.at), default=1)
            found.append(Said(source, finding, sentence, contrast.name in primary, alone, levels))
    return found


def in_order(said: Sequence[Said]) -> list[Said]:
    """Return what decides first: primary, of the question alone, decided, enough units, settled, by its p.

    Of equal evidence, a point of a curve comes before one of a study with fewer points.
    """

    def rank(one: Said) -> tuple[object, ...]:
        tested = one.finding.decided_by
        p = tested.p if tested is not None else math.inf
        decided, enough = one.finding.verdict in _DECIDED, one.finding.n >= ENOUGH
        whole = one.primary, one.alone, decided and enough, decided, one.settled
        return (*(not each for each in whole), -one.levels, p, one.study.key)

    return sorted(said, key=rank)


def answer(said: Sequence[Said], *, own: bool = False) -> tuple[str, ...]:
    """Return at most three sentences: what leads, what is said beside it, and how all of it fits together.

    own: for the page of their one study, where contrasts have names and the study needs none. What it
    declared first is what its question asks, and leads whatever came of it.
    """
    primary = [one for one in (said if own else in_order(said)) if one.primary] or list(said if own else ())
    if not primary:
        return ()
    first = primary[0]
    beside = [one for one in primary[1:] if one.alone]
    told = [one for one in beside if one.finding.verdict in _DECIDED and _topic(one) != _topic(first)]
    others = [one for one in beside if _topic(one)[:3] != _topic(first)[:3]]
    second = in_order([one for one in told if one in others] or told or others)[:1]
    led = (f"{plain(one.finding)[:-1]} ({_proof(one, own)})." for one in (first, *second))
    return (*led, summary(said if own else primary, own=own))


def plain(finding: Finding) -> str:
    """Return a verdict as one sentence without statistics, for readers outside the field."""
    return capital(_capitals(_plain(finding)))


def _capitals(text: str) -> str:
    """Return the text with layers as the legend of terms writes them: GN+WS."""
    return _ABBREVIATED.sub(lambda found: found[0].upper(), text)


def _plain(finding: Finding) -> str:
    contrast = finding.contrast
    treatment, control, at = arms(contrast)
    if finding.verdict == "refused":
        return f"No fair comparison of {treatment} with {control}{at} can be read from these runs."
    if contrast.by:
        return _plain_interaction(finding)
    if finding.verdict == "inconclusive":
        return f"These runs cannot tell whether {treatment} or {control} is better{at}."
    if finding.verdict == "equivalent":
        return f"It makes no difference that matters{at} whether {treatment} or {control} is used."
    size = _size(finding)
    trifle = ", too little to matter" if finding.verdict == "different_but_negligible" else ""
    if images := _images(finding):
        more = "more" if helps(finding) else "fewer"
        text = f"{treatment} gets {size} {more} of 100 {images} right than {control}{at}"
    else:
        lower = "lower" if helps(finding) else "higher"
        text = f"{treatment} has a {lower} {finding.scale.name} than {control}{at}"
    return f"{text}{trifle}."


def _plain_interaction(finding: Finding) -> str:
    first, second = levels_of_by(finding.contrast)
    _, _, at = arms(finding.contrast)
    what = change_words(finding.contrast)
    if finding.verdict == "inconclusive":
        return f"These runs cannot tell whether {what} helps more {first} or {second}{at}."
    if finding.verdict == "equivalent":
        return f"{what} is worth as much {first} as {second}{at}, or the difference is too small to matter."
    than = "more" if helps(finding) else "less"
    trifle = ", too little to matter" if finding.verdict == "different_but_negligible" else ""
    images = _images(finding)
    if not images:
        return f"{what} lowers the {finding.scale.name} {than} {first} than {second}{at}{trifle}."
    return f"{what} is worth {_size(finding)} of 100 {images} {than} {first} than {second}{at}{trifle}."


def _images(finding: Finding) -> str:
    """Return the images that a metric counts: 'test images'; nothing for a metric that counts none."""
    kind, accuracy, _ = finding.scale.name.partition(" accuracy")
    return f"{kind} images" if accuracy else ""


def _size(finding: Finding) -> str:
    assert finding.interval is not None
    return fixed(abs(finding.interval.estimate) * finding.scale.factor, 1)


def _proof(one: Said, own: bool) -> str:
    """Return 'study batch-steps, 10 seeds, 95 % interval 7.9 to 18.8'; of its own page without the study."""
    finding = one.finding
    unit = finding.unit.name
    words = ("" if own else f"study {one.study.key}, ") + plural(finding.n, unit)
    decided = finding.decided_by
    if decided is None or finding.interval is None or not math.isfinite(decided.low):
        return words
    low, high = decided.low * finding.scale.factor, decided.high * finding.scale.factor
    if finding.interval.estimate <= 0 and finding.verdict in _SIZED:
        low, high = -high, -low
    digits = finding.scale.digits
    level = 100 * (decided.level or 0.95)
    told = f"{words}, {level:.4g} % interval {fixed(low, digits)} to {fixed(high, digits)}"
    return "; ".join((told, *finding.stamps))


def _topic(one: Said) -> tuple[str, str, bool, str]:
    """Return what is compared, wherever it is, and what came of it."""
    treatment, control, _ = arms(one.finding.contrast)
    return treatment, control, bool(one.finding.contrast.by), one.finding.verdict


def summary(said: Sequence[Said], *, own: bool = False) -> str:
    """Return how the evidence fits together: what decides, what is small, what disagrees with what.

    own: as `answer` has it; contrasts that are not primary are counted apart.
    """
    primary, others = [one for one in said if one.primary], [one for one in said if not one.primary]
    number = len({one.study.key for one in primary})
    of = "" if own else f" of {number} studies" if number > 1 else " of 1 study"
    counted = ((primary, "primary"), (others, "secondary"))
    (ones, kind), *rest = [(ones, kind) for ones, kind in counted if ones]
    parts = [f"In all, {plural(len(ones), f'{kind} contrast')}{of}: {_kinds(ones)}"]
    parts += [f"{len(ones)} {kind}: {_kinds(ones)}" for ones, kind in rest]
    deciding, alone = _named([one for one in said if one.decides], own)
    if deciding:
        parts.append(f"{deciding} decide{'s' if alone else ''}")
    elif any(one.finding.verdict in _DECIDED for one in said):
        parts.append("none decides alone")
    few = [one for one in said if one.finding.n < ENOUGH and one.finding.verdict != "refused"]
    small, alone = _named(few, own)
    if small:
        parts.append(f"{small} rest{'s' if alone else ''} on fewer than {ENOUGH} units, to be read with care")
    if torn := _torn(said):
        parts.append(f"the verdict on {torn} depends on the setting")
    return "; ".join(parts) + "."


def _kinds(said: Sequence[Said]) -> str:
    """Return '2 better and 1 undecided'."""
    counts = Counter(one.finding.verdict for one in said)
    return listed([f"{counts[verdict]} {word}" for verdict, word in _COUNTED.items() if counts[verdict]])


def _named(said: Sequence[Said], own: bool) -> tuple[str, bool]:
    """Return the studies of findings, or their contrasts on the page of one study; whether that is one."""
    keys = dict.fromkeys(f'"{clean(one.finding.contrast.name)}"' if own else one.study.key for one in said)
    counted = own and len(keys) > _MOST_NAMED
    return f"{len(keys)} contrasts" if counted else listed([*keys]), len(keys) == 1


def _torn(said: Sequence[Said]) -> str:
    """Return 'gn+ws against bn', where one setting calls it better and another one worse."""
    verdicts: dict[str, set[str]] = {}
    for one in said:
        what, turned = _asked(one.finding.contrast)
        found = one.finding.verdict
        verdicts.setdefault(what, set()).add(_TURNED.get(found, found) if turned else found)
    return _capitals(listed([what for what, kinds in verdicts.items() if {"better", "worse"} <= kinds]))


def _asked(contrast: Contrast) -> tuple[str, bool]:
    """Return 'gn+ws against bn', or what an interaction asks; whether from the larger level on."""
    if not contrast.by:
        return " against ".join(arms(contrast)[:2]), False
    ((name, (first, second)),) = contrast.by.items()
    change = f"what {change_words(contrast)} is worth with another {spaced(name)}"
    if all(isinstance(level, (int, float)) for level in (first, second)):
        return change, first > second
    low, high = sorted((str(first), str(second)))
    return f"{change} ({low} or {high})", str(first) == high
