"""The commands on one study, a function for each."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairtrial.cli import options
from fairtrial.cli.changed_levels import as_recorded, fallen_away
from fairtrial.cli.options import results_folder
from fairtrial.cli.output import show
from fairtrial.errors import DONE, FAILED_CELLS, INCOMPLETE, fault
from fairtrial.execution.part import Part
from fairtrial.execution.run_options import Options
from fairtrial.screen import announce, working
from fairtrial.storage.atomic import publish
from fairtrial.storage.lock import staying
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study.loader import find, load
from fairtrial.study.stopping import Asked
from fairtrial.study.study import Study

if TYPE_CHECKING:
    from fairtrial.execution.runner import Schedule
    from fairtrial.tuning.database_url import DatabaseUrl


def _asked(study: Study, given: Namespace) -> tuple[Study, Options]:
    """The study and the way to run it, with every option merged in; a Fault names all that are wrong."""
    found = options.together(
        results=lambda: results_folder(given.results),
        study=lambda: options.apply(
            study,
            preset=given.preset,
            data=given.data,
            budget=given.budget,
            seeds=given.seeds,
            stop=getattr(given, "stop", None),
            settings=[*given.settings, *_shortcuts(given)],
        ),
        how=lambda: _how(given),
    )
    merged = found["study"]
    if given.settings and not given.json:
        announce(*fallen_away(options.apply(study, preset=given.preset), merged))
    return options.tuning(merged, given), found["how"]


def _shortcuts(given: Namespace) -> list[str]:
    """Settings with an option of their own, as --set writes them."""
    names = ("micro_batch", "precision")
    return [f"{name}={getattr(given, name)}" for name in names if getattr(given, name) is not None]


def _how(given: Namespace) -> Options:
    def number(name: str, read: Callable[..., Any], *most: int) -> Callable[[], Any]:
        text = getattr(given, name, None)
        return lambda: None if text is None else read(text, f"--{name.replace('_', '-')}", *most)

    cluster = getattr(given, "ray", None)
    how = options.together(
        device=lambda: options.device(given.device, here=cluster is None),
        ray=lambda: cluster and options.ray_address(cluster),
        jobs=number("jobs", options.count, options.MOST_SIDE_BY_SIDE),
        threads=number("threads", options.count, options.MOST_SIDE_BY_SIDE),
        limit=number("limit", options.count),
        total_budget_s=number("total_budget", options.seconds),
        cell_timeout_s=number("cell_timeout", options.seconds),
        part=lambda: Part.parse(given.part) if getattr(given, "part", None) else None,
    )
    for name in ("download", "retry", "allow_mixed"):
        how[name] = getattr(given, name, False)
    return Options(results=given.results, **how)


def plan(study: Study, given: Namespace) -> int:
    """Say what a study will do, cost and be able to see."""
    from fairtrial.execution import launches
    from fairtrial.planning import plan

    study, how = _asked(study, given)
    if given.audit:
        table = plan.audit(study)
        return show(table, plan.audit_lines(table), given.json)
    if given.calibrate:
        launches.calibrate(study, how)
    found = plan.plan(study, how)
    words: list[str] = []
    if given.effect is None and (given.sd or given.pilot or given.total_budget):
        what = "--sd, --pilot and --total-budget say nothing without an effect to be seen"
        raise fault(what, "--effect", "write for example --effect 2")
    if given.effect is not None:
        found["size"], words = _size(study, how, given)
    return show(found, [*plan.lines(found), *words], given.json)


def _size(study: Study, how: Options, given: Namespace) -> tuple[dict[str, Any], list[str]]:
    from fairtrial.planning import power

    scale = power.unit(study)
    asked = options.together(
        effect=lambda: options.positive(given.effect, "--effect"),
        sd=lambda: None if given.sd is None else options.positive(given.sd, "--sd"),
        power=lambda: options.power(given.power),
    )
    if asked["sd"] is not None:
        known = [power.Spread(each.name, asked["sd"] * scale) for each in study.contrasts]
    else:
        known = _spreads(study, given)
    found = power.size(study, how, known, effect=asked["effect"] * scale, power=asked["power"])
    return found, list(power.lines(found, scale))


def _spreads(study: Study, given: Namespace) -> list[Any]:
    """The spread of each contrast in the pilot, or in the study's own cells; a Fault where there is none."""
    store = Store.of(study, given.results)
    if given.pilot is not None:
        folder = Path(given.pilot)
        store = Store(folder) if folder.is_dir() else Store.of(load(find(given.pilot)), given.results)
    do = "give --sd POINTS, or --pilot: a study, or a folder, with three complete pairs or more"
    if not is_study(store.folder):
        raise fault("no cells are recorded from which a spread could be taken", str(store.folder), do)
    from fairtrial.planning import power
    from fairtrial.reporting.verdicts.interim_analyses import read_spreads

    known = [power.Spread(*pilot) for pilot in read_spreads(store, study.contrasts)]
    if not known:
        raise fault("no contrast of the study has three recorded pairs there", str(store.folder), do)
    return known


