"""How a study is run, as far as it changes no result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairtrial.execution.container import cores, fitting_workers
from fairtrial.execution.part import Part
from fairtrial.study.study import Study


@dataclass(frozen=True)
class Options:
    """How to run, as far as it does not change a result. ray: the address of a cluster; None: here."""

    results: Path = Path("results")
    device: str = "cpu"
    jobs: int | None = None
    threads: int = 1
    download: bool = False
    limit: int | None = None
    total_budget_s: float | None = None
    cell_timeout_s: float | None = None
    retry: bool = False
    allow_mixed: bool = False
    part: Part | None = None  # None: all cells
    ray: str | None = None

    def jobs_for(self, study: Study) -> int:
        """Side by side: one on each GPU; on CPUs as asked or as cores and memory hold, alone for seconds."""
        if self.device != "cpu":
            return self.device.count(",") + 1
        if study.budget.kind == "seconds":
            return 1
        return self.jobs or min(max(1, cores() // self.threads), fitting_workers())
