"""What decoded images take, and where they lie when they are many: in a file, which may exceed the memory.

A plan asks how much, and loads no numpy.
"""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

from fairtrial.errors import RESOURCES, fault
from fairtrial.storage import user_cache
from fairtrial.storage.atomic import writing

if TYPE_CHECKING:
    import numpy as np

LARGE: Final = 2**30  # bytes of images from which on they are not held in memory
CHANNELS: Final = 3


def image_bytes(count: int, side: int) -> int:
    """Return what so many square images take, decoded."""
    return CHANNELS * side * side * count


def amount(size: float) -> str:
    """Return '63 GB', '4.1 GB', '180 MB' of bytes."""
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB")
    return f"{size / unit:.{0 if size >= 10 * unit else 1}f} {name}"


def free_in_cache() -> int:
    """Return how many bytes are free where decoded images are kept."""
    folder = user_cache.folder()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def room_for(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array for decoded images, uint8; LARGE ones are a file without a name, in the cache folder.

    A Fault (exit code 6) where the disk lacks room for it and for the entry that it is copied to.
    """
    import numpy as np

    if (size := math.prod(shape)) < LARGE:
        return np.empty(shape, np.uint8)
    folder = user_cache.folder() / "images"
    if (free := free_in_cache()) < 2 * size:
        what = f"{shape[0]:,} images of {shape[3]}x{shape[2]} pixels take {amount(size)} decoded"
        what += f", twice that while they are written; {amount(free)} are free"
        do = "choose a smaller resolution, or a cache on another disk (XDG_CACHE_HOME)"
        raise fault(what, str(folder), do, RESOURCES)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # a full disk is told here; amid the images it would end the process
            getattr(os, "posix_fallocate", _stretch)(file.fileno(), 0, size)
            return np.memmap(file, np.uint8, "r+", shape=shape)


def _stretch(handle: int, _: int, size: int) -> None:
    os.ftruncate(handle, size)


def sparse(shape: tuple[int, ...]) -> np.ndarray:
    """Return zeros, uint8, that take memory where they are written to, whatever limit of memory is set."""
    import numpy as np

    if math.prod(shape) < LARGE:
        return np.zeros(shape, np.uint8)
    flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return np.frombuffer(mmap.mmap(-1, math.prod(shape), flags=flags), np.uint8).reshape(shape)


def refuse_beyond(memory: float, size: int, count: int, side: int, name: str) -> None:
    """Refuse (exit code 6) images that a worker would hold in memory, where it has less."""
    if size > memory:
        what = f"{count:,} images of {side}x{side} pixels take {amount(size)} in each worker"
        do = "choose fewer images (shots) or a smaller resolution, or a machine with more memory"
        raise fault(f"{what}; it may have {amount(memory)}", name, do, RESOURCES)
