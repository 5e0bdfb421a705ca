"""A file of the user's with a library's name, in the current folder, is imported by no process of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from fairtrial.errors import DONE, INCOMPLETE

TINY = """\
from fairtrial import Budget, Contrast, Study

STUDY = Study(
    name="tiny",
    question="Is gn better than bn?",
    factors={"norm": ("bn", "gn")},
    fixed={"batch_size": 32},
    budget=Budget(examples=64),
    seeds=range(2),
    primary=Contrast("norm", treatment={"norm": "gn"}, control={"norm": "bn"}),
    margin=0.01,
)
"""
NAMES = ("queue", "torch", "json", "numpy", "pathlib", "argparse", "ctypes")


def fairtrial(folder: Path, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """`python -m fairtrial ...` in a folder, where -m itself would put the folder before the library."""
    command = [sys.executable, "-W", "ignore", "-m", "fairtrial", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def folder(tmp_path):
    """Where a user stands, with files of their own."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is the file of the user')")
    (tmp_path / "studies").mkdir()
    return tmp_path


def test_the_command_line_and_its_workers_import_nothing_from_the_current_folder(folder):
    study = folder / "studies" / "tiny.py"
    study.write_text(TINY)
    done = fairtrial(folder, "status", str(study), "--results", "r")
    assert (done.returncode, done.stderr) == (DONE, "")
    done = fairtrial(folder, "run", str(study), "--results", "r", "--limit", "1", "--jobs", "1")
    assert done.returncode == INCOMPLETE, done.stderr
    assert "file of the user" not in done.stdout + done.stderr
    results = Path(__file__).parents[2] / "results"
    # in a process for each folder, where there are cores
    done = fairtrial(folder, "verify", str(results / "networks"), str(results / "probes"))
    assert (done.returncode, done.stderr) == (DONE, "")


def test_a_study_file_with_a_module_of_its_own_called_analysis_trains_and_reports(tmp_path):
    (tmp_path / "analysis.py").write_text("SEEDS = range(2)\n")
    study = tmp_path / "tiny.py"
    study.write_text("import analysis\n" + TINY.replace("range(2)", "analysis.SEEDS"))
    # stopped early, so that it draws no report of its own
    done = fairtrial(tmp_path, "run", "tiny.py", "--results", "r", "--jobs", "1", "--limit", "2")
    assert (done.returncode, "Traceback" in done.stderr) == (INCOMPLETE, False), done.stderr
    done = fairtrial(tmp_path, "report", "tiny.py", "--results", "r", "--allow-partial")
    assert (done.returncode, "Traceback" in done.stderr) == (INCOMPLETE, False), done.stderr
    assert (tmp_path / "r" / "tiny" / "report.html").is_file()
