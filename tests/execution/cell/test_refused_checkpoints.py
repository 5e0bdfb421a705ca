"""A checkpoint that is damaged or was made otherwise is passed over, and the cell says so."""

import random
from itertools import product

import pytest

from fairtrial.storage.cell_checkpoints import listed
from tests.execution.cell.resuming import cell_of, hold
from tests.support.forked_cells import MADE

pytestmark = pytest.mark.slow


# what is not trusted


def damaged_copy(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut":
        del data[len(data) // 2 :]
    elif how == "empty":
        data.clear()
    elif how == "zeros":
        data[-40:] = bytes(40)
    else:
        data[random.Random(how).randrange(len(data))] ^= 1
    path.write_bytes(data)


def damages():
    """Each kind of damage to each file; every day those that are noticed in ways of their own."""
    for part, how in product(["json", "arrays"], ["cut", "empty", "zeros", "a bit", "gone"]):
        rare = how == "empty" or (part, how) in (("json", "zeros"), ("arrays", "zeros"))
        yield pytest.param(part, how, marks=pytest.mark.soak if rare else [])


@pytest.mark.parametrize(("part", "how"), list(damages()))
def test_a_damaged_checkpoint_is_passed_over_and_said(whole, killed, kept, goes_on, part, how):
    cell = cell_of()
    killed(cell, "step-k:8")
    newest = getattr(listed(kept)[-1], part)
    newest.unlink() if how == "gone" else damaged_copy(newest, how)
    result = goes_on(cell)
    hold(result, whole(cell), 3)
    assert (part, how) == ("json", "gone") or "checkpoint at step 6 is not used" in result["lines"][0]


def test_where_none_is_whole_the_cell_starts_anew_and_says_so(whole, killed, kept, goes_on):
    cell = cell_of()
    killed(cell, "step-k:8")
    for one in listed(kept):
        damaged_copy(one.arrays, "a bit")
    result = goes_on(cell)
    hold(result, whole(cell), 0)
    assert [line.partition(": ")[2][:11] for line in result["lines"]] == ["its checkpo"] * 2 + ["starts anew"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("commit", "threads", "new") else pytest.mark.soak)
        for name in (*MADE, "new")
    ],
)
def test_a_checkpoint_that_was_made_otherwise_is_never_gone_on_from(whole, resumed, name):
    cell = cell_of()
    result = resumed(cell, "step-k:8", made={**MADE, name: "other"})
    hold(result, whole(cell), 0)
    assert f"{name} was " in result["lines"][0] and "is 'other'" in result["lines"][0]


def test_unknown_code_is_never_gone_on_from(cells, whole, tmp_path, kept, goes_on):
    cell, made = cell_of(), {**MADE, "commit": "unknown"}
    cells.run(tmp_path / "out.json", cell, kept, failpoint="step-k:8", made=made)
    result = goes_on(cell, made=made)
    assert "commit is unknown" in result["lines"][0]
    hold(result, whole(cell), 0)
