"""Released folders, ways to spoil a copy of one, and what verify says of it."""

from __future__ import annotations

import json
from pathlib import Path

from fairtrial.reporting import verify

ROOT = Path(__file__).parents[2]
KINDS = ("csv", "md", "tex")


def by_file(folder: Path, problems) -> dict[str, str]:
    assert len({problem.where for problem in problems}) == len(problems), "one block a file"
    return {str(Path(problem.where).relative_to(folder)): problem.what for problem in problems}


def checked(folder: Path) -> dict[str, str]:
    """The same, with everything that `fairtrial verify` does."""
    return by_file(folder, verify.check(folder).problems)


def change(path: Path, old: str, new: str) -> None:
    """Replace the first place of a text by another one."""
    text = path.read_text()
    assert old in text and old != new
    path.write_text(text.replace(old, new, 1))


def other(number: str) -> str:
    """The number with another last digit."""
    return number[:-1] + str((int(number[-1]) + 3) % 10)


def cell(folder: Path) -> tuple[Path, dict]:
    """The first record of a cell that is no trial: only those read the test split."""
    read = ((path, json.loads(path.read_text())) for path in sorted((folder / "cells").glob("*.json")))
    return next((path, record) for path, record in read if record["settings"]["stage"] != "tuning")
