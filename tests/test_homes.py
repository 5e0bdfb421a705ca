"""Rules that have one home each: a second one breaks a test here."""

import ast
import re

import pytest

from fairtrial.norm_table import NORM_TABLE
from tests.support.house import (
    ALL,
    LIBRARY,
    called,
    calls,
    for_each,
    imports,
    keyword,
    nodes,
    text,
    tops,
    tree,
)


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


def strings(name):
    """The texts in a module that are no docstrings."""
    return {
        node.value for node in nodes(name) if isinstance(node, ast.Constant) and isinstance(node.value, str)
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


HOME_OF_LIMITS = "fairtrial.study.limits"


def _numbers(name):
    """Numbers that stand in a module, but for those that place what is drawn."""
    drawn = name.startswith(("fairtrial.reporting.figures", "fairtrial.weights"))
    return set() if drawn else {node.value for node in nodes(name) if isinstance(node, ast.Constant)}


def _asks_for_three(node):
    """`n < 3`, `n >= 3`, `n > 2` and `n <= 2`, and the same turned round."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return False
    left, op, right = node.left, node.ops[0], node.comparators[0]
    if isinstance(left, ast.Constant):
        mirror = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
        left, op, right = right, mirror.get(type(op), type(op))(), left
    number = right.value if isinstance(right, ast.Constant) else None
    return (number == 3 and isinstance(op, ast.Lt | ast.GtE)) or (
        number == 2 and isinstance(op, ast.Gt | ast.LtE)
    )


def test_the_parity_limit_has_one_home():
    homes = [name for name in LIBRARY if {0.02, 1.02} & _numbers(name)]
    assert homes == [HOME_OF_LIMITS]


def test_what_refuses_a_contrast_has_one_home():
    """Tables and sentences ask the checks; none of them holds a budget, a digest or a test split itself."""
    checks = {f"fairtrial.reporting.verdicts.{name}_checks" for name in ("fairness", "parity")}
    judging = ("fairtrial.reporting.verdicts", "fairtrial.reporting.tables", "fairtrial.reporting.report")
    reports = {name for name in LIBRARY if name.startswith(judging)}
    assert {name for name in reports if "PARITY_LIMIT" in text(name)} <= checks
    assert {name for name in reports if "measured.test_reads" in text(name)} <= checks
    tables = {name for name in reports if name.endswith((".fairness", ".budget_parity"))}
    assert len(tables) == 2 and not any({"NO", "refused"} & strings(name) for name in tables)
    assert all(checks & imports(name, anywhere=True) for name in tables)


def test_three_units_at_least_has_one_home():
    assert "MIN_UNITS: Final = 3" in text(HOME_OF_LIMITS)
    judging = ("stats", "study", "planning", "tuning", "execution", "reporting", "regression")
    found = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name in LIBRARY
        if name.startswith(tuple(f"fairtrial.{folder}" for folder in judging))
        for node in nodes(name)
        if _asks_for_three(node)
    ]
    assert not found
    spelled = [name for name in LIBRARY if "fewer than 3 " in text(name) or "at least 3 seeds" in text(name)]
    assert not spelled


def test_where_recorded_studies_lie_has_one_home():
    """A folder is a study's by its declaration; nobody else looks for that file."""
    found = {name for name in ALL if any(text.split("/")[-1] == "study.json" for text in strings(name))}
    assert found == {"fairtrial.storage.store", "fairtrial.storage.study_folders"}


def test_the_status_of_a_cell_that_is_not_required_has_one_home():
    found = {name for name in ALL if "spared" in strings(name)}
    assert found == {"fairtrial.study.stopping", "fairtrial.reporting.report.study_report"}  # a key of JSON


def test_what_a_network_starts_from_is_decided_once():
    """Reports ask `settings.start`; none of them reads the setting `upstream` for itself."""
    reading = {name for name in LIBRARY if name.startswith("fairtrial.reporting")}
    assert not users(reading, "starting", "initial_checkpoint.parse")
    spelled = {name for name in LIBRARY if {"from checkpoints", "from one file"} & strings(name)}
    assert spelled == {"fairtrial.study.initial_checkpoint"}


def test_which_ends_are_an_outcome_is_decided_once():
    """Nobody else lists statuses in a tuple, a list or a set."""
    ends = {"diverged", "oom", "timeout", "error", "killed", "interrupted"}
    lists = {
        name
        for name in LIBRARY
        for node in nodes(name)
        if isinstance(node, (ast.Tuple, ast.List, ast.Set))
        if ends & {each.value for each in node.elts if isinstance(each, ast.Constant)}
    }
    assert lists == {"fairtrial.study.failure_policy"}
    asking = {name for name in LIBRARY if re.search(r"import .*\b(OUTCOMES|FAILURES)\b", text(name))}
    assert asking == {"fairtrial.reporting.results.refusals"}  # two results of one cell
    assert users(LIBRARY, ".scores_chance") == {"fairtrial.reporting.results.load"}


def test_whether_code_had_changes_is_decided_once():
    nothing = "e3b0c44298fc1c14"  # the first digits of the sha256 of no changes
    found = {name for name in LIBRARY if any(text.startswith(nothing) for text in strings(name))}
    assert found == {"fairtrial.storage.provenance"}


def test_the_replication_unit_has_one_home():
    """One module makes a unit; which checkpoint a seed starts from is counted in one place."""
    assert users(ALL, "ReplicationUnit") == {"fairtrial.reporting.results.replication_units"}
    counting = {
        name
        for name in LIBRARY
        for node in nodes(name)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)
        if "upstream_seeds" in ast.unparse(node.right)
    }
    assert counting == {"fairtrial.study.initial_checkpoint"}


