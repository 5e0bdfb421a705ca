"""The page on planning shows what the commands say; times of this machine aside."""

import re
from functools import cache
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import DONE
from fairtrial.rng import ROOT as SEED
from fairtrial.storage import provenance
from tests.calibration.claims import judge, line
from tests.calibration.error_claims import CHECKS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/planning.md").read_text(encoding="utf-8")
SHOWN = [
    (command, [row for row in rows.splitlines() if row])
    for block in re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for command, rows in re.findall(r"^\$ (?:fairtrial|tox -e) (.*)\n((?:(?!\$).*\n)*)", block, re.MULTILINE)
]


@cache
def promises():
    """Those lines of the self-test, which takes longer in full."""
    checks = [check for check in CHECKS if check.name.startswith(("planned", "conservative"))]
    return [line(judge(check, SEED), 42) for check in checks]


def said(command, capsys):
    if command == "selftest":
        return promises()
    assert main(command.replace("results/", f"{ROOT}/results/").split()) == DONE
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("command", "rows"), SHOWN, ids=[command for command, _ in SHOWN])
def test_every_line_shown_is_one_that_the_command_prints(command, rows, capsys, monkeypatch):
    monkeypatch.setattr(provenance, "cpu_model", lambda: "a machine that was never timed")
    found = [row.rstrip() for row in said(command, capsys)]
    assert rows and [row for row in rows if row not in found] == []


def test_the_page_is_linked_and_each_number_of_its_prose_was_shown():
    assert "docs/planning.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    shown = " ".join(row for _, rows in SHOWN for row in rows)
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    known = {"100"}  # of 100 studies; what is asked stands in the commands
    numbers = set(re.findall(r"\d+(?:\.\d+)?", prose))
    assert numbers - known <= set(re.findall(r"\d+(?:\.\d+)?", shown))
