"""What the driver refuses before or amid a run: other threads, commits, data, a second driver."""

import json
import socket
import time
from collections import Counter
from dataclasses import replace

import pytest

from fairtrial.errors import Fault
from fairtrial.execution import runner, worker_pool
from fairtrial.execution.runner import Options, Wanted
from fairtrial.storage.integrity import sealed
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.contrast import Contrast
from fairtrial.tuning.schedule import tuning_alone, whole_study
from tests.support.records import done, origin_in
from tests.support.toy import HANG, acts, ends, leases, run, slay, start, store_of, table, toy_study, until

pytestmark = pytest.mark.slow


def test_cells_of_other_threads_are_refused_with_both_values(toy, tmp_path):
    assert toy(tmp_path, limit=1) == 5
    with pytest.raises(Fault, match="threads 1; this run has 2") as refused:
        toy(tmp_path, threads=2)
    assert refused.value.code == 4
    assert not leases(tmp_path)
    assert toy(tmp_path, threads=2, allow_mixed=True) == 0


def of_commit(results, commit):
    """Let the recorded cells be of another commit, under fresh seals."""
    for path in store_of(results).folder.glob("cells/*.json"):
        record = json.loads(path.read_text())
        record.pop("sha256")
        record["origin"] |= {"commit": commit, "dirty": None}
        path.write_text(sealed(record))


def test_cells_of_another_commit_are_refused_before_the_first_cell(toy, tmp_path):
    """The report would refuse them after the last one."""
    assert toy(tmp_path, limit=1) == 5
    of_commit(tmp_path, "a" * 40)
    with pytest.raises(Fault, match=r"mixed code: recorded cells are of .* commit aaaaaaa") as no:
        toy(tmp_path)
    assert no.value.code == 4
    assert sum(row["status"] == "done" for row in table(tmp_path)) == 1 and not leases(tmp_path)
    assert toy(tmp_path, allow_mixed=True) == 0


def test_records_of_another_driver_are_held_to_the_same_commit(toy, tmp_path):
    """Two parts of two commits, started before either has a record."""
    study = toy_study(seeds=2)
    other = store_of(tmp_path)
    first, *rest = study.cells()

    def ask(known):
        if len(known) < len(rest):
            return Wanted(rest)
        other.publish(
            attempt_record("toy", cell_message(first), 1, done(), origin_in(other, commit="b" * 40))
        )
        return Wanted([first, *rest], records=other.attempts())

    with pytest.raises(Fault, match="mixed code"):
        toy(tmp_path, study, ask)


def test_trials_of_another_commit_are_taken(toy, tmp_path):
    """They choose a rate, and no verdict rests on them; a rerun of old trials would cost for nothing."""
    study = toy_study(val_per_class=2, tuning={})
    assert toy(tmp_path, study, tuning_alone(study)) == 0
    of_commit(tmp_path, "a" * 40)
    assert toy(tmp_path, study, whole_study(study)) == 0


def test_a_declaration_after_the_first_cells_is_said_to_be_exploratory_before_more_run(toy, tmp_path, capfd):
    contrast = Contrast("gn", treatment={"norm": "gn"}, control={"norm": "bn"})
    assert toy(tmp_path, toy_study(primary=contrast)) == 0
    assert "exploratory" not in capfd.readouterr().err
    longer = toy_study(primary=contrast, seeds=5)
    assert toy(tmp_path, longer) == 0
    assert "exploratory: every contrast: 6 cells of this study had ended" in capfd.readouterr().err
    assert toy(tmp_path, longer) == 0  # nothing left to run, nothing to say
    assert "exploratory" not in capfd.readouterr().err


def test_changed_data_is_refused_with_both_digests(toy, tmp_path, monkeypatch):
    assert toy(tmp_path, limit=1) == 5
    acts(monkeypatch, TOY_DATA="e" * 64)
    with pytest.raises(Fault, match=r"saw sha256 d{12}\.\.\., now e{12}") as refused:
        toy(tmp_path)
    assert refused.value.code == 4
    assert not leases(tmp_path)
    assert {status for status, _ in ends(tmp_path)} == {"interrupted"}
    acts(monkeypatch, TOY_DATA="d" * 64)
    assert toy(tmp_path) == 0


def test_a_worker_that_cannot_start_is_a_refusal_not_a_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pool, "ENTRY", ("-c", "raise SystemExit(7)"))
    with pytest.raises(Fault, match="could not start: the worker ended with exit code 7") as refused:
        runner.run(toy_study(), Options(results=tmp_path))
    assert refused.value.code == 4


@pytest.mark.parametrize(
    ("drivers", "times"),
    [
        (2, 5),
        *(pytest.param(*each, marks=[pytest.mark.soak, pytest.mark.slow]) for each in ((4, 1), (2, 50))),
    ],
)
def test_of_drivers_started_together_one_works_and_the_others_are_told_who(tmp_path, drivers, times):
    for results in (tmp_path / str(number) for number in range(times)):
        together = [start(results, toy=HANG) for _ in range(drivers)]
        try:
            until(lambda: sum(each.poll() is None for each in together) == 1, 60)  # noqa: B023
            (first,) = [each for each in together if each.poll() is None]
            for told in [each.communicate()[1] for each in together if each is not first]:
                assert (
                    f"process {first.pid} on {socket.gethostname()}, started {time.strftime('%Y-')}" in told
                )
                assert str(results / "toy" / ".lock") in told
            assert sorted(each.poll() or 0 for each in together) == [0] + [4] * (drivers - 1)
            until(lambda: len(leases(results)) == 2, 60)  # noqa: B023
        finally:
            for each in together:
                slay(each)
        assert run(results)[0] == 0  # it does not wait for the dead holder
        assert Counter(record.status for record in store_of(results).attempts()) == {"killed": 2, "done": 6}


def test_what_cannot_be_opened_changes_no_declaration(toy, tmp_path, monkeypatch):
    """The images are opened first: a slip of the pen leaves a finished study finished, and declares none."""
    monkeypatch.setenv("TOY_MISSING", "folder:/nowhere")
    wrong = replace(toy_study(), fixed={**toy_study().fixed, "data": "folder:/nowhere"})
    with pytest.raises(Fault, match="the images cannot be read"):
        toy(tmp_path, wrong)
    assert not (tmp_path / "toy").exists()
    assert toy(tmp_path, toy_study()) == 0
    declared = (tmp_path / "toy" / "study.json").read_bytes()
    with pytest.raises(Fault, match="the images cannot be read"):
        toy(tmp_path, wrong)
    assert (tmp_path / "toy" / "study.json").read_bytes() == declared
    # nothing is opened where every cell is recorded
    monkeypatch.setenv("TOY_MISSING", "digits")
    assert toy(tmp_path, toy_study(seeds=2)) == 0
    assert len(Store(tmp_path / "toy").declared()["history"]) == 2
