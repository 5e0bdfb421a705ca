"""Where recorded studies lie: their folders, found by name or all of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from fairtrial.errors import BAD_INPUT, Fault, did_you_mean, fault
from fairtrial.storage.atomic import make_folders, refuse_links
from fairtrial.storage.lock import WHOLE

# folders in a study's folder that hold no report
PARTS: Final = ("cells", "checkpoints", "damaged", "leases", "superseded", "weights")
DECLARATION: Final = "study.json"  # the file that makes a folder a study's
RELEASED: Final = "released"  # results that ship, beside those of one's own


def is_study(folder: Path) -> bool:
    """Whether a study is recorded in a folder."""
    return (folder / DECLARATION).is_file()


def open_study(folder: Path) -> list[Path]:
    """Make a study's folder to write in -> the folders that were not there, for `unmade`.

    A Fault where it may not be, or where a part of it is a link.
    """
    new = [path for path in (folder, folder.parent) if not path.exists()]
    make_folders(folder)
    refuse_links(folder, PARTS)
    return new


@contextlib.contextmanager
def unmade(new: Sequence[Path], refuse_moved: Callable[[], None]) -> Iterator[None]:
    """Delete a new folder again, while its lock is held, where the block left no file but locks in it.

    refuse_moved: a Fault once what is there now is another folder: others may hold it.
    """
    try:
        yield
    finally:
        with contextlib.suppress(OSError, Fault):
            refuse_moved()
            inside = [path for folder in new[:1] for path in folder.rglob("*")]
            files = [path for path in inside if not path.is_dir()]
            if all(path.name.startswith(WHOLE) for path in files):
                for path in files:
                    path.unlink()
                for path in (*sorted(set(inside) - set(files), reverse=True), *new):
                    path.rmdir()


def find_studies(places: Sequence[Path]) -> list[Path]:
    """Return every study's folder in these places: the place itself, in it, in its released/; each once."""
    folders = [folder for place in places for folder in _find(place)]
    return list({folder.resolve(): folder for folder in folders}.values())


def _find(place: Path) -> Iterator[Path]:
    for pattern in (DECLARATION, f"*/{DECLARATION}", f"{RELEASED}/*/{DECLARATION}"):
        yield from (path.parent for path in sorted(place.glob(pattern)))


def find_study(name: str, places: Sequence[Path]) -> Path:
    """Return the folder of one study: a path, or its name in these places; a Fault for none or several."""
    if is_study(Path(name)):
        return Path(name)
    folders = find_studies(places)
    fitting = [folder for folder in folders if folder.name == name]
    if len(fitting) == 1:
        return fitting[0]
    known = sorted({folder.name for folder in folders})
    if fitting:
        do = f"give one of the folders: {', '.join(map(str, fitting))}"
        raise fault(f"{len(fitting)} studies are called {name!r}", "the recorded studies", do)
    what = f"no recorded study is called {name!r}{did_you_mean(name, known)}"
    raise fault(what, ", ".join(map(str, places)), f"known: {', '.join(known) or 'none'}", BAD_INPUT)


def record_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder; the hidden ones (`._x.json`) beside them are of a Mac."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  (a Path for each costs more than the call)
    except FileNotFoundError:
        return []
    except OSError as error:
        what = f"expected a folder: {error.strerror}"
        raise fault(what, str(folder), "move aside what stands there", BAD_INPUT) from None
    return [folder / name for name in names if name.endswith(".json") and not name.startswith(".")]
