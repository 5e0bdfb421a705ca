"""docs/architecture.md: every path exists, and each walk can be walked."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.house import ROOT, SRC, files, imports, tree

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
MOST = {"A seed": 8, "A budget": 10, "A weight": 8, "A recorded cell": 12}  # files of a walk
PATHS = {path: name for name, path in files().items()}
_STEP = re.compile(r"^\d+\. (=> )?`([\w/.]+)`", re.MULTILINE)
WALKS = {
    title: [(bool(process), ROOT / path) for process, path in _STEP.findall(body)]
    for title, body in re.findall(r"^### ([^,\n]+),.*\n((?:(?!#).*\n)*)", PAGE, re.MULTILINE)
}


def test_every_path_on_the_page_exists():
    paths = re.findall(r"`([\w/.-]+(?:\.py|/))`", PAGE)
    assert len(paths) > 30
    homes = (ROOT, SRC / "fairtrial")
    assert [path for path in paths if not any((home / path).exists() for home in homes)] == []


def test_the_tree_is_that_of_the_library():
    block = re.search(r"src/fairtrial/\n(.*?)```", PAGE, re.DOTALL).group(1)
    shown, parent = set(), ""
    for line in block.splitlines():
        indent, names = re.match(r"( +)((?:[\w./]+ {1,2})+)", line + "  ").groups()
        parent = "" if len(indent) == 2 else parent
        # a second column of names stands two spaces after the first: "models/  weights/"
        named = [name for name in names.split() if name.endswith(("/", ".py"))]
        shown |= {parent + name.rstrip("/") for name in named}
        parent = parent or named[0]
    library = SRC / "fairtrial"
    folders = {str(path.parent.relative_to(library)) for path in library.rglob("__init__.py")} - {"."}
    assert {name for name in shown if not name.endswith(".py")} == folders
    assert all((library / name).exists() for name in shown)


@pytest.mark.parametrize("title", MOST)
def test_a_walk_is_short_and_each_file_imports_or_is_imported_by_one_before(title):
    steps = WALKS[title]
    assert 4 < len(steps) <= MOST[title] and len({path for _, path in steps}) == len(steps)
    for i, (process, path) in enumerate(steps[1:], start=1):
        before = [step[1] for step in steps[:i]]
        if process:
            starts = before[-1].read_text(encoding="utf-8")
            assert f"fairtrial.{'.'.join(path.relative_to(SRC).with_suffix('').parts[1:])}" in starts
        else:
            assert any(linked(path, other) or linked(other, path) for other in before), path


def linked(importer: Path, imported: Path) -> bool:
    """Whether a file imports another one, or a name of it from the face of a package it lies in."""
    name = PATHS[imported]
    found = imports(PATHS[importer], anywhere=True)
    parts = name.split(".")
    packages = [".".join(parts[:i]) for i in range(1, len(parts))] if parts[0] == "fairtrial" else []
    return name in found or any(f"{each}.{face}" in found for each in packages for face in faces(each, name))


def faces(package, module):
    """The names of a module that a package offers."""
    nodes = (node for node in ast.walk(tree(package)) if isinstance(node, ast.ImportFrom))
    return {alias.name for node in nodes if node.module == module for alias in node.names}
