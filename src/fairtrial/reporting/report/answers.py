"""Findings on one question, or of one study -> plain sentences in order, and how they fit together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from fairtrial.reporting.results.arms import data_of
from fairtrial.reporting.verdicts.plain_sentences import capitals, plain
from fairtrial.reporting.verdicts.sentences import arms, change_words, levels_of_by, title
from fairtrial.reporting.wording import clean, data_title, fixed, listed, plural
from fairtrial.study.contrast import direction, distance
from fairtrial.study.data_spec import are_real
from fairtrial.study.factors import spaced

if TYPE_CHECKING:
    from fairtrial.reporting.report.questions import Question
    from fairtrial.reporting.verdicts.rulings import Finding
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
    from fairtrial.study.contrast import Contrast

# Below six units the exact sign-flip test cannot reject at 0.05 (2 / 2^5 = 0.06): `stats.sign_flip_p`.
ENOUGH: Final = 6
_NEAR: Final = 2.0  # octaves: a batch of 64 is still like one of 16
_SIGN: Final = {"better": 1, "worse": -1}
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
    data: of its arms, as they are recorded.
    """

    study: Source
    finding: Finding
    sentence: str
    primary: bool
    alone: bool
    levels: int = 1
    data: tuple[str, ...] = ()
    preset: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing leaves open that its arms had their best settings."""
        return not self.finding.open_choices

    @property
    def decides(self) -> bool:
        """Whether it settles something, with enough units that one of them cannot."""
        return self.finding.verdict in _DECIDED and self.finding.n >= ENOUGH

    @property
    def real(self) -> bool:
        """Whether it is about real images: `are_real`."""
        return are_real(self.data)

    @property
    def plain(self) -> str:
        """Its plain sentence with the data that it holds for."""
        return plain(self.finding, data_title(self.data))


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
            place = data_of(declared, contrast), declared.preset
            found.append(Said(source, finding, sentence, contrast.name in primary, alone, levels, *place))
    return found


def in_order(said: Sequence[Said]) -> list[Said]:
    """Return what leads first: primary, of the question alone, on real images, decided, settled, by its p.

    Of equal evidence, a point of a curve comes before one of a study with fewer points.
    """

    def rank(one: Said) -> tuple[object, ...]:
        tested = one.finding.decided_by
        p = tested.p if tested is not None else math.inf
        decided, enough = one.finding.verdict in _DECIDED, one.finding.n >= ENOUGH
        whole = one.primary, one.alone, one.real, decided and enough, decided, one.settled
        return (*(not each for each in whole), -one.levels, p, one.study.key)

    return sorted(said, key=rank)


def answer(said: Sequence[Said], *, own: bool = False) -> tuple[str, ...]:
    """Return what leads, what is said beside it, where data disagree, and how all of it fits together.

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
    leading = [(one, plain(one.finding) if own else one.plain) for one in (first, *second)]
    led = [f"{text[:-1]} ({_proof(one, own)})." for one, text in leading]
    if own:
        return (*led, summary(said, own=True))
    return (*led, *_disagreement(primary), summary(primary))


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
        where = " or on the data" if _opposed(said) else ""
        parts.append(f"the verdict on {torn} depends on the setting{where}")
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
    return capitals(listed([what for what, kinds in verdicts.items() if {"better", "worse"} <= kinds]))


def _disagreement(said: Sequence[Said]) -> list[str]:
    """Return one sentence on like contrasts that decide oppositely on other data or presets, if any do."""
    parts = []
    for ours, theirs in _opposed(said):
        contrast = ours[0].finding.contrast
        better = ours[0].finding.verdict == "better"
        words = ("worth more", "worth less") if contrast.by else ("better", "worse")
        here, there = words if better else words[::-1]
        what = capitals(title(contrast))
        if contrast.by:
            first, second = levels_of_by(contrast)
            what = f"{capitals(change_words(contrast))}{arms(contrast)[2]}"
            here, there = f"{here} {first} than {second}", there.removeprefix("worth ")
        parts.append(
            f"{what} is {here} on {_where(ours, contrast)} and {there} on {_where(theirs, contrast)}"
        )
    return [f"Other data, another verdict: {'; '.join(parts)}."] if parts else []


def _where(said: Sequence[Said], contrast: Contrast) -> str:
    """Return 'CIFAR-10 (norm-mini)'; with the levels of those that are not at the contrast's own."""
    places = dict[str, list[str]]()
    for one in said:
        other = one.finding.contrast
        levels = f", {capitals(title(other))}" if distance(other, contrast) else ""
        places.setdefault(data_title(one.data), []).append(f"{one.study.key}{levels}")
    return listed([f"{data} ({'; '.join(studies)})" for data, studies in places.items()])


def opposed(found: Sequence[tuple[Hashable, Finding]]) -> list[tuple[list[int], list[int]]]:
    """Return the contrasts that other places decide the other way: (those of one place, those of others).

    found: where each was found, its data and preset, with the finding; the answer counts its rows from 0. Of
    contrasts that compare the same elsewhere those at the nearest levels count, nearest from both sides. Each
    is told of once.
    """
    signs = [_SIGN.get(finding.verdict, 0) * direction(finding.contrast) for _, finding in found]
    signed = [i for i, sign in enumerate(signs) if sign]
    far = {(i, j): distance(found[i][1].contrast, found[j][1].contrast) for i in signed for j in signed}
    away = {i: [j for j in signed if found[j][0] != found[i][0]] for i in signed}
    nearest = {i: min((far[i, j] for j in away[i]), default=math.inf) for i in signed}
    pairs, told = list[tuple[list[int], list[int]]](), set[int]()
    for one in signed:
        like = [i for i in signed if far[one, i] == 0 and found[i][0] == found[one][0]]
        ours = [i for i in like if signs[i] == signs[one]]
        close = [j for j in away[one] if far[one, j] == nearest[one] == nearest[j] <= _NEAR]
        theirs = [j for j in close if signs[j] != signs[one]]
        if one not in told and {*theirs} - told:
            pairs.append((ours, theirs))
            told |= {*ours, *theirs}
    return pairs


def _opposed(said: Sequence[Said]) -> list[tuple[list[Said], list[Said]]]:
    """Return like contrasts of which other data or another preset decide the opposite."""
    ones = [one for one in said if one.decides]
    pairs = opposed([((data_title(one.data), one.preset), one.finding) for one in ones])
    return [([ones[i] for i in ours], [ones[i] for i in theirs]) for ours, theirs in pairs]


def _asked(contrast: Contrast) -> tuple[str, bool]:
    """Return 'gn+ws against bn', or what an interaction asks; whether from the larger level on."""
    if not contrast.by:
        return " against ".join(arms(contrast)[:2]), False
    ((name, (first, second)),) = contrast.by.items()
    change = f"what {change_words(contrast)} is worth with another {spaced(name)}"
    turned = direction(contrast) < 0
    if all(isinstance(level, (int, float)) for level in (first, second)):
        return change, turned
    low, high = sorted((str(first), str(second)))
    return f"{change} ({low} or {high})", turned
