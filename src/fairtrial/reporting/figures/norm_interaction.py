"""Norm against weight standardization: lines that are not parallel are an interaction."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from fairtrial.reporting.figures.curves import chance_line, dots, name_ends, within
from fairtrial.reporting.figures.figure_layout import (
    RUNS,
    Figures,
    averaged,
    balanced,
    bars,
    chance_of,
    gathered,
    side_by_side,
    some,
)
from fairtrial.reporting.figures.style import PAGE, Look, looks
from fairtrial.reporting.report_item import FOUR_ARMS, REPORT, STUDY, Cells, RegistryRow, ReportItem
from fairtrial.reporting.results.arms import NORM, Group, axis_of, metric_of
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, Scale, clean, level
from fairtrial.study.study import Study


def interplay(groups: Sequence[Group], scale: Scale, chance: float | None, ax: Axes) -> Axes:
    """Draw one line per norm from 'no ws' to 'ws', in the norm's own colour; a point has that of its arm."""
    styles = _styles(groups)
    lines = _lines(groups)
    for rank, pair in enumerate(lines.values()):
        xs = [group.levels["weight_std"] + 0.06 * (rank - (len(lines) - 1) / 2) for group in pair]
        color = styles[_key(pair[0])].color
        ax.plot(xs, [group.centre * scale.factor for group in pair], color=color, linewidth=1, zorder=2.5)
        for x, group in zip(xs, pair, strict=True):
            _point(x, group, styles[_key(group)], scale, ax)
    chance_line(groups, chance, scale, ax)
    ax.set_xlim(-0.3, 1.3)
    ax.set_xticks([0, 1], ["no ws", "ws"])
    ax.grid(False, axis="x")
    return ax


def name_lines(groups: Sequence[Group], scale: Scale, ax: Axes) -> None:
    """Write each norm at the right end of its line, once every panel is drawn and shares its scale."""
    within(scale, ax)
    styles = _styles(groups)
    ends = [
        (norm, pair[-1].centre * scale.factor, styles[_key(pair[0])]) for norm, pair in _lines(groups).items()
    ]
    name_ends(ends, ax, each=False)


def _lines(groups: Sequence[Group]) -> dict[str, list[Group]]:
    norms = dict.fromkeys(group.levels["norm"] for group in groups)
    order = sorted(groups, key=lambda group: group.levels["weight_std"])
    return {clean(norm): [group for group in order if group.levels["norm"] == norm] for norm in norms}


def _styles(groups: Sequence[Group]) -> dict[tuple, Look]:
    return dict(
        zip(map(_key, groups), looks([dict(zip(NORM, _key(g), strict=True)) for g in groups]), strict=True)
    )


def _key(group: Group) -> tuple:
    return group.levels["norm"], group.levels["weight_std"]


def _point(x: float, group: Group, look: Look, scale: Scale, ax: Axes) -> None:
    dots(x - 0.05, group, look, scale, ax)
    if group.mean is not None:
        low, high = group.mean.low * scale.factor, group.mean.high * scale.factor
        ax.plot([x, x], [low, high], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
    ax.plot(
        x, group.centre * scale.factor, color=look.color, marker=look.marker, markersize=4,
        markeredgecolor="white", markeredgewidth=0.5, zorder=3.5,
    )  # fmt: skip


def norm_by_weight_std(verdicts: StudyVerdicts) -> Figures:
    """Draw norm against weight standardization, a panel per level of the number that is swept."""
    results, partial = verdicts.results, verdicts.partial
    study, metric, axis = results.study, metric_of(results.study), axis_of(results.study)
    names = [*NORM, *([axis] if axis else [])]
    if not balanced(study, names):
        return
    found = gathered(results, names, partial)
    every = list(dict.fromkeys(group.levels.get(axis or "") for group in found))
    panels = {value: [group for group in found if group.levels.get(axis or "") == value] for value in every}
    shown = some([value for value in every if _is_square(study, panels[value])])
    if not shown:
        return
    figure, axes = side_by_side(len(shown), 2.3, width=min(PAGE, 1.0 + 1.9 * len(shown)), sharey=True)
    for ax, value in zip(axes, shown, strict=True):
        interplay(panels[value], SCALES[metric], chance_of(results, metric), ax)
        ax.set_title(level(axis, value) if axis else "")
    name_lines(panels[shown[-1]], SCALES[metric], axes[-1])
    axes[0].set_ylabel(SCALES[metric].axis)
    few = f" {len(shown)} of {len(every)} levels of {axis}." if len(shown) < len(every) else ""
    what = "Norm and weight standardization (ws): lines that are not parallel are an interaction"
    intervals = bars([group for value in shown for group in panels[value]])
    caption = f"{what}.{few}{averaged(study, names)} {RUNS}; {intervals}. {seeds(results)}."
    yield "norm-by-weight-std", caption, figure


def _is_square(study: Study, groups: Sequence[Group]) -> bool:
    """Whether every norm is there, with and without weight standardization and nothing else."""
    pairs = {(group.levels["norm"], group.levels["weight_std"]) for group in groups}
    return pairs == {(norm, ws) for norm in study.factors["norm"] for ws in (False, True)}


ROWS = (
    RegistryRow(STUDY, norm_by_weight_std, sweeps=(("norm",), ("weight_std",)), rank=3, items=(
        ReportItem(
            "F3.1", "GN and WS upstream, crossed", ("Q3", "Q2"), REPORT,
            "the interaction (GN+WS - GN) - (BN+WS - BN), with the interval of its contrast",
            "fairtrial run upstream --data parquet:DIR",
            ("norm-by-weight-std",), Cells(FOUR_ARMS, {"stage": "upstream"}),
        ),
        ReportItem(
            "F3.2", "GN and WS in transfer, crossed", ("Q3",), REPORT,
            "the interaction after fine-tuning, over upstream seeds and not only over subsets",
            "fairtrial run transfer; on CIFAR-10: fairtrial run transfer --preset mini --data parquet:DIR",
            ("norm-by-weight-std",), Cells(FOUR_ARMS, pretrained=True),
        ),
    )),
)  # fmt: skip
