"""The options of the commands, in groups that several of them share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fairtrial.execution.part import SAYS
from fairtrial.study import stopping
from fairtrial.study.presets import DEFAULT, PRESETS
from fairtrial.study.tuning_plan import SAMPLERS
from fairtrial.tuning import database_url


def claims_options(commands: Any) -> None:
    """Add the claims options."""
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
        json_option(command)
        report_options(command)


def study_options(parser: argparse.ArgumentParser) -> None:
    """Add the study options."""
    folder_options(parser)
    group = parser.add_argument_group("the study")
    group.add_argument(
        "--data",
        metavar="SPEC",
        help="digits, a torchvision name, torchvision:NAME:DIR, parquet:DIR, folder:DIR or folder:ARCHIVE",
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


def stop_option(parser: argparse.ArgumentParser) -> None:
    """Add the stop option."""
    parser.add_argument(
        "--stop", metavar="RULE",
        help=f"stop early, error rates kept, seeds to what is undecided: {stopping.SAYS}",
    )  # fmt: skip


def folder_options(parser: argparse.ArgumentParser) -> None:
    """What finds a study's folder; what stands in it is as it was declared."""
    parser.add_argument("--preset", metavar="NAME", help=f"{', '.join(PRESETS)} (default: {DEFAULT})")
    parser.add_argument(
        "--plugin", action="append", metavar="FILE",
        help="a file of yours with a norm, block, network, data or figure; may be given several times",
    )  # fmt: skip
    results_options(parser)


def results_options(parser: argparse.ArgumentParser) -> None:
    """Add the results options."""
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="default: results"
    )
    json_option(parser)


def json_option(parser: argparse.ArgumentParser) -> None:
    """Add the json option."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON; a fault is one object per line on stderr"
    )


def check_options(commands: Any) -> None:
    """Add the check command."""
    says = "run every check of the project on a plug-in of yours; exit 2 names each that fails, by line"
    check = commands.add_parser("check", help=says, description=says)
    check.add_argument("file", type=Path, metavar="FILE", help="such as my_norm.py")
    json_option(check)


def summary_option(parser: Any) -> None:
    """Add --summary."""
    says = "write the verdicts to FILE too, in Markdown, for a pull request or a job's summary"
    parser.add_argument("--summary", type=Path, metavar="FILE", help=says)


def probe_options(commands: Any) -> None:
    """What needs no study: sizes of networks, and measurements of layers and starts."""
    says = "parameters, operations and memory of every network, to results/networks"
    results_options(commands.add_parser("networks", help=says, description=says))
    says = "measure what some figures need beside studies, to results/probes"
    probe = commands.add_parser("probe", help=says, description=says)
    probe.add_argument(
        "probe", metavar="WHAT", choices=("axes", "signal", "statistics", "smoothness"),
        help="axes: what each norm averages over; signal: its size at the start, by depth; "
        "statistics: how noisy those of BN are; smoothness: how the gradient changes along a training",
    )  # fmt: skip
    probe.add_argument("--data", metavar="SPEC", help="images for statistics and smoothness; default: digits")
    results_options(probe)


def verify_options(parser: argparse.ArgumentParser) -> None:
    """Add the verify options."""
    parser.add_argument(
        "of", nargs="*", metavar="STUDY|FOLDER", help="default: every report in the --results folder"
    )
    folder_options(parser)
    parser.add_argument("--allow-partial", action="store_true", help="the report was drawn with this option")


def merge_options(commands: Any) -> None:
    """Add the merge command: folders of parts, and what may differ between them."""
    says = "join folders that hold parts of studies; exit 4 names what they contradict each other in"
    merge = commands.add_parser("merge", help=says, description=says)
    merge.add_argument(
        "folders", type=Path, nargs="+", metavar="DIR", help="results folders, or folders of one study"
    )
    results_options(merge)
    mixed_option(merge)


def gate_options(parser: argparse.ArgumentParser) -> None:
    """Add the gate options."""
    results_options(parser)
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
    summary_option(group)
    group = parser.add_argument_group("instead of a gate")
    group.add_argument(
        "--save-baseline", action="store_true", help="measure this tree alone and store that as the baseline"
    )
    group.add_argument(
        "--history", nargs="?", const="", metavar="FOLDER",
        help="find and draw changes of level in recorded gates: of this device, or in the folder of another",
    )  # fmt: skip


def plan_options(parser: argparse.ArgumentParser) -> None:
    """Add the plan options."""
    parser.add_argument(
        "--calibrate", action="store_true", help="time a step and an evaluation of each arm first"
    )
    parser.add_argument(
        "--audit", action="store_true", help="a digest per stream and arm; equal means equal draws"
    )
    parser.add_argument("--download", action="store_true", help="fetch the data when it is missing")


def replay_options(parser: argparse.ArgumentParser) -> None:
    """Add the replay options."""
    parser.add_argument("--sample", default="5", metavar="N", help="cells, or N%% of all; default 5")
    parser.add_argument("--seed", metavar="N", help="what chooses them; default: another one each time")
    parser.add_argument("--data", metavar="SPEC", help="where the images lie, if not where the study says")
    parser.add_argument("--download", action="store_true", help="fetch the data when it is missing")


def tuning_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that replace what a study declares of its tuning."""
    group = parser.add_argument_group("the tuning, the same for every arm; without these, as declared")
    group.add_argument(
        "--space", action="append", metavar="NAME=VALUES",
        help="lr=0.03,0.1,0.3: a grid; lr=0.01:1:log: sampled; may be given for several settings",
    )  # fmt: skip
    group.add_argument("--trials", metavar="K", help="trials of a sampled space")
    group.add_argument("--sampler", choices=SAMPLERS[1:], help="of a sampled space; default random")
    group.add_argument("--tuning-seeds", metavar="N", help="seeds of each trial; default as declared, or 2")
    group.add_argument("--searches", metavar="T", help="independent searches; a claim over tunings takes 3")
    fixed_lr_option(group)


