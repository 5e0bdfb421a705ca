"""Our C sources as a library: compiled once per machine by the compiler at hand, then kept and loaded."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from ctypes import POINTER, c_double, c_float, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Final

from fairtrial.errors import Fault
from fairtrial.plain_file import read_file
from fairtrial.storage import user_cache
from fairtrial.storage.atomic import publish

HERE: Final = Path(__file__).resolve().parent
COMPILERS: Final = ("gcc", "cc", "clang")  # gcc first: torch brings the OpenMP runtime that it needs
FLAGS: Final = ("-O3", "-march=native", "-fopenmp", "-fPIC", "-std=c11")
NOTE: Final = "note: "  # begins a line on standard error that is passed on to the user
_LARGEST: Final = 2**26  # bytes of a library; ours has some hundred thousand
_SEAL: Final = hashlib.sha256().digest_size  # bytes


class Unavailable(Exception):
    """There is no library, and this is why: one line for a person."""


def build() -> Path:
    """Return the compiled library; made now if it was never made here. Unavailable says why not.

    For the process that tries it (contract.py): a compiler may hang, a library may crash when it is loaded.
    """
    compiler = find_compiler()
    path = _path(compiler)
    if not _whole(path):
        if path.is_file() and (reason := _not_ours(path)):
            print(f"{NOTE}ignored the kernels of {path}: {reason}", file=sys.stderr)
        made = _compiled(compiler)
        try:
            _claim(path.parent)
            publish(path, made + _seal(made), overwrite=True)  # two processes at once: the later one stays
        except (Fault, OSError) as error:
            raise Unavailable(f"cannot write {path.parent}: {error}") from error
    return path


def _claim(folder: Path) -> None:
    """Make a folder that nobody else may write to; Unavailable where it belongs to another."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)
    if reason := _not_ours(folder):
        raise Unavailable(f"{folder} may hold what others have put there: {reason}")


def _not_ours(path: Path) -> str | None:
    """Why others may have put something there; None for a file of the user's in a folder of theirs alone."""
    for each in (path, path.parent) if path.suffix else (path,):
        status = each.lstat()
        if status.st_uid != os.geteuid():
            return f"{each.name} belongs to user {status.st_uid}, not to {os.geteuid()}"
        if stat.S_ISLNK(status.st_mode):
            return f"{each.name} is a link"
        if stat.S_ISDIR(status.st_mode) and status.st_mode & 0o022:
            return f"others may write to {each.name}"
    return None


def kept() -> Path:
    """Return the library that was compiled here; Unavailable where there is none that is whole."""
    path = _path(find_compiler())
    if not _whole(path):
        raise Unavailable(f"the compiled kernels are no longer in {path.parent}")
    return path


def load(path: Path) -> ctypes.CDLL:
    """Return the functions of a library, with their types; Unavailable where the system does not load it."""
    try:
        ctypes.CDLL(_openmp(), mode=ctypes.RTLD_GLOBAL)  # its threads are torch's, and wait with torch's
        return _typed(ctypes.CDLL(str(path)))
    except (OSError, AttributeError) as error:
        raise Unavailable(f"the compiled kernels do not load: {error}") from error


