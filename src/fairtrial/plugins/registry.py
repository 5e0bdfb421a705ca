"""The rows that plug-ins add to the tables of norms, blocks, networks and data; who added each.

A plug-in is one that an option or a study names, one of the entry points `fairtrial.plugins`, or one that a
study recorded. A name has one owner: a second file, or a name of ours, is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from fairtrial.errors import did_you_mean, fault
from fairtrial.norm_table import BLOCK_TABLE, NORM_TABLE, BlockRow, NormRow
from fairtrial.plugins.plugin import FIGURES, Plugin
from fairtrial.plugins.user_program import execute
from fairtrial.study.backbone_names import BACKBONES, BackboneSpec, backbone
from fairtrial.study.data_spec import SOURCES, SourceRow
from fairtrial.study.settings import MODEL_NAMES

GROUP: Final = "fairtrial.plugins"  # of entry points: a module of an installed package


class _Kind(NamedTuple):
    """What a row of one kind becomes. made: the class; its fields are what a row may say."""

    table: dict[str, Any]
    made: type[Any]
    says: str
    defaults: Mapping[str, Any]


_KINDS: Final[dict[str, _Kind]] = {
    "norms": _Kind(NORM_TABLE, NormRow, "norm", {"relu_in_place": False}),
    "blocks": _Kind(BLOCK_TABLE, BlockRow, "block", {}),
    "backbones": _Kind(BACKBONES, BackboneSpec, "model", {"norm": "none"}),
    "data": _Kind(SOURCES, SourceRow, "data", {}),
}
_PUBLISHED: Final = ("weights", "file")  # what a row of a plug-in's network cannot say
_OWNERS: Final[dict[tuple[str, str], Plugin]] = {}
_MODULES: Final[dict[str, Plugin]] = {}


def register(plugin: Plugin, *, recorded: bool = False) -> None:
    """Add the rows of a plug-in; a Fault where a name is taken. recorded: what is known by now stands.

    Of one file in two folders, messages name the one that was given last.
    """
    for kind, rows in plugin.table.items():
        if kind == FIGURES:
            continue
        for name, row in rows.items():
            owner = _OWNERS.get((kind, name))
            if owner is not None and recorded:
                continue
            if owner is None or owner.sha256 != plugin.sha256:
                _refuse_taken(plugin, kind, name, owner)
                _KINDS[kind].table[name] = _made(plugin, kind, name, row)
            if owner is None or owner.name == plugin.name:
                _OWNERS[kind, name] = plugin
    if plugin.module not in _MODULES or not recorded:
        _MODULES[plugin.module] = plugin
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


def _refuse_taken(plugin: Plugin, kind: str, name: str, owner: Plugin | None) -> None:
    says, where = _KINDS[kind].says, plugin.where(plugin.table[kind][name]["builder"])
    if owner is None and _is_known(kind, name):
        raise fault(f"{says} {name!r} is one of fairtrial's own", where, "give it another name")
    if owner is not None and owner.name != plugin.name:
        what = f"{says} {name!r} is given by {owner.name} and by {plugin.name}"
        raise fault(what, where, "give it another name, or leave one plug-in out")


def _is_known(kind: str, name: str) -> bool:
    """Return whether a name has a row, or names a network of ours, of torchvision or of timm."""
    network = kind == "backbones" and (name in MODEL_NAMES or ":" in name or backbone(name) is not None)
    return network or name in _KINDS[kind].table


def _made(plugin: Plugin, kind: str, name: str, row: Mapping[str, Any]) -> Any:
    made, defaults = _KINDS[kind].made, _KINDS[kind].defaults
    known = [each.name for each in fields(made) if each.name not in _PUBLISHED]
    where = plugin.where(row["builder"])
    for option in row:
        if option not in known:
            what = f"{name!r} has the unknown option {option!r}{did_you_mean(option, known)}"
            raise fault(what, where, f"known: {', '.join(known)}")
    values = {**defaults, **row, "builder": f"{plugin.module}:{row['builder']}"}
    if kind == "data":
        values["forms"] = tuple(row.get("forms", (name,)))
    if kind == "backbones":
        if values["norm"] not in NORM_TABLE:
            what = (
                f"{name!r} has the unknown norm {values['norm']!r}{did_you_mean(values['norm'], NORM_TABLE)}"
            )
            raise fault(what, where, f"known: {', '.join(NORM_TABLE)}")
        values |= {each: tuple(row[each]) for each in ("mean", "std") if each in row}
    return made(**values)


class _Finder(MetaPathFinder, Loader):
    """Imports a registered plug-in by the name of its module, from its text."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in _MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        execute(_MODULES[module.__name__].program, module, None)


_FINDER: Final = _Finder()


def known_elsewhere(kind: str, name: str) -> Plugin | None:
    """Return the plug-in that gives a name: an option named it, a record holds it, or a package offers it."""
    if kind in _KINDS and not _is_known(kind, name):
        _find_installed()
    return _OWNERS.get((kind, name))


def _find_installed() -> None:
    """Register what installed packages offer; it is looked for where a name is not known otherwise."""
    for plugin in installed():
        register(plugin)


@cache
def installed() -> tuple[Plugin, ...]:
    """Return the plug-ins that installed packages offer by an entry point."""
    from importlib.metadata import entry_points

    specs = (find_spec(point.module) for point in entry_points(group=GROUP))
    return tuple(Plugin.read(Path(spec.origin)) for spec in specs if spec is not None and spec.origin)
