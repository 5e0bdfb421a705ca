"""What the command line takes: its commands, their options, and its words for what it cannot read."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn

from fairtrial import __version__
from fairtrial.errors import did_you_mean, fault
from fairtrial.study import stopping
from fairtrial.study.loader import known_studies
from fairtrial.study.presets import DEFAULT, PRESETS
from fairtrial.study.tuning_design import SAMPLERS


class Parser(argparse.ArgumentParser):
    """argparse, with its errors in the house's form and no guessing of cut options."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how, allow_abbrev=False)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse; a word that is left over is answered by the command that it was meant for."""
        given, left = self.parse_known_args(args, namespace)
        if left:
            self._chosen(given).error(f"unrecognized arguments: {' '.join(left)}")
        return given

    def _chosen(self, given: argparse.Namespace) -> Parser:
        for action in self._actions:
            if isinstance(action.choices, dict):
                return action.choices.get(given.command, self)
        return self

    def error(self, message: str) -> NoReturn:
        word = re.search(r"(?:invalid choice: '|unrecognized arguments: )([\w-]+)", message)
        near = did_you_mean(word[1], self.words()) if word else ""
        raise fault(message + near, f"the command line of {self.prog}", f"see {self.prog} --help")

    def words(self) -> list[str]:
        """Every option and command, those of the commands included."""
        found: list[str] = []
        for action in self._actions:
            found += action.option_strings
            if isinstance(action.choices, dict):
                found += [
                    *action.choices,
                    *(word for inner in action.choices.values() for word in inner.words()),
                ]
        return found


def parser() -> Parser:
    """`fairtrial COMMAND ...`"""
    top = Parser(
        prog="fairtrial",
        description="Ablations of Big Transfer as fair trials: paired arms, intervals, verdicts.",
        epilog=f"Studies in ablations/: {', '.join(known_studies())}. STUDY is one of them or a path.",
    )
    top.add_argument("--version", action="version", version=f"fairtrial {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, says, groups in (
        (
            "plan",
            "cells, detectable effect, forecast",
            (_study_options, _stop_option, _plan_options, _size_options, _tuned_option),
        ),
        ("tune", "give each arm the same tuning trials", (_study_options, _tune_options, _work_options)),
        (
            "run",
            "run what is missing, then report",
            (_study_options, _stop_option, _run_options, _tuned_option),
        ),
        ("status", "how far the study is", (_study_options, _stop_option, _tuned_option)),
        (
            "report",
            "figures, tables and verdicts from what is recorded; without STUDY: one report over all",
            (_folder_options, _report_options, _whole_options, _tuned_option),
        ),
        (
            "verdict",
            "the verdict sentences alone",
            (_folder_options, _report_options, _tuned_option),
        ),
        (
            "repair",
            "move damaged records away and delete leftovers of a crash",
            (_folder_options, _tuned_option),
        ),
    ):
        command = commands.add_parser(name, help=says, description=says)
        whole: dict[str, Any] = {"nargs": "?"} if name == "report" else {}
        command.add_argument(
            "study", metavar="STUDY", help="a name in ablations/, or the path of a study file", **whole
        )
        for add in groups:
            add(command)
        if name == "verdict":
            says_one = "the name of one contrast; default: all of them"
            command.add_argument("contrast", nargs="?", metavar="CONTRAST", help=says_one)
    says = "recompute every number of a report from its records; exit 3 names each that differs"
    _verify_options(commands.add_parser("verify", help=says, description=says))
    _claims_options(commands)
    says = "what this machine has and lacks"
    doctor = commands.add_parser("doctor", help=says, description=says)
    doctor.add_argument("--data", metavar="SPEC", help="also check this data")
    _results_options(doctor)
    says = "is this tree slower than its base? exit 0 no, 7 yes, 5 undecided"
    _gate_options(commands.add_parser("gate", help=says, description=says))
    says = "download an official file of BiT weights, or list them"
    fetch = commands.add_parser("fetch", help=says, description=says)
    fetch.add_argument(
        "name", nargs="?", metavar="NAME", help="such as BiT-M-R50x1; without it, all that are known"
    )
    fetch.add_argument("--to", type=Path, metavar="DIR", help="default: weights in ~/.cache/fairtrial")
    _json_option(fetch)
    _probe_options(commands)
    return top


