"""Where results of benches go, and what decides a timing."""

import json
import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.harness.machine import folder_name, info
from fairtrial.execution import process_environment
from fairtrial.execution.process_environment import CHOOSING, MALLOC, best_instructions, worker_environment

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def driver():
    return runpy.run_path(str(BENCH / "__main__.py"))


@pytest.mark.parametrize(
    ("processor", "threads", "folder"),
    [
        ("AMD EPYC", 2, "amd-epyc-2-threads"),
        ("NVIDIA H100 80GB HBM3", 1, "nvidia-h100-80gb-hbm3-1-thread"),
        ("../..; rm", 1, "rm-1-thread"),
    ],
)
def test_the_folder_is_named_by_device_and_threads(processor, threads, folder):
    assert folder_name(processor, threads) == folder


def test_what_decides_a_timing_is_told():
    assert {"torch", "threads", "cpu_model", "instructions", "gpu", "malloc", "folder"} <= set(info())


def test_benches_run_with_the_memory_settings_of_a_job(driver, monkeypatch):
    monkeypatch.delenv("FAIRTRIAL_BENCH_THREADS", raising=False)
    found = driver["settings"]()
    assert found.items() >= MALLOC.items()
    cores = str(len(os.sched_getaffinity(0)))
    assert found["FAIRTRIAL_BENCH_THREADS"] == found["OMP_NUM_THREADS"] == cores


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("chosen", [{}, {"ATEN_CPU_CAPABILITY": "avx512"}])
def test_benches_run_with_the_instructions_of_a_job(driver, monkeypatch, device, chosen):
    """They had all that the processor has, and cells on a CPU have AVX2."""
    monkeypatch.setattr(process_environment, "best_instructions", lambda: "AVX512")
    for name in CHOOSING:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**chosen, "FAIRTRIAL_BENCH_THREADS": "1", "FAIRTRIAL_BENCH_DEVICE": device}.items():
        monkeypatch.setenv(name, value)
    found = driver["settings"]()
    assert found.items() == worker_environment(1, device).items()
    kept = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"} if device == "cpu" else {}
    assert {name: found[name] for name in CHOOSING & found.keys()} == (chosen or kept)
    assert ("CUBLAS_WORKSPACE_CONFIG" in found) == (device != "cpu")


