"""Was the trial fair? Each promise of the design, and what the records show of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from fairtrial.norm_table import NORM_TABLE
from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import commits, provenance, units
from fairtrial.reporting.verdicts.fairness_checks import study_checks
from fairtrial.reporting.wording import clean, listed, plural
from fairtrial.study import recipes as recipe
from fairtrial.study.settings import ALL

Row = tuple[str, str, str]  # promise; "yes", "no" or "as stated"; what the records show


def fairness(results: Results) -> Table:
    """Return the rows that stand under every confirmatory figure: what is checked, then what is stated."""
    rows = [
        *(
            (check.promise, check.holds, "; ".join([*check.problems, check.shown]))
            for check in study_checks(results)
        ),
        _rate(results),
        _batch(results),
        _unit(results),
        _recipe(results),
        *_tuning(results),
        ("code", "as stated", commits(results)),
    ]
    caption = f"What makes the comparison fair, as far as the records show it. {provenance(results)}"
    return Table(
        "fairness", caption, pd.DataFrame(rows, columns=["promise", "holds", "what the records show"])
    )


def _values(results: Results, name: str) -> list[Any]:
    """The values of one setting over the arms, in declared order."""
    settings = (results.study.settings(levels) for levels in results.study.arms())
    return list(dict.fromkeys(getattr(arm, name) for arm in settings))


def _said(values: Iterable[Any], none: str = "none") -> str:
    return listed([none if value is None else clean(value) for value in values])


def _below(results: Results) -> list[ReplicationUnit]:
    """The units of the arms that start from a checkpoint."""
    return [unit for unit, _ in units(results) if unit.checkpoints is not None]


def _rate(results: Results) -> Row:
    rates, recipes = _values(results, "lr"), _values(results, "recipe")
    if any(each != "own" for each in recipes):
        shown = (
            f"recipe {_said(recipes)}: that of a hyperrule is set by the rule, not tuned ({_trials(results)})"
        )
        return "learning rate", "as stated", shown
    tuned = (
        "a swept factor"
        if "lr" in results.study.factors
        else f"one rule for all arms, not tuned for any ({_trials(results)})"
    )
    if _chosen(results, "lr"):
        rates, tuned = [_chosen(results, "lr")], f"the same trials for every arm ({_trials(results)})"
    shown = f"lr {_said(rates)} at {recipe.BASE_BATCH} images per update, in proportion to the batch; {tuned}"
    return "learning rate", "as stated", shown


def _trials(results: Results) -> str:
    """Return '0 trial runs recorded; pilots: none named', as the records and the study say."""
    pilots = clean(results.pilots) if results.pilots else "none named"
    return f"{plural(results.trial_runs, 'trial run')} recorded; pilots: {pilots}"


def _chosen(results: Results, name: str) -> str | None:
    """'0.01 to 0.5 by tuning', of a setting that tuning chose; None of any other."""
    choices = () if results.tuning is None else results.tuning.choices.values()
    chosen = [choice.params[name] for choice in choices if name in choice.params]
    return f"{min(chosen):.3g} to {max(chosen):.3g} by tuning" if chosen else None


def _batch(results: Results) -> Row:
    names = ("batch_size", "stat_batch", "micro_batch")
    shown = "; ".join(f"{name} {_said(_values(results, name), 'whole batch')}" for name in names)
    return "batch", "as stated", shown


def _unit(results: Results) -> Row:
    shots, below = _values(results, "shots"), _below(results)
    subset = "" if shots == [ALL] else f"a subset ({_said(shots)} images per class), "
    weights = "order and augmentation together; the weights of arms from a checkpoint are not drawn again"
    draws = subset + (weights if below else "initial weights, order and augmentation together")
    told = below or ([units(results)[0][0]] if results.study.tuning else [])
    counted = told[0].describe(results.seeds) if told else plural(len(results.seeds), "seed")
    counted = f"at most {counted}" if results.study.rule else counted
    each = "each seed" if below else "each"
    return "replication unit", "as stated", f"{counted}; {each} draws {draws}; one test set"


def _recipe(results: Results) -> Row:
    px, mixup = _values(results, "resolution"), _values(results, "mixup")
    recipes = _values(results, "recipe")
    if any(each != "own" for each in recipes):
        return "recipe", "as stated", f"{_said(recipes)}; MixUp {_said(mixup)}; {_said(px)} px"
    shown = (
        f"own: SGD with momentum {recipe.MOMENTUM:g}, cosine to zero, "
        f"warm-up {_chosen(results, 'warmup') or _said(_values(results, 'warmup'))}, "
        f"weight decay {_chosen(results, 'weight_decay') or _said(_values(results, 'weight_decay'))}, "
        f"MixUp {_chosen(results, 'mixup') or _said(mixup)}, "
        f"augmentation {_said(_values(results, 'augment'))}; {_said(px)} px"
    )
    return "recipe", "as stated", shown


def _tuning(results: Results) -> Iterator[Row]:
    """What fine-tuning trains, and what it does to the running statistics of BN."""
    if _below(results):
        norms = _values(results, "norm")
        kept = any(NORM_TABLE[norm].running_statistics for norm in norms)
        modes = f"; statistics of BN {_said(_values(results, 'bn_mode'))}" if kept else ""

        yield "transfer", "as stated", f"finetune {_said(_values(results, 'finetune'))}{modes}"


ROWS = (RegistryRow(STUDY, lambda v: [fairness(v.results)], rank=9),)
