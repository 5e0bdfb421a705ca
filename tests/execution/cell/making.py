"""Cells of a few images, and what they give."""

from dataclasses import replace

from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell
from fairtrial.study.budget import Budget
from fairtrial.study.settings import Settings
from fairtrial.study.study import Cell, Study

TINY = {"resolution": 8, "shots": 5, "val_per_class": 2, "lr": 0.1, "batch_size": 8}


def cell(budget: Budget | None = None, seed: int = 0, replica: int = 0, **changes) -> Cell:
    fixed = {"model": "mini", **TINY, **changes}
    swept = {"lr": (fixed.pop("lr"),)}
    study = Study("t", "", swept, budget or Budget(steps=3), fixed=fixed, seeds=(seed,))
    return replace(study.cells()[0], replica=replica)


def settings(**changes) -> Settings:
    return cell(**changes).settings


def run(
    budget: Budget | None = None, seed: int = 0, replica: int = 0, step_s: float | None = None, **changes
) -> dict:
    return run_cell(cell(budget, seed, replica, **changes), ExecutionContext(), step_s)
