"""How the arms of a contrast got their learning rates: by tuning, or by one rule for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean, listed
from fairtrial.study import factors
from fairtrial.study.contrast import corners
from fairtrial.study.study import Contrast, Study, regime_of
from fairtrial.study.tuning_plan import at_edge

COMPUTED: Final = {"micro_batch", "precision", "layout", "kernels"}  # how an update is computed, not what
_NAMED: Final = 3  # arms of one stamp; above, their number


def how_chosen(study: Study, contrast: Contrast) -> str:
    """Return 'each at its tuned rate', 'at one learning-rate rule', or both where something else is tuned.

    Empty where the learning rate is a factor of its own, or where the two sides train alike.
    """
    tuned = () if study.tuning is None else study.tuning.names
    if tuned == ("lr",):
        return "each at its tuned rate"
    words = [f"each at its tuned {listed([name.replace('_', ' ') for name in tuned])}"] if tuned else []
    differ = {name for name, level in contrast.treatment.items() if contrast.control[name] != level}
    if not {"lr"} & {*tuned, *study.factors} and differ - COMPUTED:
        words.append("at one learning-rate rule")
    return ", ".join(words)


def at_the_edge(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'lr of gn+ws, batch 4 chosen at the edge of its range'; a grid counts as widened."""
    study, stage = results.study, results.tuning
    if study.tuning is None or stage is None:
        return
    names = list(study.factors)
    cells = [cell for levels in corners(contrast) for cell in results.where(levels)[names].values.tolist()]
    arms = {regime_of(arm): arm for arm in (dict(zip(names, cell, strict=True)) for cell in cells)}
    for name, declared in study.tuning.space.items():
        at = [
            clean(factors.label(levels))
            for arm, levels in arms.items()
            if any(
                at_edge(choice.params[name], stage.grid or declared)
                for (_, regime), choice in stage.choices.items()
                if regime == arm
            )
        ]
        if at:
            who = listed(at) if len(at) <= _NAMED else f"{len(at)} arms"
            yield f"{name.replace('_', ' ')} of {who} chosen at the edge of its range"
