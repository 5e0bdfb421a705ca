"""A local file of the user's, and timm's networks: names that are mapped, files that are refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from fairtrial.errors import BAD_INPUT, RESOURCES, Fault
from fairtrial.models.resnet import create_model
from fairtrial.models.torchvision_backbones import create_backbone
from fairtrial.weights import save
from fairtrial.weights.backbone_weights import load_file, load_timm

SMALL = "torchvision:mobilenet_v3_small"
TIMM = "timm:resnet10t"


@pytest.fixture(scope="module")
def theirs():
    """A network with another number of classes than ours will have, as a user trained it."""
    torch.manual_seed(0)
    return get_model("mobilenet_v3_small", weights=None, num_classes=3).eval()


def write(path: Path, theirs: torch.nn.Module) -> Path:
    """The weights as the name of the file asks for them."""
    state = theirs.state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif path.stem == "wrapped":
        torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    elif path.stem == "headless":
        torch.save({key: value for key, value in state.items() if not key.startswith("classifier.3")}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file", ["mine.pth", "mine.safetensors", "wrapped.pt", "headless.bin"])
def test_a_local_file_gives_the_features_of_the_network_that_was_saved(file, theirs, tmp_path):
    path = write(tmp_path / file, theirs)
    ours = create_backbone(SMALL, 7)
    torch.nn.init.ones_(ours.head.weight)
    source = load_file(ours, path)
    x = torch.rand(2, 3, 64, 64)
    body = torch.nn.Sequential(
        theirs.features, theirs.avgpool, torch.nn.Flatten(), theirs.classifier[:3]
    ).eval()
    torch.testing.assert_close(ours.eval().body(x), body(x))
    assert not ours.head.weight.any()
    assert (source.file, source.size, source.model) == (file, path.stat().st_size, SMALL)
    assert (source.classes, source.upstream) == (None, None)  # a file does not say it


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("mine.onnx", None, ".onnx: no known kind of weights"),
        ("mine.pth", lambda data: data[:-100], "not a table of plain tensors"),
        ("mine.safetensors", lambda data: data[:-4], "the file is cut, or goes on"),
        ("mine.safetensors", lambda data: (2**40).to_bytes(8, "little") + data[8:], "cut, or no safetensors"),
        ("absent.pth", None, "could not read: No such file"),
    ],
    ids=["other kind", "cut pth", "cut safetensors", "hostile header", "absent"],
)
def test_a_file_that_cannot_be_used_is_one_block(file, change, words, theirs, tmp_path):
    path = tmp_path / file
    if change:
        path.write_bytes(change(write(path, theirs).read_bytes()))
    elif not file.startswith("absent"):
        path.write_bytes(b"x")
    ours = create_backbone(SMALL, 7)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(Fault) as error:
        load_file(ours, path)
    assert error.value.code == BAD_INPUT and words in error.value.block()
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


def test_a_pickle_that_holds_code_is_refused_unrun_and_torch_says_nothing(tmp_path, recwarn):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "mine.pth"
    # a plain pickle of protocol 4, of which torch warns
    path.write_bytes(pickle.dumps(Code(), protocol=4))
    with pytest.raises(Fault, match="not a table of plain tensors"):
        load_file(create_backbone(SMALL, 7), path)
    assert not (tmp_path / "ran").exists() and not recwarn.list


def test_a_file_of_another_network_names_what_differs(theirs, tmp_path):
    path = write(tmp_path / "mine.pth", theirs)
    with pytest.raises(Fault, match="arrays of torchvision:resnet18 are missing"):
        load_file(create_backbone("torchvision:resnet18", 7), path)
    with pytest.raises(Fault, match="arrays of mini are missing"):
        load_file(create_model("mini", 7), path)


@pytest.mark.parametrize("file", ["own.safetensors", "own.pth"])
def test_a_network_of_ours_starts_from_a_checkpoint_or_a_state_dict(file, tmp_path):
    kept, model = create_model("mini", 3), create_model("mini", 7)
    for value in kept.parameters():
        torch.nn.init.uniform_(value, 0.5, 1)
    if file.endswith("pth"):
        torch.save(kept.state_dict(), tmp_path / file)
    else:
        save(kept, tmp_path / file, {"upstream": "mine"})
    assert load_file(model, tmp_path / file).model == "mini"
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(model.eval().features(x), kept.eval().features(x))


def test_a_network_of_timm_says_its_norm_and_starts_from_its_hubs_cache(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub")
    torch.manual_seed(0)
    theirs = timm.create_model("resnet10t", num_classes=5).eval()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    ours = create_backbone(TIMM, 7)
    assert (ours.spec.norm, ours.spec.weight_std, ours.spec.last_stage) == ("bn", False, "layer4")

    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(Fault) as error:
        load_timm(ours, TIMM, download=False)
    assert error.value.code == BAD_INPUT and "add --download to the command" in error.value.block()
    asked = []
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *asked_for: asked.append(asked_for) or path)
    path = str(tmp_path / "model.safetensors")
    source = load_timm(ours, TIMM, download=False)
    assert asked == [("timm/resnet10t.c3_in1k", "model.safetensors")]
    assert (source.file, source.upstream) == ("timm/resnet10t.c3_in1k/model.safetensors", "c3_in1k")
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(
        ours.eval().body(x), theirs.forward_head(theirs.forward_features(x), pre_logits=True)
    )

    def broken(*_):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(hub, "hf_hub_download", broken)
    with pytest.raises(Fault) as error:
        load_timm(ours, TIMM, download=True)
    assert error.value.code == RESOURCES
    said = "could not fetch model.safetensors of timm/resnet10t.c3_in1k: no route to host\n"
    assert said in error.value.block()
