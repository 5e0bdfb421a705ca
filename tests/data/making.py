"""Small pictures and data sets, made on the spot, and the fault of opening one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fairtrial.data import open_dataset
from fairtrial.errors import BAD_INPUT, Fault


def picture(seed: int, size: tuple[int, int] = (8, 8)) -> Image.Image:
    """RGB noise; another seed, another picture."""
    wide, high = size
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (high, wide, 3), np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(seed: int, size: tuple[int, int] = (8, 8)) -> bytes:
    """One encoded picture."""
    return encoded(picture(seed, size))


def write_folder(
    root: Path, classes: tuple[str, ...] = ("cat", "dog"), train: int = 3, test: int = 2
) -> Path:
    """An image folder in which every picture is different."""
    seed = 0
    for split, count in (("train", train), ("test", test)):
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                (root / split / name / f"{number}.png").write_bytes(png(seed))
                seed += 1
    return root


def write_parquet(
    root: Path,
    labels: tuple[list, list] = ([0, 1, 0, 1], [1, 0]),
    *,
    names: list[str] | None = None,
    test_names: list[str] | None = None,
    image: str = "img",
    plain: bool = False,
    label_type: Any = None,
    images: dict[tuple[str, int], bytes | None] | None = None,
) -> Path:
    """train.parquet and test.parquet. images: replacements, keyed by (split, row)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True, exist_ok=True)
    for number, (split, rows) in enumerate(zip(("train", "test"), labels, strict=True)):
        cells = [(images or {}).get((split, row), png(100 * number + row)) for row in range(len(rows))]
        column = (
            pa.array(cells, pa.binary()) if plain else pa.array([{"bytes": c, "path": None} for c in cells])
        )
        table = pa.table({image: column, "label": pa.array(rows, label_type)})
        chosen = test_names if split == "test" and test_names else names
        if chosen:
            features = {"label": {"names": chosen, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        pq.write_table(table, root / f"{split}.parquet")
    return root


def fault_of(spec: str, code: int = BAD_INPUT, **options: Any) -> Fault:
    """The Fault of opening a source; every problem has its three parts."""
    with pytest.raises(Fault) as caught:
        open_dataset(spec, **options)
    assert caught.value.code == code
    for problem in caught.value.problems:
        assert problem.what and problem.where and problem.do
        caught.value.block().encode()  # any terminal can show it
    return caught.value


def at_once(number: int, before: str, then: str, path: Path) -> set[str]:
    """What so many processes print that run `then` behind one starting gun; both texts know `path`."""
    gun = path.with_name("gun")
    code = (
        f"import sys, time; from pathlib import Path; path, gun = map(Path, sys.argv[1:])\n{before}\n"
        "print('ready', flush=True)\n"
        f"while not gun.exists(): time.sleep(0.001)\nprint({then})"
    )
    command = [sys.executable, "-c", code, str(path), str(gun)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(number)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    gun.touch()
    printed = {child.communicate(timeout=60)[0].strip() for child in children}
    assert [child.returncode for child in children] == [0] * number
    return printed
