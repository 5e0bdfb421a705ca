"""What a command prints: JSON on one line, or words."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from fairtrial.errors import DONE, one_line


def show(data: Any, words: Iterable[str], as_json: bool) -> int:
    """Print the data of a command, or its words; the exit code."""
    if as_json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        for line in words:
            print(one_line(line))
    return DONE


def open_streams() -> None:
    """Open what the caller has closed of standard input, output and error, as a service may, on nothing.

    Else the next file that is opened would be one of them, and workers would write into it.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
