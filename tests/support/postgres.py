"""A PostgreSQL server of the tests' own: on a socket in a short folder, never as root.

A process beside it ends it and removes its folder once the tests are over, or were killed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# it reads until the tests' end of the pipe closes; the server's first line names its process
WATCH = """
read -r _
read -r pid < "$0/data/postmaster.pid" && kill -QUIT "$pid"
for _ in $(seq 100); do [ -e "$0/data/postmaster.pid" ] || break; sleep 0.1; done
rm -rf "$0"
"""
USER, PASSWORD = "tester", "s3cr%t/päss"


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl: on the path, or where a distribution puts it."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


def why_not() -> str | None:
    """Why no server can be started here; None where one can."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed"
    return None if binaries() else "PostgreSQL is not installed (initdb)"


@dataclass
class Server:
    """A server with one user, who needs a password."""

    folder: Path
    account: str | None  # who runs it; None: who runs the tests

    def _as(self, *command: str) -> None:
        who = ["setpriv", f"--reuid={self.account}", "--regid", str(pwd.getpwnam(self.account).pw_gid),
               "--clear-groups"] if self.account else []  # fmt: skip
        bin = binaries()
        assert bin is not None
        program, *rest = command
        subprocess.run(
            [*who, str(bin / program), *rest], check=True, timeout=60, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip

    def create(self) -> None:
        """Make the server's files."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        if self.account:
            shutil.chown(self.folder, self.account)
            shutil.chown(secret, self.account)
        data = str(self.folder / "data")
        self._as("initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", str(secret), "-N",
                 "-E", "UTF8", "--locale", "C")  # fmt: skip

    def make_database(self, name: str) -> None:
        """Make an empty database."""
        self._do(f"CREATE DATABASE {name}")

    def drop_connections(self, name: str) -> None:
        """End every connection to a database, as a network does."""
        self._do(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def _do(self, command: str) -> None:
        import psycopg

        where = f"host={self.folder} user={USER} dbname=postgres"
        with psycopg.connect(where, password=PASSWORD, autocommit=True) as connection:
            connection.execute(command.encode())

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._as("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; "immediate" is how a crash leaves it."""
        self._as("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")


@contextmanager
def server() -> Iterator[Server]:
    """A server that runs while the block does."""
    account = None
    if os.geteuid() == 0:  # initdb refuses root
        names = {entry.pw_name for entry in pwd.getpwall()}
        account = "postgres" if "postgres" in names else "nobody"
    folder = Path(tempfile.mkdtemp(prefix="ft-pg-", dir="/tmp"))  # a socket's path is at most 107 bytes
    made = Server(folder, account)
    # a session of its own: a signal to the group of the tests does not reach it
    watch = ["sh", "-c", WATCH, str(folder)]
    with subprocess.Popen(
        watch, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/"
    ):
        made.create()
        made.start()
        yield made
