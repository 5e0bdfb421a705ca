"""Rules that have one home each: a second one breaks a test here."""

import ast
import re

import pytest

from tests.support.house import (
    ALL,
    LIBRARY,
    called,
    calls,
    files,
    for_each,
    imports,
    keyword,
    nodes,
    strings,
    text,
    tops,
    users,
)


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


def test_what_a_process_that_computes_is_given_is_put_together_in_one_place():
    """Benches had a second one, and ran with other instructions than cells."""
    parts = {
        f"fairtrial.execution.process_environment.{name}"
        for name in ("MALLOC", "THREAD_VARIABLES", "kept_to")
    }
    assert {name for name in ALL if parts & imports(name, anywhere=True)} == {
        "fairtrial.execution.replay",  # what a record had
        "bench.harness.machine",  # writes down what was set
    }


def test_git_is_asked_in_one_place():
    assert {name for name in ALL if "git" in strings(name)} == {"fairtrial.storage.provenance"}


def test_downloads_have_one_home():
    fetching = {"urllib.request", "requests", "pooch", "httpx", "http.client"}
    assert {name for name in ALL if fetching & imports(name, anywhere=True)} == {"fairtrial.storage.download"}
    assert users(ALL, "download_url_to_file", "load_state_dict_from_url", "urlretrieve") == set()


def test_seals_are_made_and_checked_in_one_place():
    assert {name for name in LIBRARY if "sha256" in popped(name)} == set()
    dumping = {name for name in LIBRARY if any(keyword(call, "sort_keys") for call in calls(name))}
    # a checkpoint's seal covers its arrays too, by the text that the released ones were sealed with
    assert dumping == {"fairtrial.study.identity", "fairtrial.weights.checkpoint"}


def popped(name):
    """What a module takes out of a table: the seal, before it compares it itself."""
    return {
        each.value
        for call in calls(name)
        if called(call).endswith(".pop")
        for each in call.args
        if isinstance(each, ast.Constant)
    }


@pytest.mark.parametrize(
    ("code", "replaces"),
    [("os.replace(a, b)", True), ("path.replace(b)", True), ("text.replace('a', 'b')", False)],
)
def test_a_second_home_would_be_seen(code, replaces):
    assert _replaces(ast.parse(code).body[0].value) == replaces


@for_each([name for name in LIBRARY if name.startswith("fairtrial.reporting")])
def test_reports_know_neither_what_runs_cells_nor_what_plans_them(name):
    unwanted = ("fairtrial.execution", "fairtrial.planning")
    assert not [found for found in imports(name, anywhere=True) if found.startswith(unwanted)]


def test_where_recorded_studies_lie_has_one_home():
    """A folder is a study's by its declaration; nobody else looks for that file."""
    found = {name for name in ALL if any(text.split("/")[-1] == "study.json" for text in strings(name))}
    assert found == {"fairtrial.storage.store", "fairtrial.storage.study_folders"}


ROOMS = ("fairtrial.reporting.figures.", "fairtrial.reporting.tables.")
REGISTRY = "fairtrial.reporting.report.figure_registry"


def test_figures_and_tables_have_one_registry():
    """A row stands in the file of its figure; what nothing draws yet stands in the registry."""
    listing = {name for name in LIBRARY if {"RegistryRow", "ReportItem"} & set(map(called, calls(name)))}
    listing |= {name for name in LIBRARY if any(re.fullmatch(r"[FT][1-5E]\.\d+", s) for s in strings(name))}
    assert {name for name in listing if not name.startswith(ROOMS)} == {REGISTRY}
    assert users(LIBRARY, "RegistryRow") <= {name for name in listing if name.startswith(ROOMS)}


def test_every_file_of_figures_and_tables_is_in_the_registry():
    """Those without a row are what figures and tables are made with."""
    tools = {"arm_rows", "curves", "figure_files", "figure_layout", "style", "table"}
    rows = users(LIBRARY, "RegistryRow")
    missing = {name for name in LIBRARY if name.startswith(ROOMS)} - rows
    assert {name.rpartition(".")[2] for name in missing} == tools | {"gate_history_figure"}


