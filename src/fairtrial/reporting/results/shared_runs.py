"""Runs that two studies share: those whose final weights have one digest (STATISTICS 17.7)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fairtrial.errors import BAD_INPUT, Shortage, fault
from fairtrial.plain_file import read_file
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import listed
from fairtrial.storage.study_folders import is_study

SUMMARY_CAP: Final = 2**28  # bytes of a summary.csv
PAGE_CAP: Final = 2**26  # bytes of a report.md
TERM: Final = "shared runs"
Shared = Mapping[str, int]  # another study -> how many runs of this one it has too
_COLUMN: Final = "weights_sha256"
_TOLD: Final = re.compile(r"([a-z0-9-]+) \((\d+)\)")


def digests(results: Results) -> list[str]:
    """Return the digest of each run that ended with weights."""
    return [each for each in results.frame.get(_COLUMN, ()) if isinstance(each, str)]


def beside(folder: Path, own: Sequence[str]) -> dict[str, int]:
    """Return what the studies in the same folder share with one, as far as their reports were drawn.

    own: the digests of its runs. A neighbour's come from its summary.csv: its report is to be drawn first.
    """
    others = sorted(path for path in folder.parent.glob("*") if path.name != folder.name and is_study(path))
    return _counts(own, {path.name: set(of_summary(path)) for path in others})


def among(studies: Mapping[str, Results]) -> dict[str, dict[str, int]]:
    """Return what each study shares with every other."""
    every = {name: digests(results) for name, results in studies.items()}
    sets = {name: set(own) for name, own in every.items()}
    return {
        name: _counts(own, {other: theirs for other, theirs in sets.items() if other != name})
        for name, own in every.items()
    }


def of_summary(folder: Path) -> list[str]:
    """Return the digests in a study's summary.csv; none where its report was not drawn yet."""
    path = folder / "summary.csv"
    try:
        lines = io.StringIO(read_file(path, SUMMARY_CAP).decode("utf-8"), newline="")
        return [row[_COLUMN] for row in csv.DictReader(lines) if row.get(_COLUMN)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        what = f"not a table of a report: {getattr(error, 'strerror', None) or error}"
        # two damaged neighbours could not be drawn before one another
        do = f"remove it, then draw it again: fairtrial report {folder}"
        raise fault(what, str(path), do, BAD_INPUT) from None


def words(shared: Shared) -> str:
    """Return "runs with the same final weights stand in batch-steps (40) too: ..."."""
    if not shared:
        return "none with another study"
    names = listed([f"{name} ({runs})" for name, runs in shared.items()])
    return f"runs with the same final weights stand in {names} too: over all studies they count once"


def out_of_reach(folder: Path) -> dict[str, int]:
    """Return what the report of a study says of neighbours that are not beside it, such as in a copy."""
    lines = (page_of(folder) or "").splitlines()
    told = next((line for line in lines if line.startswith(f"- {TERM}: ")), "")
    return {name: int(runs) for name, runs in _TOLD.findall(told) if not is_study(folder.parent / name)}


def page_of(folder: Path) -> str | None:
    """Return the text of a study's report.md; None where it has none that can be read.

    What is no text in it stands as such: whoever compares pages finds it, and no other report fails by it.
    """
    try:
        return read_file(folder / "report.md", PAGE_CAP).decode("utf-8", errors="replace")
    except Shortage:
        raise
    except OSError:
        return None


def distinct(studies: Sequence[Results]) -> int:
    """Return how many runs there are, those of several studies counted once."""
    ended = sum(results.done for results in studies)
    every = [each for results in studies for each in digests(results)]
    return ended - len(every) + len(set(every))


def _counts(own: Sequence[str], others: Mapping[str, set[str]]) -> dict[str, int]:
    counts = {name: sum(each in theirs for each in own) for name, theirs in others.items()}
    return {name: runs for name, runs in counts.items() if runs}
