"""Where recorded studies lie: their folders, found by name or all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fairtrial.errors import BAD_INPUT, Fault, Problem, did_you_mean, fault
from fairtrial.reporting.results import load
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts import interim_analyses
from fairtrial.storage.store import Store


def folders(where: Sequence[Path]) -> list[Path]:
    """Every study's folder in these places: the place itself, in it, or in its released/; each once."""
    found = [folder for place in where for folder in _in(place)]
    return list({folder.resolve(): folder for folder in found}.values())


def _in(place: Path) -> Iterator[Path]:
    for pattern in ("study.json", "*/study.json", "released/*/study.json"):
        yield from (path.parent for path in sorted(place.glob(pattern)))


def named(name: str, where: Sequence[Path]) -> Path:
    """The folder of one study: a path, or its name in these places; a Fault for none or several."""
    if (Path(name) / "study.json").exists():
        return Path(name)
    every = folders(where)
    found = [folder for folder in every if folder.name == name]
    if len(found) == 1:
        return found[0]
    known = sorted({folder.name for folder in every})
    if found:
        do = f"give one of the folders: {', '.join(map(str, found))}"
        raise fault(f"{len(found)} studies are called {name!r}", "the recorded studies", do)
    what = f"no recorded study is called {name!r}{did_you_mean(name, known)}"
    raise fault(what, ", ".join(map(str, where)), f"known: {', '.join(known) or 'none'}", BAD_INPUT)


def opened(folder: Path, *, partial: bool = False) -> Results:
    """A study's table; a Fault when its records cannot be evidence, unless partial reading was asked for."""
    results = load.load(Store(folder))
    if results.flaws and not partial:
        do = "mend the records or give them another folder; --allow-partial reads on, and stamps all it says"
        raise Fault([Problem(flaw, str(folder), do) for flaw in results.flaws], BAD_INPUT)
    return interim_analyses.replay(results)
