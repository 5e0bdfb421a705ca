"""Own training code that gives its state ends bit for bit as code that nobody killed (docs/plugins.md)."""

import json
import random
import re
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from fairtrial import Budget, Study
from fairtrial.execution.cell import resume
from fairtrial.execution.cell.own_state import TAKES, OwnState, packed, unpacked
from fairtrial.execution.cell.resume import Keeper, Resumable
from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell
from fairtrial.storage import cell_checkpoints
from fairtrial.storage.cell_checkpoints import CAP, listed
from fairtrial.training.timing import Ledger
from tests.support.forked_cells import MADE, Cells, repeats

PAGE = (Path(__file__).parents[3] / "docs/plugins.md").read_text(encoding="utf-8")
(TEXT,) = re.findall(r"^```python\n# my_long_train\.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KILLED, STEPS = -9, 8
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cells():
    forking = Cells("torch._dynamo")  # which the optimizers of torch import
    yield forking
    forking.stop()


@pytest.fixture
def own(tmp_path):
    """A study of the page's training code, with texts in it replaced by others."""

    def make(*edits):
        text = TEXT
        for old, new in zip(edits[::2], edits[1::2], strict=True):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "own.py").write_text(text)
        fixed = {"shots": 5, "batch_size": 8, "val_per_class": 2, "resolution": 8}
        study = Study(
            name="own", question="?", cell=f"{tmp_path}/own.py:train", factors={"way": ("a",)}, fixed=fixed,
            budget=Budget(steps=STEPS), seeds=(0,),
        )  # fmt: skip
        return study.cells()[0], [plugin.record() for plugin in study.plugins]

    return make


@pytest.fixture
def attempts(cells, tmp_path):
    """What the last attempt of a cell gives, after one was killed at each of these points."""

    def of(made, *points):
        (cell, plugins), out, kept = made, tmp_path / "out.json", tmp_path / "-".join(points)
        for number, point in enumerate(points, 1):
            assert cells.run(out, cell, kept, number, failpoint=point, plugins=plugins)[0] == KILLED
        status, result = cells.run(out, cell, kept if points else None, len(points) + 1, plugins=plugins)
        assert status == 0
        return result

    return of


@pytest.mark.slow
def test_the_training_code_of_the_page_ends_the_same_whenever_it_is_killed(own, attempts):
    """With Adam, dropout from the global generator, and a stream that has a position; it keeps 3 and 6."""
    whole = attempts(made := own())
    assert whole["spent"]["steps"] == STEPS and "carried_s" not in whole["spent"] and not whole["lines"]
    for points, step in (
        (["step-k:2"], 0), (["step-k:5"], 3), (["step-k:8"], 6), (["step-k:5", "ckpt-half-written"], 3)
    ):  # fmt: skip
        result = attempts(made, *points)
        assert repeats(result) == repeats(whole), points
        assert [f"from step {step} " in line for line in result["lines"]] == [True] * bool(step), points
        assert ("carried_s" in result["spent"]) == (step > 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ('        model.load_state_dict(before["model"])\n', ""),
        ('        optimizer.load_state_dict(before["optimizer"])\n', ""),
    ],
    ids=["weights", "momentum"],
)
def test_code_that_leaves_out_a_part_of_its_state_does_not_end_the_same(own, attempts, there, instead):
    """The negative control of what is compared."""
    made = own(there, instead)
    assert repeats(attempts(made, "step-k:5")) != repeats(attempts(made))


def in_process(own, folder, attempt=1, edits=(), made=MADE):
    cell, _ = own(*edits)
    return run_cell(cell, ExecutionContext(checkpoints=Resumable(folder, attempt, made)))


@pytest.fixture
def eager(monkeypatch):
    """A checkpoint at each step."""
    monkeypatch.setattr(resume, "LEAST_S", -1.0)
    monkeypatch.setattr(Keeper, "_affordable", lambda self, state: True)


def test_a_state_of_other_code_or_a_damaged_one_is_not_used_and_the_run_says_so(own, tmp_path, eager):
    first = in_process(own, tmp_path / "kept")
    assert [one.step for one in listed(tmp_path / "kept")] == [STEPS - 1, STEPS]
    other = in_process(own, tmp_path / "kept", 2, made=MADE | {"torch": "3"})
    assert "torch was '2', is '3'" in other["lines"][0] and "starts anew" in other["lines"][-1]
    assert other["measured"] == first["measured"]
    newest = listed(tmp_path / "kept")[-1]
    newest.arrays.write_bytes(bytes(newest.arrays.stat().st_size))
    again = in_process(own, tmp_path / "kept", 3, made=MADE | {"torch": "3"})
    assert f"checkpoint at step {STEPS} is not used" in again["lines"][0]
    assert f"goes on from step {STEPS - 1} of attempt 2" in again["lines"][1]
    assert again["measured"] == first["measured"] and again["spent"]["steps"] == STEPS


