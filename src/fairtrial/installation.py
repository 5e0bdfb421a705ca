"""Where the rooms of the house lie: beside src/ in a checkout, inside the package in an installed wheel."""

from __future__ import annotations

from pathlib import Path

import fairtrial

_PACKAGE = Path(fairtrial.__file__).resolve().parent


def room(name: str) -> Path:
    """The folder of the shipped studies: 'ablations'."""
    checkout = _PACKAGE.parents[1] / name
    return checkout if checkout.is_dir() else _PACKAGE / "_rooms" / name


def checkout() -> Path | None:
    """The checkout that this library runs from; None in an installed wheel, which has no bench/."""
    root = _PACKAGE.parents[1]
    return root if (root / "bench").is_dir() else None


def released() -> tuple[Path, ...]:
    """Folders of results that ship with fairtrial; none in an installed wheel."""
    results = _PACKAGE.parents[1] / "results"
    return tuple(folder for folder in (results, results / "released") if folder.is_dir())
