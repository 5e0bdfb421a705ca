"""The tables of results: what each arm reached, what each contrast says, what pairing bought."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.arms import Group, balanced_accuracy, gather, metric_of
from fairtrial.reporting.results.convergence import GAIN_LIMIT, LOSS_SHARE, convergence, converges_at
from fairtrial.reporting.results.inference_rule import InferenceRule
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.paired_sides import has_limits
from fairtrial.reporting.results.replication_units import SEED
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance, seeds
from fairtrial.reporting.verdicts.chosen_settings import arm_stamps
from fairtrial.reporting.verdicts.new_images import over_new_images
from fairtrial.reporting.verdicts.parity_checks import parity_words
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.wording import SCALES, Scale, clean, fixed, listed, plural
from fairtrial.stats.components import VarianceComponents
from fairtrial.study.factors import spaced
from fairtrial.study.study import regime_of


def arm_table(results: Results, *, partial: bool) -> Table:
    """One row per arm: mean, interval, spread, range, failures."""
    metric, tuning = metric_of(results.study), results.study.tuning
    scale = SCALES[metric]
    groups = gather(results, list(results.study.factors), metric, intervals=results.sound or partial)
    what = f"{scale.name[0].upper()}{scale.name[1:]} of each arm" + (", %" if scale.factor == 100 else "")
    several = any(group.unit.name != SEED for group in groups)
    over = "the units that n counts" if several else "seeds"
    how = f"mean over {over} with 95 % t interval, failed runs scored as chance"
    last = (
        f"not converged: mean last train loss over {100 * LOSS_SHARE:g} % of ln(classes), or mean validation "
        f"accuracy that rose by over {100 * GAIN_LIMIT:g} point in the last quarter (last gain, points)"
    ) + (f"; yes at: the most accurate other {listed(list(tuning.names))} that converged" if tuning else "")
    uneven = balanced_accuracy(results, results.frame) is not None
    last += (
        "; classes are uneven: balanced acc is the mean over them, %, in runs that ended" if uneven else ""
    )
    caption = f"{what}: {how}; {last}. {seeds(results)}. {provenance(results)}"
    rows = [{"arm": group.label} | outcome(group, scale, several) | _end(results, group) for group in groups]
    return Table("arms", caption, pd.DataFrame(rows).fillna(""))


def _end(results: Results, group: Group) -> dict[str, str]:
    """Return what says whether an arm has converged."""
    cells = results.where(group.levels)
    end, balanced = convergence(results, cells), balanced_accuracy(results, cells)
    elsewhere = "" if end.converged else converges_at(results, group.levels)
    return {
        **({} if balanced is None else {"balanced acc": fixed(100 * balanced, 1)}),
        "train loss": "" if end.train_loss is None else fixed(end.train_loss, 3),
        "last gain": "" if end.gain is None else fixed(100 * end.gain, 1),
        "converged": "yes" if end.converged else f"NO (yes at {elsewhere})" if elsewhere else "NO",
        **(
            {}
            if results.tuning is None
            else {"stamps": "; ".join(arm_stamps(results, regime_of(group.levels)))}
        ),
    }


def outcome(group: Group, scale: Scale, several: bool) -> dict[str, str]:
    """Return what an arm reached. several: whether n may count other things than seeds."""
    values, mean = sorted(group.values.values()), group.mean
    return {
        "n": str(group.n),
        **({"n counts": group.unit.name, "runs": str(len(values))} if several else {}),
        "failed": str(len(group.failed)),
        "mean": scale.show(group.centre) if values else "",
        "95 % low": scale.show(mean.low) if mean else "",
        "95 % high": scale.show(mean.high) if mean else "",
        "sd": scale.show(mean.sd) if mean else "",
        "min": scale.show(values[0]) if values else "",
        "max": scale.show(values[-1]) if values else "",
    }


def contrast_table(results: Results, findings: Sequence[Finding]) -> Table:
    """One row per declared contrast: everything that its verdict rests on."""
    several = any(finding.unit.name != SEED for finding in findings)
    pairs, rule = f"paired on the seed{_averaged(findings)}", results.inference
    looks = f"; p of Holm and TOST times {rule.parts}, the interim analyses" if rule.parts > 1 else ""
    caption = (
        f"Declared contrasts, treatment minus control, {pairs}; {rule.name}, not adjusted{looks}. "
        f"Holm p over {plural(len(findings), 'contrast')}; sign flip: exact test as a check; "
        "TOST p against the margin, and by Holm over the same contrasts; "
        "low and high speak of this test set, new images of others too: 95 %, "
        "units crossed with single test images; g: Hedges' g of the paired differences; "
        "r: correlation of the arms over "
        f"{'the units that n counts' if several else 'seeds'}. {seeds(results)}. {provenance(results)}"
    )
    rows = [_contrast(results, finding, several, rule) for finding in findings]
    return Table("contrasts", caption, pd.DataFrame(rows))


def _averaged(findings: Sequence[Finding]) -> str:
    clustered = dict.fromkeys(f.unit.name for f in findings if f.unit.groups is not None)
    return f" and averaged within each {' or '.join(clustered)}" if clustered else ""


def _contrast(results: Results, finding: Finding, several: bool, rule: InferenceRule) -> dict[str, Any]:
    percent, wider = f"{100 * rule.level:.4g} %", over_new_images(results, finding)
    scale, found, flip, equal = finding.scale, finding.interval, finding.flip, finding.equivalence
    limits, family = found is not None and math.isfinite(found.low), finding.equivalence_step
    return {
        "contrast": clean(finding.contrast.name),
        "arms": title(finding.contrast),
        "verdict": spaced(finding.verdict),
        "unit": scale.unit,
        "difference": scale.show(found.estimate) if found else "",
        f"{percent} low": scale.show(found.low) if found and limits else "",
        f"{percent} high": scale.show(found.high) if found and limits else "",
        "new images": _span(scale, wider) if wider and limits else "",
        "margin": scale.show(finding.margin),
        "n": str(finding.n),
        **({"n counts": finding.unit.name, "pairs": str(len(finding.differences))} if several else {}),
        **({"interim analysis": finding.analysis} if finding.analysis else {}),
        "p": _p(found.p) if found and limits else "",
        "Holm p": _p(finding.over_analyses(finding.step.adjusted_p)) if finding.step and limits else "",
        "sign flip p": _p(flip.p) if flip else "",
        "TOST p": _p(finding.over_analyses(equal.p)) if equal and limits else "",
        "Holm TOST p": _p(finding.over_analyses(family.adjusted_p)) if family and limits else "",
        "g": "" if finding.effect is None else f"{finding.effect:.2f}",
        "r": f"{found.r:.2f}" if found and found.r is not None and limits else "",
        "budget": parity_words(finding.gap, results.study.budget.kind),
        "failed runs": str(sum(sum(side.failures.values()) for side in finding.sides)),
        "stamps": "; ".join(finding.stamps) or ("" if finding.verdict == "refused" else "confirmatory"),
    }


def _span(scale: Scale, found: VarianceComponents) -> str:
    return f"{scale.show(found.low_new_images)} to {scale.show(found.high_new_images)}"


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def pairing_tables(results: Results, findings: Sequence[Finding]) -> list[Table]:
    """Make a row per contrast with an interval (STATISTICS 5); no table where there is no such contrast.

    Gain: the sum of the variances of the sides over the variance of the paired differences, each over the
    units that n counts. It is also how many times the units an unpaired design needs for the same standard
    error.
    """
    rows = [_pairing(finding) for finding in findings if has_limits(finding.interval)]
    if not rows:
        return []
    caption = (
        "What pairing buys: variance of a contrast if its arms had other seeds each (the variances of its "
        "sides, summed), over the variance of the paired differences. A gain of 2 saves half of the seeds; "
        "below 1 pairing has cost precision, and the interval is valid all the same. "
        f"{seeds(results)}. {provenance(results)}"
    )
    return [Table("pairing", caption, pd.DataFrame(rows))]


def _pairing(finding: Finding) -> dict[str, str]:
    scale, found = finding.scale, finding.interval
    assert found is not None
    sides = [finding.unit.means({s: side.values[s] for s in finding.differences}) for side in finding.sides]
    unpaired, paired = sum(map(statistics.variance, sides)), found.sd**2
    return {
        "contrast": clean(finding.contrast.name),
        "arms": title(finding.contrast),
        "n": str(found.n),
        "unit": scale.unit,
        "sd unpaired": scale.show(unpaired**0.5),
        "sd paired": scale.show(found.sd),
        "r": "" if found.r is None else f"{found.r:.2f}",
        "gain": fixed(unpaired / paired, 2),
    }


ROWS = (
    RegistryRow(STUDY, lambda v: [contrast_table(v.results, v.findings)] if v.findings else [], rank=1),
    RegistryRow(STUDY, lambda v: [arm_table(v.results, partial=v.partial)], rank=2),
    RegistryRow(STUDY, lambda v: pairing_tables(v.results, v.findings), rank=6),
)
