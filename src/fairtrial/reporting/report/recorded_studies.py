"""Every recorded study under a folder of results, by a key that names its figures, tables and macros."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fairtrial.errors import BAD_INPUT, fault
from fairtrial.reporting.results.arms import data_of
from fairtrial.reporting.results.shared_runs import Shared
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import clean, data_title
from fairtrial.storage.study_folders import RELEASED, find_studies
from fairtrial.study.data_spec import are_real
from fairtrial.study.study import Contrast, Study


@dataclass(frozen=True, eq=False)
class RecordedStudy:
    """One study. key: letters, digits and dashes; label: its folder as a reader would type it.

    shared: label of another study -> how many runs of this one it has too.
    """

    key: str
    label: str
    folder: Path
    verdicts: StudyVerdicts
    tables: tuple[Table, ...]
    shared: Shared = field(default_factory=dict)

    @property
    def name(self) -> str:
        """'norm (preset embedded, digits)'."""
        study = self.verdicts.results.study
        return f"{self.label} (preset {clean(study.preset)}, {data_title(data_of(study))})"

    @property
    def real(self) -> bool:
        """Whether it is about real images: `are_real`."""
        return are_real(data_of(self.verdicts.results.study))

    @property
    def alarms(self) -> tuple[str, ...]:
        """What speaks against its verdicts, with its label."""
        return tuple(f"{self.label}: {text}" for text in self.verdicts.alarms)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning, with its label."""
        return tuple(f"{self.label}: {text}" for text in self.verdicts.warnings)

    def sentences_about(self, asks: Callable[[Study, Contrast], bool]) -> tuple[str, ...]:
        """Return the sentences of the contrasts that speak of a question."""
        pairs = zip(self.verdicts.findings, self.verdicts.sentences, strict=True)
        study = self.verdicts.results.study
        return tuple(sentence for finding, sentence in pairs if asks(study, finding.contrast))


def study_folders(results: Path) -> dict[str, Path]:
    """Return the folder of each study in a folder and in its `released`, by key; a Fault where there is none.

    Where both have a study of one name, the one that ships is left out: a report tells a study once.
    """
    found = find_studies([results])
    own = {folder.name for folder in found if folder.parent.name != RELEASED}
    folders: dict[str, Path] = {}
    for folder in found:
        if folder.parent.name != RELEASED or folder.name not in own:
            folders[_free_key(_key(folder.name), folders)] = folder
    if not folders:
        do = "run one first: fairtrial run norm; or name another folder with --results"
        raise fault("no study is recorded here", str(results), do, BAD_INPUT)
    return folders


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "study"


def _free_key(key: str, taken: dict[str, Path]) -> str:
    number, free = 2, key
    while free in taken:
        free, number = f"{key}-{number}", number + 1
    return free
