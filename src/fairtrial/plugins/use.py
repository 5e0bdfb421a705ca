"""Which files of the user's a study uses: found, declared, and part of the identity of its arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import fault, shown
from fairtrial.plugins.plugin import Plugin
from fairtrial.plugins.registry import known_elsewhere, register
from fairtrial.study.settings import CELL, PLUGINS
from fairtrial.study.source_locations import at

if TYPE_CHECKING:
    from fairtrial.study.study import Study

STAMPS: Final = (PLUGINS, CELL)  # of an arm's settings
SETTINGS: Final = {"norms": "norm", "blocks": "block", "data": "data"}  # kind -> setting


def attached(study: Study) -> tuple[Plugin, ...]:
    """Return the plug-ins of a study: those that it names, that of its training code, those that an arm uses.

    Files that it names are read now, from the folder of the study file; a Fault where one is none.
    """
    own: dict[str, Plugin] = {}
    for each in _given(study):
        plugin = each if isinstance(each, Plugin) else Plugin.read(_folder(study) / each)
        if own.setdefault(plugin.name, plugin) != plugin:
            raise fault(f"two plug-ins are called {plugin.name}", plugin.path, "give one another file name")
        register(plugin, recorded=isinstance(each, Plugin))
    for kind, name in set(_levels(study)):
        if not any(name in plugin.table.get(kind, {}) for plugin in own.values()) and (
            found := known_elsewhere(kind, name)
        ):
            own.setdefault(found.name, found)
    _refuse_no_function(study, own)
    return tuple(own[name] for name in sorted(own))


def _given(study: Study) -> list[Any]:
    """What the study names; its training code too, unless its text is there already."""
    where, do = at(study.locations, "plugins"), 'write plugins=("my_norm.py",)'
    if not isinstance(study.plugins, (tuple, list)):
        raise fault(f"plugins={shown(study.plugins)} is {type(study.plugins).__name__}", where, do)
    for each in study.plugins:
        if not isinstance(each, (str, Path, Plugin)):
            raise fault(f"plugins holds {shown(each)}, which is no file", where, do)
    given = list(study.plugins)
    if study.cell:
        file, colon, function = str(study.cell).rpartition(":")
        if not isinstance(study.cell, str) or not colon or not function.isidentifier():
            what = f"cell={shown(study.cell)} names no function of a file"
            raise fault(what, at(study.locations, "cell"), 'write cell="my_train.py:run"')
        if not any(isinstance(each, Plugin) and each.name == Path(file).name for each in given):
            given.append(file)
        study._set(cell=f"{Path(file).name}:{function}")
    return given


def _refuse_no_function(study: Study, own: Mapping[str, Plugin]) -> None:
    if study.cell:
        file, _, function = study.cell.rpartition(":")
        if own[file].line(function) is None:
            where = at(study.locations, "cell")
            raise fault(f"{own[file].path} defines no {function!r}", where, "name a function of the file")


def _folder(study: Study) -> Path:
    """Return the folder of the study file; the current one where a study was made without a file."""
    return Path(study.locations.get("", "").rpartition(":")[0]).parent


def _levels(study: Study) -> Iterator[tuple[str, str]]:
    """Every (kind, name) that an arm may use; of a study that is not yet checked."""
    for kind, setting in SETTINGS.items():
        for values in (study.factors, study.fixed):
            levels = values.get(setting, ()) if isinstance(values, Mapping) else ()
            for level in levels if isinstance(levels, (tuple, list)) else (levels,):
                if isinstance(level, str):
                    yield kind, _name(kind, level)


def _name(kind: str, level: Any) -> Any:
    """Return the name in the table; a data specification begins with it."""
    return str(level).partition(":")[0] if kind == "data" else level


def stamp(study: Study, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what the identity of an arm holds of the user's files: its plug-ins by digest, its function."""
    if not study.plugins:
        return {}
    chosen = {kind: _name(kind, values.get(setting)) for kind, setting in SETTINGS.items()}
    file, _, function = study.cell.rpartition(":")
    used = [each.sha256 for each in study.plugins if each.serves(chosen)]
    own = [f"{each.sha256}:{function}" for each in study.plugins if each.name == file]
    return ({PLUGINS: ", ".join(used)} if used else {}) | ({CELL: own[0]} if own else {})


def declared(study: Study) -> dict[str, Any]:
    """Return what a declaration holds of them: their texts, so that it can be run and read anywhere."""
    found: dict[str, Any] = {"cell": study.cell} if study.cell else {}
    return found | ({"plugins": [each.record() for each in study.plugins]} if study.plugins else {})
