"""Verdicts -> sentences that a report can quote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from fairtrial.norm_table import NORM_TABLE
from fairtrial.reporting.results.arms import averaged_over
from fairtrial.reporting.results.load import failure_words
from fairtrial.reporting.verdicts.advice import wishes
from fairtrial.reporting.verdicts.chosen_settings import how_chosen
from fairtrial.reporting.verdicts.parity_checks import parity_words
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.wording import clean, level, listed, p_value, plural
from fairtrial.stats.records import HolmStep
from fairtrial.study import factors, initial_checkpoint
from fairtrial.study.failure_policy import WORDS
from fairtrial.study.study import Contrast, Study

_NORM: Final = ("norm", "weight_std")
_WHERE: Final = {  # levels that do not read with "at"
    ("finetune", "full"): "when fine-tuned",
    ("finetune", "last"): "with the last stage tuned",
    ("finetune", "linear_probe"): "with a linear probe",
    ("finetune", "scratch"): "from scratch",
    ("upstream", initial_checkpoint.NONE): "without upstream",
}
_SORTS: Final = (*_NORM, "model", "data")
_WITH: Final = ("bn_mode", "upstream")


def sentence(finding: Finding, study: Study) -> str:
    """Return one verdict of a study in words."""
    named = {*finding.contrast.treatment, *finding.contrast.at, *finding.contrast.by}
    return compose(
        finding,
        chosen=how_chosen(study, finding.contrast),
        averaged=[factors.spaced(name) for name in averaged_over(study, named)],
        parity=parity_words(finding.gap, study.budget.kind),
    )


def compose(finding: Finding, *, chosen: str = "", averaged: Sequence[str] = (), parity: str = "") -> str:
    """Return a verdict in words. chosen, averaged, parity: what its study says of rates, means and budget."""
    body = _interaction(finding) if finding.contrast.by else _simple(finding)
    if averaged:
        body += f", averaged over {listed(averaged)}"
    parts = [body, *_failures(finding), *wishes(finding)]
    if finding.verdict != "refused":
        parts[0] = f"{chosen}, {body}" if chosen else body
        parts[0] += _evidence(finding, parity)
    stamps = f" ({'; '.join(finding.stamps)})" if finding.stamps else ""
    text = "; ".join(parts) + stamps
    return text if text.endswith("?") else f"{text}."


def grounds(finding: Finding) -> str:
    """Say what decided: the interval of the Holm step against 0, the equivalence one against the margin."""
    ruling, step, scale = finding.ruling, finding.step, finding.scale
    if finding.verdict == "refused" or ruling is None or step is None or not math.isfinite(ruling.low):
        return clean(finding.reason)
    verb = "contains" if ruling.low <= 0 <= ruling.high else "excludes"
    inside = -finding.margin < ruling.equivalence_low and ruling.equivalence_high < finding.margin
    equal = finding.equivalence_step or step
    outer = f"{100 * step.step_level:.4g} % interval {scale.decided(ruling.low, ruling.high, finding.margin)}"
    limits = scale.decided(ruling.equivalence_low, ruling.equivalence_high, finding.margin)
    inner = f"{100 * (ruling.equivalence_level or 0):.4g} % interval {limits}"
    return (
        f"Decided by the {outer}{_place_of(finding, step)}, which {verb} 0, "
        f"and the {inner}{_place_of(finding, equal)}, "
        f"which is {'' if inside else 'not '}inside the margin of {finding.margin_words}."
    )


def _place_of(finding: Finding, step: HolmStep) -> str:
    """Return ' (Holm, step 2 of 4; interim analysis 1 of 3)'."""
    holm = [f"Holm, step {step.step} of {step.family}"] if step.family > 1 else []
    where = [*holm, *([finding.analysis] if finding.analysis else [])]
    return f" ({'; '.join(where)})" if where else ""


def title(contrast: Contrast) -> str:
    """Return the contrast without a verdict: 'gn+ws against bn at batch 4'."""
    treatment, control, at = arms(contrast)
    for name, (first, second) in contrast.by.items():
        return f"{change_words(contrast)}{at}: {level(name, first)} against {level(name, second)}"
    return f"{treatment} against {control}{at}"


def arms(contrast: Contrast) -> tuple[str, str, str]:
    """Return Treatment, control and ' at ...'; what they share is told once, at the end.

    A shared norm or weight_std is part of both arms' names where the other of the two differs.
    """
    shared = {name: level for name, level in contrast.treatment.items() if contrast.control[name] == level}
    at = {**contrast.at, **shared}
    normed = {
        name: at.pop(name) for name in _NORM if name in at and {*_NORM} & ({*contrast.treatment} - {*shared})
    }
    sides = (contrast.treatment, contrast.control)
    first, second = (_name({**normed, **{n: v for n, v in arm.items() if n not in at}}) for arm in sides)
    return first, second, _where(at)


def _where(levels: dict[str, Any]) -> str:
    """Return ' when fine-tuned at batch 4', ' with BN frozen'; empty without levels."""
    own = [_place(name, levels[name]) for name in levels if name in ("finetune", *_WITH)]
    rest = {name: value for name, value in levels.items() if name not in ("finetune", *_WITH)}
    texts = {name for name, value in rest.items() if name not in factors.FACTORS and isinstance(value, str)}
    word = "with" if {*_SORTS, *texts} & {*rest} else "at"
    return "".join(f" {words}" for words in [*own, *([f"{word} {_name(rest)}"] if rest else [])])


def _place(name: str, value: Any) -> str:
    """Return one level as a place: 'with gn', 'at batch 4', 'when fine-tuned'."""
    word = {"upstream": ""}.get(name, "with " if name in (*_WITH, *_SORTS) else "at ")
    return _WHERE.get((name, value), f"{word}{level(name, value)}")


def _name(levels: Any) -> str:
    """Return an arm in words, norm first whatever the order it was written in."""
    mixes = (norm := levels.get("norm")) not in NORM_TABLE or NORM_TABLE[norm].mixes_batch
    silent = ("upstream_seeds", *(() if mixes else ("stat_batch",)))  # n says how many checkpoints there are
    told = [name for name in levels if name not in silent] or levels
    names = dict.fromkeys((*factors.FACTORS, *told))
    return clean(factors.label({name: levels[name] for name in names if name in told}))


def levels_of_by(contrast: Contrast) -> tuple[str, str]:
    """Return ('with gn', 'with bn'), ('at batch 4', 'at batch 64') or ('when fine-tuned', 'from scratch')."""
    ((name, (first, second)),) = contrast.by.items()
    return _place(name, first), _place(name, second)


def change_words(contrast: Contrast) -> str:
    """Return what an interaction changes: 'gn+ws instead of bn'."""
    if dict(contrast.treatment) == {"weight_std": True}:
        return "weight standardization"
    treatment, control, _ = arms(contrast)
    return f"{treatment} instead of {control}"


def _simple(finding: Finding) -> str:
    treatment, control, at = arms(finding.contrast)
    if finding.verdict == "refused":
        return f"No verdict on {treatment} against {control}{at}: {finding.reason}"
    assert finding.interval is not None
    size = finding.scale.gap(abs(finding.interval.estimate))
    if finding.verdict == "inconclusive":
        return f"{treatment} and {control} cannot be told apart{at}: {_shown(finding)}"
    if finding.verdict == "equivalent":
        within = f"{at} within {finding.scale.within(finding.margin)}"
        return f"{treatment} and {control} are equivalent{within}: {_shown(finding)}"
    verb = "beats" if helps(finding) else "loses to"
    return f"{treatment} {verb} {control}{at} by {size} {_bounds(finding)}{_negligible(finding)}"


def _interaction(finding: Finding) -> str:
    """Return '"WS repairs GN": weight standardization is worth 14.2 points more with gn than ...'."""
    first, second = levels_of_by(finding.contrast)
    _, _, at = arms(finding.contrast)
    change, name = change_words(finding.contrast), f'"{clean(finding.contrast.name)}"'
    if finding.verdict == "refused":
        return f"No verdict on {name}{at}: {finding.reason}"
    assert finding.interval is not None
    if finding.verdict == "inconclusive":
        question = f"whether {change} is worth more {first} or {second}{at}"
        return f"{name}: {question} cannot be told: {_shown(finding)}"
    if finding.verdict == "equivalent":
        within = f"{at} within {finding.scale.within(finding.margin)}"
        return f"{name}: {change} is worth the same {first} as {second}{within}: {_shown(finding)}"
    more = "more" if helps(finding) else "less"
    size = finding.scale.gap(abs(finding.interval.estimate))
    what = f"{change} is worth {size} {more} {first} than {second}{at} {_bounds(finding)}"
    return f"{name}: {what}{_negligible(finding)}"


def helps(finding: Finding) -> bool:
    """Say whether the treatment did better; of an interaction, whether it gains more at its first level."""
    assert finding.interval is not None and finding.ruling is not None
    return (finding.interval.estimate > 0) == finding.ruling.higher_is_better


def _bounds(finding: Finding) -> str:
    """Return the interval of the Holm step, in the direction in which the sentence tells the difference."""
    ruling = finding.ruling
    assert ruling is not None
    return _directed(finding, ruling.low, ruling.high, ruling.level)


def _negligible(finding: Finding) -> str:
    """Return ', a difference below the margin of ±1.0 points [0.2, 0.6] (90 %)', where it is one."""
    ruling = finding.ruling
    if ruling is None or finding.verdict in ("better", "worse"):
        return ""
    limits = ruling.equivalence_low, ruling.equivalence_high, ruling.equivalence_level
    return f", a difference below the margin of {finding.margin_words} {_directed(finding, *limits)}"


def _directed(finding: Finding, low: float, high: float, level: float | None) -> str:
    assert finding.interval is not None
    if finding.interval.estimate <= 0:
        low, high = -high, -low
    return finding.scale.decided(low, high, finding.margin) + other_level(level)


def other_level(level: float | None) -> str:
    """Return ' (98.33 %)'; nothing for 95 %, which every caption names."""
    return "" if level is None or math.isclose(level, 0.95) else f" ({100 * level:.4g} %)"


def _shown(finding: Finding) -> str:
    """Return the signed difference with the interval that decided it."""
    scale, decided = finding.scale, finding.decided_by
    assert decided is not None and finding.interval is not None
    low, high, level, _ = decided
    bounds = f" {scale.decided(low, high, finding.margin)}{other_level(level)}" if math.isfinite(low) else ""
    return scale.gap(finding.interval.estimate) + bounds


def _evidence(finding: Finding, parity: str) -> str:
    """Return ', n = 10 paired seeds, equal examples, Holm p = 0.0004'."""
    ruling, step, equal = finding.ruling, finding.step, finding.equivalence_step
    assert ruling is not None and step is not None and equal is not None
    holm = ["Holm"] if step.family > 1 else []
    analysis = f" ({finding.analysis})" if finding.analysis else ""
    words = [
        f"n = {finding.unit.describe(finding.differences, 'paired ')}{analysis}",
        *([parity] if parity else []),
    ]
    if not math.isfinite(ruling.low):
        words.append(finding.reason.partition(";")[0])
    elif finding.verdict != "equivalent":
        words.append(_adjusted(finding, step.adjusted_p, *holm))
    if finding.verdict in ("equivalent", "different_but_negligible"):
        words.append(_adjusted(finding, equal.adjusted_p, " ".join([*holm, "TOST"])))
    return ", " + ", ".join(words)


def _adjusted(finding: Finding, p: float, *by: str) -> str:
    """Return 'Holm p = 0.0004'; 'Holm and interim analyses p = 0.0012' where those share alpha."""
    shared = [*by, *(["interim analyses"] if finding.parts > 1 else [])]
    return " ".join([*([listed(shared)] if shared else []), p_value(finding.over_analyses(p))])


def _failures(finding: Finding) -> list[str]:
    """Return ['2 of 10 seeds of bn at batch 4 diverged and score chance']."""
    texts = []
    for side in finding.sides:
        for status, number in sorted(side.failures.items()):
            unit = "seeds" if side.per_seed == 1 and finding.unit.checkpoints is None else "runs"
            texts.append(f"{number} of {side.runs} {unit} of {side.name} {WORDS[status]} and score chance")
    lost = frozenset[int]().union(*(side.missing_seeds for side in finding.sides))
    if lost:
        why = " and ".join(failure_words(s.missing, f" of {s.name}") for s in finding.sides if s.missing)
        gone = f"{len(lost)} of {plural(len(finding.unit.seeds), 'pair')} missing"
        texts.append(f"{gone}: {why}" if why else gone)
    return texts
