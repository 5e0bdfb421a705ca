"""Which files of the user's a study uses: found, declared, and part of the identity of its arms."""

from __future__ import annotations

import builtins
import dis
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import Problem, fault, shown
from fairtrial.plugins.plugin import Plugin
from fairtrial.plugins.registry import known_elsewhere, register
from fairtrial.study.settings import CELL, PLUGINS
from fairtrial.study.source_locations import at

if TYPE_CHECKING:
    from fairtrial.study.study import Study

STAMPS: Final = (PLUGINS, CELL)  # of an arm's settings
# kind -> setting
SETTINGS: Final = {"norms": "norm", "blocks": "block", "backbones": "model", "data": "data"}


def attached(study: Study) -> tuple[Plugin, ...]:
    """Return the plug-ins of a study: those that it names, that of its training code, those that an arm uses.

    Files that it names are read now, from the folder of the study file; a Fault where one is none.
    """
    own: dict[str, Plugin] = {}
    for each in _given(study):
        plugin = each if isinstance(each, Plugin) else Plugin.read(_folder(study) / each)
        if own.setdefault(plugin.name, plugin) != plugin:
            raise fault(f"two plug-ins are called {plugin.name}", plugin.path, "give one another file name")
        if plugin.only_draws and plugin.name != study.cell.rpartition(":")[0]:
            what, do = f"{plugin.name} adds figures, and no run depends on them", "fairtrial report STUDY"
            raise fault(
                what, at(study.locations, "plugins"), f"leave it out here: {do} --plugin {plugin.name}"
            )
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
    if callable(study.cell):
        plugin = of_function(study.cell)
        study._set(cell=f"{plugin.name}:{study.cell.__name__}")
        given = [each for each in given if not (isinstance(each, Plugin) and each.name == plugin.name)]
        given.append(plugin)
    if study.cell:
        file, colon, function = str(study.cell).rpartition(":")
        if not isinstance(study.cell, str) or not colon or not function.isidentifier():
            what = f"cell={shown(study.cell)} names no function of a file"
            raise fault(what, at(study.locations, "cell"), 'write cell="my_train.py:run"')
        if not any(isinstance(each, Plugin) and each.name == Path(file).name for each in given):
            given.append(file)
        study._set(cell=f"{Path(file).name}:{function}")
    return given


def of_function(function: Callable[..., Any]) -> Plugin:
    """Return the file of a function as a plug-in; of one from a notebook or a script its own source.

    That source is all that a worker executes, so a Fault names what else it needs.
    """
    name = getattr(function, "__name__", "")
    do = "write it to a file, and give cell='my_train.py:run'"
    if not inspect.isfunction(function) or not name.isidentifier():
        raise fault("the training code is no function with a name", "cell", do)
    file = Path(inspect.getsourcefile(function) or "")
    if function.__module__ != "__main__" and function.__qualname__ == name and file.is_file():
        return Plugin.read(file)
    outside = sorted({*_globals(function.__code__), *function.__code__.co_freevars} - set(vars(builtins)))
    if outside:
        what = f"{name} uses names of the notebook or script: {', '.join(outside)}"
        raise fault(what, "cell", f"import and define them inside the function; or {do}")
    try:
        return Plugin(f"{name}.py", dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        raise fault(f"the source of {name} is not known", "cell", do) from None


def _globals(code: CodeType) -> Iterator[str]:
    """Yield the names that a function, or one inside it, takes from around it."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield instruction.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals(inner)


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


def problems(study: Study) -> Iterator[Problem]:
    """What a study cannot ask of the user's own training code."""
    if study.cell and study.budget.kind == "flops":
        what = "operations are not counted in own training code"
        yield Problem(what, at(study.locations, "budget"), "give a budget in examples, steps or seconds")
    if study.cell and study.settings({}).stage == "upstream":
        what = "own training code keeps no network for other studies"
        yield Problem(what, at(study.locations, "fixed['stage']"), "leave stage out")
