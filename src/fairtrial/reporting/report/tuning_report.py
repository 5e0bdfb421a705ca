"""The report of a study's tuning: what each arm was given, what won, what more trials would buy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.figures import figure_files, tuning_curve
from fairtrial.reporting.report import study_page
from fairtrial.reporting.tables import table
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.tables.tuning_importance import importance_table
from fairtrial.reporting.wording import SCALES, clean, fixed, gap, listed, plural
from fairtrial.storage import atomic
from fairtrial.storage.store import Store
from fairtrial.study.budget import parity_gap
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Study
from fairtrial.study.tuning_design import Tuning
from fairtrial.tuning.trials import Trial, best, by_arm, read

_SCALE: Final = SCALES["val_acc"]


@dataclass(frozen=True)
class Told:
    """What was written, as data and as the lines of a terminal."""

    data: dict[str, Any]
    lines: tuple[str, ...]


def build(study: Study, store: Store) -> Told:
    """Rebuild everything derived from the trials of a study; equal records give equal bytes."""
    declared = store.declared()
    design = Tuning.of(declared["declaration"]["tuning"])
    arms = by_arm(read(design, store.attempts()), study.arms())
    made = [effort_table(arms, design), *importance_table(arms, design)]
    drawn = []
    if found := tuning_curve.curves(arms, design):
        with figure_files.styled():
            name, caption, figure = tuning_curve.draw(found, design)
            hashed = declared["history"][-1]["hash"][:8]
            caption += f" {study.budget.words} per trial. Tuning hash {hashed}."
            drawn.append(figure_files.rendered(name, caption, figure))
    notes = tuple(_notes(arms, design))
    lines = [*_lines(arms, design), *notes]
    told = _page(study, store, arms, design)
    folder = store.folder
    figure_files.write(drawn, folder / "figures")
    table.write(made, folder / "tables")
    atomic.publish(folder / "report.md", study_page.markdown(told, drawn, made, notes), overwrite=True)
    atomic.publish(folder / "report.html", study_page.html(told, drawn, made, notes), overwrite=True)
    data = {
        "study": store.name,
        "trials": {arm: len(trials) for arm, trials in arms.items()},
        "complete": told["complete"],
        "lines": lines,
        "report": str(folder / "report.html"),
    }
    return Told(data, (*lines, f"report: {folder / 'report.html'}"))


def effort_table(arms: Mapping[str, Sequence[Trial]], design: Tuning) -> Table:
    """One row per arm: its trials, what they cost, the settings that won; the last row: largest gaps."""
    rows = [_row(arm, trials, design) for arm, trials in arms.items()]
    counts = [float(len(trials)) for trials in arms.values()]
    seconds = [sum(trial.device_s for trial in trials) for trials in arms.values()]
    last = {"arm": "largest gap"}
    if min(counts) > 0 and len(counts) > 1:
        last |= {"trials": gap(parity_gap(counts)), "device s": gap(parity_gap(seconds))}
    unequal = len(set(counts)) > 1
    read_images = sum(trial.test_reads for trials in arms.values() for trial in trials)
    caption = (
        f"What tuning gave each arm: {design.words}. Best: validation accuracy of the winner of each tuning "
        f"study, chosen among its trials; failed trials count as 0. Test images were opened {read_images} "
        "times." + (" Trials are unequal: no verdict for a claim about tuned arms." if unequal else "")
    )
    frame = pd.DataFrame([*rows, last]).fillna("")
    return Table("tuning", caption, frame, marked=("trials",) if unequal else ())


def _row(arm: str, trials: Sequence[Trial], design: Tuning) -> dict[str, str]:
    won = [best(t for t in trials if t.tuning == index) for index in range(design.studies)]
    names = [text.partition("=")[0] for text in design.space]
    return {
        "arm": clean(arm),
        "trials": str(len(trials)),
        "failed": str(sum(trial.failed for trial in trials)),
        "device s": fixed(sum(trial.device_s for trial in trials), 1),
        "best, %": ", ".join("-" if w is None else _SCALE.show(w.value) for w in won),
        **{name: ", ".join("-" if w is None else f"{w.set[name]:.3g}" for w in won) for name in names},
    }


def _lines(arms: Mapping[str, Sequence[Trial]], design: Tuning) -> list[str]:
    """What a terminal shows: the parity, then an arm per line."""
    counts = {len(trials) for trials in arms.values()}
    each = f"{counts.pop()} trials for every arm" if len(counts) == 1 else "unequal trials"
    reads = sum(trial.test_reads for trials in arms.values() for trial in trials)
    lines = [f"parity    {each}: {design.words}; test images opened {reads} times"]
    names = [text.partition("=")[0] for text in design.space]
    for arm, trials in arms.items():
        row = _row(arm, trials, design)
        chosen = "; ".join(f"{name} {row[name]}" for name in names)
        told = f"{row['trials']} trials, {row['failed']} failed, {row['device s']} device-seconds"
        lines.append(f"{clean(arm)}: {told}; best {row['best, %']} % at {chosen}")
    return lines


def _notes(arms: Mapping[str, Sequence[Trial]], design: Tuning) -> list[str]:
    """What narrows a claim about tuned arms."""
    notes = []
    whole = design.trials * design.studies
    if short := [arm for arm, trials in arms.items() if len(trials) < whole]:
        notes.append(f"incomplete: {listed([clean(arm) for arm in short])} below {whole} trials")
    if design.studies < MIN_UNITS:
        told = plural(design.studies, "tuning run").replace("tuning runs", "tuning studies")
        notes.append(f"{told}: a claim about tuned arms needs {MIN_UNITS}; settings may still be used")
    if images := max((t.val_n or 0 for trials in arms.values() for t in trials), default=0):
        notes.append(f"{images} labelled validation images chose the settings, beside the training images")
    return notes


def _page(study: Study, store: Store, arms: Mapping[str, Sequence[Trial]], design: Tuning) -> dict[str, Any]:
    done, whole = sum(map(len, arms.values())), design.trials * design.studies * len(arms)
    declared = store.declared()
    return {
        "question": f"Which settings suit each arm of {clean(study.name)}?",
        "name": clean(store.name),
        "complete": done == whole,
        "progress": f"{done} of {whole} trials",
        "facts": [
            ("study", f"{clean(store.name)}, hash {declared['history'][-1]['hash'][:8]}"),
            ("budget", f"{study.budget.words} per trial"),
            ("tuning", design.words),
            ("trials", f"{done} of {whole}"),
        ],
        "cards": [],
        "aa": None,
    }
