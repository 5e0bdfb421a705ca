"""What the command line takes: its commands, their options, and its words for what it cannot read."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, Final, NoReturn

from fairtrial import __version__
from fairtrial.cli import option_groups as groups
from fairtrial.cli import table_options
from fairtrial.cli.completion import SHELLS, PrintCompletion
from fairtrial.errors import did_you_mean, fault
from fairtrial.study.loader import known_studies


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


# command -> what it does, the options it takes
ON_A_STUDY: Final = {
    "plan": (
        "cells, detectable effect, forecast",
        (
            groups.study_options,
            groups.tuning_options,
            groups.stop_option,
            groups.plan_options,
            groups.size_options,
        ),
    ),
    "tune": (
        "run the trials that give each arm its learning rate; `run` does this first by itself",
        (groups.study_options, groups.tuning_options, groups.work_options, groups.share_options),
    ),
    "run": (
        "run what is missing, then report",
        (groups.study_options, groups.tuning_options, groups.stop_option, groups.run_options),
    ),
    "status": (
        "how far the study is",
        (groups.study_options, groups.tuning_options, groups.stop_option),
    ),
    "report": (
        "figures, tables and verdicts from what is recorded; without STUDY: one report over all",
        (groups.folder_options, groups.fixed_lr_option, groups.report_options, groups.whole_options),
    ),
    "verdict": (
        "the verdict sentences alone",
        (groups.folder_options, groups.fixed_lr_option, groups.report_options, groups.summary_option),
    ),
    "export": (
        "write the recorded attempts for another tool: a table, MLflow, W&B, TensorBoard",
        (groups.folder_options, groups.fixed_lr_option, table_options.export_options),
    ),
    "replay": (
        "run recorded cells again, alone: do they give their records bit for bit? 3: no; 4: made elsewhere",
        (groups.folder_options, groups.fixed_lr_option, groups.replay_options),
    ),
    "repair": (
        "move damaged records away and delete leftovers of a crash",
        (groups.folder_options, groups.fixed_lr_option),
    ),
}


def parser() -> Parser:
    """Return the parser of `fairtrial COMMAND ...`."""
    top = Parser(
        prog="fairtrial",
        description="Ablations of Big Transfer as fair trials: paired arms, intervals, verdicts.",
        epilog=f"Studies in ablations/: {', '.join(known_studies())}. STUDY is one of them or a path.",
    )
    top.add_argument("--version", action="version", version=f"fairtrial {__version__}")
    top.add_argument(
        "--print-completion", action=PrintCompletion, choices=SHELLS, metavar="SHELL",
        help="print what makes bash, zsh or fish complete commands, options and studies",
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (says, added) in ON_A_STUDY.items():
        command = commands.add_parser(name, help=says, description=says)
        optional: dict[str, Any] = {"nargs": "?"} if name == "report" else {}
        command.add_argument(
            "study", metavar="STUDY", help="a name in ablations/, or the path of a study file", **optional
        )
        for add in added:
            add(command)
        if name == "verdict":
            says = "the name of one contrast; default: all of them"
            command.add_argument("contrast", nargs="?", metavar="CONTRAST", help=says)
    _add_others(commands)
    return top


def _add_others(commands: Any) -> None:
    """Add the commands that need no study."""
    says = "write a commented study file to begin with: NAME.py"
    init = commands.add_parser("init", help=says, description=says)
    init.add_argument("name", nargs="?", metavar="NAME", default="my-study", help="default: my-study")
    groups.json_option(init)
    says = "recompute every number of a report from its records; exit 3 names each that differs"
    groups.verify_options(commands.add_parser("verify", help=says, description=says))
    groups.check_options(commands)
    groups.claims_options(commands)
    table_options.compare_options(commands)
    groups.merge_options(commands)
    says = "what this machine has and lacks"
    doctor = commands.add_parser("doctor", help=says, description=says)
    doctor.add_argument("--data", metavar="SPEC", help="also check this data")
    groups.results_options(doctor)
    says = "is this tree slower than its base? exit 0 no, 7 yes, 5 undecided"
    groups.gate_options(commands.add_parser("gate", help=says, description=says))
    says = "download an official file of BiT weights, or list them"
    fetch = commands.add_parser("fetch", help=says, description=says)
    fetch.add_argument(
        "name", nargs="?", metavar="NAME", help="such as BiT-M-R50x1; without it, all that are known"
    )
    fetch.add_argument("--to", type=Path, metavar="DIR", help="default: weights in ~/.cache/fairtrial")
    groups.json_option(fetch)
    groups.probe_options(commands)


def driver(prog: str, description: str) -> Parser:
    """The options of `run`, for a study file that is a program itself."""
    alone = Parser(prog=prog, description=description)
    groups.study_options(alone)
    groups.stop_option(alone)
    groups.run_options(alone)
    groups.tuning_options(alone)
    return alone
