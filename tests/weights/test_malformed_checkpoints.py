"""Every way in which a checkpoint can be wrong is refused, and nothing is touched."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from fairtrial.errors import Fault
from fairtrial.models.resnet import create_model
from fairtrial.weights import checkpoint as header_module
from fairtrial.weights import load, save
from fairtrial.weights.checkpoint import KEY
from tests.weights.checkpoints import METADATA, WEIGHT, mini


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "good.safetensors"
    save(mini(), path, METADATA)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (("bn", True, 5), "norm is 'gn', expected 'bn'"),
        (("gn", False, 5), "weight_std is True, expected False"),
        (("gn", "scaled", 5), "weight_std is True, expected 'scaled'"),
        (("gn", True, 6), "num_classes is 5, expected 6"),
    ],
)
def test_the_checkpoint_of_another_arm_is_refused(arm, words, good, tmp_path):
    (tmp_path / "a").write_bytes(good)
    with pytest.raises(Fault, match=words) as error:
        load(mini(*arm), tmp_path / "a")
    assert error.value.code == 3


def parts(good: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(good[:8], "little")
    return json.loads(good[8 : 8 + length]), good[8 + length :]


def joined(header: dict | bytes, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def edited(edit):
    """The file with its header changed in place."""

    def make(good: bytes) -> bytes:
        header, data = parts(good)
        return joined(edit(header) or header, data)

    return make


def record_edited(edit):
    def change(header):
        sealed = json.loads(header["__metadata__"][KEY])
        edit(sealed)
        header["__metadata__"][KEY] = json.dumps(sealed)

    return edited(change)


def value_set(value):
    """One float of WEIGHT replaced, and nothing else."""

    def make(good: bytes) -> bytes:
        header, data = parts(good)
        at = header[WEIGHT]["data_offsets"][0]
        return joined(header, data[:at] + np.float32(value).tobytes() + data[at + 4 :])

    return make


def renamed(header):
    header["body.block1.unit01.conv9.weight"] = header.pop(WEIGHT)


def duplicated(good: bytes) -> bytes:
    header, data = parts(good)
    text = json.dumps(header).encode()
    again = json.dumps({WEIGHT: header[WEIGHT]}).encode()
    return joined(text[:-1] + b"," + again[1:], data)


def shape(new):
    return edited(lambda header: header[WEIGHT].update(shape=new))


CASES = {
    "W1 wrong shape": (shape([16, 16, 9]), ["shape (16, 16, 9), expected (16, 16, 3, 3) for mini", WEIGHT]),
    "W2 one value": (shape([1]), ["invalid shape"]),
    "W3 W4 renamed": (
        edited(renamed),
        ["1 arrays of mini are missing", WEIGHT, "does not have: body.block1.unit01.conv9"],
    ),
    "W6 pickle": (lambda good: pickle.dumps({"a": 1}), ["cut, or no safetensors"]),
    "W7 html": (lambda good: b"<html>" * 99, ["cut, or no safetensors"]),
    "W7 empty": (lambda good: b"", ["a header of 0 bytes in a file of 0"]),
    "W8 cut": (lambda good: good[:-1], ["found", "expected", "the file is cut"]),
    "W8 cut in the header": (lambda good: good[:100], ["cut, or no safetensors"]),
    "W9 bit flip": (value_set(0.123), ["sha256 of the contents: expected"]),
    "W9 another record": (
        record_edited(lambda sealed: sealed["record"]["metadata"].update(upstream="imagenet21k")),
        ["sha256 of the contents: expected"],
    ),
    "W11 4 TB": (shape([10**12]), ["invalid shape"]),
    "W11 negative": (shape([-16, -16, 3, 3]), ["`-16`, expected usize"]),
    "W11 bool": (shape([True]), ["boolean `true`, expected usize"]),
    "W11 header of 200 MB": (
        lambda good: (200 * 2**20).to_bytes(8, "little") + good[8:],
        ["a header of 209,715,200 bytes"],
    ),
    "W11 nested header": (lambda good: joined(b"[" * 100_000, b""), ["not a checkpoint"]),
    "W12 duplicate": (duplicated, [f"the key '{WEIGHT}' stands twice"]),
    "overlap": (
        edited(lambda header: header[WEIGHT].update(header["body.block1.unit02.conv2.weight"])),
        ["invalid offset"],
    ),
    "hole at the end": (lambda good: good + bytes(8), ["expected: the file is cut, or goes on"]),
    "W15 NaN": (value_set(np.nan), ["1 of 2,304 values are NaN or infinite", WEIGHT]),
    "W16 float64": (
        edited(lambda header: header[WEIGHT].update(dtype="F64")),
        ["invalid shape, data type, or offset"],
    ),
    "no record": (edited(lambda header: {**header, "__metadata__": {}}), ["not a checkpoint of fairtrial"]),
    "newer schema": (
        record_edited(lambda sealed: sealed["record"].update(schema=2)),
        ["schema 2; this version reads 1"],
    ),
    "an entry of other fields": (
        edited(lambda header: header[WEIGHT].pop("shape") and None),
        ["not a checkpoint"],
    ),
    "an entry that is a text": (edited(lambda header: header.update({WEIGHT: "x"})), ["not a checkpoint"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_checkpoint_is_refused_and_nothing_is_touched(case, good, tmp_path):
    make, words = CASES[case]
    path = tmp_path / "a.safetensors"
    path.write_bytes(make(good))
    model = mini(seed=9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(Fault) as error:
        load(model, path)
    assert error.value.code == 3
    block = error.value.block()
    assert all(word in block for word in words), block
    assert str(path) in block
    assert list(tmp_path.iterdir()) == [path]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_float_where_an_integer_belongs_is_refused(tmp_path):
    """A counter of bn as F32, with the arrays behind it moved up."""
    save(mini("bn"), tmp_path / "a", METADATA)
    header, data = parts((tmp_path / "a").read_bytes())
    name = "body.block1.unit01.norm1.num_batches_tracked"
    begin, _ = header[name]["data_offsets"]
    for entry in header.values():
        if "data_offsets" in entry and entry["data_offsets"][0] > begin:
            entry["data_offsets"] = [at - 4 for at in entry["data_offsets"]]
    header[name] = {"dtype": "F32", "shape": [], "data_offsets": [begin, begin + 4]}
    (tmp_path / "b").write_bytes(joined(header, data[: begin + 4] + data[begin + 8 :]))
    with pytest.raises(Fault, match=r"F32 values where torch\.int64 is expected"):
        load(mini("bn"), tmp_path / "b")


def test_w17_a_file_whose_values_are_used_otherwise_is_caught_by_its_probe(good, tmp_path):
    """Sealed again after the channels of a square kernel were exchanged: only the features can tell."""
    from fairtrial.weights import checkpoint

    header, data = parts(good)
    begin, end = header[WEIGHT]["data_offsets"]
    kernel = np.frombuffer(data[begin:end], "<f4").reshape(16, 16, 3, 3).swapaxes(0, 1)
    data = data[:begin] + kernel.tobytes() + data[end:]
    arrays = {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }
    record = json.loads(header["__metadata__"][KEY])["record"]
    sealed = {"record": record, "sha256": checkpoint._seal(record, arrays)}
    header["__metadata__"][KEY] = json.dumps(sealed)
    (tmp_path / "a").write_bytes(joined(header, data))
    with pytest.raises(Fault, match="features of the fingerprint's image: expected") as error:
        load(mini(), tmp_path / "a")
    assert error.value.code == 3


def test_500_damaged_checkpoints_give_a_fault_or_the_same_weights(good, tmp_path):
    """Seed 0; half of the mutations fall into the header. Spaces in it are the only harmless bytes."""
    rng, path = np.random.default_rng(0), tmp_path / "a"
    expected = {name: value.clone() for name, value in mini().state_dict().items()}
    length = int.from_bytes(good[:8], "little")
    model, refused = mini(), 0
    for number in range(500):
        data = bytearray(good)
        low, high = (0, 8 + length) if rng.random() < 0.5 else (0, len(data))
        at = int(rng.integers(low, high))
        kind = rng.integers(3)
        if kind == 0:
            data[at] ^= 1 << rng.integers(8)
        elif kind == 1:
            data = data[:at]
        else:
            del data[at : at + 30]
        path.write_bytes(data)
        try:
            load(model, path)
        except Fault as error:
            assert error.code == 3, number
            refused += 1
        state = model.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in expected.items()), number
    assert refused > 490


@pytest.mark.parametrize("where", ["missing", "folder"])
def test_what_is_no_file_is_refused(where, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(Fault, match=r"could not read|not a file") as error:
        load(mini(), Path(tmp_path / where))
    assert error.value.code == 3


def test_the_header_of_the_largest_network_stays_far_below_the_cap():
    with torch.device("meta"):
        state = create_model("r152x4", 21_843, "bn", "scaled").state_dict()
    entry = {"dtype": "F32", "shape": [9999] * 4, "data_offsets": [10**10, 10**10]}
    assert len(json.dumps(dict.fromkeys(state, entry))) * 4 < header_module.HEADER_CAP
