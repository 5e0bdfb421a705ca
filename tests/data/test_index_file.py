"""Files of few-shot indices: what they give, and what is refused with line, seed and position. D11."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from fairtrial.data import few_shot, open_dataset
from fairtrial.data.index_file import CAP, read_indices
from fairtrial.errors import BAD_INPUT, REFUSED, USAGE, Fault

LABELS = np.array([2, 0, 1, 1, 0, 2] * 20)  # 40 images of each class
SHA256 = "0123456789ab" + "c" * 52
TEST_N = 30


def write(path, subsets=None, **other):
    """A good file but for what is asked otherwise."""
    lists = {"0": [1, 2, 0, 4, 3, 5, 10, 8, 6], "7": [10, 9, 11]} if subsets is None else subsets
    path.write_text(json.dumps({"data": SHA256, "subsets": lists} | other, indent=1))
    return path


def read(path, **other):
    known = {"labels": LABELS, "test_n": TEST_N, "data_sha256": SHA256, "num_classes": 3}
    return read_indices(path, **{**known, "classes": ("cat", "dog", "emu"), **other})


def refused(path, code=BAD_INPUT, **other):
    """The problems of a file; each has its three parts."""
    with pytest.raises(Fault) as caught:
        read(path, **other)
    assert caught.value.code == code
    assert all(problem.what and problem.where and problem.do for problem in caught.value.problems)
    return caught.value.problems


@pytest.fixture
def path(tmp_path):
    return tmp_path / "indices.json"


def test_the_first_listed_images_of_each_class_are_taken(path):
    indices = read(write(path))
    assert indices.subset(0, 1).train.tolist() == [1, 2, 0]
    assert indices.subset(0, 2).train.tolist() == [1, 2, 0, 4, 3, 5]
    assert indices.subset(0, 3).train.tolist() == [1, 2, 0, 4, 3, 5, 10, 8, 6]
    assert indices.subset(7, 1).train.tolist() == [10, 9, 11]


def test_images_come_rank_by_rank_whatever_their_order_in_the_file(path):
    listed = [
        *np.flatnonzero(LABELS == 2)[:3],
        *np.flatnonzero(LABELS == 0)[:3],
        *np.flatnonzero(LABELS == 1)[:3],
    ]
    train = read(write(path, {"0": [int(one) for one in listed]})).subset(0, 3).train
    assert LABELS[train].tolist() == [0, 1, 2] * 3
    assert train.dtype == np.int64


def test_fewer_shots_are_the_first_ids_of_more_shots(path):
    indices = read(write(path))
    small, large = indices.subset(0, 1).train, indices.subset(0, 3).train
    assert large[: len(small)].tolist() == small.tolist()


def test_all_shots_are_all_that_are_listed(path):
    assert sorted(read(write(path, {"0": [0, 1, 2, 3]})).subset(0, None).train) == [0, 1, 2, 3]


def test_validation_images_are_those_of_few_shot_without_the_listed_ones(path):
    drawn = few_shot(LABELS, 1, 0, val_per_class=40 - 1, num_classes=3).val  # every class, from its end
    listed = [int(one) for one in drawn[:6]]  # the two that each class would validate on first
    val = read(write(path, {"0": listed})).subset(0, 1, val_per_class=5).val
    expected = [one for one in drawn if one not in listed]
    assert val.tolist() == [int(one) for one in expected[:15]]


def test_validation_images_are_balanced_nested_and_the_same_for_all_shots(path):
    indices = read(write(path))
    small, large = indices.subset(0, 3, 2), indices.subset(0, 1, 9)
    assert np.bincount(LABELS[large.val]).tolist() == [9, 9, 9]
    assert large.val[:6].tolist() == small.val.tolist()
    assert not set(large.val) & {0, 1, 2, 3, 4, 5, 6, 8, 10}


def test_another_seed_validates_on_other_images(path):
    indices = read(write(path, {"0": [0, 1, 2], "1": [0, 1, 2]}))
    assert indices.subset(0, 1, 5).val.tolist() != indices.subset(1, 1, 5).val.tolist()
    assert indices.subset(0, 1, 5).sha256 == indices.subset(0, 1, 5).sha256


def test_a_file_for_real_images_opens_with_their_digest(path):
    data = open_dataset("digits")
    listed = few_shot(data.train_labels, 2, 0, num_classes=10).train.tolist()
    indices = read(
        write(path, {"0": listed}, data=data.sha256),
        labels=data.train_labels,
        test_n=len(data.test_labels),
        data_sha256=data.sha256,
        num_classes=10,
        classes=data.classes,
    )
    assert indices.subset(0, 2).train.tolist() == listed
    assert torch.bincount(data.train_labels[indices.subset(0, 2).train]).tolist() == [2] * 10


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(-1, "expected an id in 0..119; got -1", id="D11 below the range"),
        pytest.param(150, "expected an id in 0..119; got 150", id="D11 beyond the range"),
        pytest.param(10**30, "expected an id in 0..119; got 1000", id="D11 far beyond the range"),
        pytest.param(120, "120 would be image 0 of the test split", id="D11 behind training"),
        pytest.param(149, "149 would be image 29 of the test split", id="D11 the last behind training"),
        pytest.param(2, "id 2 stands twice in the list, first at position 1", id="D11 duplicated"),
        pytest.param(3.0, "a whole number in 0..119; got 3.0", id="D11 a float"),
        pytest.param(True, "a whole number in 0..119; got True", id="D11 a bool"),
        pytest.param("3", "a whole number in 0..119; got '3'", id="D11 a text"),
        pytest.param(None, "a whole number in 0..119; got None", id="D11 nothing"),
        pytest.param([3], r"a whole number in 0..119; got [3]", id="D11 a list"),
    ],
)
def test_a_bad_id_is_named_with_line_seed_position_and_digest(value, said, path):
    (problem,) = refused(write(path, {"4": [0], "3": [1, 2, value, 5]}))
    assert said in problem.what
    line = path.read_text().splitlines().index('  "3": [') + 4
    assert problem.where == f"{path}, line {line}, seed 3, position 2 (data sha256 0123456789ab...)"


def test_an_id_that_only_the_test_split_holds_says_so(path):  # D11
    (problem,) = refused(write(path, {"0": [0, 200]}), test_n=300)
    assert problem.what == "id 200 can only be of the test split: training has 0..119, test 0..299"


def test_lines_are_right_in_a_file_on_one_line_and_in_one_of_odd_form(path):  # D11
    path.write_text(json.dumps({"data": SHA256, "subsets": {"0": [1, 1]}}))
    assert ", line 1, seed 0, position 1 " in refused(path)[0].where
    path.write_text(f'{{"subsets":\n{{\n"0"\n:\n[1\n,\n"a]b",\n2,\n\n1]}}, "data": "{SHA256}"}}')
    assert [problem.where.split(", ")[1] for problem in refused(path)] == ["line 7", "line 10"]
    path.write_text(
        path.read_text().replace('"0"', r'"\u0030"')
    )  # the same key, spelled so that none finds it
    assert refused(path)[0].where == f"{path}, seed 0, position 1 (data sha256 0123456789ab...)"


def test_one_id_may_stand_in_the_lists_of_two_seeds(path):
    assert read(write(path, {"0": [0, 1, 2], "1": [0, 1, 2]})).subset(1, 1).train.tolist() == [1, 2, 0]


def test_all_offenders_of_all_seeds_are_named_at_once(path):  # D11
    problems = refused(write(path, {"0": [0, 0, 500], "1": [-1]}))
    assert [problem.where.split(", ")[2:] for problem in problems] == [
        ["seed 0", "position 1 (data sha256 0123456789ab...)"],
        ["seed 0", "position 2 (data sha256 0123456789ab...)"],
        ["seed 1", "position 0 (data sha256 0123456789ab...)"],
    ]


def test_indices_of_other_data_are_refused_with_both_digests(path):  # D11
    (problem,) = refused(write(path, data="f" * 64), code=REFUSED)
    assert SHA256 in problem.what and "f" * 64 in problem.what
    assert problem.where == f"{path}, data"


def test_a_seed_that_the_file_lacks_is_named_with_those_it_has(path):  # D11
    with pytest.raises(Fault, match="expected a list for seed 3; the file has 0, 7") as caught:
        read(write(path)).subset(3, 1)
    assert caught.value.code == BAD_INPUT
    assert caught.value.problems[0].where == f"{path}, seed 3 (data sha256 0123456789ab...)"


def test_a_class_with_too_few_listed_images_is_named(path):  # D11, D4
    with pytest.raises(Fault) as caught:
        read(write(path)).subset(7, 2)
    assert caught.value.code == BAD_INPUT
    assert [problem.what for problem in caught.value.problems] == [
        f"shots=2 needs 2 images of class {name!r}; the list has 1" for name in ("cat", "dog", "emu")
    ]
    with pytest.raises(Fault, match="shots=all needs 1 images of class 'cat'; the list has 0"):
        read(write(path, {"0": [0, 2]})).subset(0, None)


def test_a_class_with_too_few_images_to_validate_is_named(path):  # D11, D4
    indices = read(write(path))
    assert len(indices.subset(0, 3, 37).val) == 3 * 37
    with pytest.raises(Fault, match="38 images of class 'cat' that are not listed; there are 37") as caught:
        indices.subset(0, 1, 38)
    assert caught.value.code == BAD_INPUT


@pytest.mark.parametrize(("shots", "val"), [(0, 0), (-1, 0), (1, -1)])
def test_no_shots_is_a_usage_error(shots, val, path):
    with pytest.raises(Fault) as caught:
        read(write(path)).subset(0, shots, val)
    assert caught.value.code == USAGE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a whole JSON object"),
        ('{"data": "', "not a whole JSON object"),
        ("[1, 2]", "a JSON list"),
        ("{}", "expected the keys data and subsets; got none"),
        ('{"data": "' + SHA256 + '"}', "expected the keys data and subsets; got 'data'"),
        (json.dumps({"data": SHA256, "subsets": {"0": [1]}, "shots": 5}), "got 'data', 'subsets', 'shots'"),
        (
            json.dumps({"data": "cifar10", "subsets": {"0": [1]}}),
            "64 small hexadecimal digits; got 'cifar10'",
        ),
        (json.dumps({"data": None, "subsets": {"0": [1]}}), "64 small hexadecimal digits; got None"),
        (json.dumps({"data": SHA256, "subsets": [1, 2]}), "expected a list of ids for each seed; got [1, 2]"),
        (json.dumps({"data": SHA256, "subsets": {}}), "expected a list of ids for each seed; got {}"),
        (json.dumps({"data": SHA256, "subsets": {"00": [1]}}), "whole number from 0 on; got '00'"),
        (json.dumps({"data": SHA256, "subsets": {"-1": [1]}}), "whole number from 0 on; got '-1'"),
        (json.dumps({"data": SHA256, "subsets": {"0": 1}}), "expected a list of ids; got 1"),
        (json.dumps({"data": SHA256, "subsets": {"0": []}}), "expected a list of ids; got []"),
        ('{"data": "' + SHA256 + '", "subsets": {"0": [1], "0": [2]}}', "the key '0' stands there 2 times"),
        ('{"data": "' + SHA256 + '", "subsets": {"0": [NaN]}}', "NaN is no JSON number"),
        ('{"data": "' + SHA256 + '", "subsets": {"0": ' + "[" * 60 + "]" * 60 + "}}", "flat object"),
        ("[" * 10**5, "trusted"),
    ],
)
def test_another_form_is_refused(text, said, path):  # D11
    path.write_text(text)
    (problem,) = refused(path)
    assert said in problem.what
    assert "repair" not in problem.do  # which is for studies


def test_a_file_that_is_not_there_is_said(path):
    assert refused(path)[0].where == str(path)


def test_a_file_above_the_cap_is_not_read(path):
    path.write_bytes(b" " * (CAP + 1))
    assert "at most 4,194,304 are expected" in refused(path)[0].what


def test_damaged_bytes_give_indices_or_a_fault(path):
    """1 to 3 bytes of a good file, replaced, lost or added; seed 11."""
    rng, whole, refusals = np.random.default_rng(11), write(path).read_bytes(), 0
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, len(data) - 4, rng.integers(1, 4)):
            data[at : at + rng.integers(0, 3)] = rng.bytes(rng.integers(0, 3))
        path.write_bytes(data)
        try:
            read(path)
        except Fault as fault:
            assert fault.code in (BAD_INPUT, REFUSED)
            fault.block().encode()
            refusals += 1
    assert refusals > 200


def test_a_million_bad_ids_are_refused_in_seconds_and_little_memory(path):
    """In a process of its own, whose peak of memory is its own."""
    ids = ",".join(["-1"] * (CAP // 3 - 100))
    path.write_text(f'{{"data": "{SHA256}", "subsets": {{"0": [{ids}]}}}}')
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from fairtrial.data.index_file import read_indices
from fairtrial.errors import Fault
known = dict(labels=np.zeros(9, int), test_n=9, data_sha256=sys.argv[2], num_classes=1)
try:
    read_indices(Path(sys.argv[1]), **known)
except Fault as fault:
    cpu_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    peak_kb = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # not that of the parent
    print(len(fault.problems), int(peak_kb) // 1024, round(cpu_s))
"""
    command = [sys.executable, "-c", code, str(path), SHA256]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told, peak_mb, cpu_s = map(int, done.stdout.split())
    assert told == 1_000
    assert peak_mb < 300
    assert cpu_s < 10
