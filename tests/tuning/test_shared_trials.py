"""Two drivers tune one study on one database: each trial run counts once, whatever ends in the middle.

The full numbers run with `tox -e soak`: 400 runs on eight workers, an outage of 30 s.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
from sqlalchemy import make_url

from fairtrial.errors import DONE, INCOMPLETE, REFUSED
from fairtrial.tuning import shared_trials
from tests.support import postgres
from tests.support.toy import ROOT, Forked, gone, slay, start, store_of, until, workers_of

STUDY = {"seeds": 2, "val_per_class": 2, "tuning": {"space": {"lr": [0.03, 0.1, 0.3]}, "seeds": 2}}
FEW = {"seeds": 1, "val_per_class": 2, "tuning": {"space": {"lr": [0.03, 0.1]}, "seeds": 1}}
FAST = {"HEARTBEAT_S": 1, "GRACE_S": 4, "POLL_S": 0.2, "PATIENCE_S": 20.0}


@pytest.fixture(scope="module")
def server():
    if (reason := postgres.why_not()) is not None:
        if os.environ.get("FAIRTRIAL_REQUIRE_POSTGRES"):
            pytest.fail(f"FAIRTRIAL_REQUIRE_POSTGRES is set, and {reason}")
        pytest.skip(reason)
    with postgres.server() as made:
        yield made


@pytest.fixture
def toy(server, request):
    """The variables of a driver on a database of its own."""
    name = f"db{abs(hash(request.node.nodeid)) % 10**8}"
    server.make_database(name)
    secret = quote(postgres.PASSWORD, safe="")
    return {"FAIRTRIAL_STORAGE_URL": f"postgresql://{postgres.USER}:{secret}@/{name}?host={server.folder}"}


def test_a_database_that_is_away_is_given_up_within_a_minute():
    """Every other test shortens what is waited."""
    assert shared_trials.PATIENCE_S <= 60


def database(toy):
    """The name of the database that a driver is given."""
    return toy["FAIRTRIAL_STORAGE_URL"].partition("@/")[2].partition("?")[0]


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """What an open storage has imported: it takes a new process two seconds, and a fork of this one none."""
    optuna.storages.RDBStorage("sqlite://").engine.dispose()
    make_url("postgresql+psycopg://").get_dialect().import_dbapi()


def begin(results, toy, *, study=STUDY, jobs=1, kind=Forked, **shared):
    return start(results, study=study, toy=toy, shared=FAST | shared, jobs=jobs, kind=kind)


def told(driver, seconds=120):
    words = driver.communicate(timeout=seconds)[1]
    return driver.returncode, words


def counted(results):
    """(cell, number) -> what does not depend on the machine, and whether it counts."""
    return {
        (a.cell, a.number): (a.status, a.measured.as_json(), a.drawn.as_json())
        for a in store_of(results).attempts()
    }


def texts(results):
    return {path.name: path.read_bytes() for path in (results / "toy" / "cells").glob("*.json")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return of(study): the trials of one driver without a database."""

    @cache
    def of(study):
        results = tmp_path_factory.mktemp("alone")
        code, words = told(start(results, study=json.loads(study), kind=Forked), 600)
        assert code == DONE, words
        return {key: value for key, value in counted(results).items() if value[1].get("val_acc")}

    return lambda study=STUDY: of(json.dumps(study))


@pytest.mark.slow
def test_two_drivers_share_the_trials_and_both_end_with_all_of_them(toy, tmp_path, alone):
    sleepy = toy | {"TOY_SLEEP_S": "0.1"}
    drivers = [begin(tmp_path / name, sleepy) for name in ("a", "b")]
    ends = [told(driver) for driver in drivers]
    assert [code for code, _ in ends] == [DONE, DONE], ends
    ran = [sum("val_acc" in line for line in words.splitlines()) for _, words in ends]
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    assert counted(tmp_path / "a") == alone()
    assert sum(ran) == len(texts(tmp_path / "a")) and min(ran) > 0, ends  # each was run by one of them
    assert not list(tmp_path.glob("*/toy/superseded"))


