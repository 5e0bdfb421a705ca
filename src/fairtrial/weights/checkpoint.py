"""Our own checkpoints: safetensors with a record of what they are, sealed by a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.torch import save as to_bytes

from fairtrial.errors import BAD_INPUT, USAGE, Fault, Problem, fault, shown
from fairtrial.models.resnet import Built, ResNetV2
from fairtrial.storage.atomic import publish
from fairtrial.weights.fingerprint import probe, same
from fairtrial.weights.header import AGAIN, DTYPES, KEY, SCHEMA, read_header
from fairtrial.weights.load_arrays import HEAD, any_head, check_head, compare, fill, not_finite
from fairtrial.weights.weights_source import Source, held, readable, taken

# What a file says that was saved before these were options.
LATER: Final = {"block": Built.block, "stride_on": Built.stride_on}


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
        "built": asdict(model.built),
        "probe": [round(value, 7) for value in probe(model)],
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
    with readable(path) as file:
        size, sha256, _ = held(path, file)
        header = read_header(path, file, size)
        _refuse_other_network(path, header.record["built"], model, head)
        found = {name: entry.shape for name, entry in header.entries.items()}
        if head != "keep":
            expected = any_head(expected, found, *HEAD, axis=0)
            if not found.keys() & set(HEAD):  # it was left out when the file was saved
                expected = {name: shape for name, shape in expected.items() if name not in HEAD}
        compare(path, found, expected, model.built.model)
        arrays, problems = {}, []
        for name, entry in header.entries.items():
            if (entry.dtype == "F32") is not state[name].is_floating_point():
                what = f"{entry.dtype} values where {state[name].dtype} is expected"
                problems.append(Problem(what, f"{path}, {name}", AGAIN))
            file.seek(entry.begin)
            data = bytearray(file.read(entry.end - entry.begin))  # torch wants memory that it may write
            arrays[name] = np.frombuffer(data, DTYPES[entry.dtype]).reshape(entry.shape)
    problems += not_finite(path, arrays)
    if not problems and (seal := _seal(header.record, arrays)) != header.seal:
        what = f"sha256 of the contents: expected {shown(header.seal)}, found {seal}"
        problems = [Problem(what, str(path), AGAIN)]
    if problems:
        raise Fault(problems, BAD_INPUT)
    fill(model, arrays, head)
    if not same(header.record["probe"], now := probe(model)):
        what = f"features of the probe image: expected {header.record['probe']}, found {now}"
        do = "the values are used in another layout than they were saved in: report it"
        raise fault(what, str(path), do, BAD_INPUT)
    return _source(path, size, sha256, header.record)


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