def _claims_options(commands: Any) -> None:
    says = "published claims, and what the recorded studies say of each"
    ledger = commands.add_parser("claims", help=says, description=says)
    says = "two presets of a study: do their verdicts agree?"
    agree = commands.add_parser("agree", help=says, description=says)
    for which in ("first", "second"):
        agree.add_argument(which, metavar=which.upper(), help="a study's folder, or its name in the results")
    for command in (ledger, agree):
        command.add_argument(
            "--results", type=Path, nargs="+", default=[Path("results")], metavar="DIR",
            help="where recorded studies lie, themselves or in released/; default: results",
        )  # fmt: skip
        _json_option(command)
        _report_options(command)


def driver(prog: str, description: str) -> Parser:
    """The options of `run`, for a study file that is a program itself."""
    alone = Parser(prog=prog, description=description)
    _study_options(alone)
    _stop_option(alone)
    _run_options(alone)
    _tuned_option(alone)
    return alone


def _study_options(parser: argparse.ArgumentParser) -> None:
    _folder_options(parser)
    group = parser.add_argument_group("the study")
    group.add_argument(
        "--data", metavar="SPEC", help="digits, a torchvision name, parquet:DIR, folder:DIR or folder:ARCHIVE"
    )
    group.add_argument("--seeds", metavar="N", help="a count (10), a list (0,3,7) or a span (5..9)")
    group.add_argument("--budget", metavar="B", help="of one cell: 4000ex, 500st, 60s, 2gflop")
    group.add_argument(
        "--micro-batch", metavar="N", help="images per forward pass; auto halves it whenever memory runs out"
    )
    group.add_argument("--precision", metavar="P", help="fp32 (default) or bf16; part of a cell's identity")
    group.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="FACTOR=LEVEL,...",
        help="other levels of a factor, e.g. norm=bn,gn; may be given for several factors",
    )  # fmt: skip
    group = parser.add_argument_group("the machine")
    group.add_argument(
        "--device", default="cpu", metavar="NAME", help="cpu (default), cuda: every GPU, cuda:1"
    )
    group.add_argument("--jobs", metavar="N", help="cells side by side; default: one per core")
    group.add_argument(
        "--threads", default="1", metavar="N", help="threads per cell, default 1; part of the record"
    )


def _stop_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stop", metavar="RULE",
        help=f"stop early, error rates kept, seeds to what is undecided: {stopping.SAYS}",
    )  # fmt: skip


def _folder_options(parser: argparse.ArgumentParser) -> None:
    """What finds a study's folder; what stands in it is as it was declared."""
    parser.add_argument("--preset", metavar="NAME", help=f"{', '.join(PRESETS)} (default: {DEFAULT})")
    _results_options(parser)


def _results_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="default: results"
    )
    _json_option(parser)


def _json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print JSON; a fault is one object per line on stderr"
    )


def _probe_options(commands: Any) -> None:
    """What needs no study: sizes of networks, and measurements of layers and starts."""
    says = "parameters, operations and memory of every network, to results/networks"
    _results_options(commands.add_parser("networks", help=says, description=says))
    says = "measure what some figures need beside studies, to results/probes"
    probe = commands.add_parser("probe", help=says, description=says)
    probe.add_argument(
        "probe", metavar="WHAT", choices=("axes", "signal", "statistics"),
        help="axes: what each norm averages over; signal: its size at the start, by depth; "
        "statistics: how noisy those of BN are",
    )  # fmt: skip
    probe.add_argument("--data", metavar="SPEC", help="images for statistics; default: digits")
    _results_options(probe)


def _verify_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "of", nargs="*", metavar="STUDY|FOLDER", help="default: every report in the --results folder"
    )
    _folder_options(parser)
    parser.add_argument("--allow-partial", action="store_true", help="the report was drawn with this option")


