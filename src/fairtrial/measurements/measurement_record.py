"""The file of a measurement: values and origin, sealed as every record is; reading it needs no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from fairtrial.errors import Fault
from fairtrial.storage import atomic, integrity
from fairtrial.storage.integrity import SCHEMA, Record, sealed

NAMES: Final = ("networks", "axes", "signal", "statistics", "smoothness")


def write(path: Path, name: str, values: Record, origin: Record) -> Path:
    """Publish a measurement, over an older one; the same values and origin give the same bytes."""
    with atomic.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    record = {"schema": SCHEMA, "probe": name, "values": values, "origin": origin}
    atomic.publish(path, sealed(record), overwrite=True)
    return path


def path_of(results: Path, name: str) -> Path:
    """Return where a measurement lies in a folder of results."""
    return results / ("networks" if name == "networks" else "probes") / f"{name}.json"


def command(name: str) -> str:
    """What measures it."""
    return "fairtrial networks" if name == "networks" else f"fairtrial probe {name}"


def read(path: Path, name: str) -> Record:
    """Return a measurement; FileNotFoundError, or a Fault when it is damaged, edited or another one."""
    try:
        return integrity.measurement(path, name)
    except integrity.Newer:
        raise
    except Fault as error:
        do = f"put the file back from version control, or measure anew: {command(name)}"
        raise Fault([replace(each, do=do) for each in error.problems], error.code) from None
