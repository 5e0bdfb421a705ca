"""Stored baselines: what is compared, and everything that is refused (RELIABILITY, rows B1 to B8)."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, REFUSED, REGRESSION, Fault
from fairtrial.execution import process_environment
from fairtrial.execution.process_environment import CHOOSING
from fairtrial.regression import baseline, benchmark_records
from fairtrial.regression.benchmark_records import identity
from fairtrial.regression.gate import save
from fairtrial.storage.integrity import sealed
from tests.support.gate import change, git

BAD = [
    ({"median": None}, "has median None"),
    ({"median": 0}, "has median 0"),
    ({"median": -1.0}, "has median -1.0"),
    ({"median": True}, "has median True"),
    ({"ops": 0}, "has ops 0"),
    ({"ops": ...}, "has no ops"),
    ({"median": ...}, "has no median"),
    ({"data": ...}, "has no data"),
    ({"data": []}, "rounds that are not times"),
    ({"data": [0.1, "x"]}, "rounds that are not times"),
    ({"data": [0.1, 0]}, "rounds that are not times"),
    ({"data": [0.1, 10**400]}, "rounds that are not times"),
]


@pytest.fixture
def stored(ask, speed):
    """The path of a baseline of three launches."""
    return Path(save(ask(), 3).facts["baseline"])


@pytest.fixture
def made(tmp_path, speed):
    """made(**changes): a baseline made by hand, without a launch; the file."""
    device = benchmark_records.identity("cpu", 1)

    def make(name="20250101T000000-x.json", stats=(), seal=True, **changes):
        row = {"name": "test_work", "extra_info": {"calls": 2}}
        row["stats"] = {"median": 0.002, "ops": 500.0, "data": [0.002, 0.0021]} | dict(stats)
        row["stats"] = {key: value for key, value in row["stats"].items() if value is not ...}
        record = {
            "schema": 1,
            "device": device,
            "code": {},
            "launches": [{"benchmarks": [row]}] * 3,
        } | changes
        path = tmp_path / "results/bench" / benchmark_records.folder_name(device) / "baselines" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sealed(record) if seal else json.dumps(record))
        return path

    return make


def refused(act, code, *words):
    with pytest.raises(Fault) as raised:
        act()
    assert raised.value.code == code
    for word in words:
        assert word in raised.value.block()


def rewritten(path, edit):
    record = json.loads(path.read_text())
    del record["sha256"]
    edit(record)
    path.write_text(sealed(record))


def test_a_stored_baseline_is_compared_with_what_runs_now(stored, judge, speed):
    equal = judge(stored=True)
    assert (equal.code, equal.facts["mode"], equal.facts["labels"]) == (DONE, "stored", [])
    speed["test_work"] *= 2
    slower = judge(stored=True)
    assert slower.code == REGRESSION
    assert slower.facts["benches"][0]["ratio"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu", "Other CPU"),
        ("gpu", "H100"),
        ("cores", 96),
        ("threads", 4),
        ("instructions", "AVX9000"),
        ("processor", "AVX9000"),
        ("torch", "1.0"),
        ("governor", "x"),
    ],
)
def test_another_device_is_refused_or_labelled(stored, judge, field, value):
    rewritten(stored, lambda record: record["device"].update({field: value}))
    refused(lambda: judge(stored=True), REFUSED, "another device", f"{field} {value}", "--other-device")
    allowed = judge(stored=True, other_device=True)
    assert allowed.facts["labels"][0].startswith(f"another device: {field} {value}, here")


def test_a_baseline_of_before_instructions_were_recorded_is_refused_or_labelled(stored, judge):
    rewritten(stored, lambda record: record["device"].pop("instructions"))
    refused(lambda: judge(stored=True), REFUSED, "instructions not written down, here ", "--other-device")
    assert judge(stored=True, other_device=True).facts["labels"] == [
        f"another device: instructions not written down, here {identity('cpu', 1)['instructions']}"
    ]


def test_a_device_has_the_instructions_of_its_workers_or_those_that_the_user_chose(monkeypatch):
    for name in CHOOSING:
        monkeypatch.delenv(name, raising=False)
    for module in (process_environment, benchmark_records):
        monkeypatch.setattr(module, "best_instructions", lambda: "AVX512")
    found = identity("cpu", 1)
    assert (found["instructions"], found["processor"]) == ("AVX2", "AVX512")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx512")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "DEFAULT")
    assert identity("cpu", 1)["instructions"] == "AVX512"


def test_the_clock_rate_is_no_part_of_a_device():
    assert not {"mhz", "hz", "clock"} & set(benchmark_records.identity("cpu", 1))
    assert benchmark_records.identity("cpu", 1) == benchmark_records.identity("cpu", 1)


def test_a_baseline_of_other_machines_only_is_another_device(made, judge):
    path = made()
    path.parents[1].rename(path.parents[2] / "some-other-cpu-1-thread")
    refused(lambda: judge(stored=True), REFUSED, "no baseline of this device", "some-other-cpu-1-thread")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', "\x00" * 100])
def test_a_corrupt_newest_baseline_is_named_and_no_older_one_taken(made, judge, content):
    made()
    newest = made(name="20260101T000000-y.json")
    newest.write_text(content)
    refused(lambda: judge(stored=True), BAD_INPUT, newest.name, "--save-baseline")


def test_an_edited_digit_is_noticed(made, judge):
    path = made()
    path.write_text(path.read_text().replace("0.0021", "0.0031"))
    refused(lambda: judge(stored=True), BAD_INPUT, "edited", path.name)


def test_no_baseline_is_an_error_that_says_how_to_make_one(judge):
    refused(lambda: judge(stored=True), BAD_INPUT, "no baseline is stored", "fairtrial gate --save-baseline")


def test_all_benches_skipped_is_an_error(stored, judge, speed):
    speed.clear()
    refused(lambda: judge(stored=True), BAD_INPUT, "none ran, or all were skipped")


def test_a_renamed_bench_is_listed_with_its_new_name(stored, judge, speed):
    speed["test_labour"] = speed.pop("test_work")
    refused(
        lambda: judge(stored=True), BAD_INPUT,
        "benches of the baseline that did not run: test_work; new here: test_labour",
    )  # fmt: skip


@pytest.mark.parametrize(("stats", "said"), BAD)
def test_bad_statistics_are_listed(made, judge, stats, said):
    path = made(stats=stats)
    refused(lambda: judge(stored=True), BAD_INPUT, said, f"{path}, launch 1")


@pytest.mark.parametrize(
    "launches", [[], None, {}, [3], [{"benchmarks": []}], [{"benchmarks": [{"stats": {}}]}]]
)
def test_launches_without_benches_are_refused(made, judge, launches):
    made(launches=launches)
    refused(lambda: judge(stored=True), BAD_INPUT)


def test_nan_is_no_json_number(made, judge):
    path = made(seal=False)
    path.write_text(path.read_text().replace("0.0021", "NaN"))
    refused(lambda: judge(stored=True), BAD_INPUT, "NaN is no JSON number")


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ({"commit": "0" * 40, "dirty": False}, "does not lie before this one"),
        ({"commit": None}, "does not say its commit"),
        ({"commit": "HEAD", "dirty": True}, "in a tree with changes"),
        ({"commit": "HEAD", "debug": True}, "debug build"),
    ],
)
def test_doubtful_baselines_are_labelled(stored, judge, code, label):
    rewritten(stored, lambda record: record["code"].update(code))
    outcome = judge(stored=True)
    assert any(label in each for each in outcome.facts["labels"])
    assert any(line.startswith("label") and label in line for line in outcome.lines)


def test_a_future_commit_is_labelled(tree, stored, judge):
    change(tree, ms=1.1)
    future = git(tree, "rev-parse", "HEAD")
    git(tree, "reset", "-q", "--hard", "HEAD~1")
    rewritten(stored, lambda record: record["code"].update(commit=future))
    assert any("does not lie before" in each for each in judge(stored=True).facts["labels"])


def test_paths_out_of_the_results_are_refused(made, judge, tmp_path):
    path = made()
    outside = tmp_path / "outside.json"
    outside.write_bytes(path.read_bytes())
    link = path.with_name("link.json")
    link.symlink_to(outside)
    for each in (outside, link, path.parent / "../../../../outside.json", tmp_path, path.parent):
        refused(lambda each=each: judge(baseline=each), BAD_INPUT, "below results/bench")
    refused(lambda: judge(baseline=path.with_name("none.json")), BAD_INPUT, "no such baseline")
    assert judge(baseline=path, tolerance=5.0).facts["baseline"] == str(path)


def test_a_file_of_fifty_megabytes_is_refused_unread(made, judge):
    path = made()
    os.truncate(path, 50_000_000)
    refused(lambda: judge(stored=True), BAD_INPUT, "50,000,000 bytes where at most")


def test_the_command_line_ends_with_the_code(made, tree, tmp_path, capsys, monkeypatch):
    made().write_text("{")
    argv = ["gate", "--stored", "--results", str(tmp_path / "results")]
    assert main(argv) == BAD_INPUT
    assert main([*argv, "--json"]) == BAD_INPUT
    problem = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert problem["code"] == BAD_INPUT and "20250101T000000-x.json" in problem["where"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["benchmarks", "name", "stats", "median", "ops", "data", "extra_info", "calls"]),
        inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.sampled_from(["launches", "device", "code", "schema"]), value=json_values)
def test_whatever_stands_in_a_baseline_is_a_fault_or_a_baseline(made, part, value, tmp_path):
    path = made(**{part: value})
    try:
        found = baseline.load(path, benchmark_records.identity("cpu", 1), tmp_path)
    except Fault as error:
        assert error.code in (BAD_INPUT, REFUSED)
    else:
        assert all(time > 0 for launch in found.launches for rounds in launch.values() for time in rounds)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), byte=st.binary(min_size=0, max_size=3))
def test_broken_bytes_are_a_fault(made, at, byte, tmp_path):
    path = made()
    whole = path.read_bytes()
    broken = whole[: at % len(whole)] + byte
    assume(broken.strip() != whole.strip())  # a file without its last line break is whole
    path.write_bytes(broken)
    with pytest.raises(Fault):
        baseline.load(path, benchmark_records.identity("cpu", 1), tmp_path)
