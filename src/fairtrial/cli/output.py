"""What a command prints: JSON on one line, or words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from fairtrial.errors import DONE


def show(data: Any, words: Iterable[str], as_json: bool) -> int:
    """Print the data of a command, or its words; the exit code."""
    if as_json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        for line in words:
            print(line)
    return DONE
