"""On a machine of a cluster: one worker process, what it is told and what it answers.

The driver's side is the engine (ray_engine.py). Nothing here knows what carries the calls.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import fairtrial
from fairtrial.execution.process_environment import worker_environment
from fairtrial.installation import isolated_python, released
from fairtrial.signals import kill


class WorkerHost:
    """Starts a worker process and stands between it and its driver on another machine.

    What a worker keeps goes into a scratch folder here, and travels with its answer. machine: names this one.
    """

    def __init__(self, program: Sequence[str], threads: int, device: str, machine: Callable[[], str]) -> None:
        self._machine = machine()
        self._command, self._environment = isolated_python(*program), worker_environment(threads, device)
        self._scratch = tempfile.TemporaryDirectory(prefix="fairtrial-worker-", ignore_cleanup_errors=True)
        self._said: list[dict[str, Any]] = []
        self._taken = 0  # of what was said, so much has reached the driver
        self._more, self._started, self._ended = threading.Condition(), threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        """Start the process and note its lines, in a thread that lives as long: the process ends with it."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
        )
        try:
            self._hear()
        except Exception:  # it said what cannot be understood
            kill(self._process.pid)
            raise
        finally:
            status = self._process.wait()
            self._scratch.cleanup()  # nobody else will: whoever hears of the exit kills this process
            self._ended.set()
            self._say({"exit": status})

    def _hear(self) -> None:
        assert self._process.stdout is not None
        place = {"machine": self._machine, "host": socket.gethostname(), "code": code()}
        self._say({"pid": self._process.pid, **place})
        self._started.set()
        for line in self._process.stdout:
            message = json.loads(line)
            self._say({"message": message, "files": self._kept(message)})

    def _say(self, item: dict[str, Any]) -> None:
        with self._more:
            self._said.append(item)
            self._more.notify_all()

    def _kept(self, message: Any) -> dict[str, bytes]:
        """The files that an answer names: a network that was kept, and the prints of its images."""
        result = message.get("result") if isinstance(message, dict) else None
        kept = result["measured"].get("checkpoint") if result else None
        names = (kept["file"], kept["images"]) if kept else ()
        return {name: (self._folder / "weights" / name).read_bytes() for name in names}

    @property
    def _folder(self) -> Path:
        return Path(self._scratch.name) / "study"

    def give(self, message: dict[str, Any]) -> None:
        """Pass a message on; the study's folder is the scratch folder here, and what ships lies here too."""
        self._started.wait()
        if "folder" in message:
            message = {**message, "folder": str(self._folder)}
        if "results" in message:
            message = {**message, "results": [*message["results"], *map(str, released())]}
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def answers(self, after: int) -> list[dict[str, Any]]:
        """Wait until more was said than `after` items -> those; the ones before have reached the driver."""
        with self._more:
            self._more.wait_for(lambda: self._taken + len(self._said) > after)
            del self._said[: after - self._taken]
            self._taken = after
            return list(self._said)

    def end(self) -> None:
        """Kill the process and all that it has started, and wait until its scratch folder is gone.

        What it had said may still be asked for.
        """
        self._started.wait()
        if self._process.poll() is None:
            kill(self._process.pid)
        self._ended.wait()


def seen(paths: Sequence[str]) -> dict[str, str]:
    """Return what this machine sees under paths: how many files, of how many bytes."""
    return {path: _tally(Path(path)) for path in paths}


def _tally(path: Path) -> str:
    inside = path.rglob("*") if path.is_dir() else [path]
    sizes = [each.stat().st_size for each in inside if each.is_file()]
    return f"{len(sizes):,} files of {sum(sizes):,} bytes" if sizes else "nothing"


@cache
def code() -> dict[str, str]:
    """Return the version of fairtrial and the digest of its files, which must be alike on all machines."""
    package, total = Path(fairtrial.__file__).parent, hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".c") and "_shipped" not in path.parts:
            total.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes() + b"\0")
    return {"fairtrial": fairtrial.__version__, "code": total.hexdigest()}