def tune(study: Study, given: Namespace) -> int:
    """Run the trials that give each arm its learning rate, and say what they chose."""
    from fairtrial.tuning import schedule
    from fairtrial.tuning.database_url import given_url

    study, how = _asked(study, given)
    url = given_url(given.storage)
    if study.tuning is None:
        do = "write tuning=Tuning({'lr': (0.03, 0.1, 0.3, 1.0, 3.0)}) in the study, or give --space"
        raise fault(f"{study.name} declares no tuning", "tuning", do)
    code = _run_trials(study, how, url)
    found = schedule.choices_of(study, Store.of(study, given.results))
    show(found, schedule.lines(found), given.json)
    return code


def _run_trials(study: Study, how: Options, url: DatabaseUrl | None) -> int:
    """Run the trials of a study: all, those of a part, or those that no other driver has claimed."""
    from fairtrial.execution import runner
    from fairtrial.tuning.schedule import tuning_alone

    ask = tuning_alone(study)
    if url is None:
        return runner.run(study, how, _of_part(ask, study, how))
    if how.part is not None:
        raise fault("a fixed part, and trials claimed from a database", "--part and --storage", "keep one")
    from fairtrial.tuning.shared_trials import SharedTrials

    store = Store.of(study, how.results)
    with SharedTrials(study, store, url, ask, how.jobs_for(study)).opened() as shared:
        return runner.run(study, how, shared)


def run(study: Study, given: Namespace) -> int:
    """Run what is missing of a study, then report."""
    from fairtrial.execution import runner
    from fairtrial.planning import plan
    from fairtrial.tuning.schedule import whole_study

    study, how = _asked(study, given)
    plan.refuse_unaffordable(study, how)
    if how.part is not None:
        how.part.refuse_empty(study)
    code = runner.run(study, how, _of_part(whole_study(study, _rule(study, given)), study, how))
    if how.part is not None:
        _state(study, given)
        if code == DONE:
            print(f"{how.part} is done; `fairtrial report` draws what all parts recorded", file=sys.stderr)
    elif code in (DONE, FAILED_CELLS) or given.allow_partial:
        _build(Store.of(study, given.results), given)
    else:
        _state(study, given)
        print("the study is incomplete; the same command goes on where it stopped", file=sys.stderr)
    return code


def _of_part(schedule: Schedule, study: Study, how: Options) -> Schedule:
    """The schedule, of the part that was asked for."""
    if how.part is None:
        return schedule
    from fairtrial.tuning.schedule import in_part

    return in_part(schedule, study, how.part, Store.of(study, how.results))


def _rule(study: Study, given: Namespace) -> Callable[[], Asked] | None:
    """Which cells the study's stopping rule asks for, by what is recorded; None where it has no rule."""
    if study.rule is None:
        return None
    from fairtrial.reporting.verdicts.interim_analyses import ask_rule

    return lambda: ask_rule(Store.of(study, given.results))


