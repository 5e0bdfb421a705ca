"""A sealed record of what cannot be is damage to every command: named with its file, exit 3; repair moves it.

Each field of them is sound by itself; tests/storage/test_impossible_fields.py has fields that are not.
"""

import base64
import io
import json
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE
from fairtrial.reporting.results.load import rows
from fairtrial.storage.integrity import sealed
from fairtrial.storage.record import failure, parsed
from fairtrial.storage.store import Store
from tests.support.records import declared_store, done, publish
from tests.support.studies import study, write

IMAGES = 12
RIGHT = 9


def packed(right, n=IMAGES):
    """The first so many of n images are right."""
    return base64.b64encode((((1 << right) - 1) << (-n % 8 + n - right)).to_bytes((n + 7) // 8)).decode()


def result():
    """All that a cell may leave behind."""
    made = done(RIGHT / IMAGES, steps=8)
    made["measured"] |= {
        "test_n": IMAGES,
        "correct": packed(RIGHT),
        "train_curve": [[4, 1.0], [8, 0.5]],
        "val_curve": [[4, 0.5, 1.0], [8, 0.6, 0.9]],
    }
    return made


OTHER = "its settings, budget and seed are those of cell"
KEPT = {
    "file": "0123456789ab-1.safetensors",
    "bytes": 8,
    "sha256": "0" * 64,
    "images": f"images-{'0' * 16}.u64",
}
BOOM = {"what": "boom", "where": "x.py:1"}
IMPOSSIBLE = {
    "another seed": ({"seed": 99}, OTHER),
    "another replica": ({"replica": 1}, OTHER),
    "another budget": ({"budget": "128ex"}, OTHER),
    "another setting": ({"settings.lr": 0.2}, OTHER),
    "a setting of its own": ({"settings.mood": "fine"}, OTHER),
    "other levels": ({"levels.batch_size": 64}, "levels.batch_size is 64, settings.batch_size is "),
    "a level of no setting": ({"levels.mood": None}, "levels.mood is None, settings.mood is not there"),
    "no base64": ({"measured.correct": "!!!"}, "measured.correct: expected base64"),
    "no ASCII": ({"measured.correct": "é"}, "measured.correct: expected base64"),
    "bits of nobody knows how many": ({"measured.test_n": None}, "a bit for each of test_n=None images"),
    "bits of fewer images": ({"measured.correct": packed(6, 8)}, "1 bytes; expected a bit for each"),
    "other bits": ({"measured.correct": packed(8)}, "test_acc is 0.75, but 8 of 12 images are right"),
    "another accuracy": ({"measured.test_acc": 0.5}, "test_acc is 0.5, but 9 of 12 images are right"),
    "no image": ({"measured.test_n": 0, "measured.correct": None}, "test_n: expected a whole number in 1.."),
    "more images than there are": (
        {"measured.test_n": 10**20, "measured.correct": None}, "test_n: expected a whole number in 1..",
    ),
    "no class": ({"measured.classes": 0}, "classes: expected a whole number in 1.."),
    "an error with an accuracy": ({"status": "error", "error": BOOM}, "none in a cell that ended as error"),
    "memory with an accuracy": ({"status": "oom", "error": BOOM}, "none in a cell that ended as oom"),
    "diverged with an accuracy": ({"status": "diverged"}, "none in a cell that ended as diverged"),
    "done with an error": ({"error": BOOM}, "error.what: expected none in a cell that is done; got 'boom'"),
    "done and diverged": ({"measured.divergence_step": 3}, "step: expected none in a cell that is done"),
    "a curve that goes back": (
        {"measured.val_curve": [[8, 0.5, 1.0], [4, 0.6, 0.9]]}, "val_curve: its steps do not rise: 8, 4",
    ),
    "a curve that stands": ({"measured.train_curve": [[4, 1.0]] * 2}, "its steps do not rise: 4, 4"),
    "a curve beyond the end": ({"measured.train_curve": [[9, 1.0]]}, "it ends at step 9, and 8 were taken"),
    "the network of another cell": ({"measured.checkpoint": KEPT}, "-1.safetensors, the cell's own is"),
    "half a way": ({"drawn.layout": "nhwc"}, "drawn: expected a known layout with"),
    "the other half": ({"drawn.kernels": "torch"}, "drawn: expected a known layout with known kernels"),
    "an unknown way": ({"drawn.layout": "hwcn", "drawn.kernels": "torch"}, "drawn: expected a known layout"),
}  # fmt: skip
CASES = pytest.mark.parametrize(("kind", "said"), [(kind, said) for kind, (_, said) in IMPOSSIBLE.items()])


def changed(record, changes):
    """A copy of a record with other fields, by their paths."""
    copy = json.loads(json.dumps(record))
    for at, value in changes.items():
        *inside, name = at.split(".")
        (copy[inside[0]] if inside else copy)[name] = value
    return copy


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A study with one cell of each kind: kind -> its file."""
    folder, declared = tmp_path_factory.mktemp("impossible"), study(seeds=range(8))
    write(folder, ("range(3)", "range(8)"))
    store = declared_store(declared, folder / "results")
    cells = declared.cells()
    assert len(cells) >= len(IMPOSSIBLE)
    made = {}
    for kind, cell in zip(IMPOSSIBLE, cells, strict=False):
        body = publish(store, cell, 1, result()).as_json()
        made[kind] = store.folder / "cells" / f"{cell.id}-1.json"
        made[kind].write_text(sealed(changed(body, IMPOSSIBLE[kind][0])))
    return made


@pytest.fixture(scope="module")
def told(files):
    """command -> file -> what is said of it."""
    results = next(iter(files.values())).parents[2]

    @cache
    def ask(command):
        with redirect_stderr(io.StringIO()) as err:
            code = main([command, str(results.parent / "small.py"), "--results", str(results), "--json"])
        assert code == BAD_INPUT
        said = [json.loads(line) for line in err.getvalue().splitlines()]
        assert all(one["code"] == BAD_INPUT and "fairtrial repair" in one["do"] for one in said)
        assert len({one["where"] for one in said}) == len(said) == len(files)
        return {Path(one["where"]): one["what"] for one in said}

    return ask


@pytest.mark.parametrize("command", ["status", "verdict", "report", "verify"])
@CASES
def test_what_cannot_be_is_named_by_every_command(files, told, command, kind, said):
    assert said in told(command)[files[kind]]


def test_repair_moves_what_cannot_be_and_nothing_else(files, told, capsys):
    results = next(iter(files.values())).parents[2]
    told("verify")  # before they go
    store = Store(results / "small")
    good = publish(store, study(seeds=range(8)).cells()[-1], 2)
    assert main(["repair", str(results.parent / "small.py"), "--results", str(results)]) == DONE
    assert {kind for kind, path in files.items() if path.exists()} == set()
    assert store.attempts() == [good]


POSSIBLE = {
    "as it was": {},
    "a way": {"drawn.layout": "nhwc", "drawn.kernels": "torch"},
    "no curve yet": {"measured.val_curve": []},
    "diverged in its test": {
        "status": "diverged", "measured.test_acc": None, "measured.divergence_step": 8,
    },
    "broken": failure("error", "boom", "x.py:1", 1.0) | {"error": BOOM},
    # an end from outside may come after the evaluation, and undoes none (STATISTICS 17.2)
    "ended from outside when it was evaluated": {"status": "timeout", "error": BOOM},
    "a setting of a later time": {"measured.mood": "fine", "mood": [1]},
}  # fmt: skip


@pytest.fixture
def whole(tmp_path):
    """A store with one cell, and the record of it."""
    store = declared_store(study(), tmp_path)
    return store, publish(store, study().cells()[0], 1, result()).as_json()


@pytest.mark.parametrize("changes", POSSIBLE.values(), ids=POSSIBLE)
def test_what_can_be_is_read(whole, changes):
    body = changed(whole[1], changes)
    attempt = parsed(body, "here")
    assert parsed(attempt.as_json(), "here") == attempt and attempt.status == body["status"]


def test_a_field_of_a_later_time_is_no_column_of_a_table(whole):
    body = whole[1]
    taken = {"seed": [1], "status": "mine", "cell": 7, "test_acc": "x", "mood": "fine"}
    body["spent"] |= taken
    (row,) = rows(study().cells()[:1], [parsed(body, "here")])
    assert (row["seed"], row["status"], row["test_acc"]) == (0, "done", 0.75)
    assert row["cell"] == body["cell"] and "mood" not in row
