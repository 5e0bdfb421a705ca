"""In a worker, before its first cell: execute the plug-ins of its study, and try what they add."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any

from fairtrial.errors import Fault, Problem
from fairtrial.execution.cell.network_battery import OF_PLUGIN, settings_of
from fairtrial.layers import NORMS
from fairtrial.layers.norm_battery import QUICK, Check
from fairtrial.plugins.plugin import PLUGIN_FILE, Plugin
from fairtrial.plugins.registry import register
from fairtrial.plugins.use import SETTINGS
from fairtrial.study.settings import Settings


def load_plugins(records: Sequence[Mapping[str, Any]], tell: Callable[[str], object] = str) -> dict[str, str]:
    """Execute each plug-in of a first message -> name: digest; a Fault names the file and the line.

    tell: takes what is about to be executed, which may end the process.
    """
    plugins = [Plugin.of(record) for record in records]
    for plugin in plugins:
        register(plugin)
        tell(f"loading {plugin.name}")
        import_module(plugin.module)
        tried = chain(checked_norms(plugin, QUICK), checked_networks(plugin, "backbones", OF_PLUGIN))
        # the first: what follows from it says no more
        if wrong := next((problem for _, problem in tried if problem), None):
            raise Fault(wrong)
    return {plugin.name: plugin.sha256 for plugin in plugins}


def checked_norms(plugin: Plugin, checks: Mapping[str, Check]) -> Iterator[tuple[str, Problem | None]]:
    """Yield (what was checked, what is wrong with it or None) for each norm of a plug-in."""
    for name, row in plugin.table.get("norms", {}).items():
        for title, check in checks.items():
            wrong = outcome(plugin, f"norm {name!r}", row["builder"], partial(_of_norm, check, name))
            yield f"norm {name}: {title}", wrong


def checked_networks(
    plugin: Plugin, kind: str, checks: Mapping[str, Callable[[Settings], str]]
) -> Iterator[tuple[str, Problem | None]]:
    """Yield the same for each norm, block or network of a plug-in, in a small cell. kind: of its table."""
    says = SETTINGS[kind]
    for name, row in plugin.table.get(kind, {}).items():
        for title, check in checks.items():
            wrong = outcome(
                plugin, f"{says} {name!r}", row["builder"], partial(check, settings_of(kind, name))
            )
            yield f"{says} {name}: {title}", wrong


def _of_norm(check: Check, name: str) -> str:
    return check(NORMS[name])


def outcome(plugin: Plugin, of: str, builder: str, check: Callable[[], str]) -> Problem | None:
    """Return what a check finds wrong, or the error that it meets, at the line of the plug-in."""
    do = "mend it; `fairtrial check FILE` runs every check"
    try:
        wrong = check()
    except Fault as error:
        return error.problems[0]
    except Exception as error:
        raised = f"{of} of the {PLUGIN_FILE.says} raised {type(error).__name__}: {error}"
        return Problem(raised, plugin.line_of(error, builder), do)
    return Problem(f"{of} {wrong}", plugin.where(builder), do) if wrong else None
