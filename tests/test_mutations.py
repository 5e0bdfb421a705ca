"""Ten breakages of a copy of this tree: each turns a test red. A test that cannot fail proves nothing."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from fairtrial.installation import isolated_python

ROOT = Path(__file__).parents[1]
COPIED = ("src", "tests", "ablations", "analysis", "bench", "docs", "pyproject.toml", "README.md")


class Mutation(NamedTuple):
    """What is broken, and the test that sees it. old: stands once in the file."""

    file: str
    old: str
    new: str
    test: str


RESUMED = "tests/execution/cell/test_resume.py::test_a_cell_killed_at_a_step_ends_as_one_that_was_not"
MUTATIONS = {
    "no fsync": Mutation(
        "storage/atomic.py",
        "        os.fsync(handle)\n    finally:\n        os.close(handle)\n\n\ndef _write_all",
        "        pass\n    finally:\n        os.close(handle)\n\n\ndef _write_all",
        "tests/storage/test_atomic.py::test_a_name_is_given_after_the_bytes_are_safe_and_before_the_folder_is",
    ),
    "checkpoint without BN buffers": Mutation(
        "training/loop.py",
        "value for name, value in self.model.state_dict().items()}",
        "value for name, value in self.model.named_parameters()}",
        f"{RESUMED}[4-bn-True-0.1]",
    ),
    "checkpoint without MixUp lambda": Mutation(
        "training/batches.py",
        "        key = (self.replicate, runs[0][0], step)",
        "        Task.drawn = getattr(Task, 'drawn', -1) + 1\n"
        "        key = (self.replicate, runs[0][0], Task.drawn)",
        f"{RESUMED}[4-gn-False-0.1]",
    ),
    'open(final, "w")': Mutation(
        "storage/store.py",
        "atomic.publish(path, text, along=RESULT)",
        "path.write_text(text)",
        "tests/storage/test_store.py::test_an_attempt_number_is_given_once_and_the_first_file_stands",
    ),
    "NaN rows dropped": Mutation(
        "study/failure_policy.py",
        "OUTCOMES: Final = (DONE, DIVERGED)",
        "OUTCOMES: Final = (DONE,)",
        "tests/reporting/verdicts/test_findings.py::test_failed_seeds_stay_in_n_and_score_chance",
    ),
    "lock without fencing": Mutation(
        "storage/store.py",
        "atomic.publish(path, text, along=RESULT)",
        "atomic.publish(path, text, along=RESULT, overwrite=True)",
        "tests/storage/test_store.py::test_an_attempt_number_is_given_once_and_the_first_file_stands",
    ),
    "corrupt newest baseline skipped": Mutation(
        "regression/baseline.py",
        "    record = unsealed(path, record, newest=SCHEMA, do=_MEND)\n    if not isinstance",
        "    if not isinstance",
        "tests/regression/test_baseline.py::test_an_edited_digit_is_noticed",
    ),
    "weights copied with broadcasting": Mutation(
        "weights/load_arrays.py",
        "        if found[key] != expected[key]:",
        "        if len(found[key]) != len(expected[key]):",
        "tests/weights/test_malformed.py::"
        "test_a_malformed_file_is_refused_and_nothing_is_touched[W1 wrong shape]",
    ),
    "budgets on time.time": Mutation(
        "training/timing.py",
        "= time.perf_counter",
        "= time.time",
        "tests/training/test_timing.py::test_a_jump_of_the_wall_clock_is_booked_nowhere",
    ),
    "if not seed": Mutation(
        "rng.py",
        "    return seed + MAX_SEED * replica",
        "    return (seed or 1) + MAX_SEED * replica",
        "tests/test_rng.py::test_seed_0_is_a_seed_like_any_other",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_is_broken_stands_there_once(name):
    one = MUTATIONS[name]
    assert (ROOT / "src" / "fairtrial" / one.file).read_text().count(one.old) == 1
    assert (ROOT / one.test.partition("::")[0]).is_file()


@pytest.mark.soak
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_breakage_turns_a_test_red(tmp_path, name):
    one = MUTATIONS[name]
    for each in COPIED:
        copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
        copy(ROOT / each, tmp_path / each)
    assert _ran(tmp_path, one.test) == 0, "the test is red before anything is broken"
    path = tmp_path / "src" / "fairtrial" / one.file
    path.write_text(path.read_text().replace(one.old, one.new))
    assert _ran(tmp_path, one.test) == 1


def _ran(tree, test):
    """The exit code of pytest on one test of a tree: 0 green, 1 red."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree / "src"), str(tree)])}
    command = isolated_python("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", test)
    return subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.DEVNULL).returncode
