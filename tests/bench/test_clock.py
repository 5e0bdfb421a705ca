"""What a call takes on its device, and that one which does not wait is noticed."""

import pytest

from bench.harness.clock import Clock, Unsynchronised


class Device:
    """A device that works on after the call that gave it the work has come back; time is made by hand."""

    def __init__(self):
        self.now, self.done = 0.0, 0.0

    def launch(self, work_s, launch_s=1e-5):
        self.now += launch_s
        self.done = max(self.done, self.now) + work_s

    def synchronize(self):
        self.now = max(self.now, self.done)

    def event(self):
        """As an event that is waited for: the time at which all work before it was done."""
        self.synchronize()
        return self.now

    def clock(self):
        return Clock(wall=lambda: self.now, device=self.event)


def test_a_call_that_waits_takes_what_its_work_takes():
    device = Device()

    def call():
        device.launch(0.02)
        device.synchronize()

    assert device.clock().seconds(call, calls=5) == pytest.approx(0.02 + 1e-5)


def test_an_unsynchronised_timer_is_noticed():
    device = Device()
    with pytest.raises(Unsynchronised, match=r"came back after 0\.05 ms, its work took 100 ms"):
        device.clock().seconds(lambda: device.launch(0.02), calls=5)


def test_a_call_that_waits_for_all_but_its_last_kernel_is_noticed():
    device = Device()

    def call():
        device.launch(0.01)
        device.synchronize()
        device.launch(0.01)

    with pytest.raises(Unsynchronised):
        device.clock().seconds(call)


def test_work_that_is_shorter_than_reading_an_event_passes():
    device = Device()
    assert device.clock().seconds(lambda: device.launch(2e-5)) == pytest.approx(3e-5)


def test_a_cpu_is_read_by_wall_time():
    ticks = iter((1.0, 4.0))
    clock = Clock(wall=lambda: next(ticks))
    assert (clock.name, clock.seconds(lambda: None, calls=2)) == ("wall", 1.5)
