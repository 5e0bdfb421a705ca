"""T1.5: what each fine-tuned arm reached, beside what BiT's authors print on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.claims import published
from fairtrial.reporting.claims.published import PublishedRow
from fairtrial.reporting.claims.published_claims import SCALED
from fairtrial.reporting.report_item import NIGHTLY, STUDY, Cells, RegistryRow, ReportItem, network_name
from fairtrial.reporting.results.arms import Group, gather
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables.outcome_tables import outcome
from fairtrial.reporting.tables.published_results import ASKED, OTHERS, model_of, place_of
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import counted, provenance, upstream_images
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, clean, plural
from fairtrial.study import factors
from fairtrial.study.data_spec import published_name
from fairtrial.study.settings import ALL, MODEL_NAMES, Settings

_SCALE: Final = SCALES["test_acc"]
_FULL: Final = "full"  # as published.json calls all training images
# The first column tells rows apart: a page too narrow for all columns repeats it before the others.
_SETTING: Final = ("arm", "source", "downstream", "images per class", "upstream")
_RUNS: Final = ("accuracy, %", "accuracy is", "lowest to highest run, %", "sd over runs, points")
_UNITS: Final = (  # no published row has these
    "failed runs", "mean over n, %", "95 % t interval of the mean, %", "sd over n, points", "n", "n counts",
)  # fmt: skip
_WHOLE: Final = ("Table 1", "Table 2")  # of the paper: on all images, and beside any number of them


def main_tables(verdicts: StudyVerdicts) -> list[Table]:
    """Make a row per arm that is fine-tuned from a checkpoint, then one per published result."""
    results = verdicts.results
    study = results.study
    every = gather(results, list(study.factors), "test_acc", intervals=results.sound or verdicts.partial)
    arms = [(group, study.settings(group.levels)) for group in every]
    arms = [(group, arm) for group, arm in arms if arm.starts_from_checkpoint and arm.finetune == "full"]
    if not arms or study.cell:
        return []
    printed = _printed([arm for _, arm in arms])
    rows = [*(_measured(results, group, arm) for group, arm in arms), *printed]
    frame = pd.DataFrame(rows).fillna("").reindex(columns=[*_SETTING, *_RUNS, *_UNITS], fill_value="")
    caption = _caption(results, arms, bool(printed))
    return [Table("main-table", caption, frame.loc[:, (frame != "").any()])]


def _measured(results: Results, group: Group, arm: Settings) -> dict[str, str]:
    images = upstream_images(results) if arm.start.kind == "study" else None
    own, runs = outcome(group, _SCALE, several=True), len(group.values)
    network = clean(network_name(arm.model) if arm.model in MODEL_NAMES else arm.model)
    levels = {name: level for name, level in group.look.items() if name != "model"}
    return {
        "arm": f"{network}, {clean(factors.label(levels))}",
        "source": "measured here" if arm.start.bit else f"measured here, {SCALED}",
        "downstream": clean(published_name(arm.data)),
        "images per class": str(arm.shots),
        "upstream": clean(f"{images} (study {arm.start.name})" if images else arm.start.name),
        "accuracy, %": _SCALE.show(median(group.values.values())) if runs else "",
        "accuracy is": f"median of {plural(runs, 'run')}" if runs else "",
        "lowest to highest run, %": f"{own['min']} to {own['max']}" if runs else "",
        "failed runs": own["failed"],
        "mean over n, %": own["mean"],
        "95 % t interval of the mean, %": f"{own['95 % low']} to {own['95 % high']}" if group.mean else "",
        "sd over n, points": own["sd"],
        "n": own["n"],
        "n counts": own["n counts"],
    }


def _printed(arms: Sequence[Settings]) -> list[dict[str, str]]:
    """Return the rows on the downstream sets of these arms: all images, and as many as an arm has."""
    shots = {_FULL if arm.shots == ALL else arm.shots for arm in arms}
    return [
        _published(row)
        for name in dict.fromkeys(published_name(arm.data) for arm in arms)
        for row in _quoted(name)
        if row["table"] in _WHOLE or row["setting"]["shots"] in shots
    ]


def _quoted(downstream: str) -> Iterator[PublishedRow]:
    """Yield the results of BiT's own networks on a downstream set, in the order of T5.1."""
    for _, source, table, metric, _ in ASKED:
        if metric == "top1_pct":
            rows = published.rows(source, table, metric, downstream=downstream)
            yield from (row for row in rows if not model_of(row["setting"]).startswith(OTHERS))


def _published(row: PublishedRow) -> dict[str, str]:
    setting: dict[str, Any] = row["setting"]
    shots = setting.get("shots", _FULL)
    runs = setting.get("runs") or setting.get("subsamples")
    framework = f", {setting['framework']}" if "framework" in setting else ""
    images = "all images" if shots == _FULL else f"{shots}-shot"
    return {
        "arm": f"{model_of(setting)}, {images}{framework}",
        "source": f"published: {place_of(row)}{framework}",
        "downstream": setting["downstream"],
        "images per class": ALL if shots == _FULL else str(shots),
        "upstream": str(setting.get("upstream") or ""),
        "accuracy, %": str(row["value"]),
        "accuracy is": f"{setting['aggregate']} of {runs} runs" if runs else "not said",
        "lowest to highest run, %": f"{row['min']} to {row['max']}" if row.get("min") else "",
        "sd over runs, points": str(row.get("sd") or ""),
    }


def _caption(results: Results, arms: Sequence[tuple[Group, Settings]], printed: bool) -> str:
    units = {group.unit.name: group.unit for group, _ in arms}
    several = len(units) > 1
    rows = [(unit, f" in rows that count {name}s" * several) for name, unit in units.items()]
    told = [
        "Test accuracy of each fine-tuned arm. The mean, its interval and their sd are over what n counts; "
        "diverged runs score chance",
        *(_beside([arm for _, arm in arms]) if printed else ()),
        counted(results, rows),
        provenance(results),
    ]
    return ". ".join(told)


def _beside(arms: Sequence[Settings]) -> tuple[str, str]:
    """Return what published rows are, and what may be compared with them."""
    if any(arm.start.bit for arm in arms):
        ours = f"An arm of another network, upstream file or recipe is {SCALED}"
    else:
        ours = f"Ours is {SCALED}, another network from other upstream images"
    return (
        "Published rows are quoted as printed; where it is not said what a value is, neither the number of "
        "runs nor that it is their median is recorded",
        f"{ours}: the difference from a published row is no effect of what the row names",
    )


ROWS = (
    RegistryRow(STUDY, main_tables, rank=95, items=(
        ReportItem(
            "T1.5", "Main table", ("Q1",), NIGHTLY,
            "median, spread and interval of each fine-tuned arm; nothing about the published rows beside",
            "fairtrial run transfer; on CIFAR-10: fairtrial run shots-curve --data parquet:DIR",
            ("main-table",), Cells(pretrained=True),
            "BiT's networks, for each downstream set and upstream file",
        ),
    )),
)  # fmt: skip
