"""Rules that have one home each: a second one breaks a test here."""

import ast

import pytest

from tests.support.house import ALL, LIBRARY, called, calls, imports, tops, tree


def users(modules, *names):
    """The modules that call one of these names; '.rename' is a method of anything."""
    return {name for name in modules if any(called(call).endswith(names) for call in calls(name))}


def test_files_get_their_final_name_in_one_place():
    replacing = {name for name in ALL if any(_replaces(call) for call in calls(name))}
    assert replacing | users(ALL, ".rename", ".hardlink_to", ".symlink_to") == {"fairtrial.storage.atomic"}
    assert "tempfile.mkstemp" not in {called(call) for name in LIBRARY for call in calls(name)}


def _replaces(call):
    """os.replace(a, b), or Path.replace(b): that of a text has two arguments."""
    name = called(call)
    return name == "os.replace" or (name.endswith(".replace") and len(call.args) == 1 and not call.keywords)


def test_locks_have_one_home():
    assert {name for name in ALL if "fcntl" in tops(imports(name, anywhere=True))} == set()
    assert {name for name in ALL if "filelock" in tops(imports(name, anywhere=True))} == {
        "fairtrial.storage.lock"
    }


def test_the_cache_folder_has_one_home():
    found = {name for name in LIBRARY if "XDG_CACHE_HOME" in strings(name)}
    found |= {name for name in ALL if "platformdirs" in tops(imports(name, anywhere=True))}
    assert found == {"fairtrial.storage.user_cache"}


def test_git_is_asked_in_one_place():
    assert {name for name in ALL if "git" in strings(name)} == {"fairtrial.storage.provenance"}


def strings(name):
    """The texts in a module that are no docstrings."""
    return {
        node.value
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize(
    ("text", "replaces"),
    [("os.replace(a, b)", True), ("path.replace(b)", True), ("text.replace('a', 'b')", False)],
)
def test_a_second_home_would_be_seen(text, replaces):
    assert _replaces(ast.parse(text).body[0].value) == replaces


@pytest.mark.parametrize("name", [name for name in LIBRARY if name.startswith("fairtrial.reporting")])
def test_reports_know_neither_what_runs_cells_nor_what_plans_them(name):
    unwanted = ("fairtrial.execution", "fairtrial.planning")
    assert not [found for found in imports(name, anywhere=True) if found.startswith(unwanted)]