@pytest.mark.slow
def test_a_killed_driver_loses_nothing_and_comes_back(toy, tmp_path, alone):
    first = begin(tmp_path / "a", toy | {"TOY_SLEEP_S": "0.3"})
    until(lambda: (tmp_path / "a" / "toy" / "cells").is_dir() and len(texts(tmp_path / "a")) > 2, 60)
    assert gone(slay(first))
    code, words = told(begin(tmp_path / "b", toy))
    assert code == DONE, words
    code, words = told(begin(tmp_path / "a", toy))
    assert code == DONE, words
    expected = alone()
    assert counted(tmp_path / "b") == expected
    assert {key: value for key, value in counted(tmp_path / "a").items() if value[0] == "done"} == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rates", "seeds", "jobs", "outage_s"), [(4, 5, 4, 2), pytest.param(4, 50, 4, 30, marks=pytest.mark.soak)]
)
def test_the_server_crashes_and_comes_back(server, toy, tmp_path, alone, rates, seeds, jobs, outage_s):
    study = STUDY | {"tuning": {"space": {"lr": [0.03, 0.1, 0.3, 1.0][:rates]}, "seeds": seeds}}
    # longer than the outage, as in real use: no trial is taken from a driver that lives
    how = {"study": study, "jobs": jobs, "PATIENCE_S": outage_s + 30, "GRACE_S": outage_s + 30}
    drivers = [begin(tmp_path / name, toy | {"TOY_SLEEP_S": "0.2"}, **how) for name in ("a", "b")]

    def ran(number):
        until(
            lambda: (tmp_path / "a" / "toy" / "cells").is_dir() and len(texts(tmp_path / "a")) > number, 120
        )
        assert [driver.poll() for driver in drivers] == [None, None]

    ran(2)
    server.drop_connections(database(toy))
    ran(2 * seeds)
    server.stop("immediate")
    time.sleep(outage_s)
    server.start()
    ends = [told(driver, 600) for driver in drivers]
    assert [code for code, _ in ends] == [DONE, DONE], ends
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    assert not list(tmp_path.glob("*/toy/superseded"))
    expected = alone(study)
    assert counted(tmp_path / "a") == expected and len(expected) >= 2 * rates * seeds


@pytest.mark.slow
def test_an_outage_ends_in_one_block_and_the_same_command_goes_on(server, toy, tmp_path, alone):
    driver = begin(tmp_path / "a", toy | {"TOY_SLEEP_S": "0.2"}, PATIENCE_S=1.0)
    until(lambda: (tmp_path / "a" / "toy" / "cells").is_dir() and len(texts(tmp_path / "a")) > 1, 60)
    server.stop("immediate")
    try:
        code, words = told(driver)
    finally:
        server.start()
    assert code == REFUSED, words
    assert words.count("error: ") == 1 and "did not answer" in words
    assert postgres.PASSWORD not in words and quote(postgres.PASSWORD, safe="") not in words
    assert told(begin(tmp_path / "a", toy))[0] == DONE
    assert {k: v for k, v in counted(tmp_path / "a").items() if v[0] == "done"} == alone()


@pytest.mark.slow
def test_a_driver_that_slept_too_long_is_superseded(toy, tmp_path, alone):
    """Beyond the grace period another driver runs its trial; the late result is kept, and does not count."""
    first = begin(tmp_path / "a", toy | {"TOY_SLEEP_S": "1"}, study=FEW)
    until(lambda: list((tmp_path / "a" / "toy" / "leases").glob("*.json")), 60)
    processes = [first.pid, *workers_of(first.pid)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    code, words = told(begin(tmp_path / "b", toy, study=FEW))
    for process in processes:
        os.kill(process, signal.SIGCONT)
    assert code == DONE, words
    code, words = told(first)
    assert code == DONE, words
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    assert len(list((tmp_path / "a" / "toy" / "superseded").iterdir())) == 1
    assert counted(tmp_path / "b") == alone(FEW)


@pytest.mark.slow
def test_a_signal_gives_the_trials_back_at_once(toy, tmp_path, alone):
    driver = begin(tmp_path / "a", toy | {"TOY_SLEEP_S": "5"}, study=FEW, GRACE_S=600)
    until(lambda: list((tmp_path / "a" / "toy" / "leases").glob("*.json")), 60)
    driver.send_signal(signal.SIGTERM)
    assert told(driver, 15)[0] == 75
    assert told(begin(tmp_path / "b", toy, study=FEW, GRACE_S=600))[0] == DONE
    assert counted(tmp_path / "b") == alone(FEW)


@pytest.mark.slow
def test_the_password_is_nowhere_but_in_the_variable(toy, tmp_path):
    driver = begin(tmp_path / "a", toy, study=FEW, kind=subprocess.Popen)  # with a command line of its own
    until(lambda: workers_of(driver.pid), 60)
    seen = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (driver.pid, *workers_of(driver.pid))]
    code, words = told(driver)
    assert code == DONE
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (postgres.PASSWORD, quote(postgres.PASSWORD, safe=""), quote(postgres.PASSWORD)):
        assert not any(secret.encode() in content for content in [*seen, *files, words.encode()])


