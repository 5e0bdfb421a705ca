"""Files of weights, damaged in every way: our own error, or values as they were; no hang, no memory.

The networks have a few thousand values, so that a file is read in two milliseconds.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as to_bytes
from safetensors.torch import save_file
from torch import nn

from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.models.resnet import MODELS, Spec, create_model
from fairtrial.models.torchvision_backbones import Backbone
from fairtrial.study.backbone_names import BackboneSpec
from fairtrial.weights import OFFICIAL, Official, checkpoint, describe, load_bit, save
from fairtrial.weights.backbone_weights import load_file
from fairtrial.weights.fetch import fetched, fetched_lines
from fairtrial.weights.weights_source import write_side
from tests.support.memory import grows_by_less_than
from tests.support.mutations import LONGEST_S, MOST_KB, NUMBERS, changed, damaged, refusals, tried
from tests.weights.making import LAYOUTS, members, official_arrays, write_zip

HEAD = {"2.weight": torch.ones(3, 4), "2.bias": torch.ones(3)}


@pytest.fixture(autouse=True)
def smaller_networks(monkeypatch):
    monkeypatch.setitem(MODELS, "nano", Spec((1,), 8, small_images=True))
    monkeypatch.setitem(LAYOUTS, "short", ((1,), 32))
    monkeypatch.setitem(MODELS, "short", Spec(*LAYOUTS["short"]))


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def backbone() -> Backbone:
    """A network of somebody's, whose file has a head for three classes."""
    return Backbone("theirs", BackboneSpec(), layers(), {"2.weight": (1, 4), "2.bias": (1,)}, 2)


def theirs() -> dict[str, torch.Tensor]:
    return layers().state_dict() | HEAD


def pickled(path: Path):
    torch.save({"state_dict": theirs(), "epoch": 3}, path)
    return path.with_suffix(".pth"), backbone()


def pickled_as_before_1_6(path: Path):
    torch.save(theirs(), path, _use_new_zipfile_serialization=False)
    return path, backbone()


def safetensors(path: Path):
    path = path.with_suffix(".safetensors")
    save_file(theirs(), path, {"format": "pt"})
    return path, backbone()


def own_checkpoint(path: Path):
    model, path = create_model("nano", 2), path.with_suffix(".safetensors")
    save(model, path, {"upstream": "toy"})
    return path, model


MADE = (pickled, pickled_as_before_1_6, safetensors, own_checkpoint)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("made", MADE, ids=lambda made: made.__name__)
def test_a_damaged_file_is_refused_or_read(tmp_path, made, number):
    path, model = made(tmp_path / "mine.pth")
    load_file(model, path)
    before, refused = {name: value.clone() for name, value in model.state_dict().items()}, 0
    for found in tried(path, lambda path: load_file(model, path), number):
        refused += isinstance(found, Fault)
        # sealed, unless its mark is lost too
        if made is own_checkpoint and not isinstance(found, Fault) and checkpoint.is_ours(path):
            assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert refused > number / 2


@pytest.mark.parametrize("number", NUMBERS)
def test_a_pickle_that_goes_wrong_under_right_checksums_is_refused_or_read(tmp_path, number):
    path, model = pickled(tmp_path / "mine.pth")
    with zipfile.ZipFile(path) as archive:
        parts = [(info.filename, archive.read(info)) for info in archive.infolist()]

    def other(_, draws):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in parts:
                archive.writestr(name, damaged(data, draws) if name.endswith("data.pkl") else data)
        return file.getvalue()

    assert refusals(path, lambda path: load_file(model, path), number, other) > number / 2


@pytest.mark.parametrize("number", NUMBERS)
def test_a_header_of_another_shape_is_refused_or_read(tmp_path, number):
    path, model = tmp_path / "mine.safetensors", create_model("nano", 2)
    save_file(model.state_dict(), path, {"format": "pt"})
    load_file(model, path)
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])

    def other(_, draws):
        text = json.dumps(changed(header, draws)).encode("utf-8", "surrogatepass")
        return len(text).to_bytes(8, "little") + text + data[end:]

    assert refusals(path, lambda path: load_file(model, path), number, other) > number / 2


