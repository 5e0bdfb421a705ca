"""An official BiT file into a network, and what a file is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairtrial.errors import BAD_INPUT, USAGE, Fault, fault
from fairtrial.models.resnet import MODELS, Built, ResNetV2
from fairtrial.weights import name_mapping
from fairtrial.weights.load_arrays import HEAD, any_head, check_head, compare, fill, not_finite
from fairtrial.weights.npz import Npz, opened
from fairtrial.weights.official_files import ILSVRC, IMAGENET_21K, OFFICIAL, Official
from fairtrial.weights.weights_source import Source, must_equal

SLACK: Final = 2**20  # bytes of headers and zip directory
LARGEST: Final = 9 * 10**9  # bytes; twice R152x4 with the head of ImageNet-21k, in float32


def load_bit(model: ResNetV2, path: Path | str, *, head: str = "keep") -> Source:
    """Fill a GN+WS network from an official .npz; the network is touched only when the whole file is sound.

    head: "keep" takes the head of the file, which then needs as many classes as the network; "replace" leaves
    the network's own head as it is; "zero" makes it zero, as BiT does before fine-tuning.
    """
    path = Path(path)
    check_head(head)
    refuse_other_arms(model)
    name = model.built.model
    shapes = {n: tuple(value.shape) for n, value in model.state_dict().items()}
    expected = {name_mapping.official(n): name_mapping.official_shape(shape) for n, shape in shapes.items()}
    about = 4 * sum(math.prod(shape) for shape in expected.values())
    most = 2 * (about + 4 * (IMAGENET_21K + 1) * expected[name_mapping.HEAD_KERNEL][2]) + SLACK
    with opened(path, most=most, about=about) as npz:
        keys = plain_keys(npz)
        found = {key: npz.members[keys[key]].shape for key in keys}
        network = name_mapping.network_of(found)
        if network not in (None, name):
            what = f"holds the weights of {network}; the network is {name}"
            raise fault(what, str(path), f"create_model({network!r}, ...), or choose another file", BAD_INPUT)
        if head != "keep":
            expected = any_head(expected, found, name_mapping.HEAD_KERNEL, name_mapping.HEAD_BIAS, axis=3)
        compare(path, found, expected, name)
        wanted = {n: keys[name_mapping.official(n)] for n in shapes if n not in HEAD or head == "keep"}
        raw = {key: npz.read(key) for key in wanted.values()}
        source = _source(npz, found)
    if problems := not_finite(path, raw):
        raise Fault(problems, BAD_INPUT)
    fill(model, {n: name_mapping.ours(raw.pop(key)) for n, key in wanted.items()}, head)
    return source


def describe(path: Path | str) -> Source:
    """What an .npz holds, from its structure, its head and its name; no values are read."""
    with opened(Path(path), most=LARGEST) as npz:
        keys = plain_keys(npz)
        return _source(npz, {key: npz.members[keys[key]].shape for key in keys})


def read_all(npz: Npz, row: Official) -> None:
    """A Fault unless the file is the network that `row` says, with finite values and sound checksums."""
    keys = plain_keys(npz)
    found = {key: npz.members[keys[key]].shape for key in keys}
    must_equal(npz.path, "network", row.model, name_mapping.network_of(found))
    must_equal(npz.path, "classes", row.classes, name_mapping.classes_of(found))
    if problems := [problem for key in npz.members for problem in not_finite(npz.path, {key: npz.read(key)})]:
        raise Fault(problems, BAD_INPUT)


def plain_keys(npz: Npz) -> dict[str, str]:
    """Official name -> the file's own spelling of it; two spellings of one name are refused."""
    keys: dict[str, str] = {}
    for key in npz.members:
        if (other := keys.setdefault(name_mapping.plain(key), key)) != key:
            where = f"{npz.path}, {key}"
            raise fault(f"the same array as {other}", where, "choose an official file", BAD_INPUT)
    return keys


def refuse_other_arms(model: ResNetV2) -> None:
    """A usage Fault unless the network is GN+WS in the layout of BiT, which alone was published."""
    built = model.built
    official = Built(built.model, built.num_classes, "gn", True)
    if MODELS[built.model].small_images or built != official:
        arm = f"{built.model}, norm={built.norm!r}, weight_std={built.weight_std!r}, {built.block}"
        what = f"the official files are for GN+WS in r50x1 ... r152x4; the network is {arm}"
        raise fault(what, "model", "load them into create_model(NAME, CLASSES, 'gn', True)", USAGE)


def _source(npz: Npz, shapes: Mapping[str, name_mapping.Shape]) -> Source:
    model, classes = name_mapping.network_of(shapes), name_mapping.classes_of(shapes)
    upstream, why = _upstream(npz, model, classes)
    return Source(npz.path.name, npz.size, npz.sha256, model, classes, upstream, (why, *npz.notes()))


def _upstream(npz: Npz, model: str | None, classes: int | None) -> tuple[str | None, str]:
    """What the weights were trained on, and how that is known: by digest, by record, by name, by head."""
    for known, official in OFFICIAL.items():
        if official.sha256 == npz.sha256:
            return official.upstream, f"the digest is that of {known}"
    fetched = OFFICIAL.get(str(npz.side.get("name")))
    if fetched and npz.side.get("sha256"):
        return fetched.upstream, f"fetched as {npz.side['name']}; the digest is the one recorded then"
    name = npz.path.name.removesuffix(".npz")
    upstream, by_head = _by_head(classes)
    if (row := OFFICIAL.get(name)) is None:
        return upstream, by_head
    if (row.model, row.classes) != (model, classes):
        what = f"named {name}, which is {row.model} of {row.classes} classes; holds {model} of {classes}"
        return upstream, f"{what}: it is not {name}. {by_head}"
    tuned = f"; it is not {name.removesuffix('-ILSVRC2012')}" if name.endswith("-ILSVRC2012") else ""
    return row.upstream, f"by its name alone, which fits network and classes{tuned}"


def _by_head(classes: int | None) -> tuple[str | None, str]:
    if classes == IMAGENET_21K:
        return "imagenet21k", "A head of 21843 classes: ImageNet-21k, as BiT-M"
    if classes == ILSVRC:
        return None, "A head of 1000 classes: BiT-S, BiT-M fine-tuned on ILSVRC-2012, or distilled"
    return None, f"A head of {classes} classes, as no pre-training of BiT has"
