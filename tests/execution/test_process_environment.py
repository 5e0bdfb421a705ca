"""What a worker process is given."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from fairtrial.execution import process_environment
from fairtrial.execution.process_environment import (
    CHOOSING,
    best_instructions,
    instructions_of,
    kept_to,
    worker_environment,
)

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


@pytest.fixture
def processor(monkeypatch):
    for name in CHOOSING:
        monkeypatch.delenv(name, raising=False)
    return lambda best: monkeypatch.setattr(process_environment, "best_instructions", lambda: best)


def chosen(device: str = "cpu") -> dict[str, str]:
    """What a worker is given of the variables that choose instructions."""
    return {name: value for name, value in worker_environment(1, device).items() if name in CHOOSING}


@pytest.mark.parametrize(
    ("best", "given"), [("AVX512", AVX2), ("AVX2", AVX2), ("DEFAULT", {}), ("NO AVX", {}), (None, {})]
)
def test_cells_on_a_cpu_keep_to_avx2_where_there_is_more_or_as_much(processor, best, given):
    """With AVX512 two of four verdicts of a study on digits were others, of the same seeds."""
    processor(best)
    assert (chosen(), chosen("cuda:0")) == (given, {})


@pytest.mark.parametrize("name", sorted(CHOOSING))
def test_what_the_user_chose_of_instructions_stands(processor, monkeypatch, name):
    processor("AVX512")
    monkeypatch.setenv(name, "avx512")
    assert chosen() == {name: "avx512"}


def test_no_process_is_told_to_use_what_its_processor_lacks(processor):
    processor("AVX2")
    assert kept_to("AVX512") == kept_to("AVX9000") == {} and kept_to("AVX2") == AVX2
    processor("AVX512")
    assert kept_to("AVX512")["ATEN_CPU_CAPABILITY"] == "avx512"


@pytest.mark.parametrize("best", ["AVX512", "AVX2", "DEFAULT", None])
def test_the_instructions_of_a_worker_are_told_by_its_variables(processor, best):
    processor(best)
    assert instructions_of(worker_environment(1, "cpu")) == ("AVX2" if best == "AVX512" else best)
    assert instructions_of(worker_environment(1, "cuda:0")) == best


@pytest.mark.parametrize("name", ["DEFAULT", "AVX2", "AVX512"])
def test_what_keeps_a_process_to_instructions_is_told_by_their_name(processor, name):
    processor("AVX512")
    assert instructions_of({"PATH": "/bin", **kept_to(name)}) == name


def test_variables_that_hold_torch_alone_are_told_as_they_stand(processor):
    """oneDNN has all that the processor has, and that is no AVX2."""
    processor("AVX512")
    assert instructions_of({"ATEN_CPU_CAPABILITY": "avx2"}) == "ATEN_CPU_CAPABILITY=avx2"
    both = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx512"}
    assert instructions_of(both) == "ATEN_CPU_CAPABILITY=avx512 ONEDNN_MAX_CPU_ISA=AVX2"


@pytest.mark.skipif(best_instructions() not in ("AVX2", "AVX512"), reason="the processor has no AVX2")
def test_torch_and_its_onednn_are_kept_to_avx2():
    """oneDNN was not, and 22 of 22 cells of AVX2 came out otherwise where there is AVX512."""
    convolve = "import torch; torch.nn.functional.conv2d(torch.ones(2, 8, 8, 8), torch.ones(8, 8, 3, 3)); "
    convolve += "print(torch.backends.cpu.get_cpu_capability())"
    environment = {**os.environ, **kept_to("AVX2"), "ONEDNN_VERBOSE": "1"}
    said = subprocess.run([sys.executable, "-c", convolve], env=environment, capture_output=True, text=True)
    assert re.search(r"cpu,isa:(.*)", said.stdout)[1] == "Intel AVX2", said
    assert said.stdout.splitlines()[-1] == "AVX2"
