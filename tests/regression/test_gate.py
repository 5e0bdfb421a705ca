"""A whole gate on a small checkout: what it compares, how it ends, what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairtrial import installation
from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, INCOMPLETE, PREEMPTED, REGRESSION, USAGE, Fault
from fairtrial.regression import gate
from fairtrial.regression.gate import save
from tests.support.gate import BENCH, change, checkout, commit, git, write

pytestmark = pytest.mark.slow

SLOW = 5  # ms instead of 1
OTHER = "\n\ndef test_other(measured):\n    import fairtrial\n\n    measured(fairtrial.other)\n"


def refused(judge, code, *words, **options):
    with pytest.raises(Fault) as raised:
        judge(**options)
    assert raised.value.code == code
    for word in words:
        assert word in raised.value.block()


@pytest.fixture(scope="module")
def slower(tmp_path_factory, bytecode):
    """A slower library in its tree, and the one gate that judged it: recorded, all its processes real."""
    folder = tmp_path_factory.mktemp("slower")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPYCACHEPREFIX", str(bytecode))
        tree = checkout(folder / "tree")
        patch.setattr(gate, "checkout", lambda: tree)
        change(tree, ms=SLOW)
        asked = gate.GateOptions(folder / "results", looks=(3,), tolerance=0.4, record=True)
        return tree, gate.gate(asked)


def test_a_slower_library_is_a_regression(slower):
    _, outcome = slower
    assert (outcome.code, outcome.facts["state"]) == (REGRESSION, "slower")
    assert outcome.facts["benches"][0]["ratio"] == pytest.approx(SLOW, rel=0.03)
    assert outcome.lines[-1] == "gate       REGRESSION after 3 launches: slower by more than 40.0%: test_work"


def test_an_equal_library_is_fine(tree, judge, stated):
    change(tree, ms=1)
    assert judge().code == DONE


def test_a_faster_library_is_fine(tree, judge):
    change(tree, ms=0.5)
    outcome = judge()
    assert outcome.code == DONE and outcome.facts["benches"][0]["ratio"] == pytest.approx(0.5, rel=0.03)


def test_the_summary_has_a_row_per_bench(tree, judge, speed, tmp_path, monkeypatch, capsys):
    """Ratio, interval and verdict, as a file; one bench without an interval."""
    speed["test_odd"] = 0.001
    assert judge(aa=True).summary.splitlines()[-4:-2] == [
        "| bench | time, as a ratio to the base | 95 % interval | verdict |",
        "| --- | ---: | ---: | --- |",
    ]
    file = tmp_path / "summary.md"
    code = main(["gate", "--plant", "80", "--launches", "3", "--tolerance", "40", "--summary", str(file)])
    assert code == REGRESSION
    said = file.read_text()
    assert said.startswith("### Gate\n\n**REGRESSION after 3 launches: slower by more than 40.0%: test_work")
    rows = re.findall(r"^\| (test_\w+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \| slower \|$", said, re.MULTILINE)
    assert [row[0] for row in rows] == ["test_work", "test_odd"]
    assert all(float(low) <= float(ratio) <= float(high) for _, ratio, low, high in rows)
    assert capsys.readouterr().out.splitlines()[-1].startswith("gate       REGRESSION")


def test_what_lies_near_the_tolerance_is_undecided(judge, speed):
    outcome = judge(aa=True, tolerance=0.0003)  # the launches of `speed` differ by 0, 0.1 and 0 %
    assert outcome.code == INCOMPLETE
    assert "test_work may or may not be slower by 0.0%" in outcome.lines[-1]


def test_changes_that_are_not_committed_are_compared_with_the_last_commit(tree, judge, stated):
    source = tree / "src/fairtrial/__init__.py"
    write(source, source.read_text().replace("ms=1.0", f"ms={SLOW}"))
    outcome = judge()
    assert outcome.code == REGRESSION
    assert "not committed" in outcome.facts["why"]


def test_a_branch_is_compared_with_where_it_left_main(tree, judge, stated):
    start = git(tree, "rev-parse", "HEAD")
    git(tree, "checkout", "-q", "-b", "work")
    for ms in (1.4, SLOW):
        change(tree, ms=ms)
    outcome = judge()
    assert (outcome.code, outcome.facts["base"]) == (REGRESSION, start)
    assert outcome.facts["why"] == "the merge base with main"
    assert outcome.facts["benches"][0]["ratio"] == pytest.approx(SLOW, rel=0.01)
    assert judge(base="HEAD~1").facts["base"] == git(tree, "rev-parse", "HEAD~1")


def test_since_a_day_takes_the_newest_commit_of_that_age(tree, judge, stated, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
    old = commit(tree)
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    change(tree, ms=1.01)
    change(tree, ms=2)
    assert judge(since_s=86400.0).facts["base"] == old


def test_nothing_stays_behind_in_the_checkout(slower):
    tree, _ = slower
    assert git(tree, "worktree", "list").count("\n") == 0
    assert git(tree, "status", "--porcelain", "--ignored") == ""


def test_a_bench_that_the_base_cannot_run_is_new_and_no_alarm(tree, judge):
    change(tree, ms=1, bench=BENCH + OTHER, library="\n\nother = work\n")
    outcome = judge()
    assert outcome.code == DONE and outcome.facts["new"] == ["test_other"]
    assert any("new: nothing to compare with" in line for line in outcome.lines)


def test_when_every_bench_is_new_nothing_was_compared(tree, judge):
    change(tree, ms=1, bench=BENCH.replace("test_work", "test_renamed"))
    refused(judge, BAD_INPUT, "ran on the base and not on the candidate: test_work")


def test_each_tree_runs_its_own_benches_wherever_they_keep_what_they_share(tree, judge):
    """The base shares by a flat file and an edit of sys.path, the candidate by a package."""
    write(tree / "bench/harness/shared.py", (tree / "bench/shared.py").read_text())
    write(tree / "pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["."]\n')
    (tree / "bench/shared.py").unlink()
    (tree / "bench/conftest.py").unlink()
    change(tree, ms=SLOW, bench=BENCH.replace("from shared", "from bench.harness.shared"))
    outcome = judge(looks=(1,))
    assert outcome.facts["labels"] == []
    assert outcome.facts["benches"][0]["ratio"] == pytest.approx(SLOW, rel=0.03)


def test_benches_that_do_other_work_than_those_of_the_base_get_a_label(tree, judge, stated):
    change(tree, ms=1, bench=BENCH.replace("measured(work)", "measured(lambda: work() or work())"))
    assert judge().facts["labels"] == ["bench/test_gate.py of the base differs: the two may time other work"]


def test_what_lies_in_the_folder_of_a_tree_is_not_imported_by_accident(tree, judge):
    write(tree / "random.py", "raise SystemExit('imported from the current folder')\n")
    commit(tree)
    change(tree, ms=2)
    outcome = judge(looks=(1,))
    assert outcome.facts["benches"][0]["ratio"] == pytest.approx(2, rel=0.03)


def test_a_bench_that_only_the_base_can_run_is_listed(tree, judge):
    change(tree, ms=1, bench=BENCH + OTHER, library="\n\nother = work\n")
    change(tree, bench=BENCH)
    refused(judge, BAD_INPUT, "ran on the base and not on the candidate: test_other")


def test_all_benches_skipped_is_no_pass(tree, judge):
    change(tree, bench=BENCH.replace("def test", "@pytest.mark.skip\ndef test"))
    refused(judge, BAD_INPUT, "no bench ran on the candidate side, or all were skipped")


def test_benches_that_cannot_be_collected_are_no_pass(tree, judge):
    change(tree, bench="import nothing_of_this_name\n")
    refused(judge, BAD_INPUT, "no bench ran", "nothing_of_this_name")


def test_a_process_that_imports_another_library_is_refused(tree, judge):
    write(tree / "elsewhere/fairtrial/__init__.py", "work = now = None\n")
    conftest = tree / "bench/conftest.py"
    write(conftest, f"import sys\nsys.path.insert(0, {str(tree / 'elsewhere')!r})\n" + conftest.read_text())
    commit(tree)
    refused(judge, BAD_INPUT, "runs another fairtrial")


def test_an_unknown_base_is_named(judge):
    refused(judge, USAGE, "no commit 'nowhere'", base="nowhere")
    refused(judge, USAGE, "no commit '--all'", base="--all")


def test_a_first_commit_falls_back_to_the_stored_baseline_and_says_so(judge, told, ask, speed):
    refused(judge, BAD_INPUT, "no baseline is stored", "--save-baseline")
    save(ask(), 3)
    outcome = judge()
    assert (outcome.code, outcome.facts["mode"]) == (DONE, "stored")
    assert outcome.facts["why"] == "this tree has no commit to compare with"
    assert outcome.facts["labels"] == []


def test_a_tree_against_itself_is_fine(judge, speed):
    outcome = judge(aa=True)
    assert outcome.code == DONE and "A/A" in outcome.facts["why"]


def test_a_recorded_gate_is_a_night_of_the_history(slower):
    _, outcome = slower
    night = json.loads(Path(outcome.facts["recorded"]).read_text())
    assert list(night["seconds"]) == ["test_work"]
    assert all(second == pytest.approx(SLOW / 1000, rel=0.03) for second in night["seconds"]["test_work"])


def test_sigterm_ends_every_process_and_takes_the_worktree_away(tree, tmp_path):
    change(tree, ms=20)
    change(tree, ms=21)
    program = (
        "import pathlib, sys\nfrom fairtrial.cli import main as program\n"
        "from fairtrial.regression import gate as command\n"
        f"command.checkout = lambda: pathlib.Path({str(tree)!r})\n"
        "program._dispatch = lambda _: command.gate(command.GateOptions(looks=(50,))).code\n"
        "sys.exit(program.main(['gate']))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    for line in running.stderr:
        if line.startswith("launch 1"):
            break
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    running.communicate()
    assert running.returncode == PREEMPTED
    assert git(tree, "worktree", "list").count("\n") == 0
    assert not list(tmp_path.glob("fairtrial-*"))


@pytest.mark.parametrize("missing", ["pytest_benchmark", "pytest"])
def test_without_the_extra_the_command_that_brings_it_is_named(judge, monkeypatch, missing):
    real = gate.importlib.util.find_spec
    monkeypatch.setattr(
        gate.importlib.util, "find_spec", lambda name: None if name == missing else real(name)
    )
    refused(judge, USAGE, 'pip install "fairtrial[bench]"', missing)


def test_an_installed_wheel_has_no_benches(judge, monkeypatch):
    monkeypatch.setattr(gate, "checkout", lambda: None)
    refused(judge, USAGE, "run it in a git checkout")


def test_a_checkout_is_recognised_by_its_benches(tmp_path, monkeypatch):
    assert (installation.checkout() / "bench" / "test_gate.py").exists()
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    assert installation.checkout() is None


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--aa", "--stored"], "--stored and --aa do not go together"),
        (["--tolerance", "0"], "not a percentage above 0"),
        (["--tolerance", "nan"], "not a percentage above 0"),
        (["--launches", "2"], "give at least 3"),
        (["--since", "4000ex"], "not a time above 0"),
        (["--device", "cuda:99"], "cuda:99"),
    ],
)
def test_options_that_make_no_sense_are_named(argv, said, capsys):
    assert main(["gate", *argv]) == USAGE
    assert said in capsys.readouterr().err
