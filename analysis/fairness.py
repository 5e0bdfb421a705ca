"""Was the trial fair? Each promise of the design, and what the records show of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from analysis.captions import commits, provenance
from analysis.contrasts import SPENT
from analysis.table import Results
from analysis.tables import Table
from analysis.words import clean, gap, listed, plural
from fairtrial import recipe
from fairtrial.budget import PARITY_GAP, parity_gap
from fairtrial.factors import ALL
from fairtrial.forecast import per_cell

Row = tuple[str, str, str]  # promise; "yes", "no" or "as stated"; what the records show


def fairness(results: Results) -> Table:
    """The rows that stand under every confirmatory figure."""
    rows = [
        _start(results),
        _same(results, "subset", ("data", "shots", "val_per_class"), "same images"),
        _same(results, "order", ("data", "shots", "val_per_class"), "same order"),
        _rate(results),
        _budget(results),
        _test_set(results),
        _batch(results),
        _unit(results),
        _recipe(results),
        _machine(results),
    ]
    caption = f"What makes the comparison fair, as far as the records show it. {provenance(results)}"
    return Table(
        "fairness", caption, pd.DataFrame(rows, columns=["promise", "holds", "what the records show"])
    )


def _values(results: Results, name: str) -> list[Any]:
    """The values of one setting over the arms, in declared order."""
    settings = (results.study.settings(levels) for levels in results.study.arms())
    return list(dict.fromkeys(setting[name] for setting in settings))


def _said(values: Iterable[Any], none: str = "none") -> str:
    return listed([none if value is None else clean(value) for value in values])


def _drawn(results: Results, stream: str, names: Sequence[str]) -> list[tuple[tuple, set[str]]]:
    """((seed, settings), digests that arms of these settings drew), without the A/A arm."""
    found: dict[tuple, set[str]] = {}
    for record in results.records.values():
        if record["replica"] == 0 and record["drawn"].get(stream):
            key = (record["seed"], *(record["settings"][name] for name in names))
            found.setdefault(key, set()).add(record["drawn"][stream])
    return list(found.items())


def _start(results: Results) -> Row:
    blocks = _drawn(results, "init", ("model", "norm", "data"))
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
    rates = _values(results, "lr")
    tuned = (
        "a swept factor"
        if "lr" in results.study.factors
        else "one rule for all arms, not tuned for any (0 trials)"
    )
    shown = f"lr {_said(rates)} at {recipe.BASE_BATCH} images per update, in proportion to the batch; {tuned}"
    return "learning rate", "as stated", shown


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
    return "budget", _yes(spread[kind] <= PARITY_GAP), f"{per_cell(results.study.budget)} per run; {shown}"


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
    shots = _values(results, "shots")
    subset = "" if shots == [ALL] else f"a subset ({_said(shots)} images per class), "
    draws = f"{subset}initial weights, order and augmentation together"
    return (
        "replication unit",
        "as stated",
        f"{plural(len(results.seeds), 'seed')}; each draws {draws}; one test set",
    )


def _recipe(results: Results) -> Row:
    px, mixup = _values(results, "resolution"), _values(results, "mixup")
    shown = (
        f"own: SGD with momentum {recipe.MOMENTUM:g}, cosine to zero, "
        f"warm-up {_said(_values(results, 'warmup'))}, "
        f"weight decay {_said(_values(results, 'weight_decay'))}, MixUp {_said(mixup)}, "
        f"augmentation {_said(_values(results, 'augment'))}; {_said(px)} px"
    )
    return "recipe", "as stated", shown


def _machine(results: Results) -> Row:
    told, mixed = [], False
    for name in ("device", "cpu", "threads", "torch", "precision"):
        found = {
            clean(r["origin"][name]) for r in results.records.values() if r["origin"].get(name) is not None
        }
        mixed |= len(found) > 1
        told.append(f"{name} {_said(sorted(found))}" if found else f"{name} not recorded")
    return "one machine", _yes(not mixed), f"{'; '.join(told)}; {commits(results)}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
