"""Where what ships lies: beside src/ in a checkout, inside the package in an installed wheel."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import fairtrial
from fairtrial.errors import Fault, fault

_PACKAGE: Final = Path(fairtrial.__file__).resolve().parent
ROOT: Final = _PACKAGE.parents[1]  # of the checkout; in an installed wheel a folder that is none of ours


def shipped(name: str) -> Path:
    """Return a folder that ships: 'ablations', the studies; 'results', what was recorded; 'docs'.

    Of `docs` a wheel has the pages that messages name.
    """
    beside = ROOT / name
    return beside if beside.is_dir() else _PACKAGE / "_shipped" / name


def checkout() -> Path | None:
    """Return the checkout that this library runs from; None in an installed wheel, which has no bench/."""
    return ROOT if (ROOT / "bench").is_dir() else None


def released() -> tuple[Path, ...]:
    """Return the folders of results that ship; an installed wheel has those of `upstream` alone."""
    results = shipped("results")
    return tuple(folder for folder in (results, results / "released") if folder.is_dir())


def isolated_python(*arguments: str) -> list[str]:
    """Return a command for this interpreter that imports nothing from the current folder (-P).

    The one way to start a Python process: `python -m` alone would take a queue.py or torch.py that lies where
    the user stands for the library's.
    """
    return [sys.executable, "-P", *arguments]


def unsupported() -> Fault | None:
    """Return what to say where the system lacks what fairtrial stands on; None where it does not."""
    missing = [name for name in ("fcntl", "resource") if find_spec(name) is None]
    if not missing:
        return None
    what = f"fairtrial runs on Linux and macOS; this Python has no {missing[0]}"
    return fault(what, f"{sys.platform}, {sys.executable}", "on Windows, install it inside WSL 2")
