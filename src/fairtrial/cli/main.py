"""The command line: a function for each command, and what all of them share."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fairtrial.cli import options
from fairtrial.cli.parser import driver, parser
from fairtrial.errors import (
    BAD_INPUT,
    DONE,
    FAILED_CELLS,
    INCOMPLETE,
    INTERRUPTED,
    RESOURCES,
    Fault,
    Problem,
    fault,
)
from fairtrial.execution.runner import Options
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study.loader import find, known_studies, load
from fairtrial.study.stopping import Asked
from fairtrial.study.study import Study
from fairtrial.study.tuning_design import CHOSEN, MOST_TRIALS, Tuning


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Every fault is one block on stderr: what, where, do."""
    given = sys.argv[1:] if argv is None else list(argv)
    return _guarded(lambda: _dispatch(parser().parse_args(given)), "--json" in given)


def drive(study: Study) -> NoReturn:
    """`python ablations/norm.py ...`: run this study with the options of `fairtrial run`."""
    given = sys.argv[1:]
    own = driver(f"{study.name}.py", study.question)
    sys.exit(_guarded(lambda: _run(study, own.parse_args(given)), "--json" in given))


def _guarded(command: Callable[[], int], as_json: bool) -> int:
    try:
        code = command()
        sys.stdout.flush()
        return code
    except Fault as error:
        return _refuse(error, as_json)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        what = f"the system refused: {error.strerror or error}"
        do = "check the path, its permissions and the space left"
        return _refuse(fault(what, str(error.filename or "no file named"), do, RESOURCES), as_json)


def _refuse(error: Fault, as_json: bool) -> int:
    words = [json.dumps(problem) for problem in error.objects()] if as_json else [error.block()]
    print("\n".join(words), file=sys.stderr)
    return error.code


def _dispatch(given: Namespace) -> int:
    alone = {  # without a study
        "agree": _agree,
        "claims": _claims,
        "doctor": _doctor,
        "fetch": _fetch,
        "gate": _gate,
        "networks": _probe,
        "probe": _probe,
        "verify": _verify,
    }
    if given.command in alone:
        return alone[given.command](given)
    if given.command == "report" and given.study is None:
        return _whole(given)
    commands = {
        "plan": _plan,
        "tune": _tune,
        "run": _run,
        "status": _status,
        "report": _report,
        "verdict": _verdict,
        "repair": _repair,
    }
    return commands[given.command](load(find(given.study)), given)


