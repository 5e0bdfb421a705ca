"""When a checkpoint of a cell is written, and which files of one are believed."""

import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save as to_bytes

from fairtrial.errors import Fault
from fairtrial.execution.cell import resume
from fairtrial.execution.cell.resume import Keeper, Resumable
from fairtrial.storage import cell_checkpoints
from fairtrial.storage.cell_checkpoints import Saved, listed
from fairtrial.storage.integrity import sealed
from fairtrial.training.loop import State
from fairtrial.training.optimizer import SGD
from fairtrial.training.timing import Ledger


@pytest.mark.parametrize("spent", [10**400, -1.0, "1 s", [], None], ids=lambda spent: str(spent)[:9])
def test_seconds_that_no_cell_spent_are_not_gone_on_from(tmp_path, spent):
    state, saved = state_of(), Saved("0" * 12, 1, 3, tmp_path)
    record = {"made": {}, "state": state.facts(), "seconds": {"train": spent}}
    cell_checkpoints.write(saved, record, to_bytes(state.arrays()))
    keeper = Keeper(Resumable(tmp_path, 2, {}), saved.cell, Ledger())
    keeper.begin(state_of())
    assert keeper.carried_s == 0.0 and keeper.ledger.seconds["train"] == 0.0
    assert "checkpoint at step 3 is not used" in keeper.lines[0] and "starts anew" in keeper.lines[1]


def state_of(*, parameters=3):
    model = torch.nn.Linear(parameters, 1)
    return State(model, SGD(model.parameters(), lr=1.0, momentum=0.9, weight_decay=0.0), torch.zeros(5), None)


@pytest.mark.parametrize("name", ["model.weight", "velocity.1", "losses"])
def test_a_file_that_lacks_an_array_is_refused_before_anything_changes(name):
    state, other = state_of(), state_of()
    before = {n: value.clone() for n, value in state.arrays().items()}
    arrays = {n: value for n, value in other.arrays().items() if n != name}
    with pytest.raises(ValueError, match=f"not the state of this network: {name}"):
        state.take(arrays, other.facts())
    with pytest.raises(ValueError, match="its facts"):
        state.take(other.arrays(), {"step": 1})
    with pytest.raises(ValueError, match="weight"):
        state.take(state_of(parameters=1).arrays(), other.facts())
    assert all(torch.equal(value, before[n]) for n, value in state.arrays().items())


# when one is written


class Clock:
    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


def trained(monkeypatch, step_s, write_s, steps, first_bytes_s=0.0):
    """A Keeper over steps of so many seconds, whose checkpoints take as long as `write_s` says."""
    clock, written, costs = Clock(), [], iter(write_s)

    def write(saved, record, arrays):
        clock.time += next(costs)
        written.append(saved.step)

    monkeypatch.setattr(cell_checkpoints, "write", write)
    ledger, state = Ledger(clock), state_of()
    keeper = Keeper(Resumable(None, 1, {}), "0" * 12, ledger, clock)
    keeper.begin = lambda state: None
    with ledger.book("train"):
        for step in range(1, steps + 1):
            clock.time += step_s
            state.step = step
            keeper.after_step(state)
    return ledger.seconds, written


@pytest.mark.parametrize("step_s", [0.01, 0.3, 20.0])
@pytest.mark.parametrize("cost_s", [0.002, 0.5, 8.0])
def test_checkpoints_take_at_most_two_percent_of_a_cell_and_are_booked_apart(monkeypatch, step_s, cost_s):
    steps = int(4000 / step_s)
    seconds, written = trained(monkeypatch, step_s, [cost_s * (1 + n % 2) for n in range(10**4)], steps)
    assert seconds["train"] == pytest.approx(4000, rel=1e-3)
    assert len(written) >= (1 if cost_s == 8.0 else 10)
    total = seconds["train"] + seconds["checkpoint"]
    assert seconds["checkpoint"] <= 0.02 * total


def test_a_short_cell_writes_none(monkeypatch):
    seconds, written = trained(monkeypatch, 0.1, [], 299)
    assert written == [] and "checkpoint" not in seconds


def test_a_large_network_waits_until_its_first_checkpoint_can_be_afforded(monkeypatch):
    size = sum(value.nbytes for value in state_of().arrays().values())
    monkeypatch.setattr(resume, "SLOWEST", size)  # bytes a second: it is taken to cost 1 s
    _, written = trained(monkeypatch, 1.0, [1.0] * 99, 99)
    assert written == []
    _, written = trained(monkeypatch, 1.0, [1.0] * 99, 120)
    assert written == [100]


# the files


def saved_at(folder, step, attempt=1):
    record = {"made": {}, "state": {}, "seconds": {}}
    cell_checkpoints.write(Saved("0" * 12, attempt, step, folder), record, b"x" * step)


def noted(calls, name, call):
    def spy(*arguments, **keywords):
        calls.append(name)
        return call(*arguments, **keywords)

    return spy


def test_an_older_checkpoint_goes_after_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    calls = []
    for name in ("replace", "rename", "unlink", "fsync"):
        monkeypatch.setattr(os, name, noted(calls, name, getattr(os, name)))
    for step in (3, 6, 9):
        calls.clear()
        saved_at(tmp_path, step)
    named = [call for call in calls if call != "unlink"]
    assert named == ["fsync", "replace", "fsync"] * 2
    assert calls[-2:] == ["unlink", "unlink"] and [one.step for one in listed(tmp_path)] == [6, 9]


def test_the_next_attempt_keeps_the_last_checkpoint_of_the_one_before(tmp_path):
    for step in (3, 6):
        saved_at(tmp_path, step)
    saved_at(tmp_path, 9, attempt=2)
    assert [(one.attempt, one.step) for one in listed(tmp_path)] == [(1, 6), (2, 9)]


def test_a_copy_under_another_name_and_names_that_are_not_ours_are_not_read(tmp_path):
    saved_at(tmp_path, 3)
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "000000000000-1-x.json").write_text("{}")
    assert [one.step for one in listed(tmp_path)] == [3]
    copy = replace(listed(tmp_path)[0], step=4).json
    copy.write_bytes(listed(tmp_path)[0].json.read_bytes())
    with pytest.raises(Fault, match="the file is called 000000000000-1-4"):
        cell_checkpoints.read(copy)
    assert json.loads(copy.read_text())["step"] == 3


def test_a_size_that_no_file_has_is_a_fault_and_is_never_asked_for(tmp_path):
    saved_at(tmp_path, 3)
    path = listed(tmp_path)[0].json
    body = {name: value for name, value in json.loads(path.read_text()).items() if name != "sha256"}
    path.write_text(sealed({**body, "arrays": {**body["arrays"], "bytes": 10**30}}))
    with pytest.raises(Fault, match="3 bytes that are not those of its checkpoint"):
        cell_checkpoints.read(path)
