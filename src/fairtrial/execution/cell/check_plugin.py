"""`fairtrial check my_norm.py`: every check of the project on what a plug-in adds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fairtrial.data.dataset import source_of
from fairtrial.errors import Problem
from fairtrial.execution.cell import network_battery
from fairtrial.execution.cell.load_plugins import checked_norms, outcome
from fairtrial.layers import norm_battery
from fairtrial.plugins.plugin import Plugin
from fairtrial.plugins.registry import register
from fairtrial.plugins.user_program import try_aside
from fairtrial.study.data_spec import parse
from fairtrial.study.settings import Settings

Line = tuple[str, Problem | None]  # what was checked, and what is wrong with it
_SETTING: Final = {"norms": "norm", "blocks": "block"}


def check(path: Path) -> Iterator[Line]:
    """Execute a plug-in and yield each check with its problem; a Fault where it cannot be executed."""
    plugin = Plugin.read(path)
    try_aside(plugin.program)
    register(plugin)
    import_module(plugin.module)
    yield from checked_norms(plugin, norm_battery.CHECKS)
    for kind, setting in _SETTING.items():
        for name, row in plugin.table.get(kind, {}).items():
            settings = Settings.of({**network_battery.SMALL, setting: name})
            for title, function in network_battery.CHECKS.items():
                tried = partial(function, settings)
                wrong = outcome(plugin, f"{setting} {name!r}", row["builder"], tried)
                yield f"{setting} {name}: {title}", wrong
    for name, row in plugin.table.get("data", {}).items():
        wrong = outcome(plugin, f"data {name!r}", row["builder"], partial(_opens_alike, name))
        yield f"data {name}: opens twice alike", wrong


def _opens_alike(name: str) -> str:
    first, second = (source_of(parse(name), False).build(16).sha256() for _ in range(2))
    return "" if first == second else "gives other images the second time"


def as_json(lines: list[Line]) -> dict[str, Any]:
    """Return the checks as one object."""
    return {"checks": [{"check": title, "problem": wrong and vars(wrong)} for title, wrong in lines]}
