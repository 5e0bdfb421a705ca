"""A recorded study, read as its stopping rule says: each contrast until it is decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fairtrial.errors import BAD_INPUT, Fault, Problem
from fairtrial.reporting.results import load
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.paired_sides import has_limits
from fairtrial.reporting.verdicts.findings import decide, measure
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.wording import clean, listed
from fairtrial.storage.store import Store
from fairtrial.study.contrast import corners
from fairtrial.study.factors import spaced
from fairtrial.study.stopping import NOT_REQUIRED, Asked, Stopping
from fairtrial.study.study import Contrast


def open_study(folder: Path, *, partial: bool = False) -> Results:
    """Return a study's table; a Fault when its records cannot be evidence, unless `partial` was asked for."""
    results = load.load(Store(folder))
    if results.flaws and not partial:
        do = "mend the records or give them another folder; --allow-partial reads on, and stamps all it says"
        raise Fault([Problem(flaw, str(folder), do) for flaw in results.flaws], BAD_INPUT)
    return replay(results)


def read_spreads(store: Store, contrasts: Sequence[Contrast]) -> list[tuple[str, float, int]]:
    """Return (contrast, sd of its paired differences, n) where a pilot recorded three pairs or more."""
    results = replay(load.load(store))
    pilots = [(contrast, measure(results, contrast, partial=True).interval) for contrast in contrasts]
    return [
        (contrast.name, interval.sd, interval.n)
        for contrast, interval in pilots
        if interval is not None and has_limits(interval)
    ]


def ask_rule(store: Store) -> Asked:
    """Return the cells that the stopping rule of a study wants by now, and what its analyses decided."""
    results = load.load(store)
    return _replayed(results, results.study.rule)[1] if results.study.rule else Asked(set(results.cells))


def replay(results: Results) -> Results:
    """Return the results with the seeds at which each contrast is read, and the cells not required."""
    if results.study.rule is None:
        return results
    read, asked = _replayed(results, results.study.rule)
    not_required = [
        status == "pending" and cell not in asked.cells
        for status, cell in zip(results.frame["status"], results.cells, strict=True)
    ]
    frame = results.frame.copy()
    frame.loc[not_required, "status"] = NOT_REQUIRED
    plain = [
        {**row, "status": NOT_REQUIRED} if gone else row
        for row, gone in zip(results.plain, not_required, strict=True)
    ]
    return replace(results, frame=frame, plain=plain, read=read)


def _replayed(results: Results, rule: Stopping) -> tuple[dict[str, int], Asked]:
    """Return contrast -> its number of seeds, and what the rule asks for: all cells of each analysis's seeds.

    A contrast is open until its verdict says something; it is then read where it was decided, whatever its
    arms do for others. At every analysis, Holm runs over all contrasts.
    """
    study = results.study
    planned = rule.at(len(results.seeds))
    read, settled = (
        dict.fromkeys((contrast.name for contrast in study.contrasts), planned[0]),
        dict[str, Finding](),
    )
    cells, lines = _cells(results, study.contrasts, planned[0], everything=True), list[str]()
    for number, n in enumerate(planned):
        waiting = [contrast for contrast in study.contrasts if contrast.name not in settled]
        read |= {contrast.name: n for contrast in waiting}
        cells |= _cells(results, waiting, n)
        if _missing(results, cells):
            break
        here = replace(results, read=read)
        measured = [settled.get(one.name) or measure(here, one, partial=True) for one in study.contrasts]
        ruled = decide(here, measured)
        decided = [f for f in ruled if f.contrast in waiting and f.verdict != "inconclusive"]
        settled |= {finding.contrast.name: finding for finding in decided}
        left = [contrast for contrast in waiting if contrast.name not in settled]
        if decided or not rule.sequence or n == planned[-1]:
            lines.append(_describe(number, planned, rule, decided, left))
        if not left:
            break
    return read, Asked(cells, tuple(lines))


def _cells(results: Results, waiting: Sequence[Contrast], n: int, *, everything: bool = False) -> set[str]:
    """Return the cells of these contrasts' arms and of the A/A pair at the first n seeds; or of every arm."""
    seeds = set(results.seeds[:n])
    frames = [results.frame] if everything else list(_arms(results, waiting))
    return {
        cell
        for frame in frames
        for cell, seed in zip(frame["cell"], frame["seed"], strict=True)
        if seed in seeds
    }


def _arms(results: Results, waiting: Sequence[Contrast]) -> Iterator:
    for contrast in waiting:
        yield from (results.where(levels) for levels in corners(contrast))
    if waiting and results.study.aa is not None:
        yield from (results.where(results.study.aa, replica) for replica in (0, 1))


def _missing(results: Results, cells: set[str]) -> bool:
    return not cells <= results.records.keys()


def _describe(
    number: int, planned: Sequence[int], rule: Stopping, decided: Sequence[Finding], left: Sequence[Contrast]
) -> str:
    """Return 'interim analysis 1 of 3, at 5 seeds: decided small batch (better); open large batch'."""
    place = f"after {planned[number]} seeds" if rule.sequence else _place(number, planned)
    verdicts = [f"{clean(f.contrast.name)} ({spaced(f.verdict)})" for f in decided]
    names = [clean(contrast.name) for contrast in left]
    return f"{place}: decided {listed(verdicts) or 'none'}; open {listed(names) or 'none'}"


def _place(number: int, planned: Sequence[int]) -> str:
    return f"interim analysis {number + 1} of {len(planned)}, at {planned[number]} seeds"
