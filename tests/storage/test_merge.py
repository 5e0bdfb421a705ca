"""What merging refuses, and what it keeps: read and compared first, then written."""

import json
import os
import shutil

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, REFUSED, USAGE, Fault
from fairtrial.storage import atomic, cell_checkpoints
from fairtrial.storage.cell_checkpoints import Saved, of_study
from fairtrial.storage.integrity import sealed
from fairtrial.storage.merge import merge
from fairtrial.storage.store import Store
from tests.support import records
from tests.support.records import ORIGIN, contents, publish, spaced
from tests.support.studies import study


def part(folder, seed, **changes):
    """A folder that holds the cells of one seed."""
    declared = study(**changes)
    store = Store(folder / "small")
    with store.locked():
        store.declare(declared)
    for cell in declared.cells():
        if cell.seed == seed:
            publish(store, cell)
    return store


@pytest.fixture
def parts(tmp_path):
    return [part(tmp_path / f"part{seed}", seed) for seed in range(3)]


def joined(stores, into, **how):
    return merge([store.folder for store in stores], into / "small", **how)


def refusal(stores, tmp_path, **how):
    """The one problem of a merge that is refused; nothing is written by it."""
    with pytest.raises(Fault) as refused:
        joined(stores, tmp_path / "into", **how)
    assert refused.value.code == REFUSED
    assert not contents(tmp_path / "into")
    return refused.value.problems[0]


def first_cell(store):
    return sorted((store.folder / "cells").iterdir())[0]


def test_all_that_cannot_be_made_anew_comes_along(parts, tmp_path):
    first, second, third = parts
    first.calibrate({"a": 0.1}, ORIGIN)
    second.calibrate({"a": 0.2}, ORIGIN)
    (third.folder / "weights").mkdir()
    (third.folder / "weights" / "x-1.safetensors").write_bytes(b"w" * 3_000_000)
    cell = study().cells()[0]
    second.lease(cell.record(), 7, 1, ORIGIN)
    second.renew(cell.id, 7, 12.5)
    found = joined(parts, tmp_path / "into")
    assert (found.folders, found.attempts, found.ended, found.copies) == (3, 12, 12, 0)
    into = Store(tmp_path / "into" / "small")
    assert into.attempts() == sorted(
        (a for store in parts for a in store.attempts()), key=lambda a: (a.cell, a.number)
    )
    assert [each.step_s["a"] for each in into.calibrations()] == [0.1, 0.2]
    assert (into.folder / "weights" / "x-1.safetensors").stat().st_size == 3_000_000
    ((_, ran_s),) = into.abandoned()
    assert ran_s == pytest.approx(12.5, abs=0.01)
    again = joined(parts, tmp_path / "into")
    assert again.attempts == 12 and again.copies == 12 + 2 + 1 + 1


def checkpoint(store, cell, content=b"arrays", step=3):
    saved = Saved(cell.id, 1, step, of_study(store.folder))
    cell_checkpoints.write(saved, {"state": {}, "seconds": {}, "made": {}}, content)
    return saved


@pytest.mark.parametrize("order", [1, -1])
def test_checkpoints_of_cells_that_have_not_ended_come_along(parts, tmp_path, order):
    """Where two folders hold other contents of one, neither does: the order of joining changes nothing."""
    more = study(seeds=range(5))
    for store in parts:
        store.declare(more)
    open_cell, unclear = [next(cell for cell in more.cells() if cell.seed == seed) for seed in (3, 4)]
    saved = checkpoint(parts[0], open_cell)
    ended = next(cell for cell in more.cells() if cell.seed == 1)
    checkpoint(parts[0], ended)  # a copy of the folder, from before it had ended
    checkpoint(parts[0], unclear, b"one"), checkpoint(parts[1], unclear, b"two")
    checkpoint(parts[0], unclear, step=6), checkpoint(parts[1], unclear, step=6)
    joined(parts[::order], tmp_path / "into")
    kept = cell_checkpoints.listed(of_study(tmp_path / "into" / "small"))
    assert {(each.cell, each.step) for each in kept} == {(open_cell.id, 3), (unclear.id, 6)}
    assert [cell_checkpoints.read(each.json) for each in kept if each.cell == open_cell.id] == [
        cell_checkpoints.read(saved.json)
    ]
    joined(parts[1:], parts[0].folder.parent)
    assert {each.name for each in of_study(parts[0].folder).glob("*.json")} == {
        each.json.name for each in kept
    }


def test_a_lease_of_an_attempt_that_ended_elsewhere_is_dropped(parts, tmp_path):
    cell = study().cells()[0]
    parts[1].lease(cell.record(), 1, 1, ORIGIN)  # a copy of the folder, from before it had ended
    joined(parts[1:], tmp_path / "into")
    assert len(Store(tmp_path / "into" / "small").abandoned()) == 1
    joined(parts, tmp_path / "into")
    assert Store(tmp_path / "into" / "small").abandoned() == []


