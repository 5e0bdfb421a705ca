"""The jobs of a forge: they call environments that exist, every night runs all that no push waits for."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

from fairtrial.regression import history

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("nightly", "tests")
NIGHTLY = {"bench", "floors", "gate", "replay", "selftest", "soak"}  # too long, or too noisy, for every push


def jobs(name):
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text())["jobs"]


def steps(job, key):
    return [step[key] for step in job["steps"] if key in step]


def environments(job):
    lines = "\n".join(steps(job, "run"))
    return {name for found in re.findall(r"tox (?:-q )?run -e ([\w,-]+)", lines) for name in found.split(",")}


@pytest.mark.parametrize("name", NAMES)
def test_a_job_reads_the_repository_and_calls_environments_that_exist(name):
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    known = {section.partition(":")[2] for section in tox.sections()}
    whole = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    assert whole["permissions"] == {"contents": "read"}
    assert {path.stem for path in FOLDER.iterdir()} == {*NAMES}
    for job in whole["jobs"].values():
        assert environments(job) and environments(job) <= known
        assert steps(job, "uses")[0].startswith("actions/checkout@")
        deep = any(step.get("with", {}).get("fetch-depth") == 0 for step in job["steps"])
        assert deep == ("gate" in environments(job))  # it compares with another commit


def test_every_night_runs_what_no_push_waits_for():
    found = jobs("nightly")
    assert set().union(*map(environments, found.values())) >= NIGHTLY
    assert found["soak"]["env"]["FAIRTRIAL_REQUIRE_POSTGRES"] == "1"
    assert any("postgresql" in line for line in steps(found["soak"], "run"))


def test_the_nights_before_are_there_when_the_gate_starts_and_kept_after_a_regression():
    gate = jobs("nightly")["gate"]["steps"]
    (restored,), (saved,), (compared,) = (
        [place for place, step in enumerate(gate) if word in step.get("uses", "") + step.get("run", "")]
        for word in ("cache/restore@", "cache/save@", "--record")
    )
    assert restored < compared < saved and gate[saved]["if"] == "always()"
    assert gate[saved]["with"]["path"] == gate[restored]["with"]["path"]
    assert f"/{history.FOLDER}/*.json" in gate[saved]["with"]["path"]
    assert gate[saved]["with"]["key"].startswith(gate[restored]["with"]["restore-keys"])


def test_a_pull_request_is_compared_with_its_base_and_told_in_its_summary():
    gate = jobs("tests")["gate"]
    assert "pull_request" in gate["if"]
    (line,) = (line for line in steps(gate, "run") if "-e gate" in line)
    assert "origin/$GITHUB_BASE_REF" in line and "--summary summary.md" in line
    assert any("summary.md" in line and "GITHUB_STEP_SUMMARY" in line for line in steps(gate, "run"))
