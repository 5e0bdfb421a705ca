"""The page on many machines: its commands run, over a study of milliseconds, or are marked as not run."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fairtrial.storage.store import Store
from tests.support.studies import spoiled

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(?P<before>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {
    re.findall(r"^## (.*)$", PAGE[: match.start("kind")], re.MULTILINE)[-1]: match
    for match in BLOCK.finditer(PAGE)
}
MARKED = {heading for heading, match in BLOCKS.items() if "Not run here" in match["before"]}
RUN = {"A laptop", "A Slurm array", "A Kubernetes indexed job", "A matrix on a forge"}


@pytest.fixture
def shell(tmp_path):
    """What runs a line of the page in a folder with the study; its exit code and what it said."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "fairtrial"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.support.toy_fairtrial "$@"\n')
    command.chmod(0o755)
    text = spoiled(("seeds=range(3)", "seeds=range(8)"), ('"batch_size": (4, 16)', '"batch_size": (4,)'))
    (tmp_path / "my_study.py").write_text(text)

    def run(line, **variables):
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, **variables}
        environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


def recorded(folder):
    """Seed -> how many of its cells have ended."""
    return Counter(attempt.seed for attempt in Store(folder / "small").attempts() if attempt.status == "done")


def lines(heading, pattern):
    """The commands in a block of YAML."""
    return re.findall(pattern, BLOCKS[heading]["text"], re.MULTILINE)


def test_every_block_is_run_here_or_says_that_it_is_not():
    assert set(BLOCKS) == RUN | MARKED and not RUN & MARKED
    assert len(BLOCKS) == PAGE.count("\n```") / 2  # none is hidden by another one of its section


def test_a_laptop(shell, tmp_path):
    shell(BLOCKS["A laptop"]["text"])
    assert recorded(tmp_path / "results") == dict.fromkeys(range(8), 2)
    assert (tmp_path / "results" / "small" / "summary.csv").exists()


def test_an_array_of_slurm(shell, tmp_path):
    for task in ("8", "1"):
        assert f"part {task} of 8 is done" in shell(BLOCKS["A Slurm array"]["text"], SLURM_ARRAY_TASK_ID=task)
    assert recorded(tmp_path / "results") == {0: 2, 7: 2}


def test_an_indexed_job(shell, tmp_path):
    (line,) = lines("A Kubernetes indexed job", r"^ *- (exec fairtrial .*)$")
    shell(line, JOB_COMPLETION_INDEX="0")
    assert recorded(tmp_path / "results") == {0: 2}


def test_a_matrix_and_the_job_that_joins_it(shell, tmp_path):
    part, merge, report = lines("A matrix on a forge", r"^ *- run: (.*)$")
    for number in "1234":
        shell(part.replace("${{ matrix.part }}", number))
    assert "16 cells have an outcome" in shell(merge)
    shell(report)
    assert recorded(tmp_path / "joined") == dict.fromkeys(range(8), 2)


def test_the_page_is_linked():
    assert "docs/scaling.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\nscaling\n" in (ROOT / "docs/index.md").read_text(encoding="utf-8")
