"""`fairtrial ...` that signals itself at its n-th call of a Python function: N NAME COMMAND...

A moment is a place in the program, not a time: it is the same on a slow machine. Writes "calls N" at its end
where it was never struck (N 0 counts).
"""

import os
import signal
import sys
import time

from fairtrial.__main__ import main

at, number, calls = int(sys.argv[1]), getattr(signal, sys.argv[2]), 0
here = os.getpid()  # a study file is tried in a fork, which counts as well: the command itself is struck


def count(_frame, event, _argument):
    """Signal this process at its moment."""
    global calls
    calls += event == "call"
    if calls == at and event == "call" and os.getpid() == here:
        sys.setprofile(None)
        os.write(2, f"struck {time.monotonic()}\n".encode())
        os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.argv = ["fairtrial", *sys.argv[3:]]
    sys.setprofile(count)
    try:
        main()
    finally:
        sys.setprofile(None)
        os.write(2, f"calls {calls}\n".encode())
