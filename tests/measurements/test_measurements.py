"""Probes against hand counts: masks of norms, moments of a signal, noise of batch statistics."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.measurements import axes, bn_noise, measurement_record, signal_propagation, smoothness
from fairtrial.models.resnet import create_model, init_weights
from fairtrial.rng import key, stream


def test_the_masks_are_the_axes_of_each_definition():
    told = axes.measure()
    masks = {name: np.array(mask, dtype=bool) for name, mask in told["masks"].items()}
    images, channels, pixels = told["shape"]
    expected = {name: np.zeros((images, channels, pixels), dtype=bool) for name in masks}
    expected["bn"][:, 0] = True  # one channel, every image
    expected["ln"][0] = True  # one image, every channel
    expected["in"][0, 0] = True  # one image, one channel
    expected["gn"][0, : channels // told["groups"]] = True  # one image, one group
    expected["ws"][0] = True  # one filter, all its inputs
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, expected[name], err_msg=name)


def test_moments_are_those_of_the_channels():
    x = torch.tensor([[[[1.0, 3.0]], [[10.0, 10.0]]]])  # means 2 and 10, variances 1 and 0
    assert signal_propagation.moments(x) == ((4 + 100) / 2, (1 + 0) / 2)


def test_a_signal_is_that_of_a_forward_pass_unit_by_unit():
    arm = {"norm": "gn", "weight_std": True}
    rows = signal_propagation.propagate(arm, 3, "mini", 4, 16)
    network = create_model("mini", 1, "gn", True)
    init_weights(network, lambda name: stream("init", 3, key(name)))
    x = torch.from_numpy(stream("eval", 3).standard_normal((4, 3, 16, 16)))
    network.double().train()
    with torch.no_grad():
        out = network.root(x)
        units = [unit for block in network.body for unit in block]
        assert len(units) == len(rows) == 6
        for unit, row in zip(units, rows, strict=True):
            out = unit(out)
            values = out.numpy()
            assert row["variance"] == pytest.approx(values.var((0, 2, 3)).mean())
            assert row["square_mean"] == pytest.approx((values.mean((0, 2, 3)) ** 2).mean())


def test_normed_branches_forget_what_came_before_and_bare_ones_do_not():
    """With BN every branch starts from unit variance; standardized filters alone multiply by their fan-in."""
    bn = signal_propagation.propagate({"norm": "bn", "weight_std": False}, 0, "mini", 8, 16)
    bare = signal_propagation.propagate({"norm": "none", "weight_std": True}, 0, "mini", 8, 16)
    assert max(row["branch_variance"] for row in bn) < 10
    growth = [late["variance"] / early["variance"] for early, late in pairwise(bare)]
    assert min(growth) > 1000


def test_a_start_depends_on_its_seed():
    arm = {"norm": "bn", "weight_std": False}
    one, same, other = (signal_propagation.propagate(arm, seed, "mini", 2, 16) for seed in (0, 0, 1))
    assert one == same != other


@pytest.fixture(scope="module", params=[20, pytest.param(40, marks=pytest.mark.soak)])
def noisy(request):
    """A started network; as many batches of each size of images that are independent noise."""
    network = create_model("mini", 1, "bn", False)
    init_weights(network, lambda name: stream("init", 0, key(name)))
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (256, 3, 12, 12), dtype=np.uint8))
    return bn_noise.noise(network, images, bn_noise.batches_of(0, 256, request.param))


def test_the_noise_of_the_first_mean_falls_with_the_root_of_the_batch(noisy):
    """Independent images: SD of a mean of B falls as 1/sqrt(B); of 20 batches it is known to about 16 %."""
    first = noisy["layers"]["body.block1.unit01.norm1"]
    assert first["pixels"] == 6 * 6
    ratio = first["mean"][0] / first["mean"][4]  # 1 image against 16
    assert ratio == pytest.approx(4, rel=0.35)
    assert first["log_variance"][0] > 2 * first["log_variance"][5]


def test_every_layer_is_watched_at_every_size(noisy):
    assert len(noisy["layers"]) == 6 * 3 + 1
    assert all(len(row["mean"]) == len(bn_noise.SIZES) for row in noisy["layers"].values())
    assert len(noisy["gap"]) == len(bn_noise.SIZES)
    assert all(math.isfinite(value) for row in noisy["layers"].values() for value in row["log_variance"])


def test_small_batches_are_the_beginning_of_large_ones_without_repeats():
    rows = bn_noise.batches_of(2, 300, 5)
    assert rows.shape == (5, 128) and all(len(set(row)) == 128 for row in rows.tolist())
    assert not np.array_equal(rows, bn_noise.batches_of(1, 300, 5))


def test_a_measurement_leaves_the_network_as_it_was():
    network = create_model("mini", 1, "bn", False)
    init_weights(network, lambda name: stream("init", 0, key(name)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.zeros(128, 3, 16, 16, dtype=torch.uint8)
    bn_noise.noise(network, images, bn_noise.batches_of(0, 128, 2))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_record_is_sealed_and_known_by_its_name(tmp_path):
    path = measurement_record.write(tmp_path / "probes" / "axes.json", "axes", {"a": 1}, {"commit": None})
    assert measurement_record.read(path, "axes")["values"] == {"a": 1}
    with pytest.raises(Fault, match="where 'signal' is expected"):
        measurement_record.read(path, "signal")
    path.write_text(path.read_text().replace('"a":1', '"a":2'))
    with pytest.raises(Fault, match="was edited"):
        measurement_record.read(path, "axes")


def test_the_command_writes_what_it_measured(tmp_path, capsys):
    assert main(["probe", "axes", "--results", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert measurement_record.read(tmp_path / "probes" / "axes.json", "axes")["values"] == told["values"]


def test_statistics_without_networks_say_what_to_do(tmp_path, capsys):
    assert main(["probe", "statistics", "--results", str(tmp_path)]) == BAD_INPUT
    assert "there are no pre-trained networks" in capsys.readouterr().err


def test_a_quadratic_bowl_has_its_own_smoothness():
    """Loss c w^2 of one weight: relative gradient 2 c w^2, and so its change per step and its eigenvalue."""

    class Bowl(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 1, bias=False)
            self.conv.weight.data.fill_(3.0)

        def forward(self, x):  # cross entropy of these scores against class 0 is 2 w^2 / 2 up to a constant
            score = -self.conv.weight.square().sum()
            return torch.stack([score, score.new_zeros(())]).expand(len(x), 2) * 1000

    row = smoothness.smoothness(Bowl(), torch.zeros(2, 1, 1, 1), torch.zeros(2, dtype=torch.int64))
    # far from the other class the loss is linear in the score: 1000 w^2, at w = 3
    assert row["loss"] == pytest.approx(9000)
    assert row["gradient"] == pytest.approx(2 * 1000 * 9)
    assert row["gradient_change"] == pytest.approx(2 * 1000 * 9)
    assert row["top_eigenvalue"] == pytest.approx(2 * 1000 * 9, rel=1e-5)
    assert row["loss_range"] == pytest.approx(9000 * (1 - 0.9**2))


@pytest.fixture(scope="module")
def few():
    """The digits."""
    from fairtrial.execution.cell.prepare import dataset_of

    return dataset_of("digits", 16, False)


def test_neither_the_scale_of_a_filter_nor_the_look_itself_changes_what_is_seen(monkeypatch):
    monkeypatch.setattr(smoothness, "TURNS", 5)
    network = create_model("mini", 10, "gn", False)
    init_weights(network, lambda name: stream("init", 0, key(name)), "drawn")
    x = torch.from_numpy(stream("eval", 1).standard_normal((8, 3, 16, 16)).astype("float32"))
    y = torch.arange(8) % 10
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen = smoothness.smoothness(network.train(), x, y)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 4 and "conv1" in name:  # a norm follows each of them
                parameter.mul_(8.0)
    assert smoothness.smoothness(network, x, y) == pytest.approx(seen, rel=1e-2)


def test_arms_share_starts_and_batches_and_a_run_repeats(few, monkeypatch):
    monkeypatch.setattr(smoothness, "TURNS", 2)
    told = [smoothness.along(arm, 0, few, (2,)) for arm in (smoothness.ARMS[2], smoothness.ARMS[3])]
    assert [row["step"] for row in told[0]] == [2]
    assert told[0] == smoothness.along(smoothness.ARMS[2], 0, few, (2,))
    assert told[0] != told[1]
    assert all(math.isfinite(value) for run in told for row in run for value in row.values())
