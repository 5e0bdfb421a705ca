"""Every recorded study under a folder of results, by a key that names its figures, tables and macros."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fairtrial.errors import BAD_INPUT, fault
from fairtrial.reporting.report.study_report import Examined, examine, tabulate
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import clean
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import RELEASED, find_studies


@dataclass(frozen=True, eq=False)
class Recorded:
    """One study. key: letters, digits and dashes; label: its folder as a reader would type it."""

    key: str
    label: str
    folder: Path
    seen: Examined
    tables: tuple[Table, ...]

    @property
    def name(self) -> str:
        """'norm (preset embedded)'."""
        return f"{self.label} (preset {clean(self.seen.results.study.preset)})"


def folders(results: Path) -> dict[str, Path]:
    """Key -> folder of each study in a folder and in its `released`; a Fault where there is none.

    Where both have a study of one name, the one that ships is called released-NAME.
    """
    found: dict[str, Path] = {}
    for folder in find_studies([results]):
        key = _key(folder.name)
        found[key if key not in found else _free(f"{RELEASED}-{key}", found)] = folder
    if not found:
        do = "run one first: fairtrial run norm; or name another folder with --results"
        raise fault("no study is recorded here", str(results), do, BAD_INPUT)
    return found


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "study"


def _free(key: str, taken: dict[str, Path]) -> str:
    number = 2
    while key in taken:
        key, number = f"{key.rstrip('0123456789-')}-{number}", number + 1
    return key


def read(results: Path, *, partial: bool) -> list[Recorded]:
    """Each study examined, with its tables; a record that cannot be trusted is a Fault."""
    found = []
    for key, folder in folders(results).items():
        seen = examine(Store(folder), allow_partial=partial)
        label = clean(folder.relative_to(results).as_posix())
        found.append(Recorded(key, label, folder, seen, tuple(tabulate(seen))))
    return found
