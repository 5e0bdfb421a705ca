"""A string in a table stays a string, in CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from fairtrial.reporting.tables.table import Table, csv_text


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@sum", "\t=1"])
def test_a_text_that_looks_like_a_formula_is_prefixed(text):
    (_, (cell,)) = csv.reader(io.StringIO(csv_text(["a"], [[text]])))
    assert cell == f"'{text}"


@pytest.mark.parametrize(
    "value, text", [(-0.5, "-0.5"), ("-0.5", "-0.5"), (None, ""), (True, "True"), ("gn+ws", "gn+ws")]
)
def test_numbers_and_names_are_left_alone(value, text):
    (_, (cell, _)) = csv.reader(io.StringIO(csv_text(["a", "b"], [[value, 1]])))
    assert cell == text


def test_csv_quotes_what_needs_quotes():
    assert list(csv.reader(io.StringIO(csv_text(["a"], [['x,"y']])))) == [["a"], ['x,"y']]


def test_latex_and_markdown_escape_their_own_signs():
    table = Table("t", "caption", pd.DataFrame({"a_b": ["50 % & $x$ #1 {y} \\z | <b>"]}))
    latex, markdown = table.latex(), table.markdown()
    assert "50 \\% \\& \\$x\\$ \\#1 \\{y\\} \\textbackslash z" in latex and "a\\_b" in latex
    assert "\\toprule" in latex and "\\bottomrule" in latex
    header, rule, row = markdown.splitlines()
    assert rule == "| --- |" and header == "| a\\_b |"
    assert row.count("|") - row.count("\\|") == 2 and "\\<b\\>" in row
