"""Decisions that are made in one place: what counts, what refuses, what a number means."""

import ast
import re

from fairtrial.norm_table import NORM_TABLE
from tests.support.house import (
    ALL,
    LIBRARY,
    called,
    calls,
    for_each,
    imports,
    nodes,
    strings,
    text,
    tree,
    users,
)

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


def test_parity_of_pairs_is_held_in_one_place():
    calling = {name for name in LIBRARY if "math.log1p(PARITY_LIMIT)" in text(name)}
    # seed by seed, and for seconds by the interval of their ratio
    assert calling == {"fairtrial.reporting.verdicts.parity_checks", "fairtrial.stats.cost_parity"}
    assert users(LIBRARY, "contrast_checks") == {"fairtrial.reporting.verdicts.findings"}


def test_the_t_distribution_has_one_home():
    """Limits and p values ask it; the figures draw its density."""
    asking = {name for name in LIBRARY if re.search(r"\bstdtr(it)?\b", text(name))}
    assert asking == {"fairtrial.stats.student"}
    # limits, which a status shows without scipy; power
    assert users(LIBRARY, "critical") == {"fairtrial.stats.student", "fairtrial.stats.noncentral"}


def test_why_there_is_no_interval_is_decided_in_one_place():
    found = {name for name in LIBRARY if "no interval: zero observed variance" in strings(name)}
    assert found == {"fairtrial.stats.rules"}