IN_A_CELL_ID = {"settings", "budget", "seed", "replica"}


def literals(name, kinds):
    """The constants of every literal of these kinds in a module: of a dict, its keys."""
    for node in nodes(name):
        if isinstance(node, kinds):
            inner = node.keys if isinstance(node, ast.Dict) else node.elts
            yield {each.value for each in inner if isinstance(each, ast.Constant)}


def test_the_id_of_a_cell_has_one_home():
    assert [name for name in LIBRARY if IN_A_CELL_ID in literals(name, ast.Dict)] == [
        "fairtrial.study.identity"
    ]
    defining = {"digest", "canonical", "cell_id"}
    homes = {
        name
        for name in LIBRARY
        for node in tree(name).body
        if isinstance(node, ast.FunctionDef) and node.name in defining
    }
    assert homes == {"fairtrial.study.identity"}


def test_what_tells_two_starts_apart_has_one_home():
    """The rows of the table say it; the checks of an arm list the settings that they read."""
    assert [name for name in LIBRARY if "StartKey" in map(called, calls(name))] == [
        "fairtrial.study.settings"
    ]
    naming = [
        name
        for name in LIBRARY
        if any({"norm", "stride_on"} <= found for found in literals(name, (ast.Tuple, ast.List, ast.Set)))
    ]
    assert naming == ["fairtrial.study.arm_validation"]


def names_a_norm(node):
    """Whether a comparison decides by the name of a norm: `== "bn"`, `in ("in", "frn")`."""
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    if any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops):
        sides += [each for side in sides if isinstance(side, (ast.Tuple, ast.List)) for each in side.elts]
    # "none" is also the name of other things that are left out
    names = {*NORM_TABLE} - {"none"}
    return any(isinstance(side, ast.Constant) and side.value in names for side in sides)


@for_each(LIBRARY)
def test_what_a_norm_does_is_asked_of_its_row(name):
    assert not [ast.unparse(node) for node in nodes(name) if names_a_norm(node)]


def test_a_decision_by_the_name_of_a_norm_would_be_seen():
    for code in ('norm == "bn"', 'norm in ("in", "frn")', '"bn" in norms', 'settings.norm != "gn"'):
        assert names_a_norm(ast.parse(code, mode="eval").body)


def times_analyses(node):
    """Whether something is multiplied by the number of analyses that share alpha."""
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) else ()
    return any(isinstance(side, ast.Attribute) and side.attr == "parts" for side in sides)


def test_p_is_spread_over_interim_analyses_in_one_place():
    homes = {name for name in LIBRARY if any(map(times_analyses, nodes(name)))}
    assert homes == {"fairtrial.reporting.verdicts.rulings"}


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


def test_parity_of_pairs_is_held_in_one_place():
    calling = {name for name in LIBRARY if "math.log1p(PARITY_LIMIT)" in text(name)}
    # seed by seed, and for seconds by the interval of their ratio
    assert calling == {"fairtrial.reporting.verdicts.parity_checks", "fairtrial.stats.cost_parity"}
    assert users(LIBRARY, "contrast_checks") == {"fairtrial.reporting.verdicts.findings"}


def test_the_t_distribution_has_one_home():
    """Limits and p values ask it; the figures draw its density."""
    asking = {name for name in LIBRARY if re.search(r"\bstdtr(it)?\b", text(name))}
    assert asking == {"fairtrial.stats.student"}
    # for a status, which loads no scipy, and for power
    assert users(LIBRARY, "critical") == {"fairtrial.stats.student", "fairtrial.stats.noncentral"}


def test_why_there_is_no_interval_is_decided_in_one_place():
    found = {name for name in LIBRARY if "no interval: zero observed variance" in strings(name)}
    assert found == {"fairtrial.stats.rules"}


def test_names_lose_their_underscores_in_one_place():
    homes = {name for name in LIBRARY for call in calls(name) if _spaces(call)}
    figures = {name for name in homes if name.startswith("fairtrial.reporting.figures")}
    assert homes - figures == {"fairtrial.study.factors"}


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
