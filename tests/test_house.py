"""The plan of the house (docs/architecture.md): limits of folders, files, functions and imports."""

import ast
import statistics
from collections import Counter
from pathlib import Path

import pytest

from tests.support import house
from tests.support.house import (
    LIBRARY,
    SCRIPTS,
    files,
    for_each,
    functions,
    imports,
    longest_chain,
    modules_per_folder,
    text,
    tops,
)

MOST_MODULES = 20  # in a folder
MOST_LEVELS = 16  # of imports of our own, when a module is loaded
MOST_LINES = 300  # of a module
LONGEST, P90 = 50, 20  # lines of a function


def test_no_folder_holds_more_modules_than_a_reader_takes_in():
    assert {str(folder): n for folder, n in modules_per_folder().items() if n > MOST_MODULES} == {}


def test_every_folder_says_what_it_holds():
    packages = [files()[name] for name in LIBRARY if files()[name].name == "__init__.py"]
    assert {path.parent for path in packages} == set(modules_per_folder())
    assert all(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in packages)


def test_a_file_name_stands_once_in_the_library():
    names = Counter(files()[name].name for name in LIBRARY)
    assert [name for name, n in names.items() if n > 1 and name != "__init__.py"] == []


def test_modules_are_short():
    assert {name: n for name in LIBRARY if (n := text(name).count("\n")) > MOST_LINES} == {}


def test_functions_are_short():
    assert [found for found in functions() if found[2] > LONGEST] == []
    assert statistics.quantiles([lines for *_, lines in functions()], n=10)[-1] <= P90


def test_imports_go_down_a_few_levels_and_never_round():
    """A circle of imports is a ValueError that names its modules."""
    chain = longest_chain()
    assert len(chain) <= MOST_LEVELS, " > ".join(chain)


def test_a_rule_over_modules_ends_with_each_that_breaks_it():
    @for_each(["fairtrial.rng", "fairtrial.errors"])
    def rule(name):
        assert name == "fairtrial.rng", "not this one"

    with pytest.raises(AssertionError, match=r"\nfairtrial\.errors: not this one") as raised:
        rule()
    assert "fairtrial.rng:" not in str(raised.value)


@for_each(LIBRARY)
def test_the_library_imports_no_script_and_no_test(name):
    assert not {*SCRIPTS, "tests"} & tops(imports(name, anywhere=True))


def test_a_circle_is_found(monkeypatch):
    """So that the test of levels can fail."""
    below = {"fairtrial.errors": {"fairtrial.rng"}, "fairtrial.rng": {"fairtrial.errors"}}
    monkeypatch.setattr(house, "ours", lambda name, **_: below.get(name, set()))
    with pytest.raises(ValueError, match="circle of imports: fairtrial"):
        longest_chain()


WALL = {"time.monotonic", "time.perf_counter", "time.time"}


def times_the_wall(node):
    """Whether seconds of a wall clock are compared with a number; a loop that waits compares with its end."""
    if not isinstance(node, ast.Compare) or not any(isinstance(x, ast.Constant) for x in node.comparators):
        return False
    return isinstance(node.left, ast.BinOp) and any(
        isinstance(each, ast.Call) and ast.unparse(each.func) in WALL for each in ast.walk(node.left)
    )


def test_no_test_compares_a_wall_clock_with_a_number():
    """That would need a quiet machine; CPU time may be limited, and a wait may have a time-out."""
    paths = sorted(Path(__file__).parent.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    assert [path for path, found in trees.items() if any(map(times_the_wall, ast.walk(found)))] == []
    assert times_the_wall(ast.parse("time.monotonic() - began < 2", mode="eval").body)