def fixed_lr_option(parser: Any) -> None:
    """Add --fixed-lr."""
    parser.add_argument(
        "--fixed-lr", nargs="?", const="declared", metavar="LR",
        help="no tuning: one learning-rate rule for all arms, as declared or LR at 64 images per update",
    )  # fmt: skip


def size_options(parser: argparse.ArgumentParser) -> None:
    """Add the size options."""
    group = parser.add_argument_group("how many seeds an effect takes")
    group.add_argument("--effect", metavar="E", help="to be seen: percentage points for accuracies")
    group.add_argument("--power", default="0.8", metavar="P", help="chance to see it, default 0.8")
    group.add_argument(
        "--pilot", metavar="STUDY", help="recorded study or folder with the spread; default: this study's own"
    )
    group.add_argument("--sd", metavar="S", help="spread of the paired differences, where there is no pilot")
    group.add_argument("--total-budget", metavar="T", help="also the effect that so much device time can see")


def share_options(parser: argparse.ArgumentParser) -> None:
    """Add --storage."""
    parser.add_argument("--storage", metavar="URL", help=database_url.SAYS)


def run_options(parser: argparse.ArgumentParser) -> None:
    """Add the run options."""
    work_options(parser)
    parser.add_argument("--retry", action="store_true", help="try cells again that failed three times")
    report_options(parser)


def work_options(parser: argparse.ArgumentParser) -> None:
    """Add the work options."""
    parser.add_argument(
        "--total-budget", metavar="T", help="stop before the study has cost more device time: 30m"
    )
    parser.add_argument("--part", metavar="I/N", help=SAYS)
    parser.add_argument("--limit", metavar="N", help="run at most N cells now")
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, or the address of its head"
    )
    parser.add_argument("--cell-timeout", metavar="T", help="end a cell that takes longer: 20m")
    parser.add_argument("--download", action="store_true", help="fetch the data when it is missing")
    mixed_option(parser)


def mixed_option(parser: argparse.ArgumentParser) -> None:
    """Add --allow-mixed."""
    parser.add_argument(
        "--allow-mixed", action="store_true", help="allow cells of other commits, versions, threads, devices"
    )


def report_options(parser: argparse.ArgumentParser) -> None:
    """Add the report options."""
    parser.add_argument(
        "--allow-partial", action="store_true", help="draw although cells are missing, with a stamp"
    )


def whole_options(parser: argparse.ArgumentParser) -> None:
    """Add the whole options."""
    parser.add_argument(
        "--to", type=Path, metavar="DIR",
        help="without STUDY: where the report on all recorded studies goes; default: report in the results",
    )  # fmt: skip
    says = "as one document in two columns too, report.pdf; takes: pip install 'fairtrial[pdf]'"
    parser.add_argument("--pdf", action="store_true", help=says)