def test_derived_files_are_written_in_one_place():
    reporting = {name for name in LIBRARY if name.startswith("fairtrial.reporting")}
    assert users(reporting, "publish", ".mkdir") == {"fairtrial.reporting.derived_files"}


def test_which_kernels_run_is_asked_in_one_place():
    """The compiler and the capability of a GPU: where kernels are tried; all others take the answer."""
    contract = "fairtrial.kernels.contract"
    assert users(LIBRARY, "get_device_capability", "triton_mismatch", "compiler.build") == {contract}
    assert {name for name in LIBRARY if contract in imports(name, anywhere=True)} == set()
    assert {name for name in LIBRARY if contract in strings(name)} == {"fairtrial.kernels.dispatch"}
    # A worker tries, and doctor; the driver hears of it.
    choose = "fairtrial.kernels.dispatch.choose"
    asking = {name for name in LIBRARY if choose in imports(name, anywhere=True)}
    asking |= users(LIBRARY, "dispatch.choose")
    assert asking == {"fairtrial.cli.doctor", "fairtrial.execution.worker"}


def test_every_process_of_this_interpreter_is_started_with_safe_path():
    """`python -m` alone would import from the folder where the user stands."""
    commands = {name: _python_commands(name) for name in LIBRARY if _python_commands(name)}
    assert commands == {"fairtrial.installation": ["[sys.executable, '-P', *arguments]"]}
    # the pool of processes that draw starts its own
    starting = {name for name in LIBRARY if "PYTHONSAFEPATH" in text(name)}
    assert starting == {name for name in LIBRARY if "ProcessPoolExecutor(" in text(name)}
    assert "fairtrial.execution.local_processes" in users(LIBRARY, "isolated_python")
    # The other use of the name is the place that an error names.
    using = {name for name in LIBRARY if "sys.executable" in text(name)}
    assert using == {*commands, "fairtrial.execution.local_processes"}


def _python_commands(name):
    """The lists in a module that begin with sys.executable."""
    lists = [ast.unparse(node) for node in nodes(name) if isinstance(node, ast.List)]
    return [source for source in lists if source.startswith("[sys.executable")]


def test_names_lose_their_underscores_in_one_place():
    homes = {name for name in LIBRARY for call in calls(name) if _spaces(call)}
    figures = {name for name in homes if name.startswith("fairtrial.reporting.figures")}
    assert homes - figures == {"fairtrial.study.factors"}


def test_a_capital_letter_is_set_in_one_place():
    """Python's own would make the others small."""
    homes = {name for name in LIBRARY if "[:1].upper()" in text(name)}
    figures = {name for name in homes if name.startswith("fairtrial.reporting.figures")}
    assert homes - figures == {"fairtrial.reporting.wording"}


def _spaces(call):
    """`name.replace("_", " ")`."""
    texts = [each.value for each in call.args if isinstance(each, ast.Constant)]
    return called(call).endswith(".replace") and texts == ["_", " "]


def test_an_empty_entry_of_pythonpath_is_dropped_in_one_place():
    splitting = {
        name
        for name in LIBRARY
        for call in calls(name)
        if called(call).endswith(".split") and "os.pathsep" in map(ast.unparse, call.args)
    }
    assert splitting == {"fairtrial.python_path"}


def test_what_a_page_may_load_is_said_in_one_place():
    """And what stands in several pages is a macro."""
    folder = files()["fairtrial.reporting.report.page_templates"].parent / "templates"
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert [name for name, page in pages.items() if "Content-Security-Policy" in page] == ["page_parts.html"]
    whole = {name for name, page in pages.items() if "<!doctype html>" in page}
    assert len(whole) > 1 and all("{{ head() }}" in pages[name] for name in whole)
