"""The command line: commands, exit codes, JSON, and what it does with what it cannot read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairtrial import __version__
from fairtrial.cli.main import drive, main
from fairtrial.cli.options import apply
from fairtrial.errors import DONE, INCOMPLETE, INTERRUPTED, REFUSED, RESOURCES, USAGE, fault
from fairtrial.execution import launches, runner
from fairtrial.storage.store import Store
from fairtrial.study.loader import load
from tests.support.records import publish
from tests.support.studies import study, write

pytestmark = pytest.mark.usefixtures("beside_a_study")
COMMANDS = ("plan", "run", "status", "report", "verdict", "verify", "replay", "repair", "doctor")


def helped(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 0
    return capsys.readouterr().out


def test_help_lists_every_command_and_study(capsys):
    out = helped(["--help"], capsys)
    for name in (*COMMANDS, "norm"):
        assert name in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    out = helped([command, "--help"], capsys)
    assert out.startswith(f"usage: fairtrial {command}")
    assert "--results" in out and "--json" in out


def test_version(capsys):
    assert helped(["--version"], capsys) == f"fairtrial {__version__}\n"


@pytest.mark.parametrize(
    "argv", [[], ["plan"], ["plann", "norm"], ["plan", "norm", "extra"], ["plan", "norm", "--seeds"]]
)
def test_usage_is_a_block_of_three_parts(argv, capsys):
    assert main(argv) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and "\n  where: the command line of fairtrial" in err and "--help" in err


def test_a_cut_option_is_not_guessed(capsys):
    assert main(["plan", "small.py", "--budg", "64ex"]) == USAGE
    assert "did you mean '--budget'" in capsys.readouterr().err


def test_plan_and_status_print_words_or_json(capsys):
    for command, first in (("plan", "study      small"), ("status", "study     small")):
        assert main([command, "small.py"]) == DONE
        assert capsys.readouterr().out.startswith(first)
        assert main([command, "small.py", "--json"]) == DONE
        found = json.loads(capsys.readouterr().out)
        assert (found["study"], found["cells"]) == ("small", 12)


def test_status_speaks_of_what_was_last_run_here_and_says_so(capsys, tmp_path):
    """After `run small.py --seeds 2`, `status small.py` has two seeds, not the file's three."""
    write(
        tmp_path,
        ("    seeds=range(3),\n", '    seeds=range(3),\n    presets={"mini": {"seeds": range(5)}},\n'),
    )
    small = load(Path("small.py"))
    Store.of(small, tmp_path).declare(apply(small, seeds="2", budget="32ex"))
    asked = ["status", "small.py", "--results", str(tmp_path), "--json"]
    assert main(asked) == DONE
    out, err = capsys.readouterr()
    assert json.loads(out)["cells"] == 8
    assert "as it was last run" in err and "not as in the study's file: budget, seeds" in err
    Store.of(small.under("mini"), tmp_path).declare(apply(small, preset="mini", seeds="4"))
    assert main([*asked, "--preset", "mini"]) == DONE
    out, err = capsys.readouterr()
    assert (json.loads(out)["study"], json.loads(out)["cells"]) == ("small-mini", 16)
    assert "file: seeds" in err
    assert main([*asked, "--seeds", "4"]) == DONE
    assert json.loads(capsys.readouterr().out)["cells"] == 16


def test_audit_prints_words_or_json(capsys):
    assert main(["plan", "small.py", "--audit"]) == DONE
    assert capsys.readouterr().out.startswith("arm ")
    assert main(["plan", "small.py", "--audit", "--json"]) == DONE
    assert set(json.loads(capsys.readouterr().out)) == {
        "bn, batch 4",
        "bn, batch 16",
        "gn, batch 4",
        "gn, batch 16",
    }


def test_options_reach_the_runner(monkeypatch):
    seen = []
    monkeypatch.setattr(runner, "run", lambda study, how, ask: seen.append((study, how)) or INCOMPLETE)
    given = (
        "--seeds 4 --jobs 3 --threads 2 --limit 5 --total-budget 30m --cell-timeout 2m --retry --allow-mixed"
    )
    assert main(["run", "small.py", "--download", "--results", "elsewhere", *given.split()]) == INCOMPLETE
    [(made, how)] = seen
    assert made == study(seeds=range(4))
    assert (how.jobs, how.threads, how.limit, how.total_budget_s, how.cell_timeout_s) == (
        3,
        2,
        5,
        1800.0,
        120.0,
    )
    assert (how.retry, how.allow_mixed, how.download, str(how.results)) == (True, True, True, "elsewhere")


def test_calibrate_times_first_and_then_plans(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(launches, "calibrate", lambda study, how: seen.append(study.name))
    assert main(["plan", "small.py", "--calibrate"]) == DONE
    assert seen == ["small"]
    assert "forecast" in capsys.readouterr().out


@pytest.mark.parametrize("code", [INCOMPLETE, 75, INTERRUPTED])
def test_a_run_that_stops_says_how_far_it_came(code, monkeypatch, capsys):
    monkeypatch.setattr(runner, "run", lambda study, how, ask: code)
    assert main(["run", "small.py"]) == code
    out, err = capsys.readouterr()
    assert "12 cells: 12 pending" in out
    assert "the same command goes on where it stopped" in err


@pytest.mark.parametrize("code", [DONE, 1])
def test_a_run_that_ends_reports(code, monkeypatch, capsys):
    monkeypatch.setattr(runner, "run", lambda study, how, ask: code)
    assert main_with_report(["run", "small.py"], monkeypatch) == code
    assert capsys.readouterr().out == "a sentence\na warning\nreport: r.html\n"


def main_with_report(argv, monkeypatch, complete=True):
    report = SimpleNamespace(
        path="r.html", sentences=("a sentence",), warnings=("a warning",), complete=complete
    )
    build = SimpleNamespace(build=lambda store, allow_partial, pdf: report)
    monkeypatch.setitem(sys.modules, "fairtrial.reporting.report.study_report", build)
    return main(argv)


def test_a_report_of_an_incomplete_study_says_so_by_its_code(monkeypatch, capsys):
    assert main_with_report(["report", "small.py"], monkeypatch) == DONE
    assert main_with_report(["report", "small.py", "--json"], monkeypatch, complete=False) == INCOMPLETE
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"report": "r.html", "sentences": ["a sentence"], "warnings": ["a warning"]}


