"""The command line: plan, run, status, report, verdict, repair, doctor."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fairtrial import __version__, options
from fairtrial.errors import DONE, FAILED_CELLS, INCOMPLETE, INTERRUPTED, Fault, fault
from fairtrial.presets import PRESETS
from fairtrial.runner import Options
from fairtrial.store import Store
from fairtrial.study import Study
from fairtrial.study_file import find, known_studies, load


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Every fault is one block on stderr: what, where, do."""
    return _guarded(lambda: _dispatch(_parser().parse_args(argv)), "--json" in (argv or sys.argv[1:]))


def drive(study: Study) -> None:
    """`python ablations/norm.py ...`: run this study with the options of `fairtrial run`."""
    parser = _Parser(prog=f"{study.name}.py", description=study.question)
    _study_options(parser)
    _run_options(parser)
    arguments = sys.argv[1:]
    sys.exit(_guarded(lambda: _run(study, parser.parse_args(arguments)), "--json" in arguments))


def _guarded(command: Callable[[], int], as_json: bool) -> int:
    try:
        return command()
    except Fault as error:
        print(json.dumps(error.record()) if as_json else error.block(), file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


class _Parser(argparse.ArgumentParser):
    """argparse, with its errors in the house's form."""

    def error(self, message: str) -> NoReturn:
        raise fault(message, f"the command line of {self.prog}", f"see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fairtrial",
        description="Ablations of Big Transfer as fair trials: paired arms, measured budgets, intervals, verdicts.",
        epilog=f"Studies in ablations/: {', '.join(known_studies())}. STUDY is one of them or the path of a file.",
    )
    parser.add_argument("--version", action="version", version=f"fairtrial {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    for name, says, add in (
        ("plan", "cells, detectable effect, forecast", _plan_options),
        ("run", "run what is missing, then report", _run_options),
        ("status", "how far the study is", None),
        ("report", "figures, tables and verdicts from what is recorded", _report_options),
        ("verdict", "the verdict sentences alone", _report_options),
        ("repair", "move damaged records away and delete leftovers of a crash", None),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.add_argument("study", metavar="STUDY", help="a name in ablations/, or the path of a study file")
        _study_options(command)
        if add is not None:
            add(command)
    doctor = commands.add_parser("doctor", help="what this machine has and lacks")
    doctor.add_argument("--data", metavar="SPEC", help="also check this data")
    doctor.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    return parser


def _study_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the study")
    group.add_argument("--preset", metavar="NAME", help=f"{', '.join(PRESETS)} (default embedded)")
    group.add_argument("--data", metavar="SPEC", help="digits, a torchvision name, parquet:DIR or folder:DIR")
    group.add_argument("--seeds", metavar="N", help="a count (10), a list (0,3,7) or a span (5..9)")
    group.add_argument("--budget", metavar="B", help="of one cell: 4000ex, 500st, 60s, 2gflop")
    group.add_argument("--set", dest="settings", action="append", default=[], metavar="FACTOR=LEVEL,...")
    group.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    group.add_argument("--json", action="store_true", help="print JSON")
    group = parser.add_argument_group("the machine")
    group.add_argument("--device", default="cpu", metavar="NAME", help="cpu (default), cuda, cuda:1")
    group.add_argument("--jobs", metavar="N", help="cells side by side; default: one per core")
    group.add_argument("--threads", default="1", metavar="N", help="threads per cell, default 1; part of the record")


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calibrate", action="store_true", help="measure the seconds of one step of each arm first")
    parser.add_argument("--audit", action="store_true", help="a digest per stream and arm; equal means equal draws")
    parser.add_argument("--download", action="store_true", help="fetch the data when it is missing")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--total-budget", metavar="T", help="stop before the study has cost more device time: 30m")
    parser.add_argument("--limit", metavar="N", help="run at most N cells now")
    parser.add_argument("--cell-timeout", metavar="T", help="end a cell that takes longer: 20m")
    parser.add_argument("--retry", action="store_true", help="run cells again that ended in error, oom or timeout")
    parser.add_argument("--download", action="store_true", help="fetch the data when it is missing")
    parser.add_argument("--allow-mixed", action="store_true", help="allow cells of other versions, threads, devices")
    _report_options(parser)


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-partial", action="store_true", help="draw although cells are missing, with a stamp")


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.command == "doctor":
        from fairtrial.doctor import examine

        return examine(arguments.results, arguments.data)
    study = load(find(arguments.study))
    commands = {
        "plan": _plan,
        "run": _run,
        "status": _status,
        "report": _report,
        "verdict": _verdict,
        "repair": _repair,
    }
    return commands[arguments.command](study, arguments)


def _resolved(study: Study, arguments: argparse.Namespace) -> Study:
    return options.apply(
        study,
        preset=arguments.preset,
        data=arguments.data,
        budget=arguments.budget,
        seeds=arguments.seeds,
        settings=arguments.settings,
    )


def _how(arguments: argparse.Namespace) -> Options:
    given = vars(arguments)
    total, timeout = given.get("total_budget"), given.get("cell_timeout")
    return Options(
        results=arguments.results,
        device=_device(arguments.device),
        jobs=_count(arguments.jobs, "--jobs"),
        threads=_count(arguments.threads, "--threads") or 1,
        download=given.get("download", False),
        limit=_count(given.get("limit"), "--limit"),
        total_budget_s=options.seconds(total, "--total-budget") if total else None,
        cell_timeout_s=options.seconds(timeout, "--cell-timeout") if timeout else None,
        retry=given.get("retry", False),
        allow_mixed=given.get("allow_mixed", False),
    )


def _count(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise fault(f"{option} {text} is not a whole number above 0", option, f"write for example {option} 2")
    return int(text)


def _device(name: str) -> str:
    if name == "cpu":
        return name
    kind, _, index = name.partition(":")
    if kind != "cuda" or (index and not index.isdecimal()):
        raise fault(f"unknown device {name!r}", "--device", "use cpu, cuda or cuda:N")
    import torch

    count = torch.cuda.device_count()
    if int(index or 0) >= count:
        there = ", ".join(f"cuda:{i}" for i in range(count)) or "no GPU"
        raise fault(f"device {name!r} is not there; this machine has {there}", "--device", "use --device cpu")
    return f"cuda:{index or 0}"


def _plan(study: Study, arguments: argparse.Namespace) -> int:
    from fairtrial import plan, runner

    study, how = _resolved(study, arguments), _how(arguments)
    if arguments.audit:
        table = plan.audit(study)
        return _show(table, plan.audit_lines(table), arguments.json)
    if arguments.calibrate:
        runner.calibrate(study, how)
    found = plan.plan(study, how)
    return _show(found, plan.lines(found), arguments.json)


def _run(study: Study, arguments: argparse.Namespace) -> int:
    from fairtrial import runner

    resolved = _resolved(study, arguments)
    code = runner.run(resolved, _how(arguments))
    if code not in (DONE, FAILED_CELLS) and not arguments.allow_partial:
        _status(study, arguments)
        print("the study is incomplete; the same command goes on where it stopped", file=sys.stderr)
    else:
        _build(Store.of(resolved, arguments.results), arguments)
    return code


def _status(study: Study, arguments: argparse.Namespace) -> int:
    from fairtrial import status

    study = _resolved(study, arguments)
    found = status.status(study, Store.of(study, arguments.results))
    return _show(found, status.lines(found), arguments.json)


def _report(study: Study, arguments: argparse.Namespace) -> int:
    store = Store.of(_resolved(study, arguments), arguments.results)
    return DONE if _build(store, arguments) else INCOMPLETE


def _verdict(study: Study, arguments: argparse.Namespace) -> int:
    return _report(study, arguments)


def _build(store: Store, arguments: argparse.Namespace) -> bool:
    from fairtrial.rooms import enter

    enter("analysis")
    from analysis.report import build

    report = build(store, allow_partial=arguments.allow_partial)
    found = {"report": str(report.path), "sentences": list(report.sentences), "warnings": list(report.warnings)}
    _show(found, [*report.sentences, *report.warnings, f"report: {report.path}"], arguments.json)
    return report.complete


def _repair(study: Study, arguments: argparse.Namespace) -> int:
    store = Store.of(_resolved(study, arguments), arguments.results)
    with store.locked():
        moved, left = store.set_aside(), store.sweep()
    found = {"moved": [str(path) for path in moved], "deleted": [str(path) for path in left]}
    words = [f"moved    {path}" for path in moved] + [f"deleted  {path}" for path in left]
    return _show(found, words or ["nothing to repair"], arguments.json)


def _show(data: Any, words: Iterable[str], as_json: bool) -> int:
    if as_json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        for line in words:
            print(line)
    return DONE
