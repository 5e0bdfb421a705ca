"""Files that come with a worker's answer from another machine: a network that was kept, and its prints."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any

from fairtrial.errors import BAD_INPUT, fault
from fairtrial.storage.atomic import publish, writing
from fairtrial.storage.json_fields import is_prints_name
from fairtrial.storage.store import Store


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
