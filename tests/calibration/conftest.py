"""The seed of the simulations, and a line per check at the end of the log."""

import os

import pytest

from fairtrial.rng import ROOT
from tests.calibration.claims import judge, line

_LINE = "calibration"


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, help="other chances than the fixed ones, such as the date")


def _seed(config):
    """--seed, FAIRTRIAL_SELFTEST_SEED or the fixed one; in a run of all tests there is no such option."""
    given = config.getoption("--seed", default=None)
    return int(os.environ.get("FAIRTRIAL_SELFTEST_SEED") or ROOT) if given is None else given


def pytest_report_header(config):
    return f"seed {_seed(config)}"


@pytest.fixture(scope="session")
def seed(request):
    """The seed of all simulations of this run."""
    return _seed(request.config)


@pytest.fixture
def log_line(record_property):
    """log_line(text): it stands at the end of the log."""
    return lambda text: record_property(_LINE, text)


@pytest.fixture
def outcome_of(seed, log_line):
    """outcome_of(check): the check simulated; its line stands at the end of the log."""

    def run(check):
        outcome = judge(check, seed)
        log_line(line(outcome, 42))
        return outcome

    return run


def pytest_terminal_summary(terminalreporter):
    reports = [each for state in ("passed", "failed") for each in terminalreporter.getreports(state)]
    lines = [text for report in reports for name, text in report.user_properties if name == _LINE]
    if lines:
        terminalreporter.section("calibration")
    for text in sorted(set(lines)):
        terminalreporter.line(text)
