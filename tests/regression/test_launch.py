"""What one launch says of the rounds that were measured."""

import math
import os
from pathlib import Path

import pytest

from fairtrial.execution import process_environment
from fairtrial.execution.process_environment import CHOOSING, worker_environment
from fairtrial.regression.launch import Launch, Setup, Tree, run
from tests.support.gate import BENCH, checkout

CHECKOUT = Path(__file__).parents[2]


def launch(base, candidate):
    return Launch(({"a": base}, {"a": candidate}), ())


def test_a_cold_cache_that_hits_each_process_in_turn_is_no_difference():
    cold, warm = 1.3, 1.0
    base, candidate = [warm, cold, cold, warm] * 5, [cold, warm, warm, cold] * 5
    assert launch(base, candidate).log_ratios()["a"] == pytest.approx(0)


def test_a_disturbed_block_does_not_count():
    candidate = [1.05] * 20
    candidate[4:8] = [9, 9, 9, 9]
    assert launch([1.0] * 20, candidate).log_ratios()["a"] == pytest.approx(math.log(1.05))


def test_a_bench_of_one_side_alone_has_no_ratio():
    one = Launch(({"a": [1.0] * 4}, {"a": [1.0] * 4, "new": [1.0] * 4}), ())
    assert list(one.log_ratios()) == ["a"]
    assert one.seconds() == {"a": 1.0, "new": 1.0}


TOLD = BENCH.replace("(measured):", "(measured, benchmark):\n    import os") + (
    "    benchmark.extra_info['environment'] = dict(os.environ)\n"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "chosen"), [("cpu", {}), ("cpu", {"ONEDNN_MAX_CPU_ISA": "SSE41"}), ("cuda:0", {})]
)
def test_a_process_of_the_gate_is_given_what_a_worker_is(tmp_path, monkeypatch, bytecode, device, chosen):
    """It had all that the processor has, and cells on a CPU have AVX2."""
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(bytecode))
    monkeypatch.setattr(process_environment, "best_instructions", lambda: "AVX512")
    for name in (*CHOOSING, "PYTHONPATH", *filter(lambda name: name.startswith("PYTEST_"), os.environ)):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    tree = Tree("candidate", checkout(tmp_path / "tree", bench=TOLD))
    (report,) = run([tree], Setup(tree.root, tmp_path, device, threads=1), 0).reports
    found = report["benchmarks"][0]["extra_info"]["environment"]
    assert found.items() >= worker_environment(1, device).items()
    kept = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"} if device == "cpu" else {}
    assert {name: found[name] for name in CHOOSING & found.keys()} == (chosen or kept)


@pytest.mark.slow
def test_the_benches_of_this_tree_run_in_turns(tmp_path):
    trees = [Tree("base", CHECKOUT), Tree("candidate", CHECKOUT, plant=100.0)]
    found = run(trees, Setup(CHECKOUT, tmp_path, rounds=8), 0)
    base, candidate = found.rounds
    assert list(base) == list(candidate) == [
        "test_std_conv[mini]", "test_std_conv[r50x1]", "test_group_norm", "test_step_of_mini",
    ]  # fmt: skip
    assert all(len(rounds) == 8 for rounds in base.values())
    ratios = found.log_ratios()
    assert ratios["test_std_conv[mini]"] > 0.35 and ratios["test_std_conv[r50x1]"] > 0.35  # log 2 is 0.69