def test_benches_are_told_the_device_that_their_variables_are_made_for(driver, monkeypatch):
    monkeypatch.delenv("FAIRTRIAL_BENCH_DEVICE", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    found = driver["settings"]()
    assert found["FAIRTRIAL_BENCH_DEVICE"] == "cuda" and "CUBLAS_WORKSPACE_CONFIG" in found


def test_each_task_has_a_file_of_its_own(driver, tmp_path):
    rows = [
        {"fullname": f"bench/test_{task}.py::test_it[{number}]"}
        for task, number in (("norms", 1), ("std_conv", 1), ("norms", 2))
    ]
    report = {"machine_info": {"folder": "a-1-thread", "torch": "2.15.0+cu132"}, "benchmarks": rows}
    paths = driver["filed"](report, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "a-1-thread/norms-torch-2.15.0.json",
        "a-1-thread/std-conv-torch-2.15.0.json",
    ]
    found = [json.loads(path.read_text()) for path in paths]
    assert [len(each["benchmarks"]) for each in found] == [2, 1]
    assert all(each["machine_info"] == report["machine_info"] for each in found)


def test_a_new_run_replaces_the_file_of_its_task(driver, tmp_path):
    told = {"folder": "a", "torch": "2"}
    for count in (3, 1):
        rows = [{"fullname": "bench/test_norms.py::test_it"}] * count
        (path,) = driver["filed"]({"machine_info": told, "benchmarks": rows}, tmp_path)
    assert len(json.loads(path.read_text())["benchmarks"]) == 1


@pytest.mark.parametrize("form", ["--benchmark-json={}", "--benchmark-json {}"])
def test_a_report_that_is_asked_for_is_a_copy_and_results_are_filed_all_the_same(
    driver, tmp_path, monkeypatch, form
):
    rows = [{"fullname": "bench/test_norms.py::test_it"}]
    report = {"machine_info": {"folder": "a", "torch": "2"}, "benchmarks": rows}

    def measured(command, **_):
        (option,) = [each for each in command if each.startswith("--benchmark-json=")]
        Path(option.partition("=")[2]).write_text(json.dumps(report))
        assert command[-2:] == ["-k", "norms"]
        return SimpleNamespace(returncode=0)

    names, copy = driver["main"].__globals__, tmp_path / "bench.json"
    monkeypatch.setattr(names["subprocess"], "run", measured)
    monkeypatch.setattr(names["signal"], "signal", lambda *_: None)
    monkeypatch.setitem(names, "RESULTS", tmp_path / "results")
    assert driver["main"]([*form.format(copy).split(" "), "-k", "norms"]) == 0
    assert json.loads(copy.read_text()) == report
    assert [path.name for path in (tmp_path / "results/a").iterdir()] == ["norms-torch-2.json"]


@pytest.fixture(scope="module")
def measure(driver, tmp_path_factory):
    """measure(*options): one real bench, filed under `.folder`; its first run also saved and copied."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PYTEST_")]:
            patch.delenv(name)  # a worker of xdist times nothing
        patch.setenv("FAIRTRIAL_BENCH_THREADS", "1")  # as other tests run beside it
        patch.setitem(driver["main"].__globals__, "RESULTS", folder / "results")
        patch.setattr(driver["main"].__globals__["signal"], "signal", lambda *_: None)
        norm = "test_norms and 4x256x2x2-nchw-forward_backward"
        chosen = ["-p", "no:cacheprovider", "-p", "no:xdist", "-k", norm]
        chosen += ["--ignore-glob=*/test_[!n]*.py"]  # others import pandas; test_benches.py collects all
        chosen += [f"--benchmark-storage=file://{folder}/saved"]

        def run(*options):
            return driver["main"]([*options, *chosen])

        assert run("--benchmark-autosave", f"--benchmark-json={folder / 'copy.json'}") == 0
        run.folder = folder
        yield run


@pytest.mark.slow
def test_options_of_pytest_benchmark_work_as_its_users_expect_beside_our_filing(measure, capfd):
    """Two runs of one real bench: the first is saved and filed, the second is compared with it."""
    copy = measure.folder / "copy.json"
    (saved,) = (measure.folder / "saved").rglob("0001_*.json")
    (filed,) = (measure.folder / "results").rglob("norms-*.json")
    first = [json.loads(path.read_text())["benchmarks"] for path in (copy, saved, filed)]
    assert [len(rows) for rows in first] == [1, 1, 1]
    assert measure("--benchmark-compare", "--benchmark-compare-fail=min:10000%") == 0
    out = capfd.readouterr().out
    assert "(0001_" in out and "(NOW)" in out
    assert json.loads(filed.read_text())["datetime"] != json.loads(copy.read_text())["datetime"]


@pytest.mark.slow
def test_a_bench_records_rounds_work_and_roofline(measure):
    (row,) = json.loads((measure.folder / "copy.json").read_text())["benchmarks"]
    told = row["extra_info"]
    assert {len(rounds) for rounds in told["rounds_s"].values()} == {15}
    assert len(row["stats"]["data"]) == 15
    assert next(iter(told["rounds_s"])) == told["reference"] == "torch_bn"
    assert told["bytes_moved"] == 5 * 4 * 4 * 256 * 2 * 2  # x, y, then dy, x, dx
    assert told["roofline_s"] > 0 and set(told["roofline_share"]) == set(told["rounds_s"])
    assert set(told["peak_memory_bytes"].values()) == {None}


@pytest.mark.slow
@pytest.mark.skipif(best_instructions() not in ("AVX2", "AVX512"), reason="the processor has no AVX2")
def test_a_bench_that_is_filed_ran_with_avx2_as_torch_says_itself(measure):
    told = json.loads((measure.folder / "copy.json").read_text())["machine_info"]
    assert (told["instructions"], told["cpu_capability"]) == ("AVX2", "AVX2")


@pytest.mark.parametrize("then", [{"instructions": "AVX512"}, {"instructions": None}, {}], ids=str)
def test_timings_under_other_instructions_or_untold_ones_are_refused(then):
    compare = runpy.run_path(str(BENCH / "conftest.py"))["pytest_benchmark_compare_machine_info"]
    compare({"instructions": "AVX2", "node": "a"}, {"machine_info": {"instructions": "AVX2", "node": "b"}})
    with pytest.raises(pytest.UsageError, match=r"no comparison across instructions: .*, here AVX2"):
        compare({"instructions": "AVX2"}, {"machine_info": then})


@pytest.mark.slow
def test_a_comparison_across_instructions_ends_before_anything_is_timed(measure, capfd):
    (saved,) = (measure.folder / "saved").rglob("0001_*.json")
    kept = saved.read_text()
    report = json.loads(kept)
    del report["machine_info"]["instructions"]  # as in files of before
    saved.write_text(json.dumps(report))
    files = [path.stat().st_mtime_ns for path in sorted((measure.folder / "results").rglob("*.json"))]
    try:
        assert measure("--benchmark-compare") == pytest.ExitCode.USAGE_ERROR
    finally:
        saved.write_text(kept)
    said = "no comparison across instructions: instructions not written down, here "
    assert said in capfd.readouterr().err
    assert files == [path.stat().st_mtime_ns for path in sorted((measure.folder / "results").rglob("*.json"))]
