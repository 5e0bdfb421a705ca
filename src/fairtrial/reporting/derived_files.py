"""The files of a report, and the one place that writes them: all can be rebuilt from the records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairtrial.storage import atomic


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write each file under its name in a folder, 'tables/arms.csv'; return their paths."""
    paths = [folder / name for name in files]
    atomic.refuse_links(folder, {part for name in files if (part := str(Path(name).parent)) != "."})
    for parent in {path.parent for path in paths}:
        made_folder(parent)
    for path, content in zip(paths, files.values(), strict=True):
        atomic.publish(path, content, overwrite=True)
    return paths


def made_folder(folder: Path) -> Path:
    """Return a folder that is there, made where it was not."""
    atomic.make_folders(folder)
    return folder
