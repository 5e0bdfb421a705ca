"""Checkpoints of cells that have not ended: the newest two of each, durable before an older one goes.

results/<study>/checkpoints/<cell>-<attempt>-<step>.safetensors   the arrays
results/<study>/checkpoints/<cell>-<attempt>-<step>.json          all else, sealed; the digest of the arrays

The JSON file is written last: without it the arrays are no checkpoint. Nothing here is evidence: a checkpoint
that is damaged or was made otherwise is left, and the cell starts from the one before, or anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, fault
from fairtrial.failpoints import CHECKPOINT, failpoint
from fairtrial.plain_file import read_file
from fairtrial.storage import atomic
from fairtrial.storage.atomic import publish, read_json, writing
from fairtrial.storage.integrity import Record, sealed, unsealed

KEPT: Final = 2  # of a cell
SCHEMA: Final = 1
CAP: Final = 1024 * 1024  # bytes of the JSON file
_NAME: Final = re.compile(r"([0-9a-f]{12})-([1-9][0-9]*)-([1-9][0-9]*)\.(json|safetensors)")
_AGAIN: Final = "nothing: the cell starts from the checkpoint before, or anew"


@dataclass(frozen=True, order=True)
class Saved:
    """One checkpoint; a later one of a cell is greater."""

    cell: str
    attempt: int
    step: int
    folder: Path

    @property
    def json(self) -> Path:
        """The file that makes it one."""
        return self.folder / f"{self.cell}-{self.attempt}-{self.step}.json"

    @property
    def arrays(self) -> Path:
        """The file of its arrays."""
        return self.json.with_suffix(".safetensors")

    def delete(self) -> None:
        """Delete both files; the one that makes it a checkpoint first."""
        self.json.unlink(missing_ok=True)
        self.arrays.unlink(missing_ok=True)


def is_name(name: str) -> bool:
    """Whether a file of this name belongs to a checkpoint."""
    return _NAME.fullmatch(name) is not None


def listed(folder: Path, cell: str | None = None) -> list[Saved]:
    """Return the checkpoints in a folder, of a cell or of all, oldest first; whole or not."""
    return sorted(_of(folder, name) for name in _names(folder, cell) if name.endswith(".json"))


def write(saved: Saved, record: Record, arrays: bytes) -> None:
    """Write a checkpoint, then delete all but the newest two of its cell.

    A ValueError, and nothing is written, where it would be too large to be read.
    """
    size = {"bytes": len(arrays), "sha256": hashlib.sha256(arrays).hexdigest()}
    whole = {"schema": SCHEMA, "cell": saved.cell, "attempt": saved.attempt, "step": saved.step}
    text = sealed({**record, **whole, "arrays": size})
    if len(text.encode()) > CAP:
        raise ValueError(f"more than {CAP:,} bytes beside its tensors; give long lists as tensors")
    with writing(saved.folder):
        saved.folder.mkdir(exist_ok=True)
    publish(saved.arrays, arrays, overwrite=True, along=CHECKPOINT)
    publish(saved.json, text, overwrite=True, along=CHECKPOINT)
    for older in listed(saved.folder, saved.cell)[:-KEPT]:
        failpoint("ckpt-prune")
        older.delete()


def read(path: Path) -> tuple[Record, bytes]:
    """Return what a checkpoint holds, by its JSON file; a Fault when it is cut, edited, newer or a copy."""
    record = unsealed(path, read_json(path, cap=CAP), newest=SCHEMA, do=_AGAIN)
    names = ("cell", "attempt", "step", "arrays", "state", "seconds", "made")
    if missing := [name for name in names if name not in record]:
        raise fault(f"the checkpoint lacks {', '.join(missing)}", str(path), _AGAIN, BAD_INPUT)
    saved = Saved(record["cell"], record["attempt"], record["step"], path.parent)
    if saved.json.name != path.name:
        what = f"the file is called {path.name}, but holds {saved.json.stem}"
        raise fault(what, str(path), _AGAIN, BAD_INPUT)
    return record, _arrays(saved.arrays, record["arrays"])


def _arrays(path: Path, expected: Any) -> bytes:
    """Return the bytes of a file, if they are those expected; one of another size is not read."""
    bytes_, sha256 = (expected.get(n) if isinstance(expected, dict) else None for n in ("bytes", "sha256"))
    try:
        size = path.stat().st_size
        data = read_file(path, size) if size == bytes_ else b""
    except OSError as error:
        raise fault(f"cannot be read: {error.strerror}", str(path), _AGAIN, BAD_INPUT) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        what = f"{size:,} bytes that are not those of its checkpoint"
        raise fault(what, str(path), _AGAIN, BAD_INPUT)
    return data


def of_study(study: Path) -> Path:
    """Return the folder of checkpoints in the folder of a study."""
    return study / "checkpoints"


def files(study: Path) -> list[Path]:
    """Return the JSON file of every checkpoint of a study."""
    return [saved.json for saved in listed(of_study(study))]


def drop(study: Path, cell: str) -> None:
    """Delete what a cell has left, now that it has an outcome."""
    folder = of_study(study)
    for name in _names(folder, cell):
        (folder / name).unlink(missing_ok=True)


def sweep(study: Path, ended: Callable[[str], bool]) -> list[Path]:
    """Delete what is of no use: of cells that ended, arrays alone, temporary files -> what it deleted."""
    folder = of_study(study)
    names = _names(folder)
    whole = {name.partition(".")[0] for name in names if name.endswith(".json")}
    over = {cell for cell in {name[:12] for name in names} if ended(cell)}
    left = [folder / name for name in names if name[:12] in over or name.partition(".")[0] not in whole]
    for path in left:
        path.unlink(missing_ok=True)
    return left + atomic.sweep(folder)


def _names(folder: Path, cell: str | None = None) -> list[str]:
    """The names of our files in a folder, of a cell or of all; none where there is no folder."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return []
    found = [(name, match) for name in names if (match := _NAME.fullmatch(name))]
    return [name for name, match in found if cell in (None, match[1])]


def _of(folder: Path, name: str) -> Saved:
    match = _NAME.fullmatch(name)
    # `_names` gives no other
    assert match is not None
    return Saved(match[1], int(match[2]), int(match[3]), folder)
