"""Decoded images on disk, one file for all worker processes, memory-mapped; damage is noticed and mended.

Two files an entry: `<key>.npy`, the images of both splits, and `<key>.json`, the rest with the digest of all.
Both are deterministic in their key, so processes that build one entry at the same time publish equal files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from fairtrial.data import room
from fairtrial.data.decode import DECODER
from fairtrial.data.split_arrays import Arrays, Source
from fairtrial.errors import Fault, Shortage, refuse_shortage
from fairtrial.plain_file import open_file, read_file
from fairtrial.storage.atomic import publish, writing
from fairtrial.storage.integrity import SCHEMA, sealed, unsealed
from fairtrial.storage.user_cache import folder

MOST_LABELS: Final = 2**28  # bytes of an entry's labels and names; 14 million images take a fifth of it
_log = logging.getLogger(__name__)


def through(source: Source, resolution: int | None) -> tuple[Arrays, str]:
    """The arrays of a source and their digest, from the cache when it holds them, decoded otherwise."""
    name = hashlib.sha256(f"2\n{source.stamp}\n{resolution}\n{DECODER}".encode()).hexdigest()
    entry = folder() / "images" / name
    try:
        return _load(entry)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except Shortage:
        raise
    except Exception as error:  # whatever damage does to a reader, the source can be decoded again
        refuse_shortage(error, f"{entry}.npy")
        _log.warning("cached images %s.npy are damaged (%s); decoding them again", entry, error)
    arrays = source.build(resolution)
    sha256 = arrays.sha256()
    try:
        _save(entry, arrays, sha256)
        if isinstance(arrays.train_images, np.memmap):  # too many for memory: those of the entry
            return _load(entry)
    except Fault as error:
        _log.info("decoded images are not cached: %s", error)
    return arrays, sha256


def _load(entry: Path) -> tuple[Arrays, str]:
    path = entry.with_suffix(".json")
    record = unsealed(path, json.loads(read_file(path, MOST_LABELS)))
    pictures = entry.with_suffix(".npy")
    # a pipe in its place would hang numpy
    with open_file(pictures) as opened:
        large = os.fstat(opened.fileno()).st_size >= room.LARGE
    # Copy on write: pages are shared between workers, and torch gets memory that it may call writable. That
    # counts against a limit of memory, so large images are read alone.
    images = np.load(pictures, mmap_mode="r" if large else "c", allow_pickle=False)
    labels = [np.array(record[f"{split}_labels"], np.int64) for split in ("train", "test")]
    count = len(labels[0])
    # entries of before lack the sizes
    sizes = tuple((str(size), int(number)) for size, number in record.get("sizes", ()))
    classes, notes = tuple(record["classes"]), tuple(record["notes"])
    arrays = Arrays(classes, images[:count], labels[0], images[count:], labels[1], notes, sizes)
    if arrays.sha256() != record["images"]:  # 0.1 s for CIFAR-10
        raise ValueError("the images do not match their digest")
    return arrays, record["images"]


def _save(entry: Path, arrays: Arrays, sha256: str) -> None:
    record = {
        "schema": SCHEMA,
        "images": sha256,
        "classes": list(arrays.classes),
        "notes": list(arrays.notes),
        "sizes": [list(size) for size in arrays.sizes],
        "train_labels": arrays.train_labels.tolist(),
        "test_labels": arrays.test_labels.tolist(),
    }
    with writing(entry):
        entry.parent.mkdir(parents=True, exist_ok=True)
    publish(entry.with_suffix(".npy"), lambda file: _write_images(file, arrays), overwrite=True)
    # last: the entry exists once it does
    publish(entry.with_suffix(".json"), sealed(record).rstrip(), overwrite=True)


def _write_images(file: BinaryIO, arrays: Arrays) -> None:
    """Both splits as one array, without a copy of either in memory."""
    parts = (arrays.train_images, arrays.test_images)
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    for part in parts:
        file.write(np.ascontiguousarray(part).data)
