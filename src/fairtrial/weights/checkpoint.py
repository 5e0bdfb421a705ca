"""Our own checkpoints: safetensors with a record of what they are, sealed by a digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes

from fairtrial.errors import BAD_INPUT, USAGE, Fault, Problem, fault, shown
from fairtrial.models.resnet import Built, ResNetV2
from fairtrial.storage.atomic import publish
from fairtrial.weights.load_arrays import HEAD, any_head, check_head, compare, fill, not_finite
from fairtrial.weights.state_dict import plain
from fairtrial.weights.weights_source import Source, held, readable, taken

SCHEMA: Final = 1
KEY: Final = "fairtrial"  # the one entry of safetensors' metadata; two would be written in any order
HEADER_CAP: Final = 2**20  # bytes; R152x4 needs 60 kB, and safetensors would take 100 MB
DTYPES: Final = {"F32": torch.float32, "I64": torch.int64}
AGAIN: Final = "take an undamaged copy of the file, or train it again"
# What a file says that was saved before these were options.
LATER: Final = {"block": Built.block, "stride_on": Built.stride_on, "groups": Built.groups}
SIDE: Final = 64  # pixels of the fingerprint's image; every network here leaves 2x2 or more of it
COUNT: Final = 8  # features in it
# whatever a damaged header does to json, to us and to safetensors
_DAMAGE: Final = (
    SafetensorError, LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError,
)  # fmt: skip
CLOSE: Final = 0.02  # of the largest feature: rounding of TF32 stays far below it, a wrong layout does not


def save(model: ResNetV2, path: Path | str, metadata: Mapping[str, Any], *, head: bool = True) -> Source:
    """Write a network and what is known of it, whole or not at all; an existing file stays (exit code 4).

    metadata: JSON values, e.g. {"upstream": "tiny-imagenet-32", "seed": 0}. head: False leaves the last
    linear map out, which transfer replaces anyhow. Equal networks give equal files.
    """
    path = Path(path)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if head or name not in HEAD
    }
    if odd := {str(value.dtype) for value in state.values()} - {"torch.float32", "torch.int64"}:
        raise fault(f"a network of {', '.join(odd)}", "model", "save it as model.float()", USAGE)
    arrays = {name: value.numpy() for name, value in state.items()}
    if problems := not_finite(path, arrays):
        raise Fault(problems, BAD_INPUT)
    facts = {
        "schema": SCHEMA,
        "built": model.built.record(),
        "probe": [round(value, 7) for value in fingerprint(model)],
        "metadata": dict(metadata),
    }
    try:
        record = json.loads(json.dumps(facts, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise fault(f"not JSON: {error}", "metadata", "give texts and finite numbers", USAGE) from None
    data = to_bytes(state, {KEY: json.dumps({"record": record, "sha256": _seal(record, arrays)})})
    try:
        publish(path, data)
    except FileExistsError:
        raise taken(path) from None
    return _source(path, len(data), hashlib.sha256(data).hexdigest(), record)


def load(model: ResNetV2, path: Path | str, *, head: str = "keep") -> Source:
    """Fill a network from a checkpoint of the same model and arm; head as in `load_bit`.

    The network is touched only when the file is sound; then its features are compared with those at saving.
    """
    path = Path(path)
    check_head(head)
    state = model.state_dict()
    expected = {name: tuple(value.shape) for name, value in state.items()}
    with readable(path) as file, contextlib.ExitStack() as stack:
        size, sha256, _ = held(path, file)
        archive, record, seal = stack.enter_context(_opened(path, file, size))
        slices = {name: archive.get_slice(name) for name in archive.keys()}  # noqa: SIM118 - no mapping
        _refuse_other_network(path, record["built"], model, head)
        found = {name: tuple(part.get_shape()) for name, part in slices.items()}
        if head != "keep":
            expected = any_head(expected, found, *HEAD, axis=0)
            if not found.keys() & set(HEAD):  # it was left out when the file was saved
                expected = {name: shape for name, shape in expected.items() if name not in HEAD}
        compare(path, found, expected, model.built.model)
        arrays, problems = {}, []
        for name, part in slices.items():
            if DTYPES.get(part.get_dtype()) is not state[name].dtype:
                what = f"{part.get_dtype()} values where {state[name].dtype} is expected"
                problems.append(Problem(what, f"{path}, {name}", AGAIN))
            else:
                arrays[name] = archive.get_tensor(name)
    problems += not_finite(path, arrays)
    if not problems and (computed := _seal(record, arrays)) != seal:
        what = f"sha256 of the contents: expected {shown(seal)}, found {computed}"
        problems = [Problem(what, str(path), AGAIN)]
    if problems:
        raise Fault(problems, BAD_INPUT)
    fill(model, arrays, head)
    if not same(record["probe"], now := fingerprint(model)):
        what = f"features of the fingerprint's image: expected {record['probe']}, found {now}"
        do = "the values are used in another layout than they were saved in: report it"
        raise fault(what, str(path), do, BAD_INPUT)
    return _source(path, size, sha256, record)


@contextlib.contextmanager
def _opened(path: Path, file: BufferedReader, size: int) -> Iterator[tuple[Any, dict[str, Any], str]]:
    """The arrays of a file, its record (schema, built, probe, metadata) and its seal; a Fault if unsound.

    What safetensors does not say is looked at before: how much is missing, and a key that stands twice.
    """
    header = _header(path, file, size)
    try:
        whole = json.loads(header["__metadata__"][KEY], object_pairs_hook=_no_duplicates)
        record, seal = _checked(whole["record"]), str(whole["sha256"])
        archive = safe_open(path, framework="numpy")
    except _DAMAGE as error:
        raise _unreadable(path, error, "not a checkpoint of fairtrial") from None
    with archive:
        yield archive, record, seal


def tensors(path: Path, file: BufferedReader, size: int) -> dict[str, torch.Tensor]:
    """Name -> tensor of a safetensors file that anybody wrote; a Fault if it is unsound."""
    _header(path, file, size)
    try:
        return plain(path, load_file(path))
    except _DAMAGE as error:
        raise _unreadable(path, error, "no safetensors") from None


def is_ours(path: Path) -> bool:
    """Whether `save` wrote this safetensors file, by its header; a Fault if it cannot be read."""
    with readable(path) as file:
        return KEY in _header(path, file, file.seek(0, 2)).get("__metadata__", {})


def _header(path: Path, file: BufferedReader, size: int) -> dict[str, Any]:
    """The header of a safetensors file whose length is the one that it declares."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(HEADER_CAP, size - 8):
        what = f"a header of {length:,} bytes in a file of {size:,}, at most {HEADER_CAP:,}"
        raise _refused(path, f"{what}: cut, or no safetensors")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_no_duplicates)
        ends = (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        expected = 8 + length + max(ends)
        if expected != size:
            what = f"{size:,} bytes found, {expected:,} expected: the file is cut, or goes on"
            raise _refused(path, what)
    except _DAMAGE as error:
        raise _unreadable(path, error, "not a checkpoint of fairtrial") from None
    if not isinstance(header.get("__metadata__", {}), dict):
        raise _refused(path, "metadata that is no table: damaged, or no safetensors")
    return header


def _unreadable(path: Path, error: Exception, kind: str) -> Fault:
    return _refused(path, f"{kind}, or damaged: {type(error).__name__}: {error}"[:260])


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema {shown(record['schema'])}; this version reads {SCHEMA}")
    sound = isinstance(record["built"], dict) and isinstance(record["metadata"], dict)
    if not sound or len([float(value) for value in record["probe"]]) != COUNT:
        raise ValueError("a record that is not ours")
    return record


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"the key {twice!r} stands twice")
    return found


