"""A study with some scores replaced, as a faster kernel would, judged as the study itself is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

from fairtrial.reporting.results.budgets import Budgets
from fairtrial.reporting.results.early import early
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts import kernel
from fairtrial.reporting.verdicts.findings import Finding, decide, measure
from fairtrial.reporting.verdicts.kernel import Share
from fairtrial.study.contrast import corners
from fairtrial.study.study import Contrast

Changes: TypeAlias = Mapping[str, float]  # cell -> its score in another world


class Worlds:
    """Every declared contrast as recorded, and in worlds where some of its arms are faster.

    spared, shares: for each contrast its faster arms, and the kernel's share of their steps. more and same
    take a speed-up and a limit of the share, and give a finding per contrast or None; see whatif.py.
    """

    def __init__(self, results: Results, budgets: Budgets, share: float | None, partial: bool) -> None:
        self.results, self.budgets, self.partial = results, budgets, partial
        self.contrasts: tuple[Contrast, ...] = results.study.contrasts
        self.plain = [measure(results, contrast, partial=partial) for contrast in self.contrasts]
        self.ruled = decide(results, self.plain)
        self.spared = [kernel.spared(results, contrast, share) for contrast in self.contrasts]
        self.shares = [[_share(results, arm, share) for arm in arms] for arms in self.spared]
        self.more = cache(self._more)
        self.same = cache(self._same)

    def steps(self, arm: Mapping[str, Any]) -> float:
        """The mean updates of an arm's finished runs."""
        cells = self.results.where(arm)
        done = cells[cells["status"] == "done"]
        return float(done["steps"].astype(float).mean()) if len(done) else math.nan

    def _more(self, faster: float, limit: str, how: str) -> list[Finding | None]:
        """Each contrast in the world where its faster arms make more updates; None beyond the records."""

        def changes(index: int) -> Changes | None:
            found: dict[str, float] = {}
            metric = self.contrasts[index].metric
            for arm, share in zip(self.spared[index], self.shares[index], strict=True):
                if share is None:
                    return None
                ratio = share.step(faster, limit)
                for cell, steps in self._done(arm).items():
                    score = self.budgets.at(cell, steps / ratio if ratio else math.inf, metric, how)
                    if score is None:
                        return None
                    found[cell] = score
            return found

        return self._judged(changes)

    def _same(self, faster: float, limit: str) -> list[Finding | None]:
        """Each contrast at the moment when its faster arm ends; None where the other one is not one curve."""

        def changes(index: int) -> Changes | None:
            contrast = self.contrasts[index]
            sides = [kernel.arms_of(self.results, levels) for levels in corners(contrast)]
            if len(sides) != 2 or max(map(len, sides)) > 1 or self.spared[index] not in sides:
                return None
            (other,) = sides[1 - sides.index(self.spared[index])]
            (share,) = self.shares[index]
            if share is None:
                return None
            part, found = share.step(faster, limit), {}
            for cell, record, value in self._scored(other, contrast.metric):
                score = early(record, value, contrast.metric, part)
                if score is None:
                    return None
                found[cell] = score
            return found

        return self._judged(changes)

    def _done(self, arm: Mapping[str, Any]) -> dict[str, float]:
        """cell -> its updates; none for a failed run, whose score no budget changes."""
        found = {cell: self.results.records.get(cell) for cell in self.results.where(arm)["cell"]}
        return {cell: float(each["spent"].get("steps") or 0) for cell, each in found.items() if each}

    def _scored(self, arm: Mapping[str, Any], metric: str) -> list[tuple[str, dict[str, Any], float]]:
        cells = self.results.where(arm)
        pairs = zip(cells["cell"], cells[metric], strict=True)
        records = self.results.records
        return [(cell, records[cell], float(value)) for cell, value in pairs if cell in records]

    def _judged(self, changes: Callable[[int], Changes | None]) -> list[Finding | None]:
        """Every contrast in its world; one that has none stays in the Holm family as recorded."""
        every = [changes(index) for index in range(len(self.contrasts))]
        measured = [
            self.plain[index] if each is None else self._measured(self.contrasts[index], each)
            for index, each in enumerate(every)
        ]
        ruled = decide(self.results, measured)
        return [None if each is None else finding for each, finding in zip(every, ruled, strict=True)]

    def _measured(self, contrast: Contrast, changes: Changes) -> Finding:
        frame = self.results.frame.copy()
        was = zip(frame["cell"], frame[contrast.metric], strict=True)
        frame[contrast.metric] = [changes.get(cell, value) for cell, value in was]
        return measure(replace(self.results, frame=frame), contrast, partial=self.partial)


def _share(results: Results, arm: Mapping[str, Any], share: float | None) -> Share | None:
    if share is None:
        return kernel.measured(results, arm)
    return kernel.given(share, kernel.name_of(arm))
