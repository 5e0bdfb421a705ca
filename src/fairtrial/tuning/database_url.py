"""Where trials are shared: the address of a database, whose password nobody gets to read, and its locks."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from fairtrial.errors import REFUSED, Fault, fault
from fairtrial.plain_file import read_text
from fairtrial.storage import lock
from fairtrial.study.identity import digest

VARIABLE: Final = "FAIRTRIAL_STORAGE_URL"
FILE_VARIABLE: Final = "FAIRTRIAL_STORAGE_URL_FILE"
SAYS: Final = (
    "share the trials with other drivers through this database: postgresql://USER@HOST/NAME, or sqlite:///FILE"
    f" for one driver; a password stands in ~/.pgpass, PGPASSWORD or {VARIABLE}, never on the command line"
)
_FORMS: Final = "write postgresql://USER@HOST:PORT/NAME, or sqlite:///FILE for one driver"
_HIDDEN: Final = "use ~/.pgpass, PGPASSWORD, or give the whole URL in " + VARIABLE
CONNECT_S: Final = 5  # for a connection
_LOCK_S: Final = 10  # for a lock of the database
# sqlite.org/faq.html#q5: their locks are often broken, and two processes write at once
_SHARED_FILES: Final = ("nfs", "cifs", "smb", "sshfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs")
_LONGEST: Final = 2000  # characters of a URL
_MOST: Final = 2**14  # bytes of the file that holds one
_SECRET: Final = re.compile(r"pass(word|wd|phrase)?$|pwd$|secret|token")


@dataclass(frozen=True)
class DatabaseUrl:
    """A checked address. full: with its secrets; shown: what may be printed. file: of SQLite."""

    full: str = field(repr=False)
    shown: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    file: Path | None = None

    def __str__(self) -> str:
        return self.shown

    def hide(self, text: str) -> str:
        """Return a text of others without the secrets, in whatever way they are written."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            for spelled in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}:
                text = text.replace(spelled, "***")
        return text.replace(self.full, self.shown)


def given_url(option: str | None, environment: Mapping[str, str] = os.environ) -> DatabaseUrl | None:
    """Return the address that --storage gives, else a variable, else the file that a variable names.

    None where nothing is given. A Fault (exit code 2) never repeats what it could not read.
    """
    if option is not None:
        return read_url(option, "--storage", everyone_reads=True)
    if text := environment.get(VARIABLE):
        return read_url(text, VARIABLE)
    if path := environment.get(FILE_VARIABLE):
        try:
            text = read_text(Path(path), _MOST).strip()
        except OSError as error:
            what = f"the file with the address cannot be read: {error.strerror}"
            raise fault(what, path, f"set {FILE_VARIABLE} anew") from None
        return read_url(text, f"{path} ({FILE_VARIABLE})")
    return None


def read_url(text: str, where: str, *, everyone_reads: bool = False) -> DatabaseUrl:
    """Return a checked address. everyone_reads: it stands where `ps` shows it, so it may hold no password."""
    # lazily: it takes longer to load than most commands
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        if len(text) > _LONGEST or not text.isprintable():
            raise ValueError
        url = make_url(text)
        backend, driver = [*url.drivername.split("+"), ""][:2]
    except (ArgumentError, ValueError):
        raise fault(f"{where} holds no address of a database", where, _FORMS) from None
    if (backend, driver) not in {("postgresql", ""), ("postgresql", "psycopg"), ("sqlite", "")}:
        known = "known: postgresql, sqlite" + ("; write postgresql://" if backend == "postgres" else "")
        raise fault(f"no driver for a database of kind {url.drivername[:40]!r}", where, known)
    hidden = [str(value) for name, value in url.query.items() if _SECRET.search(name.lower())]
    secrets = (*filter(None, [url.password]), *hidden)
    if secrets and everyone_reads:
        raise fault("a password on the command line is read by everyone here (ps)", where, _HIDDEN)
    if backend == "sqlite":
        return _of_file(url, where)
    if not url.database:
        raise fault("the address names no database", where, _FORMS)
    _need_psycopg(where)
    place = f"{url.host or url.query.get('host') or 'local'}" + (f":{url.port}" if url.port else "")
    shown = f"postgresql://{url.username + '@' if url.username else ''}{place}/{url.database}"
    full = url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    return DatabaseUrl(full, shown, secrets)


def _of_file(url: Any, where: str) -> DatabaseUrl:
    if url.database in (None, "", ":memory:") or url.query:
        raise fault("trials are kept in a file, and the address names none", where, "write sqlite:///FILE")
    return DatabaseUrl(str(url), str(url), file=Path(url.database))


def _need_psycopg(where: str) -> None:
    try:
        import psycopg  # noqa: F401  what SQLAlchemy speaks to PostgreSQL with
    except ImportError:
        do = 'pip install "fairtrial[postgres]"'
        raise fault("psycopg, which speaks to PostgreSQL, is not installed", where, do) from None


@contextlib.contextmanager
def one_driver(file: Path) -> Iterator[None]:
    """Be the only driver on a file of SQLite, which hands one trial to two that ask at once."""
    path = file.with_name(f"{file.name}.lock")
    if not file.absolute().parent.is_dir():
        raise fault("the folder of the file is not there", str(file), "make it, or name another file")
    kind = lock.file_system(file)
    if kind.removeprefix("fuse.").startswith(_SHARED_FILES):
        what = f"the file lies on a file system of several machines ({kind}), where SQLite loses trials"
        raise fault(what, str(file), "name a file on a disk of this machine, or use postgresql://", REFUSED)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock.hold(path))
        except Fault as error:
            if error.code != REFUSED:
                raise
            what = "another driver uses this file, and SQLite serves one"
            raise fault(what, str(file), "share trials through postgresql://", REFUSED) from None
        yield


@contextlib.contextmanager
def one_at_a_time(url: DatabaseUrl, what: str) -> Iterator[None]:
    """Hold a lock of the database that goes with its connection; a file of SQLite has one driver anyway."""
    if url.file is not None:
        yield
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        url.full, poolclass=sqlalchemy.NullPool, connect_args={"connect_timeout": CONNECT_S}
    )
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"SET LOCAL lock_timeout = '{_LOCK_S}s'"))
        key = int(digest(["fairtrial", what])[:15], 16)
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        yield