@pytest.mark.slow
def test_a_wrong_password_and_a_server_that_is_not_there_end_in_one_block(server, toy, tmp_path):
    right = toy["FAIRTRIAL_STORAGE_URL"]
    wrong = right.replace(quote(postgres.PASSWORD, safe=""), "wr%2Fong")
    nowhere = right.replace(str(server.folder), str(tmp_path))
    for url in (wrong, nowhere):
        code, words = told(begin(tmp_path / "a", {"FAIRTRIAL_STORAGE_URL": url}))
        assert code == REFUSED, words
        assert words.count("error: ") == 1 and "Traceback" not in words
        assert "wr/ong" not in words and "wr%2Fong" not in words and postgres.PASSWORD not in words


STARTS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.support import postgres
with postgres.server() as made:
    print(made.folder, (made.folder / "data" / "postmaster.pid").read_text().split()[0], flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_the_tests_own_server_does_not_outlive_killed_tests(server):
    tests = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(ROOT)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert tests.stdout is not None
    folder, pid = tests.stdout.readline().split()
    os.killpg(tests.pid, signal.SIGKILL)
    tests.communicate()
    assert gone([int(pid)], 30)
    until(lambda: not Path(folder).exists(), 30)


def test_sqlite_serves_one_driver(tmp_path):
    file = tmp_path / "trials.db"
    toy = {"FAIRTRIAL_STORAGE_URL": f"sqlite:///{file}"}
    first = begin(tmp_path / "a", toy | {"TOY_SLEEP_S": "1"}, study=FEW)
    until(lambda: (tmp_path / "a" / "toy" / "cells").is_dir(), 60)
    code, words = told(begin(tmp_path / "b", toy, study=FEW))
    assert code == REFUSED and "SQLite serves one" in words, words
    assert told(first)[0] == DONE
    assert told(begin(tmp_path / "b", toy, study=FEW))[0] == DONE  # one after the other
    assert texts(tmp_path / "a") == texts(tmp_path / "b")


def test_what_fails_everywhere_is_given_up_once_for_all(tmp_path):
    toy = {"FAIRTRIAL_STORAGE_URL": f"sqlite:///{tmp_path / 'trials.db'}"}
    code, words = told(begin(tmp_path / "a", toy | {"bn 1000000": "raise"}, study=FEW))
    assert code == 1, words
    statuses = Counter(record.status for record in store_of(tmp_path / "a").attempts())
    assert statuses["error"] == 6  # three attempts at each of two rates
    assert told(begin(tmp_path / "b", toy, study=FEW))[0] == 1
    assert texts(tmp_path / "a") == texts(tmp_path / "b")


def test_a_limit_leaves_the_rest_to_others(tmp_path):
    toy = {"FAIRTRIAL_STORAGE_URL": f"sqlite:///{tmp_path / 'trials.db'}"}
    code, words = told(start(tmp_path / "a", study=FEW, toy=toy, shared=FAST, jobs=2, limit=3, kind=Forked))
    assert code == INCOMPLETE, words
    assert len(texts(tmp_path / "a")) == 3
    assert told(begin(tmp_path / "b", toy, study=FEW))[0] == DONE
