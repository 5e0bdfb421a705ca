"""`--part i/n`: each part alone, side by side in one folder, or in folders that are merged afterwards."""

import random
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from fairtrial.errors import BAD_INPUT, DONE, INCOMPLETE, REFUSED, USAGE, Fault
from fairtrial.execution.part import Part
from fairtrial.reporting.report.study_report import build
from fairtrial.storage.merge import merge
from fairtrial.storage.store import Store
from fairtrial.study.contrast import Contrast
from tests.support import toy
from tests.support.records import contents
from tests.support.toy import Forked, gone, leases, slay, store_of, table, toy_study, until

pytestmark = pytest.mark.slow
run, start = partial(toy.run, kind=Forked), partial(toy.start, kind=Forked)

STUDY = {"seeds": 10, "budget": "512ex"}
TUNED = {"seeds": 4, "val_per_class": 2, "tuning": {"space": {"lr": [0.03, 0.1, 0.3]}, "seeds": 2}}
CONTRAST = Contrast("gn", treatment={"norm": "gn"}, control={"norm": "bn"})


def drawn(folder):
    """The tables of a report, without those of what this machine took."""
    build(Store(folder))
    tables = {path.name: path.read_text() for path in folder.glob("tables/*.csv")}
    return {"summary.csv": (folder / "summary.csv").read_text(), **tables}


def tried(results):
    """Each attempt, once or more."""
    return sorted((record.cell, record.number) for record in store_of(results).attempts())


# which cells


def in_part(number, of, study):
    has = Part(number, of).of_study(study)
    return lambda cell: has(cell.id, cell.seed, cell.settings.stage)


@pytest.mark.parametrize("of", [1, 3, 8])
def test_every_cell_is_in_one_part_and_seeds_are_never_split(of):
    study = toy_study(seeds=10, aa={"norm": "bn"})
    takers = [in_part(number, of, study) for number in range(1, of + 1)]
    found = [(cell, [number for number, has in enumerate(takers) if has(cell)]) for cell in study.cells()]
    assert {len(parts) for _, parts in found} == {1}
    parts = {(cell.seed, *parts) for cell, parts in found}
    assert len(parts) == 10
    sizes = Counter(number for _, number in parts)
    assert len(sizes) == of and max(sizes.values()) - min(sizes.values()) <= 1
    longer = [in_part(number, of, toy_study(seeds=13)) for number in range(1, of + 1)]
    assert all(longer[parts[0]](cell) for cell, parts in found)


def test_seeds_are_dealt_out_by_their_place_whatever_their_numbers():
    study = replace(toy_study(), seeds=(0, 8, 16, 24))
    parts = [in_part(number, 4, study) for number in range(1, 5)]
    seeds = [{cell.seed for cell in study.cells() if has(cell)} for has in parts]
    assert seeds == [{0}, {8}, {16}, {24}]


@pytest.mark.parametrize("budget", ["8st", "1s"])
def test_trials_are_dealt_out_too_and_whole_seeds_of_them_where_seconds_count(budget):
    study = toy_study(**TUNED | {"budget": budget})
    arms = [(levels, seed, {"lr": lr}) for levels in study.arms() for seed in study.tuning.seeds_of(0)
            for lr in (0.03, 0.1, 0.3)]  # fmt: skip
    cells = [study.trial_cell(*arm) for arm in arms]
    parts = [[cell for cell in cells if in_part(number, 2, study)(cell)] for number in (1, 2)]
    assert all(parts) and sum(map(len, parts)) == len(cells)
    if budget == "1s":
        assert [{cell.seed for cell in part} for part in parts] == [{1_000_000}, {1_000_001}]


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "3/0", "a/b", "-1/8", "1/99999", "1/8/2", ""])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(Fault, match="does not name one of several parts") as refused:
        Part.parse(text)
    assert refused.value.code == USAGE


def test_more_parts_than_seeds_are_refused():
    with pytest.raises(Fault, match="8 parts of 3 seeds"):
        Part(1, 8).refuse_empty(toy_study())


# folders of their own


