"""Our checkpoints: a round trip of every arm, what is saved and what is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from fairtrial.errors import Fault
from fairtrial.layers import CONVS, NORMS
from fairtrial.models.resnet import create_model
from fairtrial.weights import load, save
from fairtrial.weights.checkpoint import KEY
from tests.weights.checkpoints import METADATA, WEIGHT, mini

ROOT = Path(__file__).parents[2]
ARMS = [(norm, weight_std) for norm in NORMS for weight_std in CONVS]


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_a_released_checkpoint_says_of_its_network_what_one_would_today():
    """What a network can be asked for has grown since; the file of one that asks for nothing new has not."""
    files = sorted((ROOT / "results/upstream/weights").glob("*.safetensors"))
    assert len(files) == 20
    for path in files:
        with safe_open(path, "np") as file:
            built = json.loads(file.metadata()[KEY])["record"]["built"]
        model = create_model("mini", 200, built["norm"], built["weight_std"])
        assert model.built.record() == built


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_every_arm_makes_a_round_trip_bit_by_bit(arm, tmp_path):
    model = mini(*arm)
    model.train()(images())  # moves the running statistics of bn
    written = save(model, tmp_path / "a.safetensors", METADATA)
    other = create_model("mini", 5, *arm)
    read = load(other, tmp_path / "a.safetensors")
    assert read == written
    assert (read.upstream, read.model, read.classes, read.metadata) == (
        "tiny-imagenet-32",
        "mini",
        5,
        METADATA,
    )
    state = other.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(other.eval()(images()), model.eval()(images()))


def test_equal_networks_give_equal_files_and_another_seed_another_one(tmp_path):
    sources = [save(mini(seed=seed), tmp_path / str(n), METADATA) for n, seed in enumerate((0, 0, 1))]
    assert sources[0].sha256 == sources[1].sha256 != sources[2].sha256
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_safetensors_itself_reads_the_file(tmp_path):
    from safetensors.torch import load_file

    model = mini()
    save(model, tmp_path / "a.safetensors", METADATA)
    theirs = load_file(tmp_path / "a.safetensors")
    assert theirs.keys() == model.state_dict().keys()
    assert all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())


def test_saving_leaves_nothing_but_the_file_and_never_overwrites(tmp_path):
    path = tmp_path / "a.safetensors"
    save(mini(), path, METADATA)
    before = path.read_bytes()
    with pytest.raises(Fault, match="is there already") as error:
        save(mini(seed=1), path, METADATA)
    assert error.value.code == 4
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Fault, match="No space left") as error:
        save(mini(), tmp_path / "a.safetensors", METADATA)
    assert error.value.code == 6
    assert not list(tmp_path.iterdir())


def test_a_planted_link_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("keep me")
    (tmp_path / "a.safetensors").symlink_to(target)
    with pytest.raises(Fault):
        save(mini(), tmp_path / "a.safetensors", METADATA)
    assert target.read_text() == "keep me"


def test_a_diverged_network_is_not_saved(tmp_path):
    model = mini()
    with torch.no_grad():
        model.body.block1.unit01.conv2.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(Fault, match="1 of 2,304 values are NaN or infinite") as error:
        save(model, tmp_path / "a.safetensors", METADATA)
    assert WEIGHT in error.value.block()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("metadata", [{"a": object()}, {"a": float("nan")}])
def test_metadata_that_is_no_json_is_refused(metadata, tmp_path):
    with pytest.raises(Fault, match="not JSON") as error:
        save(mini(), tmp_path / "a.safetensors", metadata)
    assert error.value.code == 2


def test_a_network_in_half_precision_is_refused_when_saved(tmp_path):
    with pytest.raises(Fault, match=r"a network of torch\.float16"):
        save(mini().half(), tmp_path / "a.safetensors", METADATA)


@pytest.mark.parametrize("head", ["zero", "replace"])
def test_a_head_of_other_classes_is_left_out(head, tmp_path):
    save(mini(), tmp_path / "a.safetensors", METADATA)
    other = mini(classes=9, seed=4)
    before = other.head.conv.weight.detach().clone()
    load(other, tmp_path / "a.safetensors", head=head)
    assert torch.equal(other.features(images()), mini().features(images()))
    assert torch.equal(other.head.conv.weight, before if head == "replace" else torch.zeros_like(before))
