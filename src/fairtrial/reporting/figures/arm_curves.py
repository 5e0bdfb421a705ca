"""Every arm against the number that is swept, or side by side where none is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.figure import Figure

from fairtrial.reporting.figures.arm_rows import PITCH, rows
from fairtrial.reporting.figures.curves import LINE, chance_line, crowd, curves, name_ends, strips, within
from fairtrial.reporting.figures.curves import lines as draw_lines
from fairtrial.reporting.figures.figure_layout import (
    CROWDED,
    MOST_PANELS,
    RUNS,
    Figures,
    arranged,
    bars,
    capital,
    chance_of,
    factor_name,
    gathered,
    label_once,
    side_by_side,
)
from fairtrial.reporting.figures.gain_panels import gains, how
from fairtrial.reporting.figures.medians import PRINTED, draw_published, published_beside
from fairtrial.reporting.report_item import (
    FOUR_ARMS,
    NIGHTLY,
    REPORT,
    STUDY,
    Cells,
    RegistryRow,
    ReportItem,
)
from fairtrial.reporting.results.arms import NORM, Group, axis_of, combinations, metric_of
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.chosen_settings import edge_words
from fairtrial.reporting.verdicts.paired_gains import measure, norms
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, level
from fairtrial.study.study import Study

_MOST_LINES: Final = 6  # in one panel
_TALL: Final = 3.4  # inches of a panel with published results, which lie far above ours
_LONG: Final = 36  # characters of an arm's name that do not fit below an axis
_BATCHES: Final = ("batch_size", "stat_batch")


def arm_curves(verdicts: StudyVerdicts) -> Figures:
    """Draw every arm against the number that is swept, or side by side where none is."""
    results, partial = verdicts.results, verdicts.partial
    study, axis, metric = results.study, axis_of(results.study), metric_of(results.study)
    groups = gathered(results, list(study.factors), partial)
    if axis is None:
        figure = _alone(results, groups)
        what, name = f"{SCALES[metric].name} of each arm", f"{metric}-by-arm"
    else:
        facet = _facet(study, axis)
        more, figure = _faceted(results, groups, axis, facet) if facet else _panels(verdicts, groups, axis)
        what, name = f"{SCALES[metric].name} against {factor_name(axis)}{more}", f"{metric}-by-{axis}"
    runs = RUNS if any(group.failed for group in groups) else RUNS.partition(" (")[0]
    told = [f"{capital(what)}.", f"{runs}; {bars(groups)}.", f"{seeds(results)}.{edge_words(results)}"]
    if beside := published_beside(study, axis):
        told = [*told[:2], beside, told[2], PRINTED]
    yield name.replace("_", "-"), " ".join(told), figure


def _alone(results: Results, groups: Sequence[Group]) -> Figure:
    """The arms side by side, or below each other where their names are long."""
    metric = metric_of(results.study)
    if max(len(group.label) for group in groups) > _LONG:
        figure, (ax,) = side_by_side(1, 0.6 + PITCH * len(groups), wide=True)
        rows(groups, SCALES[metric], ax).set_xlabel(SCALES[metric].axis)
        return figure
    figure, (ax,) = side_by_side(1, 2.6, wide=len(groups) > 5)
    strips(groups, SCALES[metric], chance_of(results, metric), ax)
    return figure


def _panels(verdicts: StudyVerdicts, groups: Sequence[Group], axis: str) -> tuple[str, Figure]:
    """All arms in one panel, enlarged where a few flatten the rest; the gap between norms beside."""
    results = verdicts.results
    study, metric = results.study, metric_of(results.study)
    scale, near, gap = SCALES[metric], crowd(groups), norms(study) if axis in _BATCHES else []
    count, lines = 1 + bool(near) + len(gap), len(groups) / len(study.factors[axis])
    long = max(len(group.label) for group in groups) > 20
    least = _TALL if published_beside(study, axis) else 2.6
    figure, axes = side_by_side(count, max(least, 0.8 + LINE * lines), wide=count > 1 or long)
    draw_published(study, axis, axes[0])
    for ax, view in zip(axes, (None, near) if near else (None,), strict=False):
        curves(groups, axis, scale, chance_of(results, metric), ax, view)
    alone = [group for group in groups if sum(_same(group, other, axis) for other in groups) == 1]
    place = "middle" if gap else "right"
    told = f"; {place}: the same, enlarged where most arms lie" if near else ""
    if alone and len(study.factors[axis]) > 1:
        told += "; level lines: arms that run at one level alone, and are compared from there"
    if gap:
        points = measure(verdicts, gap, axis, metric)
        gains(gap[0], points, axis, scale, study.margin, axes[-1]).set_ylabel(scale.gap_axis)
        told += f"; right: {gap[0].title}, {how(points)}"
    return told, figure


def _same(one: Group, other: Group, axis: str) -> bool:
    """Whether two points belong to one line."""
    return all(one.levels[name] == other.levels[name] for name in one.levels if name != axis)


def _facet(study: Study, axis: str) -> str | None:
    """The factor that gets a panel per level, where one panel would hold too many lines."""
    others = [name for name in study.factors if name != axis]
    fits = [name for name in ("finetune", "upstream", "mixup", "model", *others) if name in others]
    fits = [name for name in fits if 1 < len(study.factors[name]) <= MOST_PANELS and name not in NORM]
    return fits[0] if len(combinations(study, others)) > _MOST_LINES and fits else None


def _faceted(results: Results, groups: Sequence[Group], axis: str, facet: str) -> tuple[str, Figure]:
    """One panel per level of `facet`, on one scale."""
    metric, levels = metric_of(results.study), results.study.factors[facet]
    scale, guess, along = SCALES[metric], chance_of(results, metric), len(results.study.factors[axis])
    height, crowded = max(2.6, 0.8 + LINE * len(groups) / (along * len(levels))), along > CROWDED
    figure, axes = arranged(len(levels), crowded=crowded, height=height, sharey=True)
    ends = []
    for ax, value in zip(axes, levels, strict=True):
        mine = [group for group in groups if group.levels[facet] == value]
        draw_published(results.study, axis, ax)
        ends.append(draw_lines(mine, axis, scale, ax, without=facet))
        chance_line(mine, guess, scale, ax)
        ax.set_title(level(facet, value))
    within(scale, axes[0])
    label_once(figure, axes, scale.axis)
    for index, ax in enumerate(axes):
        name_ends(ends[index] if crowded or index == len(levels) - 1 else [], ax, each=False)
    return "", figure


ROWS = (
    RegistryRow(STUDY, arm_curves, rank=2, items=(
        ReportItem(
            "F1.3", "Data against model size", ("Q1",), NIGHTLY,
            "an interaction slope: what a wider network gains as the upstream data grow",
            "fairtrial run upstream-few; fairtrial run upstream-many; fairtrial run sizes",
            ("*-acc-by-*",), Cells({"model": ("mini-half", "mini"), "upstream": ()}, pretrained=True),
        ),
        ReportItem(
            "F3.3", "Accuracy against the optimizer's batch", ("Q3",), REPORT,
            "the gap at each batch, at equal examples, equal steps or equal seconds as the caption says",
            "fairtrial run batch; fairtrial run batch-steps; fairtrial run batch-seconds",
            ("*-acc-by-batch-size",), Cells({**FOUR_ARMS, "batch_size": ()}),
            "the second panel, with the learning rate tuned for each cell: one rule serves all of these",
        ),
        ReportItem(
            "F3.4", "Accuracy against the batch of the statistics", ("Q3",), REPORT,
            "what few images per statistic cost BN, with the optimizer's batch held fixed",
            "fairtrial run batch-statistics",
            ("*-acc-by-stat-batch",), Cells({"norm": ("bn",), "stat_batch": ()}),
        ),
        ReportItem(
            "F3.8", "Number of groups", ("Q3",), NIGHTLY, "how flat accuracy is in the number of groups",
            "fairtrial run groups", ("*-acc-by-groups",), Cells({"groups": ()}),
        ),
        ReportItem(
            "F3.11", "Weight decay", ("Q3",), NIGHTLY, "whether an early rank is the final one",
            "fairtrial run weight-decay",
            ("*-acc-by-*",), Cells({"norm": (), "weight_decay": ()}),
        ),
        ReportItem(
            "F4.4", "Dose of MixUp", ("Q4",), NIGHTLY, "a dose response in alpha", "fairtrial run mixup-dose",
            ("*-acc-by-mixup",), Cells({"mixup": (0.0, 0.1, 0.4, 1.0)}),
        ),
        ReportItem(
            "F4.7", "MixUp upstream", ("Q4",), NIGHTLY,
            "equivalence within one point, upstream and transferred",
            "fairtrial run upstream --set mixup=0,0.1 --data parquet:DIR --results results/mixup-upstream",
            ("*-acc-by-arm",), Cells({"mixup": (0.0, 0.1)}, {"stage": "upstream"}),
        ),
        ReportItem(
            "FE.1", "1 to 10 examples per class", ("EC", "Q1"), REPORT,
            "the curve of this network on these data, over the units that n counts",
            "fairtrial run shots; on CIFAR-10: fairtrial run shots-curve; "
            "BiT-M-R50x3: fairtrial run shots --preset bit --set upstream=BiT-M-R50x3 --device cuda",
            ("*-acc-by-shots",), Cells({"shots": (1, 5, 10)}, pretrained=True),
            "BiT-M-R50x3 itself, where the caption does not name it",
        ),
    )),
)  # fmt: skip
