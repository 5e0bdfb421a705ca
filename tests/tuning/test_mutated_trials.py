"""A database of trials, edited or damaged in every way: our own error, or trials as they were recorded.

Everything that a driver reads there is Optuna's: values of attributes, columns of its tables, or its file.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import warnings
from contextlib import closing, suppress

import optuna
import pytest

from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.tuning import shared_trials
from fairtrial.tuning.database_url import read_url
from fairtrial.tuning.schedule import tuning_alone
from fairtrial.tuning.shared_trials import SharedTrials
from tests.support.mutations import NUMBERS, changed, damaged, refusals
from tests.support.records import declared_store, outcome
from tests.support.toy import toy_study

STUDY = toy_study(norms=("gn",), seeds=1, val_per_class=2, tuning={"space": {"lr": [0.1, 0.3]}, "seeds": 1})
ODD = (
    None, -1, 0, 1, 2**63 - 1, 1e308, "", "x", "1.5", "nan", "RUNNING", "FAIL", "COMPLETE", "null", "[]",
    b"\xff", "2020-01-01 00:00:00.000000", "[" * 10_000,
)  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(shared_trials, "POLL_S", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def store_in(folder):
    return declared_store(STUDY, folder)


def driver(store, file, room=0):
    """A driver that takes part, and runs nothing unless it has room."""
    return SharedTrials(STUDY, store, read_url(f"sqlite:///{file}", "here"), tuning_alone(STUDY), room)


@pytest.fixture
def database(tmp_path):
    """A file with two trials that another driver recorded."""
    store, file = store_in(tmp_path / "other"), tmp_path / "trials.db"
    with driver(store, file, room=2).opened() as trials:
        ended = {cell.id: outcome(cell, 0.5, store) for cell in trials({}).cells[:2]}
        for attempt in ended.values():
            store.publish(attempt)
        trials(ended)
    return file


@pytest.fixture
def read(tmp_path):
    """What another driver that comes to a database takes from it."""
    store = store_in(tmp_path / "own")

    def ask(path):
        with driver(emptied(store), path).opened() as trials:
            return sorted(attempt.cell for attempt in trials({}).records)

    return ask


def emptied(store):
    for part in ("cells", "superseded"):
        shutil.rmtree(store.folder / part, ignore_errors=True)
    (store.folder / "cells").mkdir()
    return store


@pytest.mark.parametrize("number", NUMBERS)
def test_attributes_of_another_shape_are_read_or_refused(tmp_path, database, number):
    """Those of a trial in a storage in memory: one that writes tables takes 10 ms for each."""
    with driver(store_in(tmp_path / "own"), database).opened() as trials:
        (trial, _) = (each for each in trials._trials() if each.state.is_finished())
        path, store = tmp_path / "attributes.json", trials.store
        path.write_text(json.dumps(trial.user_attrs))

        def other(data, draws):
            attributes = json.loads(data)
            if draws.random() < 0.5:
                (text,) = attributes["records"]
                attributes["records"] = [damaged(text.encode(), draws).decode("utf-8", "surrogateescape")]
            else:
                attributes = changed(attributes, draws)
            return json.dumps(attributes).encode()

        def ask(path):
            trials._taken.clear()
            trials._foreign.clear()
            trials.store = emptied(store)
            trials.shared = optuna.create_study()
            given = json.loads(path.read_bytes())
            trials.shared.add_trial(optuna.create_trial(value=0.5, user_attrs=given))
            trials._of_cells()
            return len(trials._take())

        assert ask(path) == 1
        assert refusals(path, ask, number, other) > number / 2


def edited(data, draws):
    """The database with one value of another shape: an attribute of a trial, or any other."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        table = draws.choice(("trial_user_attributes", *tables))
        columns = [about[1] for about in connection.execute(f"PRAGMA table_info({table})")]
        column = draws.choice(("value_json", *columns)) if "value_json" in columns else draws.choice(columns)
        rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
        if rows:
            row, value = draws.choice(rows)
            with suppress(sqlite3.IntegrityError):  # a rule of the table
                change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
                connection.execute(change, (another(column, value, draws), row))
        connection.commit()
        return connection.serialize()


def another(column, value, draws):
    if column != "value_json" or draws.random() < 0.2:
        return draws.choice(ODD)
    if draws.random() < 0.5:
        return damaged(value.encode(), draws).decode("utf-8", "replace")
    return json.dumps(changed({"value": json.loads(value)}, draws).get("value"))


@pytest.mark.parametrize("damage", [damaged, edited])
@pytest.mark.parametrize("number", [25, pytest.param(2000, marks=pytest.mark.soak)])
def test_a_database_that_was_damaged_or_edited_is_read_or_refused(read, database, number, damage):
    """Few of them: to open one takes 25 ms, or 75 where all of it is read."""
    whole = database.read_bytes()
    assert len(read(database)) == 2
    assert refusals(database, read, number, damage) > number / 20
    database.write_bytes(whole)
    assert len(read(database)) == 2


@pytest.mark.parametrize("column", ["state", "datetime_start"])
def test_what_optuna_cannot_read_is_one_block(read, database, column):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"UPDATE trials SET {column} = 'x'")
    with pytest.raises(Fault, match="Optuna cannot read what the database holds") as refused:
        read(database)
    assert refused.value.code == BAD_INPUT


@pytest.mark.parametrize("records", [[], ["x", 1], "x", {}, None])
def test_attributes_that_no_driver_writes_name_the_trial(read, database, records):
    """Texts of none would move every attempt of its cell aside."""
    with closing(sqlite3.connect(database)) as connection, connection:
        change = "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'records'"
        connection.execute(change, (json.dumps(records),))
    with pytest.raises(Fault, match="records: expected the texts of the attempts of a cell") as refused:
        read(database)
    assert refused.value.problems[0].where.startswith("trial ")
