"""A cell that is killed in its middle ends bit for bit as one that is not (docs/resuming.md)."""

import random
import shutil
from itertools import product

import pytest
import torch

from fairtrial.errors import RESOURCES
from fairtrial.failpoints import CHECKPOINT
from fairtrial.storage import cell_checkpoints
from fairtrial.storage.cell_checkpoints import listed
from fairtrial.study.budget import Budget
from fairtrial.study.study import Study
from tests.support.forked_cells import DROPS, MADE, Cells, repeats
from tests.support.toy import hits

pytestmark = pytest.mark.slow
KILLED = -9
STEPS = 12
ARMS = [("bn", False), ("bn", True), ("gn", False), ("gn", True)]
MIXED = ARMS[1:3]  # the arms that are killed with MixUp every day; the nights have each arm both ways
TWO = {"threads": 2, "made": {**MADE, "threads": 2}}
POINTS = [point for point in CHECKPOINT if point]
NIGHTLY = [
    pytest.param(*arm, marks=[] if arm == ("bn", True) else pytest.mark.soak, id="-".join(map(str, arm)))
    for arm in ARMS
]


def cell_of(norm="bn", weight_std=True, mixup=0.1, **more):
    fixed = {"model": "mini", "resolution": 8, "shots": 5, "val_per_class": 2, "batch_size": 8, "lr": 0.1}
    fixed |= {"weight_std": weight_std, "mixup": mixup, "augment": "crop-flip", **more}
    return Study("t", "", {"norm": (norm,)}, Budget(steps=STEPS), fixed=fixed, seeds=(0,)).cells()[0]


@pytest.fixture(scope="module")
def cells():
    forking = Cells()
    yield forking
    forking.stop()


@pytest.fixture(scope="module")
def whole(cells, tmp_path_factory):
    """Cell -> what it gives when nothing happens to it and it keeps no checkpoint."""
    known, out = {}, tmp_path_factory.mktemp("whole") / "out.json"

    def of(cell, **how):
        key = (cell.id, str(how))
        if key not in known:
            status, known[key] = cells.run(out, cell, None, **how)
            assert status == 0
        return known[key]

    return of


@pytest.fixture(scope="module")
def left(cells, tmp_path_factory):
    """(cell, points) -> the checkpoints that attempts leave which were killed at each of these points."""
    known, out = {}, tmp_path_factory.mktemp("left") / "out.json"

    def of(cell, *points, **how):
        key = (cell.id, points, str(how))
        if key not in known:
            folder = known[key] = tmp_path_factory.mktemp("killed") / "checkpoints"
            if points[:-1]:
                shutil.copytree(of(cell, *points[:-1], **how), folder)
            status, _ = cells.run(out, cell, folder, len(points), failpoint=points[-1], **how)
            assert status == KILLED, points
            folder.mkdir(exist_ok=True)  # killed before its first checkpoint it leaves none
        return known[key]

    return of


@pytest.fixture
def kept(tmp_path):
    """The folder of checkpoints of a test's own."""
    return tmp_path / "checkpoints"


@pytest.fixture
def killed(left, kept):
    """Lay the checkpoints of a cell that was killed at each of these points into a test's own folder."""

    def of(cell, *points, **how):
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(left(cell, *points, **how), kept)

    return of


@pytest.fixture
def goes_on(cells, kept):
    """What the cell gives in its next attempt, with the checkpoints that lie there; its lines."""

    def of(cell, attempt=2, **how):
        status, result = cells.run(kept.with_name("out.json"), cell, kept, attempt, **how)
        assert status == 0
        return result

    return of


@pytest.fixture
def resumed(killed, goes_on):
    """What the cell gives after an attempt was killed at each of these points; its lines."""

    def of(cell, *points, **how):
        killed(cell, *points)
        return goes_on(cell, len(points) + 1, **how)

    return of


def hold(result, expected, step):
    assert repeats(result) == repeats(expected)
    went_on = [line for line in result["lines"] if "goes on" in line]
    assert len(went_on) == (step > 0) and all(f"from step {step} " in line for line in went_on)
    assert ("carried_s" in result["spent"]) == (step > 0)


