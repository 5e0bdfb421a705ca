"""A study with a stopping rule, read as it ran: look by look, each contrast until it is decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fairtrial.reporting.results import load
from fairtrial.reporting.results.load import OPEN, Results
from fairtrial.reporting.verdicts.findings import Finding, decide, measure
from fairtrial.reporting.wording import clean, listed
from fairtrial.storage.store import Store
from fairtrial.study.contrast import corners
from fairtrial.study.stopping import Asked, Stopping
from fairtrial.study.study import Contrast

SPARED = "spared"  # the status of a cell that the rule did not ask for


def asked(store: Store) -> Asked:
    """The cells that the stopping rule of a recorded study wants by now, and what its looks decided."""
    results = load.load(store)
    return _replayed(results, results.study.rule)[1] if results.study.rule else Asked(set(results.cells))


def replay(results: Results) -> Results:
    """The same results with the seeds at which each contrast is read, and the cells that were spared."""
    if results.study.rule is None:
        return results
    read, found = _replayed(results, results.study.rule)
    spared = [
        status == "pending" and cell not in found.cells
        for status, cell in zip(results.frame["status"], results.cells, strict=True)
    ]
    frame = results.frame.copy()
    frame.loc[spared, "status"] = SPARED
    plain = [
        {**row, "status": SPARED} if gone else row for row, gone in zip(results.plain, spared, strict=True)
    ]
    return replace(results, frame=frame, plain=plain, read=read)


def _replayed(results: Results, rule: Stopping) -> tuple[dict[str, int], Asked]:
    """Contrast -> its number of seeds, and what the rule asks for: each look needs all cells of its seeds.

    A contrast is open until its verdict says something; it is then read where it was decided, whatever its
    arms do for others. Every look, Holm runs over all contrasts.
    """
    study = results.study
    looks = rule.at(len(results.seeds))
    read, settled = dict.fromkeys((each.name for each in study.contrasts), looks[0]), dict[str, Finding]()
    cells, said = _cells(results, study.contrasts, looks[0], everything=True), list[str]()
    for number, n in enumerate(looks):
        waiting = [each for each in study.contrasts if each.name not in settled]
        read |= {each.name: n for each in waiting}
        cells |= _cells(results, waiting, n)
        if _missing(results, cells):
            break
        here = replace(results, read=read)
        measured = [settled.get(each.name) or measure(here, each, partial=True) for each in study.contrasts]
        ruled = decide(here, measured)
        decided = [each for each in ruled if each.contrast in waiting and each.verdict != "inconclusive"]
        settled |= {each.contrast.name: each for each in decided}
        left = [each for each in waiting if each.name not in settled]
        if decided or not rule.sequence or n == looks[-1]:
            said.append(_said(number, looks, rule, decided, left))
        if not left:
            break
    return read, Asked(cells, tuple(said))


def _cells(results: Results, waiting: Sequence[Contrast], n: int, *, everything: bool = False) -> set[str]:
    """The cells of these contrasts' arms, and of the A/A pair, at the first n seeds; or of every arm."""
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
    ended = zip(results.frame["cell"], results.frame["status"], strict=True)
    return any(status in OPEN for cell, status in ended if cell in cells)


def _said(
    number: int, looks: Sequence[int], rule: Stopping, decided: Sequence[Finding], left: Sequence[Contrast]
) -> str:
    """'look 1 of 3, at 5 seeds: decided small batch (better); open large batch'."""
    place = f"after {looks[number]} seeds" if rule.sequence else _place(number, looks)
    told = [f"{clean(each.contrast.name)} ({each.verdict.replace('_', ' ')})" for each in decided]
    goes = [clean(each.name) for each in left]
    return f"{place}: decided {listed(told) if told else 'none'}; open {listed(goes) if goes else 'none'}"


def _place(number: int, looks: Sequence[int]) -> str:
    return f"look {number + 1} of {len(looks)}, at {looks[number]} seeds"
