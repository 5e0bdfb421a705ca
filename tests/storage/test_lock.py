"""One holder at a time; the lock goes with its process."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from fairtrial.errors import REFUSED, Fault
from fairtrial.storage import lock
from fairtrial.storage.store import Store

HOLD = """
import sys, time
from pathlib import Path
from fairtrial.storage import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / ".lock")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_told_who_where_and_since_when(tmp_path, holder):
    with pytest.raises(Fault) as busy, lock.hold(tmp_path / ".lock"):
        pass
    (problem,) = busy.value.problems
    assert busy.value.code == 4
    assert f"process {holder.pid} on {socket.gethostname()}, started 20" in problem.what
    assert problem.where == str(tmp_path / ".lock")


def test_a_killed_holder_holds_nothing(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock.hold(tmp_path / ".lock"):
        assert f"process {os.getpid()} on" in (tmp_path / ".lock").read_text()
    assert (tmp_path / ".lock").read_text() == ""


def test_it_is_free_again_after_an_error_inside(tmp_path):
    with pytest.raises(ZeroDivisionError), lock.hold(tmp_path / ".lock"):
        raise ZeroDivisionError
    with lock.hold(tmp_path / ".lock"):
        pass


def test_a_process_started_inside_does_not_inherit_it(tmp_path):
    with lock.hold(tmp_path / ".lock"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with lock.hold(tmp_path / ".lock"):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_planted_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(Fault, match=r"could not lock \.lock"), lock.hold(tmp_path / ".lock"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_and_no_file_stands_in_for_one(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Fault, match="could not lock") as refused, lock.hold(tmp_path / ".lock"):
        pytest.fail("it is held")
    (problem,) = refused.value.problems
    assert refused.value.code == 6
    assert "file system with locks" in problem.do


def test_whoever_waits_gets_it_when_the_holder_ends(tmp_path, holder):
    timer = threading.Timer(0.3, holder.kill)
    timer.start()
    with lock.hold(tmp_path / ".lock", wait=True):
        assert f"process {os.getpid()} on" in (tmp_path / ".lock").read_text()
    timer.join()


def test_who_ends_beside_another_that_began_at_the_same_path_deletes_nothing_of_it(tmp_path):
    """Its folder was renamed amid the block, and the path is another driver's by now."""
    folder = tmp_path / "results" / "study"
    with Store(folder).locked():
        folder.parent.rename(tmp_path / "elsewhere")
        other = Store(folder).locked()
        other.__enter__()
    try:
        with pytest.raises(Fault) as refused, Store(folder).locked():
            pass
        assert refused.value.code == REFUSED
    finally:
        other.__exit__(None, None, None)
    assert not folder.parent.exists() and (tmp_path / "elsewhere").exists()