@pytest.mark.parametrize("parts", [4, pytest.param(8, marks=pytest.mark.soak)])
def test_parts_in_any_order_merged_are_one_run(tmp_path, parts):
    """Tables byte by byte; the folder is the same whatever is merged first."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    draws = random.Random(seed)
    study = STUDY | {"aa": {"norm": "bn"}}
    assert run(tmp_path / "whole", study=study)[0] == DONE
    numbers = draws.sample(range(1, parts + 1), parts)
    for number in numbers:
        code, told = run(tmp_path / f"part{number}", study=study, part=f"{number}/{parts}", jobs=1)
        assert code == DONE, told
    folders = [tmp_path / f"part{number}" / "toy" for number in numbers]
    assert sum(len(Store(folder).attempts()) for folder in folders) == 30
    merge(folders, tmp_path / "once" / "toy")
    for folder in draws.sample(folders, parts):  # one after the other, each with all before
        merge([folder], tmp_path / "grown" / "toy")
    assert contents(tmp_path / "once" / "toy") == contents(tmp_path / "grown" / "toy")
    assert len(store_of(tmp_path / "once").attempts()) == 30
    assert drawn(tmp_path / "once" / "toy") == drawn(tmp_path / "whole" / "toy")
    assert table(tmp_path / "once", **study) == table(tmp_path / "whole", **study)


def test_parts_of_a_tuned_study_wait_for_the_trials_of_all(tmp_path):
    """In folders of their own: run, merge, hand the merged folder round, run again."""
    assert run(tmp_path / "whole", study=TUNED)[0] == DONE
    folders = [tmp_path / f"part{number}" for number in (1, 2)]
    merged = tmp_path / "merged" / "toy"
    for _ in range(6):
        runs = [run(folder, study=TUNED, part=f"{n}/2", jobs=1) for n, folder in enumerate(folders, 1)]
        merge([folder / "toy" for folder in folders], merged)
        if {code for code, _ in runs} == {DONE}:
            break
        assert {code for code, _ in runs} == {INCOMPLETE}
        assert any("run it again when they have ended" in told for _, told in runs)
        for folder in folders:
            shutil.rmtree(folder)
            shutil.copytree(merged, folder / "toy")
    assert tried(tmp_path / "merged") == tried(tmp_path / "whole")


# one folder


def test_a_part_that_cannot_open_its_images_declares_nothing(tmp_path):
    """As a run without parts: a finished study stays finished."""
    wrong, missing = STUDY | {"budget": "1024ex"}, {"TOY_MISSING": "digits"}
    code, told = run(tmp_path, study=wrong, toy=missing, part="1/2")
    assert code == BAD_INPUT and "the images cannot be read" in told
    assert not (store_of(tmp_path).folder / "study.json").exists()
    assert run(tmp_path, study=STUDY)[0] == DONE
    declared = (store_of(tmp_path).folder / "study.json").read_bytes()
    assert run(tmp_path, study=wrong, toy=missing, part="1/2")[0] == BAD_INPUT
    assert (store_of(tmp_path).folder / "study.json").read_bytes() == declared


def test_a_part_unlike_the_records_declares_nothing(tmp_path):
    assert run(tmp_path, study=STUDY)[0] == DONE
    declared = (store_of(tmp_path).folder / "study.json").read_bytes()
    code, told = run(tmp_path, study=STUDY | {"seeds": 12}, part="1/2", threads=2)
    assert code == REFUSED and "threads" in told
    assert (store_of(tmp_path).folder / "study.json").read_bytes() == declared


def test_parts_share_a_folder_at_the_same_time(tmp_path):
    assert run(tmp_path / "whole", study=STUDY)[0] == DONE
    drivers = [start(tmp_path / "shared", study=STUDY, part=f"{number}/4", jobs=1) for number in (3, 1, 4, 2)]
    told = [driver.communicate(timeout=120)[1] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [DONE] * 4, told
    attempts = store_of(tmp_path / "shared").attempts()
    assert Counter(record.status for record in attempts) == {"done": 20}
    assert table(tmp_path / "shared", **STUDY) == table(tmp_path / "whole", **STUDY)
    assert drawn(tmp_path / "shared" / "toy") == drawn(tmp_path / "whole" / "toy")
    assert not list((tmp_path / "shared" / "toy" / "leases").iterdir())


def test_what_must_not_run_beside_a_part_is_refused(tmp_path):
    """The same part, another division, the whole study, another declaration; another part may."""
    driver = start(tmp_path, study=STUDY, part="1/4", toy={"bn 0": "hang"})
    until(lambda: leases(tmp_path))
    for how in ({"part": "1/4"}, {"part": "2/3"}, {}, {"part": "2/4", "study": STUDY | {"seeds": 11}}):
        code, told = run(tmp_path, **{"study": STUDY, **how})
        assert code == REFUSED, (how, told)
        assert "being run" in told
    assert run(tmp_path, study=STUDY, part="2/4")[0] == DONE
    assert driver.poll() is None and gone(slay(driver))
    assert run(tmp_path, study=STUDY)[0] == DONE  # the rest, by one driver
    assert Counter(record.status for record in store_of(tmp_path).attempts()) == {"done": 20, "killed": 1}


def test_a_killed_part_is_taken_up_by_itself_and_others_leave_its_lease(tmp_path):
    study, recorded = {"seeds": 4}, tmp_path / "toy" / "cells"
    driver = start(tmp_path, study=study, part="1/2", toy={"gn 0": "hang"}, jobs=1)
    until(lambda: {lease.name for lease in leases(tmp_path)} - {path.name for path in recorded.iterdir()}
          if recorded.is_dir() and any(recorded.iterdir()) else None)  # fmt: skip
    assert gone(slay(driver))
    assert run(tmp_path, study=study, part="2/2")[0] == DONE
    assert len(store_of(tmp_path).abandoned()) == 1
    assert run(tmp_path, study=study, part="1/2")[0] == DONE
    assert store_of(tmp_path).abandoned() == []
    assert Counter(record.status for record in store_of(tmp_path).attempts()) == {"done": 8, "killed": 1}


def test_parts_in_one_folder_end_the_tuning_together(tmp_path):
    assert run(tmp_path / "whole", study=TUNED)[0] == DONE
    codes = []
    while not codes or INCOMPLETE in codes[-2:]:
        codes += [run(tmp_path / "shared", study=TUNED, part=f"{number}/2", jobs=1)[0] for number in (1, 2)]
        assert len(codes) < 20
    assert tried(tmp_path / "shared") == tried(tmp_path / "whole")
