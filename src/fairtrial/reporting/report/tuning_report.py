"""The report of a study's tuning: what each arm was given, what won, what more trials would buy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import figure_files
from fairtrial.reporting.report import study_page
from fairtrial.reporting.report.figure_registry import draw_rows, tabulate_rows
from fairtrial.reporting.report_item import TUNING, TuningTrials
from fairtrial.reporting.tables.table import table_files
from fairtrial.reporting.tables.tuning_tables import effort_row
from fairtrial.reporting.wording import clean, listed, plural
from fairtrial.storage.store import Store
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Study
from fairtrial.study.tuning_design import Tuning
from fairtrial.tuning.trials import Trial, by_arm, read


@dataclass(frozen=True)
class TuningReport:
    """What was written, as data and as the lines of a terminal."""

    data: dict[str, Any]
    lines: tuple[str, ...]


def build(study: Study, store: Store) -> TuningReport:
    """Rebuild everything derived from the trials of a study; equal records give equal bytes."""
    declared = store.declared()
    design = Tuning.of(declared["declaration"]["tuning"])
    arms = by_arm(read(design, store.attempts()), study.arms())
    hashed = declared["history"][-1]["hash"][:8]
    trials = TuningTrials(arms, design, f"{study.budget.words} per trial. Tuning hash {hashed}.")
    figures, tables = draw_rows(TUNING, trials), tabulate_rows(TUNING, trials)
    notes = tuple(_notes(arms, design))
    lines = [*_lines(arms, design), *notes]
    page = _page(study, store, arms, design)
    content = page, figures, tables, notes
    write_files(
        store.folder,
        {
            **figure_files(figures),
            **table_files(tables),
            "report.md": study_page.markdown(*content),
            "report.html": study_page.html(*content),
        },
    )
    data = {
        "study": store.name,
        "trials": {arm: len(trials) for arm, trials in arms.items()},
        "complete": page["complete"],
        "lines": lines,
        "report": str(store.folder / "report.html"),
    }
    return TuningReport(data, (*lines, f"report: {store.folder / 'report.html'}"))


def _lines(arms: Mapping[str, Sequence[Trial]], design: Tuning) -> list[str]:
    """What a terminal shows: the parity, then an arm per line."""
    counts = {len(trials) for trials in arms.values()}
    each = f"{counts.pop()} trials for every arm" if len(counts) == 1 else "unequal trials"
    reads = sum(trial.test_reads for trials in arms.values() for trial in trials)
    lines = [f"parity    {each}: {design.words}; test images opened {reads} times"]
    names = [text.partition("=")[0] for text in design.space]
    for arm, trials in arms.items():
        row = effort_row(arm, trials, design)
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
