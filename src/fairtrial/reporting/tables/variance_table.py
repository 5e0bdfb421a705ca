"""The table of variance: which source makes which part of the spread of a result."""

from __future__ import annotations

import math

import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.arms import metric_of
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import CHECKPOINT
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import counted, provenance
from fairtrial.reporting.verdicts.variance_sources import VarianceSource, VarianceSources, examine
from fairtrial.reporting.wording import SCALES, Scale, clean, fixed, plural, rounded


def variance_tables(results: Results, *, partial: bool = False) -> list[Table]:
    """Make a row per source (STATISTICS 12); no table where `examine` finds none."""
    found = examine(results, partial=partial)
    if found is None:
        return []
    scale = SCALES[metric_of(results.study)]
    return [Table("variance", _caption(results, found), pd.DataFrame(_rows(found, scale)))]


def _rows(found: VarianceSources, scale: Scale) -> list[dict[str, str]]:
    within = [*found.between, found.draws, *([found.single] if found.single else []), found.here]
    on_top = [found.images, found.anywhere] if found.images and found.anywhere else []
    return [_row(found, scale, each, of_here=True) for each in within] + [
        _row(found, scale, each, of_here=False) for each in on_top
    ]


def _row(found: VarianceSources, scale: Scale, source: VarianceSource, *, of_here: bool) -> dict[str, str]:
    """of_here: whether it is a part of the variance on this test set, or comes on top of it."""
    limits, wider = source.interval, found.anywhere
    ends = (limits.low, limits.high) if limits is not None and math.isfinite(limits.low) else None
    return {
        "source": clean(source.name),
        "sd": _sd(scale, math.sqrt(source.variance)) + (" (clipped)" if source.clipped else ""),
        "unit": scale.unit,
        "share": _share(source, found.here) if of_here else "",
        **({} if wider is None else {"share, new images": _share(source, wider)}),
        "df": "" if source.df is None else str(source.df),
        "95 % low": _sd(scale, ends[0]) if ends else "",
        "95 % high": _sd(scale, ends[1]) if ends else "",
    }


def _sd(scale: Scale, value: float) -> str:
    return fixed(scale.factor * value, scale.digits + 1)


def _share(part: VarianceSource, whole: VarianceSource) -> str:
    return f"{100 * part.variance / whole.variance:.0f} %" if whole.variance else ""


def _caption(results: Results, found: VarianceSources) -> str:
    above = f", {found.unit.outer}s between their means" if found.outer is not None else ""
    told = [
        f"Where the spread of a result comes from: arm {clean(found.arm)} and its A/A twin, two runs of each "
        f"of {plural(found.n, 'seed')} that share the {found.kept} and draw {found.drawn} anew. Variance "
        f"components of the nested table, failed runs scored as chance: other draws within a seed, "
        f"{found.kept} between seeds{above}",
        *([f"No row for the {found.unit.outer} alone: {found.merged}"] if found.merged else []),
        "Share: of the variance of one run; it depends on this arm, and other levels have other shares",
        "df: of the mean square; a component with few is hardly known. Low and high: chi-squared limits of "
        "an sd, for normal draws; they are exact within seeds alone, so other rows have none",
        *(["Clipped: the estimate came out negative, and 0 stands for it"] if _clipped(found) else []),
        _of_images(found),
        "Nondeterminism is not separated: it is within the draws. On one CPU repeats are bit-identical "
        "(tests/test_reproducible.py); elsewhere it was not measured",
        *_cheapest(found),
        counted(results, [(found.unit, "")]),
        provenance(results),
    ]
    return ". ".join(told)


def _clipped(found: VarianceSources) -> bool:
    return any(source is not None and source.clipped for source in (*found.between, found.images))


def _of_images(found: VarianceSources) -> str:
    if found.images is None:
        return f"No rows of test images: {found.unseen}"
    return (
        "Single test images: two draws err on other images; the draws already hold it (an estimate of its "
        "own, which chance may put above them). Choice of test images: what all runs share of this test set; "
        "it is in no spread between runs, and comes on top for new images alone"
    )


def _cheapest(found: VarianceSources) -> list[str]:
    """How many fine-tunings of a checkpoint are cheapest (STATISTICS 2)."""
    if found.unit.outer != CHECKPOINT or found.outer is None:
        return []
    what = "Cheapest number of fine-tunings of a checkpoint"
    each = found.inner_count
    if each is None:
        return [f"{what}: as many as wanted, by a variance of checkpoints that came out as 0"]
    at_100 = max(1, round(10 * each))
    return [
        f"{what}: {rounded(each, 2)} times the root of what a checkpoint costs in fine-tunings, thus "
        f"{at_100} where it costs 100"
    ]


ROWS = (RegistryRow(STUDY, lambda v: variance_tables(v.results, partial=v.partial), rank=7),)
