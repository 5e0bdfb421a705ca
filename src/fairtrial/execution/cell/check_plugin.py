"""`fairtrial check my_norm.py`: every check of the project on what a plug-in adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from fairtrial.data.dataset import source_of
from fairtrial.errors import Problem
from fairtrial.execution.cell.load_plugins import checked_networks, checked_norms, outcome
from fairtrial.execution.cell.network_battery import CHECKS, OF_PLUGIN
from fairtrial.layers import norm_battery
from fairtrial.plugins.plugin import FIGURES, Plugin
from fairtrial.plugins.registry import register
from fairtrial.plugins.user_program import try_aside
from fairtrial.study.data_spec import parse

Line = tuple[str, Problem | None]  # what was checked, and what is wrong with it


def check(path: Path) -> Iterator[Line]:
    """Execute a plug-in and yield each check with its problem; a Fault where it cannot be executed."""
    plugin = Plugin.read(path)
    try_aside(plugin.program)
    register(plugin)
    import_module(plugin.module)
    yield from checked_norms(plugin, norm_battery.CHECKS)
    for kind in ("norms", "blocks"):
        yield from checked_networks(plugin, kind, CHECKS)
    yield from checked_networks(plugin, "backbones", OF_PLUGIN | CHECKS)
    for name, row in plugin.table.get("data", {}).items():
        wrong = outcome(plugin, f"data {name!r}", row["builder"], partial(_opens_alike, name))
        yield f"data {name}: opens twice alike", wrong
    for name, row in plugin.table.get(FIGURES, {}).items():
        wrong = outcome(plugin, f"figure {name!r}", row["builder"], partial(_called_with_two, plugin, row))
        yield f"figure {name}: takes a frame and verdicts", wrong


def _opens_alike(name: str) -> str:
    first, second = (source_of(parse(name), False).build(16).sha256() for _ in range(2))
    return "" if first == second else "gives other images the second time"


def _called_with_two(plugin: Plugin, row: Mapping[str, Any]) -> str:
    try:
        signature(getattr(import_module(plugin.module), row["builder"])).bind(None, None)
    except TypeError as error:
        return f"is not called with a frame and verdicts: {error}"
    return ""


def as_json(lines: list[Line]) -> dict[str, Any]:
    """Return the checks as one object."""
    return {"checks": [{"check": title, "problem": wrong and vars(wrong)} for title, wrong in lines]}
