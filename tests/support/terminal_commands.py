"""A process that loads what commands import, then forks a child for each: each has a terminal of its own.

Requests are lines of JSON on stdin; answers are lines on stdout, one when a child holds its terminal, and
one with its exit status. Cells are toy jobs.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class TerminalCommands:
    """The test's side."""

    def __init__(self) -> None:
        path = os.pathsep.join([os.environ.get("PYTHONPATH") or str(ROOT / "src"), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip

    def start(self, terminal: str, folder: Path, argv: list[str], environment: dict[str, str]) -> None:
        """Begin a command line in a folder; it holds its terminal, such as /dev/pts/3, from now on."""
        request = [terminal, str(folder), argv, environment]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "holds\n"

    def wait(self) -> int:
        """The exit status of the command that was started last."""
        return int(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def main() -> None:
    from fairtrial.execution import worker_pool
    from fairtrial.reporting.figures import figure_files
    from fairtrial.reporting.report import figure_registry
    from tests.support.toy import WORKER

    for name in ("torch", "fairtrial.cli.main", "fairtrial.reporting.report.full_report"):
        importlib.import_module(name)

    for kind in ("pdf", "png"):  # svg alone: what is read here is the terminal
        del figure_files._METADATA[kind]
    worker_pool.ENTRY = (WORKER,)
    figure_registry.report_items()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(answers.fileno(), *json.loads(line))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        answers.flush()


def child(answers: int, terminal: str, folder: str, argv: list[str], environment: dict[str, str]) -> None:
    from fairtrial.cli.main import main

    os.setsid()
    handle = os.open(terminal, os.O_RDWR)  # the terminal of this session, as it has none yet
    for stream in (0, 1, 2):
        os.dup2(handle, stream)
    os.close(handle)
    os.write(answers, b"holds\n")
    os.close(answers)
    # as in a process that starts there: by lines
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = 1
    try:
        code = main(argv)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
