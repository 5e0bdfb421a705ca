"""SGD against torch's own, to the bit."""

import subprocess
import sys

import pytest
import torch

from fairtrial.training.optimizer import SGD


def parameters() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator).requires_grad_() for shape in ((3, 4), (5,), (2, 3, 3, 3))
    ]


@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_twenty_steps_are_those_of_torch_to_the_bit(momentum, weight_decay):
    mine, theirs = parameters(), parameters()
    ours = SGD(mine, lr=0.1, momentum=momentum, weight_decay=weight_decay)
    oracle = torch.optim.SGD(theirs, lr=0.1, momentum=momentum, weight_decay=weight_decay, foreach=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        ours.lr = oracle.param_groups[0]["lr"] = 0.1 / (1 + step)
        for a, b in zip(mine, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        ours.step()
        oracle.step()
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_a_parameter_outside_the_loss_is_an_error():
    optimizer = SGD(parameters(), lr=0.1, momentum=0.9, weight_decay=0.0)
    with pytest.raises(RuntimeError, match="has no gradient"):
        optimizer.step()


def test_gradients_can_be_forgotten():
    some = parameters()
    some[0].grad = torch.ones_like(some[0])
    SGD(some, lr=0.1, momentum=0.9, weight_decay=0.0).zero_grad()
    assert some[0].grad is None


def test_training_does_not_import_torchs_compiler():
    """It costs 3.3 s in every job."""
    program = (
        "import sys\n"
        "from fairtrial import Budget, Study\n"
        "from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell\n"
        "fixed = {'resolution': 16, 'shots': 2, 'batch_size': 4}\n"
        "cell = Study('t', '', {'norm': ('gn',)}, Budget(steps=2), fixed=fixed, seeds=(0,)).cells()[0]\n"
        "run_cell(cell, ExecutionContext())\n"
        "print(*sys.modules)\n"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "torch.nn" in loaded.stdout.split()
    assert "torch._dynamo" not in loaded.stdout.split()
