"""What reading cells takes, counted: each record is opened and made once, and nothing of it is remembered."""

import os
from collections import Counter
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE
from fairtrial.storage import record
from tests.support.records import declared_store, publish
from tests.support.studies import study, write


@pytest.fixture
def recorded(tmp_path):
    """A study with its records -> its store, and what a command says to mean it."""
    made, file = study(), write(tmp_path)
    store = declared_store(made, tmp_path / "results")
    for cell in made.cells():
        publish(store, cell)
    return store, [str(file), "--results", str(tmp_path / "results")]


@pytest.fixture
def work(monkeypatch):
    """What is done to the records: files opened, attempts made of them."""
    done, opened, made = Counter(), os.open, record.parsed

    def open_counted(path, *given, **how):
        done["opened"] += Path(path).parent.name == "cells"
        return opened(path, *given, **how)

    def made_counted(*given):
        done["made"] += 1
        return made(*given)

    monkeypatch.setattr(os, "open", open_counted)
    monkeypatch.setattr(record, "parsed", made_counted)
    return done


@pytest.mark.parametrize("command", ["status", "verdict"])
def test_each_record_is_opened_and_made_once(command, recorded, work, capsys):
    store, words = recorded
    work.clear()
    assert main([command, *words]) == DONE
    assert capsys.readouterr().out
    cells = len(list((store.folder / "cells").iterdir()))
    assert cells == 12 and work == {"opened": cells, "made": cells}


def test_a_digit_that_changes_between_two_looks_of_one_process_is_noticed(recorded, capsys):
    """Whatever else of the file stays."""
    store, words = recorded
    assert main(["status", *words]) == DONE
    path = next((store.folder / "cells").iterdir())
    text, there = path.read_text(), path.stat()
    path.write_text(text.replace('"lost_s":0', '"lost_s":1'))
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (there.st_size, there.st_mtime_ns)
    assert path.read_text() != text and main(["status", *words]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "the record was edited" in said and str(path) in said