# R3: killed at step k, checkpoints at 3, 6, 9


def every_day(k, arm, mixup):
    """Whether a kill is part of each run of the tests; each night has them all."""
    return k in ((2, 4, 8, 11) if arm == ("bn", True) else (2, 8)) and (mixup > 0) == (arm in MIXED)


@pytest.mark.parametrize(
    ("k", "norm", "weight_std", "mixup"),
    [
        pytest.param(k, *arm, mixup, marks=[] if every_day(k, arm, mixup) else pytest.mark.soak)
        for k, arm, mixup in product(range(1, STEPS), ARMS, (0.0, 0.1))
    ],
)
def test_a_cell_killed_at_a_step_ends_as_one_that_was_not(whole, resumed, k, norm, weight_std, mixup):
    cell = cell_of(norm, weight_std, mixup)
    hold(resumed(cell, f"step-k:{k}"), whole(cell), (k - 1) // 3 * 3)


@pytest.mark.soak
@pytest.mark.parametrize(("arm", "mixup"), list(product(ARMS, (0.0, 0.1))))
def test_a_cell_on_two_threads_ends_as_one_that_was_not_killed(whole, killed, goes_on, arm, mixup):
    cell = cell_of(*arm, mixup)
    killed(cell, "step-k:8", **TWO)
    result = goes_on(cell, **TWO)
    assert result["threads"] == 2
    hold(result, whole(cell, **TWO), 6)


@pytest.mark.parametrize(
    "more",
    [
        {"layout": "nhwc"}, {"norm": "gn", "micro_batch": 4}, {"val_per_class": 0}, {"stage": "tuning"},
    ],
    ids=str,
)  # fmt: skip
def test_other_kinds_of_cells_are_gone_on_with_too(whole, resumed, more):
    cell = cell_of(**more)
    hold(resumed(cell, "step-k:8"), whole(cell), 6)


def test_a_cell_that_diverges_after_it_was_killed_diverges_at_the_same_step(
    cells, whole, tmp_path, kept, goes_on
):
    cell = cell_of(lr=1e30)
    cells.run(tmp_path / "out.json", cell, kept, failpoint="step-k:2", every=1)
    result = goes_on(cell)
    assert result["status"] == "diverged"
    hold(result, whole(cell), 1)


def test_a_cell_killed_three_times_ends_as_one_that_was_not_and_each_second_is_billed_once(whole, resumed):
    cell = cell_of()
    result = resumed(cell, "step-k:4", "step-k:8", "step-k:11")
    hold(result, whole(cell), 9)
    spent = result["spent"]
    assert 0 < spent["carried_s"] < spent["train_s"] + spent["eval_s"] + spent["checkpoint_s"]


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


# negative controls: a state without one of its items is found out by what R3 compares

ARRAYS = ("head", "BN running mean", "momentum", "losses")  # of those that are dropped alike, every day


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(item, marks=pytest.mark.soak if DROPS[item] and item not in ARRAYS else [])
        for item in DROPS
    ],
)
def test_a_state_that_lacks_an_item_does_not_end_the_same(whole, resumed, item):
    cell = cell_of()
    result = resumed(cell, "step-k:8", dropped=item)
    assert "goes on from step 6" in result["lines"][0]
    assert repeats(result) != repeats(whole(cell))


def test_training_reads_no_global_generator(cells):
    """So none has a position that a checkpoint would have to keep."""
    from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell

    before = torch.get_rng_state(), random.getstate()
    torch.manual_seed(1)
    one = run_cell(cell_of(), ExecutionContext())
    torch.manual_seed(2)
    state = torch.get_rng_state()
    other = run_cell(cell_of(), ExecutionContext())
    assert one["measured"] == other["measured"] and torch.equal(state, torch.get_rng_state())
    assert random.getstate() == before[1]
    torch.set_rng_state(before[0])
