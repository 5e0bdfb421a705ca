"""The pages on ideas quote the recorded verdicts word for word, and no number of their own."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("pairing", "interval", "equivalence", "power", "multiplicity", "replication-unit")
KNOWN = {"1.0", "1.96"}  # the margin, and the normal quantile


def contrasts():
    for path in sorted((ROOT / "results/released").glob("*/verdicts.json")):
        yield from json.loads(path.read_text(encoding="utf-8"))["contrasts"]


def text(page):
    return (ROOT / f"docs/ideas/{page}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_quoted_sentence_is_a_recorded_one(page):
    quoted = [line[2:] for line in text(page).splitlines() if line.startswith("> ")]
    recorded = {contrast["sentence"] for contrast in contrasts()}
    assert quoted and set(quoted) <= recorded


@pytest.mark.parametrize("page", PAGES)
def test_every_decimal_number_is_found_in_the_records_it_quotes(page):
    said = text(page)
    found = set(KNOWN)
    for contrast in contrasts():
        if contrast["sentence"] in said or f'"{contrast["contrast"]["name"]}"' in said:
            interval = contrast["interval"]
            found |= set(re.findall(r"\d+\.\d+", contrast["sentence"]))
            found |= {f"{abs(100 * interval[name]):.1f}" for name in ("estimate", "low", "high", "sd")}
            found |= {f"{abs(interval['r']):.2f}"}
    assert set(re.findall(r"\d+\.\d+", said)) <= found


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_short_and_linked(page):
    assert 20 <= len(text(page).splitlines()) <= 60
    assert f"docs/ideas/{page}.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_we_got_wrong_says_of_today_what_the_records_say():
    page = (ROOT / "docs/what-we-got-wrong.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0] != "study"]  # without the heads of the tables
    now = {}
    released = (ROOT / "results/released").glob("*/verdicts.json")
    for path in (ROOT / "results/upstream/verdicts.json", *released):
        for one in json.loads(path.read_text(encoding="utf-8"))["contrasts"]:
            said, interval = one["verdict"].replace("_", " "), one["interval"]
            shown = interval and [f"{100 * interval[name]:.1f}" for name in ("estimate", "low", "high")]
            said = f"{said} {shown[0]} [{shown[1]}, {shown[2]}]" if shown else "no verdict"
            now[path.parent.name, one["contrast"]["name"]] = said
    assert len(rows) >= 20
    assert [row for row in rows if now[row[0], row[1]] != row[3]] == []
