"""A signal ends a command at any moment with its exit code; a second SIGINT leaves at once.

FAIRTRIAL_SIGNALS=n strikes each command n times; FAIRTRIAL_SIGNAL_SEED=n repeats the moments of a run that
printed n.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fairtrial.signals import Stop, withheld
from tests.support.records import declared_store, publish
from tests.support.studies import study, write
from tests.support.toy import gone, group, until

pytestmark = pytest.mark.slow

SIGNAL_AT = Path(__file__).parent / "support" / "signal_at.py"
CODES = {"SIGTERM": 75, "SIGHUP": 75, "SIGUSR1": 75, "SIGINT": 130}
# command -> how often it is struck here, and among how many calls; None: all that it makes
COMMANDS = {
    "status small.py": (4, None),
    "plan small.py": (3, None),
    "--help": (3, None),
    "verdict small.py --allow-partial": (2, 60_000),
    "report small.py --allow-partial": (2, 900_000),
    "verify --allow-partial small.py": (1, 900_000),
}

DEAF = """
import time
from fairtrial.signals import Stop
with Stop().listening():
    print("ready", flush=True)
    while True:
        time.sleep(1)
"""


@pytest.fixture(autouse=True)
def hang_up_is_heard():
    """Under nohup a command leaves SIGHUP ignored, as it should."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def to_this_thread(number: signal.Signals) -> None:
    """A signal to the whole process may go to any of its threads (BLAS, xdist), and a little later."""
    signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGHUP, 75)],
)
def test_a_signal_is_an_exit_code_and_a_reason(number, code):
    stop, before = Stop(), signal.getsignal(number)
    assert not stop
    with stop.listening():
        to_this_thread(number)
        assert stop
    assert (stop.code, stop.reason) == (code, f"the driver got {number.name}")
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_sigint_after_another_signal_leaves_at_once(first):
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(first)
    with pytest.raises(subprocess.TimeoutExpired):  # the first one asks; this program does not listen
        process.wait(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(2) == 130
    process.stdout.close()


def test_outside_the_main_thread_signals_are_left_alone():
    stop, before, seen = Stop(), signal.getsignal(signal.SIGTERM), []

    def listen():
        with stop.listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_process_started_while_signals_are_withheld_never_gets_them():
    stop = Stop()
    with stop.listening():
        with withheld():
            child = subprocess.Popen(
                [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
            )
            to_this_thread(signal.SIGTERM)
            assert not stop  # kept back ...
        assert stop.code == 75  # ... not lost
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        child.send_signal(number)
    child.communicate(b"", timeout=10)
    assert child.returncode == 0


def test_processes_that_draw_end_with_a_command_that_was_killed(tmp_path):
    work = [f"open({str(tmp_path / name)!r}, 'w').close(); import time; time.sleep(99)" for name in "ab"]
    code = f"from fairtrial.reporting.report.full_report import in_processes; in_processes(exec, {work}, 2)"
    command = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until(lambda: len(list(tmp_path.iterdir())) == 2, 120)
    at_work = group(command.pid)
    assert len(at_work) > 2
    command.kill()
    command.wait()
    assert gone(at_work)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study with some records, and where a command stands."""
    path = tmp_path_factory.mktemp("struck")
    write(path)
    store = declared_store(study(), path / "results")
    for cell in study().cells()[:8]:
        publish(store, cell)
    return path


def struck(folder, command, at, name="SIGTERM"):
    """(exit code, what stood on stderr, seconds from the signal to the end, who was left) of a command."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(SIGNAL_AT), str(at), name, *command.split()],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    errors = process.communicate(timeout=300)[1]
    took = time.monotonic() - float(errors.split("struck ")[1].split()[0]) if "struck" in errors else None
    return process.returncode, errors, took, group(process.pid)


DROPPED = """
import os, signal
from fairtrial.cli import main

class Strikes:
    def strike(self, *_):
        os.kill(os.getpid(), signal.SIGTERM)

class Callback(Strikes):
    __del__ = Strikes.strike

class Named(Strikes):
    __set_name__ = Strikes.strike

def command():
    {moment}
    return 5

raise SystemExit(main._guarded(command, False))
"""


@pytest.mark.parametrize("moment", ["Callback()", "type('Made', (), {'name': Named()})"])
def test_what_a_signal_raises_may_be_dropped_or_wrapped(moment):
    """By a callback, and by Python 3.11 while a class is made: the random moments below met both."""
    told = subprocess.run(
        [sys.executable, "-c", DROPPED.replace("{moment}", moment)], capture_output=True, text=True
    )
    assert (told.returncode, told.stdout, told.stderr) == (75, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_at_any_moment_ends_a_command_with_its_code(folder, command):
    seed = int(os.environ.get("FAIRTRIAL_SIGNAL_SEED", random.SystemRandom().randrange(10**6)))
    times, calls = COMMANDS[command]
    print(f"FAIRTRIAL_SIGNAL_SEED={seed}")
    draws = random.Random(f"{seed} {command}")
    if calls is None:
        code, errors, *_ = struck(folder, command, 0)
        calls = int(errors.split("calls ")[-1])
        assert code == 0, errors
    for _ in range(int(os.environ.get("FAIRTRIAL_SIGNALS", times))):
        at, name = draws.randint(2, calls), draws.choice([*CODES])
        code, errors, took, left = struck(folder, command, at, name)
        moment = f"{name} at call {at}: {errors}"
        assert code == CODES[name], moment
        assert took is not None and took < 10, moment
        assert "Traceback" not in errors and "Exception ignored" not in errors, moment
        assert gone(left, 2.0), moment


SWALLOWS = """
import subprocess, sys
from fairtrial import signals
signals.GRACE_S = 0.5
with signals.Stop(raises=True).listening():
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    while True:
        try:
            print(helper.pid, flush=True)
            helper.wait()
        except BaseException:
            pass
"""


def test_a_program_that_drops_what_is_raised_is_ended_with_its_helpers():
    process = subprocess.Popen([sys.executable, "-c", SWALLOWS], stdout=subprocess.PIPE)
    helper = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 75
    assert gone([helper])
    process.stdout.close()


def test_no_time_limit_outlives_the_block_that_listened(monkeypatch):
    monkeypatch.setattr("fairtrial.signals.GRACE_S", 0.1)
    left = []
    monkeypatch.setattr("os._exit", left.append)
    with Stop().listening():
        to_this_thread(signal.SIGTERM)
    time.sleep(0.4)
    assert not left


def test_nohup_stays_in_force():
    code = "import signal; from fairtrial.signals import Stop\n"
    code += "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nstop = Stop()\n"
    code += "with stop.listening():\n signal.raise_signal(signal.SIGHUP)\nprint(stop.code)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == b"None\n"
