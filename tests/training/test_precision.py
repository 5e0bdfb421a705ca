"""bf16: where it is allowed, and that it is another result."""

import pytest
import torch

from fairtrial.errors import Fault
from fairtrial.training import precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def unmeasured():
    precision.refuse_slow_bf16.cache_clear()
    yield
    precision.refuse_slow_bf16.cache_clear()


def test_a_cpu_that_is_slow_at_bf16_is_refused_with_both_times(monkeypatch):
    monkeypatch.setattr(precision, "_seconds", {torch.float32: 0.011, torch.bfloat16: 0.494}.__getitem__)
    with pytest.raises(Fault) as refused:
        precision.precision("bf16", CPU)
    assert refused.value.code == 4
    assert "494.0 ms, 11.0 ms in fp32" in refused.value.problems[0].what


def test_a_fast_one_computes_convolutions_in_bf16_and_fp32_is_left_alone(monkeypatch):
    monkeypatch.setattr(precision, "_seconds", lambda dtype: 1.0)
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3)
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with precision.precision(name, CPU):
            assert torch.conv2d(x, weight).dtype == dtype


def test_the_seconds_are_measured():
    assert precision._seconds(torch.float32) > 0


def test_in_bf16_a_network_sees_its_updated_weights(monkeypatch):
    """Autocast's cache would show the weights of the first step for ever."""
    monkeypatch.setattr(precision, "refuse_slow_bf16", lambda device: None)
    conv, images = torch.nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8)
    with precision.precision("bf16", CPU):
        before = conv(images)
        before.sum().backward()
        with torch.no_grad():
            conv.weight.add_(1.0)
        after = conv(images)
    assert float((after - before).abs().min()) > 0.1