def _refused(path: Path, what: str) -> Fault:
    return fault(what, f"{path}, its header", AGAIN, BAD_INPUT)


def _refuse_other_network(path: Path, there: Mapping[str, Any], model: ResNetV2, head: str) -> None:
    here = asdict(model.built)
    names = ["model", "norm", "weight_std", *LATER, *(["num_classes"] if head == "keep" else [])]
    there = {**LATER, **there}
    differ = [f"{n} is {shown(there.get(n))}, expected {here[n]!r}" for n in names if there.get(n) != here[n]]
    if differ:
        do = "choose the checkpoint of this network and arm"
        if differ[0].startswith("num_classes"):
            do = 'give head="zero" (or "replace") to leave the head of the file out'
        raise fault("; ".join(differ), str(path), do, BAD_INPUT)


def _seal(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 over the record and over names, types, shapes and values."""
    total = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(arrays):
        total.update(f"\n{name} {arrays[name].dtype.str} {arrays[name].shape}\n".encode())
        total.update(arrays[name].tobytes())
    return total.hexdigest()


def _source(path: Path, size: int, sha256: str, record: Mapping[str, Any]) -> Source:
    built, metadata = record["built"], record["metadata"]
    upstream = metadata.get("upstream")
    return Source(
        file=path.name,
        size=size,
        sha256=sha256,
        model=built["model"],
        classes=built["num_classes"],
        upstream=upstream if isinstance(upstream, str) else None,
        metadata=metadata,
    )


@torch.no_grad()
def fingerprint(model: ResNetV2) -> list[float]:
    """Return eight features of one fixed image, in evaluation mode; they do not depend on the head.

    A square kernel with its channels exchanged has the right shape, and other features.
    """
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
    like = model.head.conv.weight
    training = model.training
    model.eval()
    features = model.features(torch.from_numpy(image).to(like.device, like.dtype))[0].double().cpu()
    model.train(training)
    return features[:: len(features) // COUNT][:COUNT].tolist()


def same(expected: list[float], found: list[float]) -> bool:
    """Whether two fingerprints are of the same weights in the same layout."""
    return np.allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())