def test_how_much_was_known_is_the_most_that_any_knew(parts, tmp_path):
    for store, seen in zip(parts, (0, 4, 2), strict=True):
        record = store.declared()
        record["history"][0]["seen"] = seen
        (store.folder / "study.json").write_text(sealed(record, indent=1))
    joined(parts, tmp_path / "a")
    joined(parts[::-1], tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert Store(tmp_path / "a" / "small").declared()["history"][0]["seen"] == 4


@pytest.mark.parametrize("changes", [{"margin": 0.02}, {"pilots": "a pilot chose"}], ids=["margin", "pilots"])
def test_another_declaration_is_refused(parts, tmp_path, changes):
    other = part(tmp_path / "other", 1, **changes)
    problem = refusal([parts[0], other], tmp_path)
    assert f"declare another {next(iter(changes))}" in problem.what
    assert all(str(store.folder / "study.json") in problem.where for store in (parts[0], other))


def test_another_history_is_refused(parts, tmp_path):
    parts[1].declare(study(margin=0.02))
    parts[1].declare(study())
    assert "another history" in refusal(parts[:2], tmp_path).what


def test_one_attempt_with_two_contents_is_refused_and_both_files_are_named(parts, tmp_path):
    copy = tmp_path / "copy" / "small"
    shutil.copytree(parts[0].folder, copy)
    path = first_cell(Store(copy))
    record = {name: value for name, value in json.loads(path.read_text()).items() if name != "sha256"}
    record["spent"]["train_s"] = 2.0
    path.write_text(sealed(record))
    problem = refusal([parts[0], Store(copy)], tmp_path)
    assert "with other content" in problem.what
    assert str(path) in problem.where and str(first_cell(parts[0])) in problem.where


def test_attempts_that_another_version_spaced_otherwise_are_copies(parts, tmp_path):
    copy = tmp_path / "copy" / "small"
    shutil.copytree(parts[0].folder, copy)
    for path in (copy / "cells").iterdir():
        path.write_text(spaced(path.read_text()))
    found = joined([parts[0], Store(copy)], tmp_path / "into")
    assert (found.attempts, found.copies) == (4, 4)
    cells = contents(tmp_path / "into" / "small" / "cells")
    assert cells == contents(parts[0].folder / "cells") != contents(copy / "cells")


@pytest.mark.parametrize(
    ("name", "here", "there"),
    [("data", "d" * 64, "e" * 64), ("torch", "2.15", "2.14"), ("device", "cpu", "H100"), ("threads", 1, 2),
     ("commit", "commit not rec", "commit eeeeeee")],
)  # fmt: skip
def test_records_that_do_not_belong_together_are_refused(parts, tmp_path, name, here, there):
    cells = [cell for cell in study().cells() if cell.seed == 1]
    other = part(tmp_path / "other", None)
    if name == "data":
        publish(other, cells[0], 1, records.done(data=there))
    else:
        publish(other, cells[0], **{name: there.removeprefix("commit ") if name == "commit" else there})
    problem = refusal([parts[0], other], tmp_path)
    assert name in problem.what and str(here)[:12] in problem.what and str(there)[:12] in problem.what
    assert str(parts[0].folder) in problem.where and str(first_cell(other)) in problem.where
    if name == "data":
        refusal([parts[0], other], tmp_path, allow_mixed=True)
    else:
        assert joined([parts[0], other], tmp_path / "into", allow_mixed=True).attempts == 5


def test_of_other_commits_only_what_verdicts_rest_on_counts(parts, tmp_path):
    """An attempt that was killed and run again elsewhere, and a seed that is no longer declared."""
    cells = [cell for cell in study().cells() if cell.seed == 1]
    other = part(tmp_path / "other", None)
    publish(other, cells[0], 1, records.killed(), commit="e" * 40)
    publish(other, cells[0], 2)
    assert joined([parts[0], other], tmp_path / "into").attempts == 6


def test_a_damaged_record_stops_it_before_anything_is_written(parts, tmp_path):
    path = first_cell(parts[1])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Fault) as refused:
        joined(parts, tmp_path / "into")
    assert refused.value.code == BAD_INPUT and str(path) in refused.value.block()
    assert not contents(tmp_path / "into")


def test_a_pipe_among_the_weights_does_not_hang_it(parts, tmp_path):
    weights = parts[0].folder / "weights"
    weights.mkdir()
    os.mkfifo(weights / "x.safetensors")
    with pytest.raises(OSError, match="a named pipe, not a file"):
        joined(parts, tmp_path / "into")


def test_a_folder_that_is_being_run_is_refused(parts, tmp_path):
    with parts[0].locked():
        assert "being run" in refusal(parts, tmp_path).what


def test_a_merge_that_is_cut_off_anywhere_goes_on(parts, tmp_path, monkeypatch):
    """The n-th file is not written: the sources are whole, and the same command ends as if uncut."""
    joined(parts, tmp_path / "uncut")
    sources = [contents(store.folder) for store in parts]
    publish_file, left = atomic.publish, [0]

    def cut(path, *content, **how):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        publish_file(path, *content, **how)

    monkeypatch.setattr(atomic, "publish", cut)
    for count in range(0, 13, 2):
        into, left[0] = tmp_path / f"cut{count}", count
        with pytest.raises(KeyboardInterrupt):
            joined(parts, into)
        left[0] = -1
        joined(parts, into)
        assert contents(into) == contents(tmp_path / "uncut")
    assert [contents(store.folder) for store in parts] == sources


def test_the_command_joins_results_folders_and_says_what_it_did(parts, tmp_path, capsys):
    folders = [str(store.folder.parent) for store in parts[:2]] + [str(parts[2].folder)]
    assert main(["merge", *folders, "--results", str(tmp_path / "into")]) == DONE
    line = "small: 12 cells have an outcome; 12 attempts from 3 folders, 0 files were copies\n"
    assert capsys.readouterr().out == line
    assert main(["merge", *folders, "--results", str(tmp_path / "into"), "--json"]) == DONE
    (told,) = json.loads(capsys.readouterr().out)["studies"]
    assert told == {"study": "small", "folders": 4, "ended": 12, "attempts": 12, "copies": 12}
    assert main(["merge", str(tmp_path / "empty"), "--results", str(tmp_path / "into")]) == USAGE
    assert "no study is recorded here" in capsys.readouterr().err


def test_a_source_that_may_not_be_written_to_is_read(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    before = {path for store in parts for path in store.folder.rglob("*")}
    joined(parts, tmp_path / "into")
    assert {path for store in parts for path in store.folder.rglob("*")} == before
