"""Signals become an exit code and a reason; a second SIGINT leaves at once."""

import signal
import subprocess
import sys
import threading

import pytest

from fairtrial.execution.signals import Stop, withheld

DEAF = """
import time
from fairtrial.execution.signals import Stop
with Stop().listening():
    print("ready", flush=True)
    while True:
        time.sleep(1)
"""


def to_this_thread(number: signal.Signals) -> None:
    """A signal to the whole process may go to any of its threads (BLAS, xdist), and a little later."""
    signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)]
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
