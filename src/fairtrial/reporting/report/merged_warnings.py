"""The warnings of many studies in few lines: those that differ in their numbers alone are one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import clean, plural

# of units and of a level; others are parts of names, have signs, or belong to one contrast
_NUMBER: Final = re.compile(r"(?<=\bn = )\d+|(?<=\blevel )\d+(?:\.\d+)?")


def merged_warnings(studies: Iterable[tuple[str, StudyVerdicts]]) -> list[str]:
    """Return one line for warnings of several contrasts that differ in numbers, or of several studies.

    studies: the label of each, and its verdicts. A warning that stands alone names its contrast, as before.
    """
    alike: dict[str, list[tuple[str, str, str]]] = {}
    for label, verdicts in studies:
        of_contrast = {
            f"{clean(finding.contrast.name)}: {clean(text)}": clean(text)
            for finding in verdicts.findings
            for text in finding.warnings
        }
        for warning in verdicts.warnings:
            text = of_contrast.get(warning, warning)
            key = _NUMBER.sub("\0", text) if warning in of_contrast else text
            alike.setdefault(key, []).append((label, warning, text))
    return [_line(list(dict.fromkeys(group))) for group in alike.values()]


def _line(group: Sequence[tuple[str, str, str]]) -> str:
    (label, warning, text), *others = group
    if not others:
        return f"{label}: {warning}"
    counts = Counter(label for label, _, _ in group)
    if warning == text:
        return f"{text}: {len(counts)} studies ({', '.join(counts)})"
    by_study = ", ".join(f"{label} {count}" for label, count in counts.items())
    return f"{_ranged([text for _, _, text in group])}: {plural(len(group), 'contrast')} ({by_study})"


def _ranged(texts: Sequence[str]) -> str:
    """Return the text, with 'least to most' for each number in which the texts differ."""
    columns = zip(*map(_NUMBER.findall, texts), strict=True)
    ends = [dict.fromkeys((min(column, key=float), max(column, key=float))) for column in columns]
    numbers = iter([" to ".join(each) for each in ends])
    return _NUMBER.sub(lambda _: next(numbers), texts[0])
