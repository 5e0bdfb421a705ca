"""What reading many cells costs: counted for some hundred of them, held against plain reading for 10 000."""

import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE
from fairtrial.storage import record
from tests.support.many_records import record_all, write_study

CELLS = 400
# Of every file the least that its reader can do: decode it, and digest its bytes.
PLAIN = """
import hashlib, json, sys
from pathlib import Path
for path in Path(sys.argv[1]).iterdir():
    data = path.read_bytes()
    json.loads(data), hashlib.sha256(data).hexdigest()
"""


def recorded(folder, cells):
    """A study with every cell recorded, in a folder -> its store and what a command says to mean it."""
    study = write_study(folder, cells)
    return record_all(study, folder), [str(folder / "toy.py"), "--results", str(folder)]


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("some"), CELLS)


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
def test_each_record_is_opened_and_read_once(command, some, work, capsys):
    store, study = some
    assert main([command, *study]) == DONE
    assert capsys.readouterr().out
    assert len(list((store.folder / "cells").iterdir())) == CELLS
    assert work == {"opened": CELLS, "made": CELLS}


def test_a_digit_that_changes_between_two_looks_of_one_process_is_noticed(tmp_path, capsys):
    """Whatever else of the file stays: nothing is remembered of a record but what its text says."""
    store, study = recorded(tmp_path, 20)
    assert main(["status", *study]) == DONE
    path = next((store.folder / "cells").iterdir())
    text, there = path.read_text(), path.stat()
    path.write_text(text.replace('"eval_s": 0.0', '"eval_s": 1.0'))
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (there.st_size, there.st_mtime_ns)
    assert main(["status", *study]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "the record was edited" in said and str(path) in said


def cpu_s(*arguments):
    """CPU seconds of one Python process and of those that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def ten_thousand(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("many"), 10_000)


MOST = {
    "status": 9,
    "verdict": 17,
    "report": 32,
    "verify": 42,
}  # times the CPU of plain reading: 6, 11, 21, 28 were seen


@pytest.mark.soak
@pytest.mark.parametrize("command", MOST)
def test_ten_thousand_cells_cost_a_few_times_what_plain_reading_costs(command, ten_thousand):
    """Each beside the other, and the least of three: both slow down on a busy machine."""
    store, study = ten_thousand
    of = [str(store.folder)] if command == "verify" else study
    plain, whole = [], []
    for _ in range(3):
        plain.append(cpu_s("-c", PLAIN, str(store.folder / "cells")))
        whole.append(cpu_s("-m", "fairtrial", command, *of))
    print(f"{command}: {min(whole):.2f} s, plain reading: {min(plain):.2f} s")
    assert min(whole) < MOST[command] * min(plain)
