"""The commands that need no study, a function for each."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from fairtrial.cli import options
from fairtrial.cli.options import results_folder
from fairtrial.cli.output import show
from fairtrial.cli.study_commands import recorded
from fairtrial.errors import BAD_INPUT, DONE, INCOMPLETE, Fault, Problem, fault
from fairtrial.screen import working
from fairtrial.storage.atomic import publish
from fairtrial.study.loader import find, known_studies, load


def report_all(given: Namespace) -> int:
    """Draw one report on all recorded studies."""
    if given.preset is not None:
        what = "--preset names the folder of one study, and no STUDY was given"
        raise fault(what, "--preset", "fairtrial report STUDY --preset NAME, or leave --preset out")
    if given.plugin:
        what = "--plugin draws figures of one study, and no STUDY was given"
        raise fault(what, "--plugin", "fairtrial report STUDY --plugin FILE")
    results = results_folder(given.results)
    to = results / "report" if given.to is None else results_folder(given.to, "--to")
    from fairtrial.reporting.report import full_report

    with working("drawing the report"):
        made = full_report.build(results, to, allow_partial=given.allow_partial, pdf=given.pdf)
    found = {
        "report": str(made.path), "cells": made.cells, "studies": made.studies, "drawn": made.drawn,
        "missing": list(made.missing), "warnings": list(made.warnings),
    }  # fmt: skip
    told = f"{made.drawn} report items from {made.cells:,} cells of {made.studies} studies"
    show(found, [*made.told, *made.missing, told, f"report: {made.path}"], given.json)
    return DONE if made.complete else INCOMPLETE


def claims(given: Namespace) -> int:
    """Say what the recorded studies tell of published claims."""
    from fairtrial.reporting.claims.read_claims import answer_claims

    folders = [results_folder(folder) for folder in given.results]
    with working("judging the claims"):
        found, words = answer_claims(folders, allow_partial=given.allow_partial)
    return show(found, words, given.json)


def agree(given: Namespace) -> int:
    """Compare the verdicts of two presets."""
    from fairtrial.reporting.verdicts.preset_agreement import compare

    where = [results_folder(folder) for folder in given.results]
    with working("judging both presets"):
        found, words, complete = compare(given.first, given.second, where, partial=given.allow_partial)
    show(found, words, given.json)
    return DONE if complete else INCOMPLETE


def verify(given: Namespace) -> int:
    """Recompute every number of reports; a Fault names each that differs."""
    from fairtrial.reporting.verify import verify

    found: list[Any] = []
    wrong: list[Problem] = []
    with working("making each report anew"):
        every = verify(_reports(given), partial=given.allow_partial)
    for checked in every:
        found.append(checked.record())
        wrong += checked.problems
        if not given.json:
            show(None, [checked.line(), *(f"  {note}" for note in checked.notes)], False)
    if given.json:
        show({"folders": found}, [], True)
    if wrong:
        raise Fault(wrong, BAD_INPUT)
    return DONE


def _reports(given: Namespace) -> list[Path]:
    """The folders that are meant: of a study by its name or file, of any other word the folder itself."""
    named = [word for word in given.of if word in known_studies() or word.endswith(".py")]
    return [
        recorded(load(find(word)), given).folder if word in named else Path(word) for word in given.of
    ] or [results_folder(given.results)]


def merge(given: Namespace) -> int:
    """Join folders that hold parts of studies into one results folder."""
    from fairtrial.storage.merge import merge, studies_in

    into = results_folder(given.results)
    studies = dict(studies_in(given.folders))
    if not studies:
        where = ", ".join(map(str, given.folders))
        raise fault("no study is recorded here", where, "name results folders, or folders of studies")
    merged = []
    with working("joining studies", len(studies)) as done:
        for name, each in studies.items():
            merged.append(merge(each, into / name, allow_mixed=given.allow_mixed))
            done(len(merged))
    return show({"studies": [vars(one) for one in merged]}, [one.line for one in merged], given.json)


def doctor(given: Namespace) -> int:
    """Say what this machine has and lacks."""
    from fairtrial.cli import doctor

    with working("looking at this machine"):
        found, problems = doctor.examine(results_folder(given.results), given.data)
    show(found, doctor.lines(found), given.json)
    if problems:
        raise problems
    return DONE


def fetch(given: Namespace) -> int:
    """Download official weights, or list them."""
    from fairtrial.weights.fetch import fetched, fetched_lines, known, known_lines

    if given.name is None:
        rows = known()
        return show({"files": rows}, known_lines(rows), given.json)
    found = fetched(given.name, None if given.to is None else results_folder(given.to, "--to"))
    return show(found, fetched_lines(found), given.json)


def init(given: Namespace) -> int:
    """Write a study file to begin with."""
    from fairtrial.cli.new_study import write_study

    path = write_study(given.name)
    words = [f"wrote {path}", f"what it would run: fairtrial plan {path}", f"then: fairtrial run {path}"]
    return show({"file": str(path)}, words, given.json)


def measure(given: Namespace) -> int:
    """Measure what some figures need beside studies."""
    from fairtrial.measurements import command

    name = getattr(given, "probe", "networks")
    with working("measuring"):
        path, values = command.run(name, results_folder(given.results), getattr(given, "data", None))
    return show({"file": str(path), "values": values}, [f"wrote {path}"], given.json)


def gate(given: Namespace) -> int:
    """Say whether this tree is slower than its base."""
    results_folder(given.results)
    if given.history is not None:
        return _gate_history(given)
    from fairtrial.cli import gate_options

    with working("measuring, launch after launch"):
        found, words, code, summary = gate_options.answer(given)
    if given.summary is not None:
        publish(given.summary, summary, overwrite=True)
    show(found, words, given.json)
    return code


def _gate_history(given: Namespace) -> int:
    from fairtrial.regression import history
    from fairtrial.reporting.figures import gate_history_figure

    if given.history:
        folder = Path(given.history).absolute()
    else:
        device, threads = options.device(given.device), int(given.threads)
        folder = history.folder_of_device(given.results, device, threads)
    nights = history.recorded(folder)
    found = gate_history_figure.series(nights)
    others = history.device_changes(nights)
    paths, caption = gate_history_figure.draw(found, folder.name, folder, others)
    said = gate_history_figure.sentences(found)
    shown = {
        "changes": said,
        "device_changes": others,
        "nights": len(nights),
        "files": [str(path) for path in paths],
        "caption": caption,
    }
    return show(shown, [*said, *others, *(f"drawn: {path}" for path in paths)], given.json)
