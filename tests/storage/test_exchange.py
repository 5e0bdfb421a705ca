"""Attempts that travel between two drivers: what is taken, what is put aside, what is refused."""

import json

import pytest

from fairtrial.errors import BAD_INPUT, REFUSED, Fault
from fairtrial.storage import exchange
from fairtrial.storage.store import Store
from tests.support.records import done, publish, spaced
from tests.support.studies import study

CELL, OTHER = study().cells()[:2]


def made(folder, cell=CELL, acc=0.9, **origin):
    """The store of a driver that ran one cell."""
    store = Store(folder / "small")
    with store.locked():
        store.declare(study())
    publish(store, cell, result=done(acc), **origin)
    return store


def empty(folder):
    store = Store(folder / "small")
    with store.locked():
        store.declare(study())
    return store


def adopt(store, texts):
    return exchange.adopt(store, CELL.id, texts, "trial 3")


def test_attempts_arrive_byte_for_byte_and_once(tmp_path):
    mine, texts = empty(tmp_path / "a"), exchange.texts_of(made(tmp_path / "b"), CELL.id)
    assert [attempt.cell for attempt in adopt(mine, texts)] == [CELL.id]
    assert exchange.texts_of(mine, CELL.id) == texts
    assert adopt(mine, texts) == []


@pytest.mark.parametrize("here_spaced", [True, False])
def test_a_record_that_another_version_spaced_otherwise_is_the_same_one(tmp_path, here_spaced):
    """A driver that goes on from copies of its records takes none of its trials for another driver's."""
    mine = made(tmp_path)
    (path,) = exchange.files_of(mine, CELL.id).values()
    plain = path.read_text()
    here, there = (spaced(plain), plain) if here_spaced else (plain, spaced(plain))
    path.write_text(here)
    assert here != there and adopt(mine, [there]) == []
    assert path.read_text() == here and not (mine.folder / exchange.SUPERSEDED).exists()


def test_what_counts_elsewhere_takes_the_place_of_ours_which_is_kept(tmp_path):
    mine = made(tmp_path / "a", acc=0.8, cpu="abacus")
    texts = exchange.texts_of(made(tmp_path / "b", acc=0.9, cpu="loom"), CELL.id)
    (before,) = exchange.texts_of(mine, CELL.id)
    adopt(mine, texts)
    assert exchange.texts_of(mine, CELL.id) == texts
    (aside,) = (mine.folder / exchange.SUPERSEDED).iterdir()
    assert aside.read_text() == before


def test_two_results_of_one_kind_of_processor_are_refused(tmp_path):
    mine = made(tmp_path / "a", acc=0.8)
    texts = exchange.texts_of(made(tmp_path / "b", acc=0.9), CELL.id)
    with pytest.raises(Fault, match="their results differ") as refused:
        adopt(mine, texts)
    assert refused.value.code == REFUSED
    assert not (mine.folder / exchange.SUPERSEDED).exists()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"a": NaN}', '{"a": 1e999}', "[" * 1000 + "]" * 1000, "x" * 70_000, "\ud800"],
)
def test_what_is_no_record_is_refused(tmp_path, text):
    mine = empty(tmp_path)
    with pytest.raises(Fault) as refused:
        adopt(mine, [text])
    assert refused.value.code == BAD_INPUT
    assert all("trial 3" in problem.where for problem in refused.value.problems)
    assert not exchange.texts_of(mine, CELL.id)


def test_a_record_that_was_changed_on_its_way_or_is_of_another_cell_is_refused(tmp_path):
    (text,) = exchange.texts_of(made(tmp_path / "b"), CELL.id)
    changed = json.dumps(json.loads(text) | {"seed": 7})
    foreign = exchange.texts_of(made(tmp_path / "c", OTHER), OTHER.id)
    for texts in ([changed], foreign):
        with pytest.raises(Fault) as refused:
            adopt(empty(tmp_path / "a"), texts)
        assert refused.value.code == BAD_INPUT