def _asked(study: Study, given: Namespace) -> tuple[Study, Options]:
    """The study and the way to run it, with every option merged in; a Fault names all that are wrong."""
    found = options.together(
        results=lambda: _results(given.results),
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
    study = found["study"]
    if getattr(given, "tuned", False):
        from fairtrial.tuning.trials import tuned

        study = tuned(study, given.results)
    return study, found["how"]


def _shortcuts(given: Namespace) -> list[str]:
    """Settings with an option of their own, as --set writes them."""
    names = ("micro_batch", "precision")
    return [f"{name}={getattr(given, name)}" for name in names if getattr(given, name) is not None]


def _results(folder: Path, option: str = "--results") -> Path:
    if folder.exists() and not folder.is_dir():
        raise fault(
            f"{str(folder)!r} is a file, not a folder", option, "give a folder, or a name that is free"
        )
    return folder


def _how(given: Namespace) -> Options:
    def number(name: str, read: Callable[..., Any], *most: int) -> Callable[[], Any]:
        text = getattr(given, name, None)
        return lambda: None if text is None else read(text, f"--{name.replace('_', '-')}", *most)

    how = options.together(
        device=lambda: options.device(given.device),
        jobs=number("jobs", options.count, options.MOST_SIDE_BY_SIDE),
        threads=number("threads", options.count, options.MOST_SIDE_BY_SIDE),
        limit=number("limit", options.count),
        total_budget_s=number("total_budget", options.seconds),
        cell_timeout_s=number("cell_timeout", options.seconds),
    )
    for name in ("download", "retry", "allow_mixed"):
        how[name] = getattr(given, name, False)
    return Options(results=given.results, **how)


def _plan(study: Study, given: Namespace) -> int:
    from fairtrial.execution import runner
    from fairtrial.planning import plan

    study, how = _asked(study, given)
    if given.audit:
        table = plan.audit(study)
        return _show(table, plan.audit_lines(table), given.json)
    if given.calibrate:
        runner.calibrate(study, how)
    found = plan.plan(study, how)
    words: list[str] = []
    if given.effect is None and (given.sd or given.pilot or given.total_budget):
        what = "--sd, --pilot and --total-budget say nothing without an effect to be seen"
        raise fault(what, "--effect", "write for example --effect 2")
    if given.effect is not None:
        found["size"], words = _size(study, how, given)
    return _show(found, [*plan.lines(found), *words], given.json)


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


def _tune(study: Study, given: Namespace) -> int:
    from fairtrial.tuning import space

    study, how = _asked(study, given)
    asked = options.together(
        trials=lambda: options.count(given.trials, "--trials", MOST_TRIALS),
        studies=lambda: options.count(given.studies, "--studies", MOST_TRIALS),
        space=lambda: space.parse(given.space or space.DEFAULT, study),
    )
    texts = tuple(dimension.text for dimension in asked["space"])
    design = Tuning(asked["trials"], asked["studies"], given.sampler, texts)
    from fairtrial.tuning import tune

    code = tune.tune(study, asked["space"], design, how)
    from fairtrial.reporting.report import tuning_report

    found = tuning_report.build(study, Store.of(tune.sibling(study), given.results))
    _show(found.data, found.lines, given.json)
    return code


def _run(study: Study, given: Namespace) -> int:
    from fairtrial.execution import runner
    from fairtrial.planning import plan

    study, how = _asked(study, given)
    plan.refuse_unaffordable(study, how)
    code = runner.run(study, how, _rule(study, given))
    if code in (DONE, FAILED_CELLS) or given.allow_partial:
        _build(Store.of(study, given.results), given)
    else:
        _state(study, given)
        print("the study is incomplete; the same command goes on where it stopped", file=sys.stderr)
    return code


def _rule(study: Study, given: Namespace) -> Callable[[], Asked] | None:
    """Which cells the study's stopping rule asks for, by what is recorded; None where it has no rule."""
    if study.rule is None:
        return None
    from fairtrial.reporting.verdicts.interim_analyses import ask_rule

    return lambda: ask_rule(Store.of(study, given.results))


def _status(study: Study, given: Namespace) -> int:
    return _state(_asked(study, given)[0], given)


def _state(study: Study, given: Namespace) -> int:
    from fairtrial.planning import status

    store, rule = Store.of(study, given.results), _rule(study, given)
    asked = rule() if rule is not None and is_study(store.folder) else None
    found = status.status(study, store, asked)
    return _show(found, status.lines(found), given.json)


def _folder(study: Study, given: Namespace) -> Store:
    """The recorded study: its folder goes by the name and the preset, the rest is as declared."""
    study = study if given.preset is None else study.under(given.preset)
    study = study.called(study.name + CHOSEN) if getattr(given, "tuned", False) else study
    return Store.of(study, _results(given.results))


def _report(study: Study, given: Namespace) -> int:
    if given.to is not None:
        raise fault("--to is for the report over all studies", "--to", f"leave out {given.study!r} or --to")
    return DONE if _build(_folder(study, given), given) else INCOMPLETE


def _whole(given: Namespace) -> int:
    if given.preset is not None:
        what = "--preset names the folder of one study, and no STUDY was given"
        raise fault(what, "--preset", "fairtrial report STUDY --preset NAME, or leave --preset out")
    results = _results(given.results)
    to = results / "report" if given.to is None else _results(given.to, "--to")
    from fairtrial.reporting.report import full_report

    made = full_report.build(results, to, allow_partial=given.allow_partial)
    found = {
        "report": str(made.path), "cells": made.cells, "studies": made.studies, "drawn": made.drawn,
        "missing": list(made.missing), "warnings": list(made.warnings),
    }  # fmt: skip
    told = f"{made.drawn} exhibits from {made.cells:,} cells of {made.studies} studies"
    _show(found, [*made.warnings, *made.missing, told, f"report: {made.path}"], given.json)
    return DONE if made.complete else INCOMPLETE


def _verdict(study: Study, given: Namespace) -> int:
    from fairtrial.reporting.claims.claims_answer import told

    found, words, complete = told(_folder(study, given), given.contrast, allow_partial=given.allow_partial)
    _show(found, words, given.json)
    return DONE if complete else INCOMPLETE


def _claims(given: Namespace) -> int:
    from fairtrial.reporting.claims.claims_answer import whole

    found, words = whole([_results(folder) for folder in given.results], allow_partial=given.allow_partial)
    return _show(found, words, given.json)


def _agree(given: Namespace) -> int:
    from fairtrial.reporting.verdicts.preset_agreement import compare

    where = [_results(folder) for folder in given.results]
    found, words, complete = compare(given.first, given.second, where, partial=given.allow_partial)
    _show(found, words, given.json)
    return DONE if complete else INCOMPLETE


def _build(store: Store, given: Namespace) -> bool:
    from fairtrial.reporting.report.study_report import build

    report = build(store, allow_partial=given.allow_partial)
    found = {
        "report": str(report.path),
        "sentences": list(report.sentences),
        "warnings": list(report.warnings),
    }
    _show(found, [*report.sentences, *report.warnings, f"report: {report.path}"], given.json)
    return report.complete


def _verify(given: Namespace) -> int:
    from fairtrial.reporting.verify import verify

    found: list[Any] = []
    wrong: list[Problem] = []
    for checked in verify(_reports(given), partial=given.allow_partial):
        found.append(checked.record())
        wrong += checked.problems
        if not given.json:
            _show(None, [checked.line(), *(f"  {note}" for note in checked.notes)], False)
    if given.json:
        _show({"folders": found}, [], True)
    if wrong:
        raise Fault(wrong, BAD_INPUT)
    return DONE


def _reports(given: Namespace) -> list[Path]:
    """The folders that are meant: of a study by its name or file, of any other word the folder itself."""
    named = [word for word in given.of if word in known_studies() or word.endswith(".py")]
    return [
        _folder(load(find(word)), given).folder if word in named else Path(word) for word in given.of
    ] or [_results(given.results)]


def _repair(study: Study, given: Namespace) -> int:
    store = _folder(study, given)
    with store.locked():
        moved, left = store.set_aside(), store.sweep()
    found = {"moved": [str(path) for path in moved], "deleted": [str(path) for path in left]}
    words = [f"moved    {path}" for path in moved] + [f"deleted  {path}" for path in left]
    return _show(found, words or ["nothing to repair"], given.json)


def _doctor(given: Namespace) -> int:
    from fairtrial.cli import doctor

    found, problems = doctor.examine(_results(given.results), given.data)
    _show(found, doctor.lines(found), given.json)
    if problems:
        raise problems
    return DONE


def _fetch(given: Namespace) -> int:
    from fairtrial.weights.fetch import fetched, fetched_lines, known, known_lines

    if given.name is None:
        rows = known()
        return _show({"files": rows}, known_lines(rows), given.json)
    found = fetched(given.name, None if given.to is None else _results(given.to, "--to"))
    return _show(found, fetched_lines(found), given.json)


def _probe(given: Namespace) -> int:
    from fairtrial.measurements import command

    name = getattr(given, "probe", "networks")
    path, values = command.run(name, _results(given.results), getattr(given, "data", None))
    return _show({"file": str(path), "values": values}, [f"wrote {path}"], given.json)


def _gate(given: Namespace) -> int:
    _results(given.results)
    if given.history:
        return _gate_history(given)
    from fairtrial.cli import gate_options

    found, words, code = gate_options.answer(given)
    _show(found, words, given.json)
    return code


def _gate_history(given: Namespace) -> int:
    from fairtrial.regression import history
    from fairtrial.reporting.figures import gate_history_figure

    folder, nights = history.of_device(given.results, options.device(given.device), int(given.threads))
    found = gate_history_figure.series(nights)
    paths, caption = gate_history_figure.draw(found, folder.name, folder)
    said = gate_history_figure.sentences(found)
    shown = {
        "changes": said,
        "nights": len(nights),
        "files": [str(path) for path in paths],
        "caption": caption,
    }
    return _show(shown, [*said, *(f"drawn: {path}" for path in paths)], given.json)


def _show(data: Any, words: Iterable[str], as_json: bool) -> int:
    if as_json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        for line in words:
            print(line)
    return DONE
