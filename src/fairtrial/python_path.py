"""PYTHONPATH without its empty entries, each of which is the current folder: nobody means that.

It imports what Python has loaded before any program: a file of the user's may have the name of all else.
"""

import os
import sys


def without_empty(path: str) -> str:
    """Return a PYTHONPATH with the entries that name a folder."""
    return os.pathsep.join(filter(None, path.split(os.pathsep)))


def leave_current_folder() -> None:
    """Forget an empty entry of this process: `PYTHONPATH=$PYTHONPATH:/x` makes one."""
    path = os.environ.get("PYTHONPATH", "")
    named = without_empty(path)
    if named != path:
        os.environ["PYTHONPATH"] = named
        here = {os.getcwd()} - {*named.split(os.pathsep)} | {""}  # noqa: PTH109  a pathlib.py may lie there
        sys.path[:] = [entry for entry in sys.path if entry not in here]