def test_verdict_says_the_sentences_and_writes_nothing(tmp_path, capsys):
    store = Store.of(study(), tmp_path / "results")
    with store.locked():
        store.declare(study())
    for cell in study().cells()[:-1]:
        publish(store, cell)
    before = sorted(store.folder.rglob("*"))
    assert main(["verdict", "small.py"]) == INCOMPLETE
    assert "incomplete: " in capsys.readouterr().out
    publish(store, study().cells()[-1])
    assert main(["verdict", "small.py", "--json"]) == DONE
    assert len(json.loads(capsys.readouterr().out)["sentences"]) == len(study().contrasts)
    assert main(["verdict", "small.py", "--summary", "summary.md"]) == DONE
    assert len(sorted(store.folder.rglob("*"))) == len(before) + 1, "the last cell, and nothing else"
    said = (tmp_path / "summary.md").read_text()
    assert said.startswith("### small (preset embedded)\n\n") and "| verdict | contrast |" in said
    assert all(f"| {contrast.name} |" in said for contrast in study().contrasts)


def test_what_was_declared_cannot_be_changed_by_a_report(capsys):
    for command in ("report", "verdict", "repair"):
        assert main([command, "small.py", "--seeds", "3"]) == USAGE
        assert "--seeds" in capsys.readouterr().err


def test_repair_moves_damaged_records_away(tmp_path, capsys):
    store = Store.of(study(), tmp_path / "results")
    with store.locked():
        store.declare(study())
    cell = study().cells()[0]
    publish(store, cell)
    path = tmp_path / f"results/small/cells/{cell.id}-1.json"
    path.write_text(path.read_text()[:40])
    assert main(["status", "small.py"]) == 3
    assert "repair" in capsys.readouterr().err
    assert main(["repair", "small.py"]) == DONE
    assert capsys.readouterr().out.startswith("moved    ")
    assert main(["repair", "small.py"]) == DONE
    assert capsys.readouterr().out == "nothing to repair\n"
    assert main(["status", "small.py"]) == DONE


def test_a_fault_gives_its_code_and_json_when_asked(monkeypatch, capsys):
    def refuse(study, how, ask):
        raise fault("held", "lock", "wait", REFUSED)

    monkeypatch.setattr(runner, "run", refuse)
    assert main(["run", "small.py"]) == REFUSED
    assert capsys.readouterr().err == "error: held\n  where: lock\n  do:    wait\n"
    assert main(["run", "small.py", "--json"]) == REFUSED
    assert json.loads(capsys.readouterr().err) == {"code": 4, "what": "held", "where": "lock", "do": "wait"}


def test_what_the_system_refuses_is_a_block_too(monkeypatch, capsys):
    def refuse(study, how, ask):
        raise PermissionError(13, "Permission denied", "results/small")

    monkeypatch.setattr(runner, "run", refuse)
    assert main(["run", "small.py"]) == RESOURCES
    err = capsys.readouterr().err
    assert err.startswith("error: the system refused: Permission denied\n  where: results/small\n")


def test_a_bug_is_not_hidden(monkeypatch):
    monkeypatch.setattr(runner, "run", lambda study, how, ask: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["run", "small.py"])


def test_an_interrupt_has_its_code(monkeypatch):
    def interrupt(study, how, ask):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupt)
    assert main(["run", "small.py"]) == INTERRUPTED


def test_a_study_drives_itself(monkeypatch, capsys):
    monkeypatch.setattr(runner, "run", lambda study, how, ask: INCOMPLETE)
    monkeypatch.setattr(sys, "argv", ["small.py", "--seeds", "4"])
    with pytest.raises(SystemExit) as stopped:
        drive(study())
    assert stopped.value.code == INCOMPLETE
    assert "16 cells: 16 pending" in capsys.readouterr().out


def test_a_study_that_drives_itself_refuses_as_the_command_does(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["small.py", "--json", "--set", "norm=gm", "--jobs", "0"])
    with pytest.raises(SystemExit) as stopped:
        drive(study())
    assert stopped.value.code == USAGE
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [problem["where"] for problem in told] == ["--set norm", "--jobs"]


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_leaves_early_is_no_error(buffered, tmp_path):
    """`fairtrial plan ... | true`: the pipe is closed before anything is printed, or flushed at the end."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    script = f"set -o pipefail; {{ sleep 0.3; {sys.executable} -m fairtrial plan small.py --audit; }} | true"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_fetch_has_help_that_needs_no_study(capsys):
    assert "fetch" in helped(["--help"], capsys)
    out = helped(["fetch", "--help"], capsys)
    assert out.startswith("usage: fairtrial fetch") and "--to DIR" in out and "--json" in out
