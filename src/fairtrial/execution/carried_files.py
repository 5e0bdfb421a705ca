"""Files between machines: what all must see, and what comes with an answer, a kept network and its prints."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairtrial.errors import BAD_INPUT, fault
from fairtrial.storage.atomic import publish, writing
from fairtrial.storage.json_fields import is_prints_name
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study import data_spec, initial_checkpoint
from fairtrial.study.study import Cell


def paths_read(cells: Sequence[Cell], results: Path) -> list[str]:
    """Return the paths that cells read and that lie on no machine by themselves: data, lists, checkpoints.

    results: where a study that pre-trained may lie; what ships with fairtrial, or was fetched, is left out.
    """
    paths: set[Path | None] = set()
    for data, upstream, indices in {(cell.data, cell.upstream, cell.indices) for cell in cells}:
        start = initial_checkpoint.parse(upstream)
        paths |= {data_spec.parse(data).path, start.path, Path(indices).absolute() if indices else None}
        if start.kind == "study" and is_study(results / start.name):
            paths |= {(results / start.name / part).resolve() for part in ("cells", "weights")}
    return sorted(str(path) for path in paths if path is not None)


def keep_files(store: Store, cell: str, attempt: int, message: Mapping[str, Any]) -> None:
    """Write the files of an answer into the study's weights/, before its record names them.

    A Fault (exit 3) where names, size or digest are not those of the attempt and its result.
    """
    files = message.get("files")
    if not files:
        return
    kept, path = message["result"]["measured"]["checkpoint"], store.weights(cell, attempt)
    network = files.get(path.name, b"")
    arrived = {"file": path.name, "bytes": len(network), "sha256": hashlib.sha256(network).hexdigest()}
    known = {path.name, kept["images"]} == set(files) and is_prints_name(kept["images"])
    if not known or any(kept[name] != value for name, value in arrived.items()):
        what = f"the files that came with attempt {attempt} of cell {cell} are not those of its result"
        raise fault(what, path.name, "run the same command again", BAD_INPUT)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    for name in (kept["images"], path.name):
        with contextlib.suppress(FileExistsError):
            publish(path.with_name(name), files[name])
