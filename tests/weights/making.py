"""Official files made by code; names and layouts as in bit_pytorch/models.py, written out here."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

LAYOUTS = {  # units of each block, width
    "tiny": ((1, 2), 32),
    "wide": ((1, 2), 64),
    "r50x1": ((3, 4, 6, 3), 64),
    "r101x1": ((3, 4, 23, 3), 64),
}

Arrays = dict[str, np.ndarray]


def official_arrays(network: str, classes: int, seed: int = 0) -> Arrays:
    """Random values under the official names; kernels are (height, width, in, out), with a mean."""
    units, width = LAYOUTS[network]
    rng = np.random.default_rng(seed)
    arrays: Arrays = {}

    def kernel(name: str, side: int, cin: int, cout: int) -> None:
        scale = np.sqrt(2 / (side * side * cin))
        values = rng.standard_normal((side, side, cin, cout), dtype=np.float32)
        arrays[f"{name}/standardized_conv2d/kernel"] = values * np.float32(scale) + np.float32(0.2 * scale)

    def norm(name: str, channels: int) -> None:
        arrays[f"{name}/group_norm/gamma"] = rng.uniform(0.5, 1.5, channels).astype(np.float32)
        arrays[f"{name}/group_norm/beta"] = rng.normal(0, 0.2, channels).astype(np.float32)

    kernel("resnet/root_block", 7, 3, width)
    cin = width
    for block, count in enumerate(units, 1):
        cmid = width * 2 ** (block - 1)
        for unit in range(1, count + 1):
            name = f"resnet/block{block}/unit{unit:02d}"
            norm(f"{name}/a", cin)
            kernel(f"{name}/a", 1, cin, cmid)
            if unit == 1:
                kernel(f"{name}/a/proj", 1, cin, 4 * cmid)
            norm(f"{name}/b", cmid)
            kernel(f"{name}/b", 3, cmid, cmid)
            norm(f"{name}/c", cmid)
            kernel(f"{name}/c", 1, cmid, 4 * cmid)
            cin = 4 * cmid
    norm("resnet", cin)
    head = rng.standard_normal((1, 1, cin, classes), dtype=np.float32)
    arrays["resnet/head/conv2d/kernel"] = head * np.float32(0.05)
    arrays["resnet/head/conv2d/bias"] = rng.normal(0, 0.1, classes).astype(np.float32)
    return arrays


def npy(array: np.ndarray) -> bytes:
    """The bytes of one .npy."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(text: str, *, length: int | None = None) -> bytes:
    """The start of a .npy, with any text in the place of its header."""
    body = text.encode("latin1")
    return b"\x93NUMPY\x02\x00" + (len(body) if length is None else length).to_bytes(4, "little") + body


def write_zip(
    path: Path, members: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED
) -> Path:
    """A zip with these members, in this order, repeated names included."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return path


def members(arrays: Arrays) -> list[tuple[str, bytes]]:
    return [(f"{name}.npy", npy(array)) for name, array in arrays.items()]
