"""The file of a probe: values and origin, sealed as every record is; reading it needs no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import Fault
from fairtrial.storage import atomic, integrity
from fairtrial.storage.integrity import SCHEMA, Record, sealed

NAMES: Final = ("networks", "axes", "signal", "statistics")


def write(path: Path, probe: str, values: Record, origin: Record) -> Path:
    """Publish a probe under its path, over an older one; the same values and origin give the same bytes."""
    with atomic.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    record = {"schema": SCHEMA, "probe": probe, "values": values, "origin": origin}
    atomic.publish(path, sealed(record), overwrite=True)
    return path


def path_of(results: Path, probe: str) -> Path:
    """Where a probe lies in a folder of results."""
    return results / ("networks" if probe == "networks" else "probes") / f"{probe}.json"


def command(probe: str) -> str:
    """What measures it."""
    return "fairtrial networks" if probe == "networks" else f"fairtrial probe {probe}"


def read(path: Path, probe: str) -> Record:
    """The record of a probe; FileNotFoundError, or a Fault when it is damaged, edited or another one."""
    try:
        return integrity.measurement(path, probe)
    except integrity.Newer:
        raise
    except Fault as error:
        do = f"put the file back from version control, or measure anew: {command(probe)}"
        raise Fault([replace(each, do=do) for each in error.problems], error.code) from None


def origin_of(record: Record) -> dict[str, Any]:
    """What a caption says of it: commit, and the data where there are any."""
    return {"commit": record["origin"].get("commit"), "data": record["values"].get("data")}