def _typed(found: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of its functions; AttributeError for one that is not there."""
    pointers, numbers, sizes = POINTER(c_void_p), POINTER(c_int64), (c_int64,) * 3
    found.standardize_filters.argtypes = [
        c_int64, pointers, pointers, numbers, numbers, c_void_p, c_void_p, c_float, c_int, c_int, c_int,
    ]  # fmt: skip
    found.standardize_filters_backward.argtypes = [
        c_int64, pointers, pointers, numbers, numbers, c_void_p, c_void_p,
    ]  # fmt: skip
    four, statistics = (c_void_p,) * 4, (c_int64, c_float, c_int)
    found.norm_forward.argtypes = [*four, *sizes, *statistics, *four[:2]]
    found.norm_backward.argtypes = [*four, *sizes, *statistics, *four[:3]]
    found.batch_norm_evaluated.argtypes = [*four, *four[:2], *sizes[:2], c_double, c_int]
    found.batch_norm_forward.argtypes = [*four, *four[:3], *sizes[:2], c_float, c_double, c_int, c_void_p]
    found.batch_norm_backward.argtypes = [*four, *sizes[:2], c_int, *four[:3]]
    found.sgd_update.argtypes = [c_int64, *(pointers,) * 3, numbers, *(c_float,) * 3, c_int]
    for function in (
        found.standardize_filters, found.standardize_filters_backward,
        found.norm_forward, found.norm_backward,
        found.batch_norm_evaluated, found.batch_norm_forward, found.batch_norm_backward,
        found.sgd_update,
    ):  # fmt: skip
        function.restype = None
    return found


def _openmp() -> str:
    """The OpenMP runtime that torch has loaded: a second one would have threads of its own."""
    spec = importlib.util.find_spec("torch")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    beside = sorted(folder.glob("lib/libgomp*")) + sorted(folder.parent.glob("torch.libs/libgomp*"))
    return str(beside[0]) if beside else "libgomp.so.1"


def _path(compiler: tuple[str, ...]) -> Path:
    """Where the library lies, in the user's cache.

    Its name is a digest of the sources, the flags, the compiler and the processor: home folders are shared by
    machines, and each of them needs its own.
    """
    return user_cache.folder() / "kernels" / f"{_key(compiler)}.so"


def _whole(path: Path) -> bool:
    """Whether a library is the user's own and as it was made: one that is cut ends the process at load."""
    try:
        content = b"" if _not_ours(path) else read_file(path, _LARGEST)
    except OSError:
        return False
    return content[-_SEAL:] == _seal(content[:-_SEAL])


def _seal(library: bytes) -> bytes:
    """The digest that stands behind a library in its file, where the loader does not look."""
    return hashlib.sha256(library).digest()


def find_compiler() -> tuple[str, ...]:
    """The command that CC holds, or the first compiler that is found; Unavailable when there is none."""
    asked = os.environ.get("CC", "").split()
    for name, *options in [asked] if asked else [[name] for name in COMPILERS]:
        if where := shutil.which(name):
            return where, *options
    raise Unavailable(f"CC names {asked[0]!r}, which is not there" if asked else "no C compiler is installed")


def sources() -> list[Path]:
    """The C files beside this one."""
    return sorted(HERE.glob("*.c"))


def _key(compiler: tuple[str, ...]) -> str:
    status = Path(compiler[0]).stat()  # of what a link leads to
    parts = [*compiler, str(status.st_size), str(status.st_mtime_ns), *FLAGS, _processor()]
    total = hashlib.sha256("\0".join(parts).encode())
    for source in sources():
        total.update(source.read_bytes())
    return total.hexdigest()[:16]


def _processor() -> str:
    """What decides which instructions the compiler may use."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(errors="replace").splitlines() if listing.exists() else [platform.processor()]
    return "\n".join(
        line for line in lines[:30] if line.startswith(("model name", "flags", "Features", "CPU"))
    )


def _compiled(compiler: tuple[str, ...]) -> bytes:
    """The bytes of the library. It is linked without an OpenMP runtime of its own: torch's is used."""
    try:
        with tempfile.TemporaryDirectory(prefix="fairtrial-") as folder:
            objects = []
            for source in sources():
                objects.append(str(Path(folder) / f"{source.stem}.o"))
                _run([*compiler, *FLAGS, "-c", str(source), "-o", objects[-1]])
            made = Path(folder) / "kernels.so"
            _run([*compiler, "-shared", *objects, "-o", str(made), "-lm"])
            return made.read_bytes()
    except OSError as error:  # no temporary folder, or a compiler that says it is done and made nothing
        raise Unavailable(f"{compiler[0]} made no library: {error}") from error


def _run(command: list[str]) -> None:
    """Without a time limit: who tries the kernels has one, and ends the compiler with all it has started."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise Unavailable(f"{command[0]} did not run: {error}") from error
    if done.returncode:
        line = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
        raise Unavailable(f"{command[0]} could not compile our kernels: {line.strip()}")