@pytest.mark.parametrize(
    ("edits", "error", "words"),
    [
        (("if before := cell.saved()", "if before := None"), RuntimeError, "ask cell.saved"),
        (("    for _ in", "    cell.save({})\n    for _ in"), RuntimeError, "at the end of a step"),
        (("        cell.save(", "        cell.saved()\n        cell.save("), RuntimeError, "before the loop"),
        (('"lowest": lowest}', '"lowest": cell}'), TypeError, "takes tensors, .*; got CellRun"),
    ],
)
def test_what_could_not_be_gone_on_from_is_an_error_at_the_first_step(own, tmp_path, edits, error, words):
    with pytest.raises(error, match=words):
        in_process(own, tmp_path, edits=edits)


def test_a_state_that_is_too_long_to_be_read_is_not_written_and_the_run_says_so(own, tmp_path, eager):
    result = in_process(own, tmp_path / "kept", edits=('"lowest": lowest}', f'"lowest": "x" * {CAP}}}'))
    (line,) = result["lines"]
    assert "is not kept: more than 1,048,576 bytes beside its tensors" in line
    assert result["status"] == "done" and not (tmp_path / "kept").exists()


# the form


def test_a_state_comes_back_as_it_was_given():
    shared = torch.arange(6.0).view(2, 3)
    state = {
        "a": [1, -2.5, float("inf"), None, True, "x", ()], 0: (shared, {"k": shared.t()}),
        "n": np.arange(4, dtype=np.uint32), "one": np.float64(0.1),
        "bf": torch.ones((), dtype=torch.bfloat16), "big": 2**100, "nested": {"dict": {"tuple": 1}},
    }  # fmt: skip
    arrays = {}
    back = unpacked(json.loads(json.dumps(packed(state, arrays))), arrays, CPU)
    assert list(back) == list(state)
    assert [back[name] for name in ("a", "one", "big", "nested")] == [
        [1, -2.5, float("inf"), None, True, "x", ()], 0.1, 2**100, {"dict": {"tuple": 1}}
    ]  # fmt: skip
    assert torch.equal(back[0][0], shared) and torch.equal(back[0][1]["k"], shared.t())
    assert back["n"].dtype == np.uint32 and back["n"].tolist() == [0, 1, 2, 3]
    assert back["bf"].dtype == torch.bfloat16 and back["bf"].shape == ()


def test_tensors_that_share_their_memory_are_written_and_read(tmp_path, eager):
    weights = torch.arange(6.0).view(2, 3)
    own, again = (OwnState(CPU) for _ in range(2))
    own.step = 1
    own.give({"a": weights, "b": weights, "c": weights[0]})
    Keeper(Resumable(tmp_path, 1, {}), "0" * 12, Ledger()).after_step(own)
    Keeper(Resumable(tmp_path, 2, {}), "0" * 12, Ledger()).begin(again)
    assert again.step == 1 and torch.equal(again.taken["b"], weights)
    assert torch.equal(again.taken["c"], weights[0])


def fields(**changes):
    own = OwnState(CPU, step=3)
    own.give({"w": torch.ones(2)})
    arrays, facts = own.arrays(), own.facts()
    whole = unpacked(facts["own"], arrays, CPU)
    whole |= changes
    arrays = {}
    return arrays, {"step": 3, "own": packed(whole, arrays)}


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays, facts: (arrays, {"step": 3}),
        lambda arrays, facts: (arrays, {**facts, "step": True}),
        lambda arrays, facts: (arrays, {**facts, "step": -1}),
        lambda arrays, facts: ({}, facts),
        lambda arrays, facts: (arrays, {**facts, "own": {"eval": "1"}}),
        lambda arrays, facts: (arrays, {**facts, "own": {"dict": 5}}),
        lambda arrays, facts: (arrays, {**facts, "own": {}}),
        lambda arrays, facts: fields(given=[1]),
        lambda arrays, facts: fields(chance={}),
        lambda arrays, facts: fields(
            chance={"torch": torch.zeros(3, dtype=torch.uint8), "numpy": {}, "python": ()}
        ),
    ],
)
def test_what_is_no_state_changes_nothing_and_the_cell_starts_anew(tmp_path, damage):
    arrays, facts = damage(*fields())
    saved = cell_checkpoints.Saved("0" * 12, 1, 3, tmp_path)
    record = {"made": {}, "state": facts, "seconds": {"train": 1.0}}
    cell_checkpoints.write(saved, record, resume.to_bytes(arrays))
    own, keeper = OwnState(CPU), Keeper(Resumable(tmp_path, 2, {}), saved.cell, Ledger())
    keeper.begin(own)
    assert (own.step, own.taken, keeper.carried_s) == (0, None, 0.0)
    assert "is not used" in keeper.lines[0] and "starts anew" in keeper.lines[1]


