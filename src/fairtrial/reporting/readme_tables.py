"""The tables in pages that are written by hand, made anew from what the shipped studies recorded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from fairtrial.plain_file import read_file
from fairtrial.reporting.report.contrast_tables import ICONS, contrast_frame, contrast_row, verdict_key
from fairtrial.reporting.results.arms import data_of
from fairtrial.reporting.tables.table import Table, markdown_text
from fairtrial.reporting.verdicts.sentences import other_level
from fairtrial.reporting.wording import SCALES, clean, data_title, listed
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import RELEASED, find_studies, is_study
from fairtrial.study.data_spec import are_real
from fairtrial.study.factors import spaced
from fairtrial.study.study import Study

BEGIN: Final = "<!-- every primary contrast of the studies quoted here, by: python analysis/readme.py -->"
END: Final = "<!-- end of the contrasts -->"
FIRST_END: Final = "<!-- end of the first contrasts -->"
STUDIES: Final = "<!-- every study that ships, by: python analysis/readme.py -->"
STUDIES_END: Final = "<!-- end of the studies -->"
_FIRST: Final = ("norm-mini", "norm-searches")
FIRST: Final = f"<!-- the primary contrasts of {listed(_FIRST)}, by: python analysis/readme.py -->"
_MOST: Final = 2**26  # bytes of a verdicts.json


def with_contrasts(readme: str, results: Path) -> str:
    """Return a page with the table between its two marks made anew, of every shipped study that it quotes.

    A study is quoted where the page holds a sentence of its verdicts, or links to its folder. A ValueError
    where a mark is missing.
    """
    head, tail = _around(readme, BEGIN, END)
    rows = [row for each in _shipped(results) for row in _quoted(each, results, head + tail)]
    table = Table("quoted", "", contrast_frame(rows).drop(columns="declared as"))
    return f"{head}{BEGIN}\n\n{verdict_key()}\n\n{table.markdown()}\n{END}{tail}"


def with_first(readme: str, results: Path) -> str:
    """Return a page with the short table between its first two marks made anew: of two shipped studies.

    Its differences are treatment minus control at the level of the Holm step that decided, its stamps those
    of the sentences. A ValueError where a mark is missing.
    """
    head, tail = _around(readme, FIRST, FIRST_END)
    rows = [
        _short(each.folder.name, one)
        for each in _shipped(results)
        if each.folder.name in _FIRST
        for one in each.said
        if one["contrast"]["name"] in {contrast.name for contrast in each.study.primary_contrasts}
    ]
    table = Table("first", "", pd.DataFrame(rows)).markdown()
    return f"{head}{FIRST}\n\n{table}\n{FIRST_END}{tail}"


def with_studies(page: str, results: Path) -> str:
    """Return a page of `results` with its list of studies between two marks made anew: a row for each.

    Real images come before digits. A ValueError where a mark is missing.
    """
    head, tail = _around(page, STUDIES, STUDIES_END)
    shipped = sorted(_shipped(results), key=lambda each: not are_real(data_of(each.study)))
    rows = [_row(each, results) for each in shipped]
    table = Table("studies", "", pd.DataFrame(rows)).markdown()
    for row in rows:  # a link, where the table holds the name alone
        name = Path(row["study"]).name
        table = table.replace(f"| {markdown_text(row['study'])} |", f"| [{name}]({row['study']}/report.md) |")
    return f"{head}{STUDIES}\n\n{verdict_key()}\n\n{table}\n{STUDIES_END}{tail}"


def _around(page: str, begin: str, end: str) -> tuple[str, str]:
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page lacks the line {end if found else begin}")
    return head, tail


class _Shipped(NamedTuple):
    """A study with its verdicts: said, its contrasts as verdicts.json holds them."""

    folder: Path
    study: Study
    said: list[dict[str, Any]]


def _shipped(results: Path) -> Iterator[_Shipped]:
    """Yield each study with verdicts; one of the user's own that ships too is left out."""
    released = results / RELEASED
    for folder in find_studies([results]):
        own = folder.parent != released and is_study(released / folder.name)
        if not own and (path := folder / "verdicts.json").is_file():
            study = Study.of(Store(folder).declared()["declaration"])
            yield _Shipped(folder, study, json.loads(read_file(path, _MOST))["contrasts"])


def _quoted(each: _Shipped, results: Path, page: str) -> list[dict[str, str]]:
    """Return the rows of a study's primary contrasts; none where a page quotes none."""
    folder, study, said = each
    place = f"results/{folder.relative_to(results).as_posix()}/"
    if place not in page and not any(contrast["sentence"] in page for contrast in said):
        return []
    label = f"{folder.name} (preset {clean(study.preset)})"
    rows = [
        contrast_row(study, label, one["contrast"]["name"], one["verdict"], one["sentence"]) for one in said
    ]
    return [row for row in rows if row["declared as"] == "primary"]


def _short(study: str, one: dict[str, Any]) -> dict[str, str]:
    scale, ruling = SCALES[one["contrast"]["metric"]], one["ruling"]
    interval = scale.decided(ruling["low"], ruling["high"], one["margin"]) + other_level(ruling["level"])
    return {
        "study": study,
        "contrast": one["arms"],
        "verdict": f"{ICONS[one['verdict']]} {spaced(one['verdict'])}",
        "difference": f"{scale.show(ruling['estimate'])} {interval}",
        "n": f"{one['interval']['n']} {one['interval']['unit']}s",
        "with": clean("; ".join(one["stamps"])),
    }


def _row(each: _Shipped, results: Path) -> dict[str, str]:
    verdicts = Counter(one["verdict"] for one in each.said)
    return {
        "study": each.folder.relative_to(results).as_posix(),
        "data": data_title(data_of(each.study)),
        "question": clean(each.study.question),
        "verdicts": " ".join(f"{verdicts[word]}{icon}" for word, icon in ICONS.items() if verdicts[word]),
    }
