"""Tables of runs, and ways to compare their arms."""

import pandas as pd

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT
from fairtrial.reporting.comparison.compare_table import Asked, compare_table
from fairtrial.reporting.comparison.table_columns import TableColumns

RUNS = """\
norm,seed,acc
bn,0,0.901
bn,1,0.897
bn,2,0.912
bn,3,0.905
bn,4,0.899
gn,0,0.931
gn,1,0.922
gn,2,0.945
gn,3,0.928
gn,4,0.926
"""


def compare(frame, treatments=("gn",), control="bn", **asked):
    named = {name: asked.pop(name) for name in ("arm", "metric", "pair", "at", "each") if name in asked}
    columns = TableColumns(**{"arm": "", "metric": "", "unit": asked.pop("unit", "seed"), **named})
    return compare_table(frame, Asked(columns, treatments, control, **asked), "runs")


def table(**arms):
    """A row for each value: seeds count from 0 in every arm."""
    rows = [(arm, seed, value) for arm, values in arms.items() for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["arm", "seed", "acc"])


def command(text, folder, *more, name="runs.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return main(["compare", str(folder / name), "--treatment", "gn", "--control", "bn", *more])


def refused(text, folder, capsys, *more, code=BAD_INPUT, name="runs.csv"):
    assert command(text, folder, *more, name=name) == code
    return capsys.readouterr().err