def status(study: Study, given: Namespace) -> int:
    """Say how far a study is: as it was last run here, where no option asks for another."""
    asked, plain = _asked(study, given)[0], options.apply(study, preset=given.preset)
    return _state(as_recorded(asked, plain, Store.of(asked, given.results)), given)


def _state(study: Study, given: Namespace) -> int:
    from fairtrial.planning import status

    store, rule = Store.of(study, given.results), _rule(study, given)
    asked = rule() if rule is not None and is_study(store.folder) else None
    found = status.status(study, store, asked)
    return show(found, status.lines(found), given.json)


def recorded(study: Study, given: Namespace) -> Store:
    """The recorded study: its folder goes by the name and the preset, the rest is as declared."""
    study = study if given.preset is None else study.under(given.preset)
    study = study if getattr(given, "fixed_lr", None) is None else study.at_one_rule()
    return Store.of(study, results_folder(given.results))


def replay(study: Study, given: Namespace) -> int:
    """Run some recorded cells again, alone, and say whether each gives its record bit for bit."""
    from random import SystemRandom

    from fairtrial.execution.replay import refusal, replay, shuffled
    from fairtrial.signals import Stop

    study = options.apply(study, preset=given.preset, data=given.data)
    seed = SystemRandom().randint(1, 10**6) if given.seed is None else options.count(given.seed, "--seed")
    store, stop, found = recorded(study, given), Stop(), []
    attempts = shuffled(store, seed)
    attempts = attempts[: options.part(given.sample, "--sample", len(attempts))]
    with stop.listening():
        for one in replay(study, store, attempts, stop, download=given.download):
            found.append(one)
            show(None, [one.line()] if one.agrees and not given.json else [], False)
    agreed = sum(one.agrees for one in found)
    words = f"{agreed} of {len(attempts)} cells agree bit for bit (--seed {seed} chooses the same)"
    show({"study": store.name, "seed": seed, "cells": [one.record() for one in found]}, [words], given.json)
    if refused := refusal(found, store.folder):
        raise refused
    return stop.code or DONE


def report(study: Study, given: Namespace) -> int:
    """Draw the report of one study."""
    if given.to is not None:
        raise fault("--to is for the report over all studies", "--to", f"leave out {given.study!r} or --to")
    return DONE if _build(recorded(study, given), given, pdf=given.pdf) else INCOMPLETE


def verdict(study: Study, given: Namespace) -> int:
    """Say the verdict sentences of a study."""
    from fairtrial.reporting.claims.read_claims import answer_verdict

    store = recorded(study, given)
    with working("judging the study"):
        found, words, complete = answer_verdict(store, given.contrast, allow_partial=given.allow_partial)
    if given.summary is not None:
        from fairtrial.reporting.report.contrast_tables import summary
        from fairtrial.reporting.verdicts.study_verdicts import judge_study

        text = summary(judge_study(store, partial=given.allow_partial))
        publish(given.summary, text, overwrite=True)
    show(found, words, given.json)
    return DONE if complete else INCOMPLETE


def _build(store: Store, given: Namespace, *, pdf: bool = False) -> bool:
    from fairtrial.reporting.report.own_figures import draw
    from fairtrial.reporting.report.study_report import build

    with working("drawing the report"), staying(store.folder):
        report = build(store, allow_partial=given.allow_partial, pdf=pdf)
    found = {"report": str(report.path), "sentences": [*report.sentences], "warnings": [*report.warnings]}
    show(found, [*report.sentences, *report.warnings, f"report: {report.path}"], given.json)
    own = draw(store, map(Path, given.plugin or ()), allow_partial=given.allow_partial)
    show(None, [] if given.json else [f"figure: {path}" for path in own if path.suffix == ".svg"], False)
    return report.complete


def repair(study: Study, given: Namespace) -> int:
    """Move damaged records of a study away."""
    store = recorded(study, given)
    with working("checking every record"), store.locked():
        moved, left = store.set_aside(), store.sweep()
    found = {"moved": [str(path) for path in moved], "deleted": [str(path) for path in left]}
    words = [f"{done:8} {path}" for done, paths in found.items() for path in paths]
    return show(found, words or ["nothing to repair"], given.json)
