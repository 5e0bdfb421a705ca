"""Was the trial fair? Each promise of the design, and what the records show of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from fairtrial.norm_table import NORM_TABLE
from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.contrast_sides import overlap_words
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import commits, provenance, units
from fairtrial.reporting.verdicts.fairness_checks import cost
from fairtrial.reporting.wording import clean, gap, listed, plural
from fairtrial.stats.cost_parity import OPEN, REFUSED
from fairtrial.study import recipes as recipe
from fairtrial.study.budget import SPENT, parity_gap
from fairtrial.study.factors import label
from fairtrial.study.limits import PARITY_LIMIT
from fairtrial.study.settings import ALL

Row = tuple[str, str, str]  # promise; "yes", "NO", "open" or "as stated"; what the records show


def fairness(results: Results) -> Table:
    """The rows that stand under every confirmatory figure."""
    rows = [
        _start(results),
        *_checkpoints(results),
        _same(results, "subset", ("data", "shots", "val_per_class"), "same images"),
        _same(results, "order", ("data", "shots", "val_per_class"), "same order"),
        _rate(results),
        *_equal_tuning(results),
        _budget(results),
        *_ways(results),
        _test_set(results),
        _batch(results),
        _unit(results),
        _recipe(results),
        *_tuning(results),
        _machine(results),
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


def _drawn(results: Results, stream: str, names: Sequence[str]) -> list[tuple[tuple, set[str]]]:
    """((seed, settings), digests that arms of these settings drew), without the A/A arm."""
    found: dict[tuple, set[str]] = {}
    for record in results.records.values():
        if record.replica == 0 and (digest := getattr(record.drawn, stream)):
            key = (record.seed, *(getattr(record.settings, name) for name in names))
            found.setdefault(key, set()).add(digest)
    return list(found.items())


def _start(results: Results) -> Row:
    blocks = _drawn(results, "init", ("model", "norm", "block", "head", "data", *_source(results)))
    if not blocks:
        return "same start", "unknown", "no initial weights recorded"
    equal = sum(len(digests) == 1 for _, digests in blocks)
    norms = _values(results, "norm")
    shown = f"arms of one norm start from equal weights in {equal} of {len(blocks)} blocks of one seed"
    if len(norms) > 1:
        shown += (
            f"; across norms ({_said(norms)}) the digests cannot be compared, because the parameters differ: "
            "there the design draws each parameter from a stream named after it"
        )
    return "same start", _yes(equal == len(blocks)), shown


def _source(results: Results) -> tuple[str, ...]:
    """What the first weights also depend on where some arms start from a checkpoint."""
    return ("start_key", "finetune") if _below(results) else ()


def _below(results: Results) -> list[ReplicationUnit]:
    """The units of the arms that start from a checkpoint."""
    return [unit for unit, _ in units(results) if unit.checkpoints is not None]


def _checkpoints(results: Results) -> Iterator[Row]:
    """Whether arms that share a checkpoint got one file, and what the test set shares with its images."""
    if not _below(results):
        return
    files: dict[tuple, set[str]] = {}
    overlaps: set[Any] = set()
    for record in results.records.values():
        drawn = record.drawn.upstream
        if drawn:
            key = (record.upstream_seed, record.settings.start_key)
            files.setdefault(key, set()).add(drawn.sha256)
            overlaps.add(drawn.overlap)
    if not files:
        yield "same checkpoint", "unknown", "no checkpoint recorded"
        return
    equal = sum(len(digests) == 1 for digests in files.values())
    known = overlaps - {None}
    shared = overlap_words(max(known)) if known else "whether test images were among them is not known"
    shown = f"{equal} of {plural(len(files), 'checkpoint')} with one digest in all runs; {shared}"
    yield "same checkpoint", _yes(equal == len(files)), shown


def _same(results: Results, stream: str, names: Sequence[str], title: str) -> Row:
    blocks = _drawn(results, stream, names)
    if not blocks:
        return title, "unknown", f"no {stream} digest recorded"
    equal = sum(len(digests) == 1 for _, digests in blocks)
    shown = f"one {stream} digest for all arms in {equal} of {plural(len(blocks), 'block')} of one seed"
    if stream == "order":
        shown += " (first 1024 positions)"
        if len(_values(results, "mixup")) > 1 or max(_values(results, "mixup")) > 0:
            shown += "; MixUp draws are shared only between arms of one batch size"
    return title, _yes(equal == len(blocks)), shown


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


def _equal_tuning(results: Results) -> Iterator[Row]:
    """Trials, sampler and space of tuned arms."""
    tuning = results.study.tuning
    if tuning is not None and results.tuning is not None:
        counts = sorted({len(trials) for trials in results.tuning.trials.values()})
        shown = f"{listed([str(count) for count in counts])} trials per arm: {tuning.words}"
        yield "equal tuning", _yes(len(counts) == 1 and results.tuning.complete), shown


def _budget(results: Results) -> Row:
    kind = results.study.budget.kind
    done = results.arms[results.arms["status"] == "done"]
    if not len(done):
        return "budget", "unknown", "no finished run"
    spread = {
        name: parity_gap([float(mean) for mean in done.groupby("arm")[column].mean()])
        for name, column in SPENT.items()
    }
    other = [f"{name} by {gap(value)}" for name, value in spread.items() if name != kind]
    shown = f"arms differ in {kind} by {gap(spread[kind])}, in {listed(other)}"
    shown = f"{results.study.budget.words} per run; {shown}"
    if kind != "seconds":
        return "budget", _yes(spread[kind] <= PARITY_LIMIT), shown
    costs = {contrast.name: cost(results, contrast) for contrast in results.study.contrasts}
    judged = [f"{clean(name)} {parity.verdict}, {parity.words}" for name, parity in costs.items() if parity]
    verdicts = {parity.verdict for parity in costs.values() if parity}
    holds = "NO" if REFUSED in verdicts else "open" if OPEN in verdicts else "yes"
    return "budget", holds, "; ".join([shown, *judged])


def _ways(results: Results) -> Iterator[Row]:
    """How arms of a budget in seconds were computed, and where our own kernels meet stock ones."""
    arms: dict[str, list[str]] = {}
    own: dict[str, bool] = {}
    for record in results.records.values():
        way, arm = record.drawn.way, clean(label(record.levels))
        if way and record.replica == 0 and arm not in own:
            of_device = record.provenance.kernels
            own[arm] = way["kernels"] == "fastest" and record.settings.on_own_kernels(of_device)
            name = f"our {clean(of_device)} kernels" if own[arm] else "torch's kernels"
            arms.setdefault(f"{clean(way['layout'])} on {name}", []).append(arm)
    if arms:
        told = [f"{way}: {'; '.join(names)}" for way, names in sorted(arms.items())]
        met = ["our own kernels meet torch's"] if len(set(own.values())) > 1 else []
        shown = ". ".join(["the fastest that calibration found", *told, *met])
        yield "implementation", "as calibrated", shown
    elif results.study.budget.kind == "seconds" and results.records:
        yield (
            "implementation",
            "as stated",
            "arms ran in the declared layout, which need not be their fastest",
        )


def _test_set(results: Results) -> Row:
    reads = [row["test_reads"] for row in results.plain if row.get("test_reads") is not None]
    if not reads:
        return "test set", "unknown", "no run"
    sizes = sorted({row["test_n"] for row in results.plain if row.get("test_n")})
    shown = f"opened at most {plural(max(reads), 'time')} per run; {_said(sizes)} images"
    return "test set", _yes(max(reads) <= 1), shown


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


def _machine(results: Results) -> Row:
    told, mixed = [], False
    for name in ("device", "cpu", "threads", "torch", "precision"):
        found = {
            clean(value)
            for r in results.records.values()
            if (value := getattr(r.provenance, name)) is not None
        }
        mixed |= len(found) > 1
        told.append(f"{name} {_said(sorted(found))}" if found else f"{name} not recorded")
    return "one machine", _yes(not mixed), f"{'; '.join(told)}; {commits(results)}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"


ROWS = (RegistryRow(STUDY, lambda v: [fairness(v.results)], rank=9),)
