"""A state dict in a file of anybody's, as torch.save writes it: read without running code, and bounded."""

from __future__ import annotations

import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from fairtrial.errors import BAD_INPUT, fault, refuse_shortage

INSIDE: Final = ("state_dict", "model", "model_state_dict")  # where a training script keeps the weights
DTYPES: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)
PICKLE_CAP: Final = 2**22  # bytes of all but the values; 0.4 MB for DenseNet-201 with its average and AdamW
LONGEST: Final = 4096  # characters of a word: torch searches its own errors, in the square of its length
_ZIP: Final = b"PK\x03\x04"
_IN_A_ROW: Final = 5  # pickles before the values, where torch < 1.6 saved them
_ASKED: Final = re.compile(r"tried to allocate (\d+) bytes")


def pickled(path: Path, file: Any, size: int) -> dict[str, Tensor]:
    """Name -> tensor of an open file of `size` bytes, through torch's reader that runs no code.

    A Fault (exit code 3) for anything else in it, and where it claims more than it holds.
    """
    state = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an odd pickle torch asks its users to report it
            _refuse_unread(file, size)
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile file raises is open, and torch advises to trust it
        asked = _ASKED.search(str(error))
        if not asked or int(asked[1]) <= size:
            refuse_shortage(error, str(path))
    if isinstance(state, dict):
        state = next((state[key] for key in INSIDE if isinstance(state.get(key), dict)), state)
    return plain(path, state)


def plain(path: Path, state: object) -> dict[str, Tensor]:
    """Return a table of names and tensors that a network could have; a Fault (exit code 3) for all others."""
    if not isinstance(state, Mapping) or not state or not all(map(_is_plain, state, state.values())):
        what = "not a table of plain tensors: damaged, of other types, or pickled objects, which are refused"
        do = "save model.state_dict() alone, or take the file that torchvision or timm publishes"
        raise fault(what, str(path), do, BAD_INPUT)
    return {name: value.detach() for name, value in state.items()}


def _is_plain(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and (value.layout, value.device.type) == (torch.strided, "cpu")
        and value.dtype in DTYPES
    )


def _refuse_unread(file: Any, size: int) -> None:
    """Raise a ValueError for what would keep torch busy; the file is left at its start."""
    file.seek(0)
    if file.read(len(_ZIP)) == _ZIP:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > size:
                raise ValueError("members that unpack to more than the file, which torch.save never writes")
            for info in (info for info in infos if info.filename.endswith("data.pkl")):
                if info.file_size > PICKLE_CAP:
                    raise ValueError(f"a pickle of {info.file_size:,} bytes")
                _refuse_long_words(BytesIO(archive.read(info)))
    else:
        file.seek(0)
        stream = BytesIO(file.read(PICKLE_CAP))
        for _ in range(_IN_A_ROW):
            _refuse_long_words(stream)
    file.seek(0)


def _refuse_long_words(stream: BytesIO) -> None:
    for _, argument, _ in pickletools.genops(stream):
        longest = max(map(len, argument.split()), default=0) if isinstance(argument, str | bytes) else 0
        if longest > LONGEST:
            raise ValueError(f"a word of {longest:,} characters")
