"""A kill or a full disk while a checkpoint is written loses no older one (R2, R5, R7)."""

import pytest

from fairtrial.errors import RESOURCES
from fairtrial.storage import cell_checkpoints
from fairtrial.storage.cell_checkpoints import listed
from tests.execution.cell.resuming import NIGHTLY, POINTS, STEPS, cell_of, hold
from tests.support.toy import hits

pytestmark = pytest.mark.slow


# R5: killed while a checkpoint is written; at step 6, where there is one before it


@pytest.mark.parametrize(("norm", "weight_std"), NIGHTLY)
@pytest.mark.parametrize("which", [1, 2], ids=["arrays", "json"])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_along_a_checkpoint_falls_back_to_the_one_before(
    whole, resumed, point, which, norm, weight_std
):
    cell, last = cell_of(norm, weight_std), (point, which) == ("ckpt-after-rename", 2)
    hold(resumed(cell, f"{point}:{which + 2}"), whole(cell), 6 if last else 3)


@pytest.mark.parametrize(("norm", "weight_std"), NIGHTLY)
def test_a_kill_while_a_resumed_cell_writes_its_checkpoint_loses_no_older_one(
    whole, resumed, norm, weight_std
):
    cell = cell_of(norm, weight_std)
    hold(resumed(cell, "step-k:5", "ckpt-half-written"), whole(cell), 3)


@pytest.mark.parametrize(("norm", "weight_std"), NIGHTLY)
@pytest.mark.parametrize("point", ["ckpt-prune", "ckpt-before-rename:6", "ckpt-after-rename:5"])
def test_two_checkpoints_are_whole_at_any_moment_from_the_second_on(
    whole, killed, kept, resumed, point, norm, weight_std
):
    cell = cell_of(norm, weight_std)
    killed(cell, point)
    whole_ones = [one.step for one in listed(kept) if cell_checkpoints.read(one.json)]
    assert whole_ones == ([3, 6, 9] if point == "ckpt-prune" else [3, 6])
    hold(resumed(cell, point, "step-k:11"), whole(cell), 9)


# R2: the first hit of a point, where no older checkpoint is; and the last one


@pytest.mark.parametrize("hit", [1, pytest.param(2, marks=pytest.mark.soak)], ids=["arrays", "json"])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_along_the_first_checkpoint_lets_the_cell_start_anew(whole, resumed, point, hit):
    cell, is_one = cell_of(), (point, hit) == ("ckpt-after-rename", 2)
    hold(resumed(cell, f"{point}:{hit}"), whole(cell), 3 if is_one else 0)


@pytest.mark.soak
def test_a_kill_at_the_last_hit_of_each_point_changes_nothing(cells, whole, resumed, tmp_path):
    cell, seen = cell_of(), tmp_path / "hits"
    assert cells.run(tmp_path / "out.json", cell, tmp_path / "counted", hits=str(seen))[0] == 0
    most = hits(seen)
    assert most.keys() == {"step-k", *POINTS, "ckpt-prune"} and most["ckpt-prune"] == STEPS // 3 - 2
    assert {most[point] for point in POINTS} == {2 * STEPS // 3}
    for point, last in most.items():
        whole_one = point in ("ckpt-after-rename", "ckpt-prune")
        hold(resumed(cell, f"{point}:{last}"), whole(cell), STEPS if whole_one else STEPS - 3)


# R7: the disk fills while a checkpoint is written

ROOMS = 64


@pytest.mark.parametrize(
    "part", [pytest.param(n, marks=[] if n == 40 else pytest.mark.soak) for n in range(ROOMS)]
)
def test_a_disk_that_fills_amid_a_checkpoint_is_exit_6_and_loses_none(
    cells, killed, kept, goes_on, whole, part
):
    """Room for any part of a checkpoint: what one takes is in the folder of a cell that was killed."""
    cell = cell_of()
    killed(cell, "step-k:5")
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    room = part * max(map(len, before.values())) // ROOMS
    assert cells.run(kept.with_name("out.json"), cell, kept, 2, room=room)[0] == RESOURCES
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    hold(goes_on(cell, 3), whole(cell), 3)


def test_what_a_kill_leaves_is_swept_and_a_checkpoint_is_not(cells, kept, tmp_path):
    cell = cell_of()
    for point in ("ckpt-half-written:3", "ckpt-after-rename:5"):
        cells.run(tmp_path / "out.json", cell, kept, failpoint=point)
    assert len(list(kept.iterdir())) == 6  # two checkpoints, arrays alone, a temporary file
    assert len(cell_checkpoints.sweep(tmp_path, lambda _: False)) == 2
    assert [one.step for one in listed(kept)] == [6, 9]
    assert len(cell_checkpoints.sweep(tmp_path, {cell.id}.__contains__)) == 4 and not list(kept.iterdir())
