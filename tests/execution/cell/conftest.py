"""Cells in children of one process: whole, killed at a failpoint, gone on with."""

import shutil

import pytest

from tests.execution.cell.resuming import KILLED
from tests.support.forked_cells import Cells


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
