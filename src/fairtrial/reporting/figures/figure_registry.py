"""Which figures a study gets: a table of what each needs, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.figure import Figure

from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.axis import CROWDED, name_of
from fairtrial.reporting.figures.curves import LINE, chance_line, crowd, curves, name_ends, strips, within
from fairtrial.reporting.figures.curves import lines as draw_lines
from fairtrial.reporting.figures.figure_layout import (
    MOST_PANELS,
    RUNS,
    Made,
    arranged,
    averaged,
    balanced,
    bars,
    capital,
    chance_of,
    gathered,
    label_once,
    side_by_side,
    some,
)
from fairtrial.reporting.figures.forest import crowd as forest_crowd
from fairtrial.reporting.figures.forest import forest, pitch, rows_of
from fairtrial.reporting.figures.forest_rows import PITCH, rows
from fairtrial.reporting.figures.gain_panels import gained, gains, how
from fairtrial.reporting.figures.medians import medians, shots_of, sides_of
from fairtrial.reporting.figures.norm_interaction import interplay, name_lines
from fairtrial.reporting.results.arms import NORM, Group, axis_of, combinations, metric_of
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.aa_check import AACheck
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.reporting.verdicts.paired_gains import bn_modes, measure, mixups, norms, tunings
from fairtrial.reporting.wording import SCALES, level
from fairtrial.study.study import Study

_MOST_LINES: Final = 6  # in one panel
_LONG: Final = 36  # characters of an arm's name that do not fit below an axis
_BATCHES: Final = ("batch_size", "stat_batch")


@dataclass(frozen=True)
class Plate:
    """A figure of arms. needs: factors that must be swept, at least one of each group."""

    needs: tuple[tuple[str, ...], ...]
    draw: Callable[[Results, bool], Made]

    def fits(self, study: Study) -> bool:
        """Whether a study sweeps what the figure shows."""
        return all(any(len(study.factors.get(name, ())) > 1 for name in group) for group in self.needs)


def arms(results: Results, partial: bool) -> Made:
    """Every figure whose factors the study sweeps."""
    for plate in PLATES:
        if plate.fits(results.study):
            yield from plate.draw(results, partial)


def contrasts(results: Results, findings: Sequence[Finding], aa: AACheck | None) -> Made:
    """The declared contrasts, one figure per metric."""
    for metric in dict.fromkeys(finding.contrast.metric for finding in findings):
        mine = [finding for finding in findings if finding.contrast.metric == metric]
        rows = rows_of(mine, aa if metric == metric_of(results.study) else None)
        near = forest_crowd(rows)
        figure, axes = side_by_side(2 if near else 1, 0.55 + pitch(rows) * len(rows), wide=True)
        for ax, view in zip(axes, (None, near), strict=False):
            forest(rows, ax, view, left=view is None, right=near is None or view is not None)
        m, rule = len(findings), results.inference
        wide = f"{100 - 100 * rule.alpha / m:.4g}"
        thin = f"thin whiskers {wide} % (Bonferroni over {m} contrasts); " if m > 1 else ""
        thick = f"thick bars: {rule.name}, not adjusted; {thin}"
        thick = thick if any(row.bounds for row in rows) else "no intervals; "
        closer = "; right: the same, enlarged around 0" if near else ""
        means = "means" + next((f" over{f.unit.short}" for f in mine if f.unit.short), "")
        caption = (
            f"Paired differences, treatment minus control, in {SCALES[metric].name}. Dots: one per seed "
            f"(crosses: a run of that seed failed); diamonds: {means}; {thick}grey band: margin{closer}. "
            f"{seeds(results)}."
        )
        yield "contrasts" + ("" if metric == metric_of(results.study) else f"-{metric}"), caption, figure


def _against(results: Results, partial: bool) -> Made:
    """Every arm against the number that is swept, or side by side where none is."""
    study, axis, metric = results.study, axis_of(results.study), metric_of(results.study)
    groups = gathered(results, list(study.factors), partial)
    if axis is None:
        figure = _alone(results, groups)
        what, name = f"{SCALES[metric].name} of each arm", f"{metric}-by-arm"
    else:
        facet = _facet(study, axis)
        more, figure = (
            _faceted(results, groups, axis, facet) if facet else _panels(results, partial, groups, axis)
        )
        what, name = f"{SCALES[metric].name} against {name_of(axis)}{more}", f"{metric}-by-{axis}"
    yield name.replace("_", "-"), f"{capital(what)}. {RUNS}; {bars(groups)}. {seeds(results)}.", figure


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


def _panels(results: Results, partial: bool, groups: Sequence[Group], axis: str) -> tuple[str, Figure]:
    """All arms in one panel, enlarged where a few flatten the rest; the gap between norms beside."""
    study, metric = results.study, metric_of(results.study)
    scale, near, gap = SCALES[metric], crowd(groups), norms(study) if axis in _BATCHES else []
    count, lines = 1 + bool(near) + len(gap), len(groups) / len(study.factors[axis])
    long = max(len(group.label) for group in groups) > 20
    figure, axes = side_by_side(count, max(2.6, 0.8 + LINE * lines), wide=count > 1 or long)
    for ax, view in zip(axes, (None, near) if near else (None,), strict=False):
        curves(groups, axis, scale, chance_of(results, metric), ax, view)
    alone = [group for group in groups if sum(_same(group, other, axis) for other in groups) == 1]
    place = "middle" if gap else "right"
    told = f"; {place}: the same, enlarged where most arms lie" if near else ""
    if alone and len(study.factors[axis]) > 1:
        told += "; level lines: arms that run at one level alone, and are compared from there"
    if gap:
        points = measure(results, gap, axis, metric, intervals=results.sound or partial)
        gains(gap[0], points, axis, scale, study.margin, axes[-1]).set_ylabel(scale.gap_axis)
        told += f"; right: {gap[0].title}, {how(results, points)}"
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
        ends.append(draw_lines(mine, axis, scale, ax, without=facet))
        chance_line(mine, guess, scale, ax)
        ax.set_title(level(facet, value))
    within(scale, axes[0])
    label_once(figure, axes, scale.axis)
    for index, ax in enumerate(axes):
        name_ends(ends[index] if crowded or index == len(levels) - 1 else [], ax)
    return "", figure


def _two_by_two(results: Results, partial: bool) -> Made:
    """Norm against weight standardization, a panel per level of the number that is swept."""
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
    figure, axes = side_by_side(len(shown), 2.3, width=min(style.PAGE, 1.0 + 1.9 * len(shown)), sharey=True)
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


def _few_shot(results: Results, partial: bool) -> Made:
    """The layout of BiT Figure 6."""
    study, metric = results.study, metric_of(results.study)
    along, across = sides_of(study)
    scale, names = SCALES[metric], ["shots", *along, *across]
    groups = gathered(results, names, partial=False)
    shots = shots_of(study)
    figure, axes = side_by_side(len(shots), 2.6, wide=True, sharey=True)
    for ax, value in zip(axes, shots, strict=True):
        mine = [group for group in groups if group.levels["shots"] == value]
        ends = medians(mine, along, scale, chance_of(results, metric), ax)
        ax.set_title(f"{value} image{'s' if value != 1 else ''} per class")
    within(scale, axes[0])
    name_ends(ends, axes[-1])
    axes[0].set_ylabel(scale.axis)
    by = "architecture" if along == ["model"] else "norm"
    what = f"{capital(scale.name)} by {by}, in the layout of BiT Figure 6"
    marks = f"{RUNS}; large marks and lines: medians over runs, without intervals, as there"
    caption = f"{what}.{averaged(study, names)} {marks}. {seeds(results)}."
    yield f"{metric}-few-shot".replace("_", "-"), caption, figure


def _transfer(results: Results, partial: bool) -> Made:
    panels = tunings(results.study)
    yield from gained(results, partial, "transfer-gain", "What fine-tuning gains", "shots", panels)


def _mixup(results: Results, partial: bool) -> Made:
    panels = mixups(results.study)
    yield from gained(results, partial, "mixup-gain", "What MixUp gains", "shots", panels)


def _bn_modes(results: Results, partial: bool) -> Made:
    panels = bn_modes(results.study)
    yield from gained(results, partial, "bn-mode-gain", "What BN's statistics change", "shots", panels)


PLATES: Final = (
    Plate((), _against),
    Plate((("norm",), ("weight_std",)), _two_by_two),
    Plate((("shots",), ("model", "norm", "weight_std"), ("model", "finetune", "upstream")), _few_shot),
    Plate((("shots",), ("finetune", "upstream")), _transfer),
    Plate((("shots",), ("mixup",)), _mixup),
    Plate((("shots",), ("bn_mode",)), _bn_modes),
)