@pytest.mark.filterwarnings("ignore::UserWarning")  # of zipfile, of two members of one name
@pytest.mark.parametrize("number", NUMBERS)
def test_a_damaged_file_of_bit_is_refused_or_gives_the_same_weights(tmp_path, number):
    """A change outside values, names and checksums (times, versions) is harmless and may load."""
    path, model = tmp_path / "BiT.npz", create_model("short", 2)
    write_zip(path, members(official_arrays("short", 2)))
    load_bit(model, path)
    expected = {name: value.clone() for name, value in model.state_dict().items()}

    def near_the_end(data, draws):
        """Half of the time: there lies the directory, and most of the file is values."""
        at = draws.choice((0, len(data) - 4000))
        return data[:at] + damaged(data[at:], draws)

    def ask(path):
        describe(path)
        load_bit(model, path)

    refused = 0
    for found in tried(path, ask, number, near_the_end):
        refused += isinstance(found, Fault)
        assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert refused > number / 2


def test_what_is_said_of_a_fetched_file_does_not_rest_on_an_edited_side_record(tmp_path, monkeypatch):
    monkeypatch.setitem(OFFICIAL, "up", Official("short", 2, "stars", "set/up"))
    path = tmp_path / "up.npz"
    write_zip(path, members(official_arrays("short", 2)))
    fetched("up", tmp_path)
    write_side(path, {**json.loads(path.with_name("up.npz.json").read_text()), "size": None, "trust": [1]})
    assert f"size      {path.stat().st_size:,} bytes" in list(fetched_lines(fetched("up", tmp_path)))


def claims(offset: int = 0, size=(4, 3, 1, 1), stride=(3, 1, 1, 1)):
    """A tensor that says of itself what its values do not bear out."""

    class Claim:
        def __reduce__(self):
            values = torch.ones(12)._typed_storage()
            return torch._utils._rebuild_tensor_v2, (values, offset, size, stride, False, {})

    return Claim()


def bomb(path: Path) -> None:
    torch.save(theirs(), path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mine/data/99", bytes(2**24))


def long_name(path: Path) -> None:
    """A name of code that is not there: torch 2.15 takes 18 s to say so."""
    path.write_bytes(b"\x80\x02c" + b"a" * 40_000 + b"\nb\n.")


def long_name_in_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mine/data.pkl", b"\x80\x02c" + b"a" * 40_000 + b"\nb\n.")
        archive.writestr("mine/version", b"3\n")


def claiming(old: bool, **how):
    """A file with such a tensor. old: as torch < 1.6 wrote it."""
    return lambda path: torch.save(
        theirs() | {"0.weight": claims(**how)}, path, _use_new_zipfile_serialization=not old
    )


def of_another_type(dtype: torch.dtype):
    return lambda path: path.with_suffix(".safetensors").write_bytes(
        to_bytes(theirs() | {"0.weight": torch.ones(4, 3, 1, 1).to(dtype)})
    )


HOSTILE = {
    "long name": long_name,
    "long name in a zip": long_name_in_zip,
    "bomb": bomb,
    "beyond memory": claiming(True, size=(2**31, 2**20), stride=(2**20, 1)),
    "beyond memory in a zip": claiming(False, size=(2**31, 2**20), stride=(2**20, 1)),
    "far apart": claiming(True, stride=(2**40, 1, 1, 1)),
    "float8": of_another_type(torch.float8_e4m3fn),
    "whole numbers": of_another_type(torch.int8),
    "complex": of_another_type(torch.complex64),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_at_once_and_unread(tmp_path, case):
    HOSTILE[case](tmp_path / "mine.pth")
    (path,) = tmp_path.iterdir()
    model, began = backbone(), time.process_time()
    with grows_by_less_than(MOST_KB), pytest.raises(Fault, match="not a table of plain tensors") as refused:
        load_file(model, path)
    assert refused.value.code == BAD_INPUT and time.process_time() - began < LONGEST_S
