"""The options of the commands on tables: what another tool made, and what another tool shall read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairtrial.cli.option_groups import json_option


def compare_options(commands: Any) -> None:
    """Add the command compare."""
    says = "your own results: paired intervals and verdicts on a table of runs"
    parser = commands.add_parser("compare", help=says, description=says)
    says = "csv, tsv, parquet, jsonl or json, with a row for each run"
    parser.add_argument("table", type=Path, metavar="FILE", help=says)
    group = parser.add_argument_group("the contrasts; Holm's correction runs over all of them")
    says = "may be given for several arms"
    group.add_argument("--treatment", action="append", required=True, metavar="ARM", help=says)
    group.add_argument("--control", required=True, metavar="ARM", help="what each treatment is compared with")
    says = "only the rows with this level"
    group.add_argument("--at", action="append", default=[], metavar="COLUMN=LEVEL", help=says)
    group.add_argument("--each", metavar="COLUMN", help="a contrast at each level of this column")
    says = "the smallest difference that matters: points of an accuracy (default 1), else as the metric"
    group.add_argument("--margin", metavar="M", help=says)
    _column_options(parser.add_argument_group("the columns"))
    group = parser.add_argument_group("the answer")
    says = "compare the complete pairs where up to a fifth is missing"
    group.add_argument("--allow-partial", action="store_true", help=says)
    group.add_argument("--figure", type=Path, metavar="FILE", help="draw the contrasts: svg, pdf or png")
    says = "exit 1 where a contrast is decided otherwise, 5 where one is open"
    group.add_argument("--expect", choices=("better", "not-worse", "equivalent"), help=says)
    json_option(parser)


def _column_options(group: Any) -> None:
    says = "what n counts, and pairs the arms; default: seed"
    group.add_argument("--unit", default="seed", metavar="COLUMN", help=says)
    says = "what pairs the arms within a unit that holds several runs of each; their mean counts once"
    group.add_argument("--pair", metavar="COLUMN", help=says)
    group.add_argument("--arm", metavar="COLUMN", help="default: the one that holds treatment and control")
    group.add_argument("--metric", metavar="COLUMN", help="default: the one column of numbers that is left")
    says = "of the metric; default: a column called accuracy by its values, others plain"
    group.add_argument("--scale", choices=("fraction", "percent", "plain"), help=says)
    better = group.add_mutually_exclusive_group()
    says = "a loss or an error"
    better.add_argument("--lower-is-better", action="store_true", default=None, help=says)
    says = "where a name reads like a loss"
    better.add_argument("--higher-is-better", dest="lower_is_better", action="store_false", help=says)


def export_options(parser: Any) -> None:
    """Add the options of export, beside those that find a study."""
    forms = ("csv", "parquet", "mlflow", "wandb", "tensorboard")
    says = "a table, or a tracker that its extra installs: pip install 'fairtrial[mlflow]'"
    parser.add_argument("--to", choices=forms, required=True, help=says)
    says = "the folder in which it is written; default: here"
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help=says)
