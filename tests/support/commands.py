"""One process that answers many command lines: small, so that the forks of a command cost little.

A process with torch has gigabytes mapped, and every study file that is loaded is first tried in a fork.
Requests are lines of JSON on stdin, answers lines of JSON on stdout.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Said(NamedTuple):
    """What a command ended with, what it printed, and the CPU seconds of this process that it took."""

    code: int
    out: str
    err: str
    cpu_s: float


class Commands:
    """The test's side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, *argv: str) -> Said:
        """Give a command line in a folder; a command that raises ends the process, and the test."""
        self._process.stdin.write(json.dumps([str(folder), argv]) + "\n")
        self._process.stdin.flush()
        return Said(*json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def main() -> None:
    from fairtrial.cli.main import main as command

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        folder, argv = json.loads(line)
        os.chdir(folder)
        out, err, started = io.StringIO(), io.StringIO(), time.process_time()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command(argv)
        seconds = time.process_time() - started
        print(json.dumps(Said(code, out.getvalue(), err.getvalue(), seconds)), file=answers, flush=True)


if __name__ == "__main__":
    main()
