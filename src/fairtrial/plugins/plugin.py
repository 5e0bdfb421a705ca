"""A plug-in: one file of the user's, known by its content, and the table of what it adds.

The table is the literal `PLUGIN = {"norms": {"rms": "RMS"}}`: it is read without executing the file, so that
a command without torch knows the names. Only who builds a layer, opens data or draws executes the file.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, did_you_mean, fault
from fairtrial.plugins.user_program import ProgramKind, UserProgram, compiled, frame_in, read_text

NAME: Final = "PLUGIN"
FORM: Final = f'{NAME} = {{"norms": {{"rms": "RMS"}}}}'
_MODULE: Final = "fairtrial_plugin_"
FIGURES: Final = "figures"  # drawn beside a report; no cell depends on them
KINDS: Final = ("norms", "blocks", "backbones", "data", FIGURES)
_FIGURE_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
PLUGIN_FILE: Final = ProgramKind(
    "plug-in",
    f"write functions, classes and {FORM}",
    "put what is a program under `if __name__ == '__main__':`",
)


def module_of(sha256: str) -> str:
    """Return the name of the module of a plug-in with this digest."""
    return f"{_MODULE}{sha256[:16]}"


def is_plugin(builder: str) -> bool:
    """Return whether "module:function" lies in a plug-in."""
    return builder.startswith(_MODULE)


Rows = Mapping[str, Mapping[str, Any]]  # name of a norm, block, ... -> what its row says


@dataclass(frozen=True)
class Plugin:
    """One file by its name and its text. path: where it was read, for messages."""

    name: str
    text: str
    path: str = field(default="", compare=False)

    @classmethod
    def read(cls, path: Path) -> Plugin:
        """Read a file; a Fault where it is no Python, or its table is not one."""
        plugin = cls(path.name, read_text(path, PLUGIN_FILE), str(path))
        _ = plugin.table
        return plugin

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Plugin:
        """Return the plug-in that `record` describes; a Fault where its text has another digest."""
        plugin = cls(record["file"], record["text"], record["file"])
        if plugin.sha256 != record["sha256"]:
            what = (
                f"the text of plug-in {plugin.name} has sha256 {plugin.sha256[:12]}..., not the recorded one"
            )
            raise fault(what, plugin.name, "give the file again: --plugin FILE", BAD_INPUT)
        return plugin

    def record(self) -> dict[str, str]:
        """Return it as JSON: how it travels to workers and stands in a declaration."""
        return {"file": self.name, "sha256": self.sha256, "text": self.text}

    @cached_property
    def sha256(self) -> str:
        """The digest of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def module(self) -> str:
        """The name that the module has once it is imported."""
        return module_of(self.sha256)

    @cached_property
    def program(self) -> UserProgram:
        """The file as a program; a Fault where it is no Python."""
        return compiled(self.text, self.path or self.name, PLUGIN_FILE)

    @cached_property
    def table(self) -> Mapping[str, Rows]:
        """Kind -> name -> its row, as the file states them; empty where it states none."""
        for node in self.program.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(target, ast.Name) and target.id == NAME for target in targets):
                assert isinstance(node, ast.Assign)
                return self._read_table(node.value)
        return {}

    def _read_table(self, node: ast.expr) -> Mapping[str, Rows]:
        where, do = f"{self.program.path}:{node.lineno}", f"write it as a plain table such as {FORM}"
        try:
            table = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise fault(f"{NAME} holds more than plain values", where, do) from None
        if not isinstance(table, dict) or not all(isinstance(rows, dict) for rows in table.values()):
            raise fault(f"{NAME} is not a table of tables", where, do)
        unknown = [kind for kind in table if kind not in KINDS]
        if unknown:
            what = f"{NAME} has the unknown kind {unknown[0]!r}{did_you_mean(unknown[0], KINDS)}"
            raise fault(what, where, f"known: {', '.join(KINDS)}")
        return {
            kind: {name: self._row(kind, name, row, where, do) for name, row in rows.items()}
            for kind, rows in table.items()
        }

    def _row(self, kind: str, name: Any, row: Any, where: str, do: str) -> Mapping[str, Any]:
        """One row: the function's name, or a table with it; the file must define the function."""
        row = {"builder": row} if isinstance(row, str) else row
        if not isinstance(name, str) or not isinstance(row, dict) or not isinstance(row.get("builder"), str):
            raise fault(f"{NAME} does not name the function or class of {name!r}", where, do)
        if kind == FIGURES and not _FIGURE_NAME.fullmatch(name):
            write = "write small letters, digits and single hyphens, such as 'rate-curve'"
            raise fault(f"{name!r} cannot be the name of the files of a figure", where, write)
        if self.line(row["builder"]) is None:
            what = f"{NAME} names {row['builder']!r}, which the file does not define"
            raise fault(what, where, "name a function or class of the file")
        return row

    @property
    def only_draws(self) -> bool:
        """Return whether it adds figures and nothing that a cell could use."""
        return set(self.table) == {FIGURES}

    def line(self, name: str) -> int | None:
        """Return the line that defines, assigns or imports a name; None where none does."""
        for node in ast.walk(self.program.tree):
            names = {getattr(node, "name", None), getattr(node, "id", None)}
            if isinstance(node, ast.alias):
                names.add(node.asname)
            reads = isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)
            if name in names and not reads:
                return getattr(node, "lineno", 1)
        return None

    def where(self, name: str) -> str:
        """Return file:line of a function or class."""
        return f"{self.program.path}:{self.line(name) or 1}"

    def line_of(self, error: BaseException, name: str) -> str:
        """Return file:line of what raised an error; of a function or class where no line of the file did."""
        line = frame_in(self.program.path, self.module, error)
        return self.where(name) if line == self.program.path else line

    def serves(self, chosen: Mapping[str, Any]) -> bool:
        """Return whether settings name something of it. chosen: kind -> the name in the settings."""
        return any(name in self.table.get(kind, {}) for kind, name in chosen.items())
