"""What a notebook hands over is compared as a file is, and shown there."""

from io import StringIO

import pandas as pd
import pytest

import fairtrial as ft
from fairtrial.errors import Fault
from tests.reporting.comparison.runs import RUNS, compare, table


def test_names_from_a_table_stay_text_in_a_notebook():
    html = compare(table(**{"<b>gn": [0.9, 0.8, 0.7], "bn": [0.8, 0.7, 0.65]}), ("<b>gn",))._repr_html_()
    assert "<b>gn" not in html and "&lt;b&gt;gn" in html and "<table" in html


FRAME = pd.read_csv(StringIO(RUNS))
GIVEN = {  # what a notebook hands over -> the same verdict
    "a file": lambda folder: folder / "runs.csv",
    "the name of one": lambda folder: str(folder / "runs.csv"),
    "a list of runs": lambda _: FRAME.to_dict("records"),
    "a dict of columns": lambda _: FRAME.to_dict("list"),
    "seeds as the index": lambda _: FRAME.set_index("seed"),
    "seeds as both": lambda _: FRAME.set_index("seed", drop=False),
    "arms and seeds as the index": lambda _: FRAME.set_index(["norm", "seed"]),
    "an index that repeats": lambda _: FRAME.set_axis([0, 1, 2, 3, 4] * 2),
    "categories": lambda _: FRAME.astype({"norm": "category"}),
    "nullable columns": lambda _: FRAME.convert_dtypes(),
    "seeds of float32": lambda _: FRAME.astype({"seed": "float32"}),
}


@pytest.mark.parametrize("how", GIVEN)
def test_what_a_notebook_hands_over_is_a_table(how, tmp_path):
    (tmp_path / "runs.csv").write_text(RUNS)
    found = ft.compare(GIVEN[how](tmp_path), treatment="gn", control="bn")
    assert found.sentences == compare(FRAME).sentences


def test_arms_of_a_notebook_may_be_numbers():
    sizes, truth = FRAME.assign(batch=FRAME["norm"].map({"gn": 64, "bn": 4})), FRAME["norm"] == "gn"
    by_size = ft.compare(sizes, treatment=64, control=4, arm="batch", metric="acc")
    assert by_size.sentences[0].startswith("64 beats 4 by 2.8 points")
    by_truth = ft.compare(FRAME.assign(norm=truth), treatment=True, control=False, metric="acc")
    assert by_truth.sentences[0].startswith("True beats False by 2.8 points")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"scale": "percents"}, "unknown scale 'percents', did you mean 'percent'?"),
        ({"at": "norm=gn"}, "at='norm=gn' names no level"),
        ({"each": ["norm"]}, r"\['norm'\] is not the name of a column"),
        ({"unit": ["seed", "norm"]}, "is not the name of a column"),
        ({"control": "gn"}, "treatment and control are both 'gn'"),
        ({"treatment": []}, "no treatment is named"),
        ({"frame": 7}, "pandas makes no table of it"),
        ({"frame": pd.concat([FRAME, FRAME[["acc"]]], axis=1)}, "two columns are called 'acc'"),
    ],
)
def test_what_cannot_be_meant_is_a_fault_in_a_notebook(given, says):
    with pytest.raises(Fault, match=says):
        ft.compare(**{"frame": FRAME, "treatment": "gn", "control": "bn", **given})