def _gate_options(parser: argparse.ArgumentParser) -> None:
    _results_options(parser)
    group = parser.add_argument_group("what is compared; by default this tree with its base, in turns")
    group.add_argument("--base", metavar="REV", help="default: the merge base with the main branch")
    group.add_argument("--since", metavar="T", help="with the newest commit that is at least so old: 24h")
    group.add_argument("--stored", action="store_true", help="with the newest stored baseline of this device")
    group.add_argument("--baseline", type=Path, metavar="FILE", help="with this baseline")
    group.add_argument(
        "--other-device", action="store_true", help="also with a baseline of another device, under a label"
    )
    group.add_argument("--aa", action="store_true", help="with itself: nothing should be found")
    group.add_argument(
        "--plant", metavar="P", help="with itself, its StdConv benches slowed by P %%: this should be found"
    )
    group = parser.add_argument_group("how")
    group.add_argument(
        "--tolerance",
        metavar="P",
        help="slower by P %% is no regression; default 3, stored 5; hosted: say 10",
    )
    group.add_argument("--launches", metavar="N", help="at most N launches; default 24")
    group.add_argument("--rounds", metavar="N", help="rounds of each bench; default: as many as it says")
    group.add_argument("--device", default="cpu", metavar="NAME", help="cpu (default) or cuda:N")
    group.add_argument("--threads", default="1", metavar="N", help="threads of each process, default 1")
    group.add_argument("--record", action="store_true", help="add this gate to the history of the device")
    group = parser.add_argument_group("instead of a gate")
    group.add_argument(
        "--save-baseline", action="store_true", help="measure this tree alone and store that as the baseline"
    )
    group.add_argument(
        "--history", action="store_true", help="find and draw changes of level in the recorded gates"
    )


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calibrate", action="store_true", help="measure the seconds of one step of each arm first"
    )
    parser.add_argument(
        "--audit", action="store_true", help="a digest per stream and arm; equal means equal draws"
    )
    parser.add_argument("--download", action="store_true", help="fetch the data when it is missing")


def _tune_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the tuning, the same for every arm")
    group.add_argument("--trials", required=True, metavar="K", help="trials of each arm in each tuning study")
    group.add_argument(
        "--studies",
        default="3",
        metavar="T",
        help="independent tuning studies; default 3, the least for a claim",
    )
    group.add_argument(
        "--space", action="append", metavar="NAME=LOW:HIGH[:log]",
        help="what is tuned, default lr=0.01:1:log; may be given for several settings",
    )  # fmt: skip
    group.add_argument(
        "--sampler", choices=SAMPLERS, default="random", help="random (default): independent trials; or tpe"
    )


def _tuned_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tuned", action="store_true", help="with the settings that `fairtrial tune` chose for each arm"
    )


def _size_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how many seeds an effect takes")
    group.add_argument("--effect", metavar="E", help="to be seen: percentage points for accuracies")
    group.add_argument("--power", default="0.8", metavar="P", help="chance to see it, default 0.8")
    group.add_argument(
        "--pilot", metavar="STUDY", help="recorded study or folder with the spread; default: this study's own"
    )
    group.add_argument("--sd", metavar="S", help="spread of the paired differences, where there is no pilot")
    group.add_argument("--total-budget", metavar="T", help="also the effect that so much device time can see")


def _run_options(parser: argparse.ArgumentParser) -> None:
    _work_options(parser)
    parser.add_argument(
        "--retry", action="store_true", help="run cells again that ended in error, oom or timeout"
    )
    _report_options(parser)


def _work_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--total-budget", metavar="T", help="stop before the study has cost more device time: 30m"
    )
    parser.add_argument("--limit", metavar="N", help="run at most N cells now")
    parser.add_argument("--cell-timeout", metavar="T", help="end a cell that takes longer: 20m")
    parser.add_argument("--download", action="store_true", help="fetch the data when it is missing")
    parser.add_argument(
        "--allow-mixed", action="store_true", help="allow cells of other versions, threads, devices"
    )


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-partial", action="store_true", help="draw although cells are missing, with a stamp"
    )


def _whole_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", type=Path, metavar="DIR",
        help="without STUDY: where the report on all recorded studies goes; default: report in the results",
    )  # fmt: skip
