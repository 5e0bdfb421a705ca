"""What study.json holds: the declaration that runs now, and the history of all that ran here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem
from fairtrial.storage.atomic import read_json
from fairtrial.storage.integrity import PUT_BACK, STUDY_CAP, Record, sealed, unsealed
from fairtrial.storage.json_fields import (
    Check,
    Fraction,
    Group,
    Json,
    Number,
    Object,
    Sha256,
    Text,
    Whole,
    is_table,
    parse,
)  # fmt: skip
from fairtrial.study.factors import upgraded

SCHEMA: Final = 2  # 1: the setting finetune was called tune


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


Objects = Annotated[list[Json], Check("a list of objects", _is_list_of_objects)]
Tables = Annotated[
    list[Json], Check("a list of levels", lambda v: isinstance(v, list) and all(map(is_table, v)))
]
Levels = Annotated[Json, Check("a table of levels", is_table)]
Factors = Annotated[
    Json,
    Check(
        "a list of levels of each factor", lambda v: isinstance(v, dict) and all(map(_is_list, v.values()))
    ),
]
Seeds = Annotated[
    list[int],
    Check("a list of whole numbers", lambda v: _is_list(v) and all(type(each) is int for each in v)),
]
Digests = Annotated[Json, Check("a table of digests", is_table)]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


@dataclass(frozen=True, kw_only=True)
class Declared(Group):
    """The types of a declaration's fields; what they may hold is for `Study` to say."""

    study: Text
    preset: Text
    question: Text
    factors: Factors
    fixed: Levels
    budget: Text
    seeds: Seeds
    primary: Objects
    secondary: Objects
    margin: Number
    alpha: Fraction
    aa: Levels | None = None
    failure_policy: Text
    root: Whole
    only: Tables | None = None
    tuning: Object | None = None
    stop: Object | None = None
    oom: Text | None = None
    plugins: Objects | None = None
    cell: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Entry(Group):
    """One declaration that ran here. contrasts: name -> digest. seen: outcomes recorded before it."""

    hash: Sha256
    contrasts: Digests
    seen: Whole


def declaration_text(declaration: Record, history: Sequence[Record], pilots: str) -> str:
    """Return the text of study.json; what pilots chose changes no run, so it is outside what is hashed."""
    record = {"schema": SCHEMA, "declaration": declaration, "history": list(history)}
    return sealed(record | ({"pilots": pilots} if pilots else {}), indent=1)


def read_declaration(path: Path) -> Record:
    """Return study.json, the names in its declaration as today; a Fault where it is not what a study writes.

    FileNotFoundError where there is none.
    """
    record = unsealed(path, read_json(path, cap=STUDY_CAP), newest=SCHEMA)
    flaws: list[str] = []
    record["declaration"] = upgraded(record.get("declaration"))
    parse(Declared, record["declaration"], "declaration.", flaws)
    history = record.get("history")
    if not isinstance(history, list) or not history:
        flaws.append("history: expected a list of what was declared, not empty")
    else:
        for number, entry in enumerate(history):
            parse(Entry, entry, f"history.{number}.", flaws)
    if not isinstance(record.get("pilots", ""), str):
        flaws.append("pilots: expected a text")
    if flaws:
        raise Fault([Problem(flaw, str(path), PUT_BACK) for flaw in flaws], BAD_INPUT)
    return record


def registered(history: Sequence[Record], contrast: str) -> bool:
    """Say whether a contrast, as it stands, was declared before any cell of its study had an outcome."""
    declared = history[-1]["contrasts"].get(contrast)
    return any(entry["seen"] == 0 and declared in entry["contrasts"].values() for entry in history)