def test_streams_taken_before_the_steps_go_on_where_they_stood_and_others_start_anew():
    def chance():
        own = OwnState(CPU)
        got = [
            own.handed("order", np.random.default_rng(1)), own.handed("order", np.random.default_rng(1)),
            own.handed("init", torch.Generator().manual_seed(3)),
        ]  # fmt: skip
        return own, got

    own, (first, second, third) = chance()
    first.random(3), second.random(5), torch.rand(2, generator=third)
    own.step = 1
    own.give({})
    arrays, facts = own.arrays(), own.facts()
    then = [first.random(), second.random(), torch.rand(1, generator=third).item(), random.random()]
    again, (first, second, third) = chance()
    again.take(arrays, facts)
    again.go_on()
    now = [first.random(), second.random(), torch.rand(1, generator=third).item(), random.random()]
    assert now == then


def test_a_full_device_is_no_damage_and_the_checkpoint_stays(tmp_path, eager):
    """Hours of training were thrown away where a GPU was full for a moment."""
    own = OwnState(CPU, step=1)
    own.give({"w": torch.ones(2)})
    Keeper(Resumable(tmp_path, 1, {}), "0" * 12, Ledger()).after_step(own)
    again = OwnState(CPU)

    def full(arrays, facts):
        raise torch.OutOfMemoryError("out of memory")

    again.take = full
    with pytest.raises(torch.OutOfMemoryError):
        Keeper(Resumable(tmp_path, 2, {}), "0" * 12, Ledger()).begin(again)
    assert [one.step for one in listed(tmp_path)] == [1]


def test_a_later_state_that_cannot_be_kept_is_told_and_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "LEAST_S", -1.0)
    monkeypatch.setattr(resume, "SHARE", 10.0)
    own, keeper = OwnState(CPU), Keeper(Resumable(tmp_path, 1, {}), "0" * 12, Ledger(), now=count().__next__)
    for own.step, best in enumerate((None, {1, 2}, np.array(["a text"]), {3}), 1):
        own.give({"best": best})
        keeper.after_step(own)
    assert [line.partition("kept: ")[2] for line in keeper.lines] == [
        f"cell.save takes {TAKES}; got set", f"cell.save takes {TAKES}; got an array of <U6"
    ]  # fmt: skip


def test_an_array_of_another_byte_order_is_kept_by_its_values():
    arrays = {}
    back = unpacked(packed(np.array([1.5, -2.0], dtype=">f4"), arrays), arrays, CPU)
    assert back.tolist() == [1.5, -2.0]


def test_a_state_is_packed_once_a_checkpoint(tmp_path, monkeypatch):
    """A large one was walked through for its size, for its tensors and for the rest."""
    monkeypatch.setattr(resume, "LEAST_S", -1.0)
    monkeypatch.setattr(resume, "SHARE", 10.0)
    own, keeper = OwnState(CPU), Keeper(Resumable(tmp_path, 1, {}), "0" * 12, Ledger(), now=count().__next__)
    chance, asked = OwnState._chance, []
    monkeypatch.setattr(OwnState, "_chance", lambda self: asked.append(self.step) or chance(self))
    for own.step in (1, 2):
        own.give({"w": torch.full((2,), float(own.step))})
        keeper.after_step(own)
        own.forget()
    assert asked == [1, 2]
    again = OwnState(CPU)
    Keeper(Resumable(tmp_path, 2, {}), "0" * 12, Ledger()).begin(again)
    assert again.taken["w"].tolist() == [2.0, 2.0]
