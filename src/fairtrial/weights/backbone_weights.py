"""Weights of published networks: torchvision's and timm's own files, and a local file of the user's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from fairtrial.errors import BAD_INPUT, RESOURCES, USAGE, Fault, fault, refuse_shortage
from fairtrial.models.resnet import ResNetV2
from fairtrial.models.torchvision_backbones import Backbone
from fairtrial.plain_file import open_file
from fairtrial.storage.download import Opener, download_file
from fairtrial.study.backbone_names import TIMM, BackboneSpec
from fairtrial.weights import bit, checkpoint, name_mapping, state_dict
from fairtrial.weights.load_arrays import HEAD, compare, fill, not_finite
from fairtrial.weights.official_files import ILSVRC
from fairtrial.weights.weights_source import Source, readable

LARGEST: Final = 3 * 10**9  # bytes of a file; RegNetY-128GF's has 2.5 GB
AUXILIARY: Final = ("AuxLogits.", "aux1.", "aux2.")  # second heads of Inception and GoogLeNet
COUNTER: Final = "num_batches_tracked"  # of BN; older files lack it, and nothing reads it
SAFETENSORS: Final = ".safetensors"
PICKLED: Final = (".pth", ".pt", ".bin", ".tar")  # torch.load with weights_only, which runs no code
WRAPPED: Final = ("module.", "_orig_mod.")  # by DataParallel, by torch.compile
# names in published files -> names in the network of today
_RENAMED: Final = (
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)"), r"\1\2"),  # DenseNet
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),  # ViT
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


def load_published(
    model: Backbone, *, download: bool, folder: Path | None = None, opener: Opener | None = None
) -> Source:
    """Fill the network with torchvision's ImageNet weights, its head with zeros.

    folder: where the file lies; torch hub's cache when it is None. download: fetch it when it is not there.
    The network is touched only when the file is the published one by its digest, and is sound throughout.
    opener: Request -> response, in place of the network.
    """
    path = (folder or Path(torch.hub.get_dir()) / "checkpoints") / model.spec.file
    if not path.exists():
        if not download:
            raise _absent(model.name, path, model.spec.url)
        download_file(model.spec.url, path, partial(_check, model.spec), most=LARGEST, opener=opener)
    with readable(path) as file:
        size, sha256 = file.seek(0, 2), _must_be(model.spec, path, file)
        state = state_dict.pickled(path, file, size)
    head = {name: (ILSVRC, *shape[1:]) for name, shape in model.published.items()}
    _fill(model, path, state, head)
    notes = (f"torchvision's {model.spec.weights}; the digest begins as the published name says",)
    return Source(path.name, size, sha256, model.name, ILSVRC, "ilsvrc2012", notes)


def load_timm(model: Backbone | ResNetV2, name: str, *, download: bool) -> Source:
    """Fill a network with the weights that timm publishes as `name`: those of the hub's cache, or fetched.

    model: the same network of timm, or a BiT network of ours.
    """
    import timm
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    config = timm.get_pretrained_cfg(name.removeprefix(TIMM))
    repository = getattr(config, "hf_hub_id", None)
    if not repository:
        do = "name one of timm.list_pretrained(), or use file:FILE or upstream=none"
        raise fault(f"timm publishes no weights of {name} on its hub", "upstream", do, USAGE)
    file = "model.safetensors"
    path = try_to_load_from_cache(repository, file)
    if not isinstance(path, str):
        url = f"https://huggingface.co/{repository}/resolve/main/{file}"
        if not download:
            raise _absent(name, Path(file), url, f"its hub's cache, {repository}")
        try:
            path = hf_hub_download(repository, file)
        except Exception as error:  # its errors are those of several libraries
            refuse_shortage(error, url)
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            do = "check the connection and run the same again, or use file:FILE"
            raise fault(f"could not fetch {file} of {repository}: {why[:200]}", url, do, RESOURCES) from None
    source = load_file(model, Path(path))
    return replace(source, file=f"{repository}/{file}", upstream=getattr(config, "tag", None) or None)


def load_file(model: Backbone | ResNetV2, path: Path) -> Source:
    """Fill a network from a local file, but not its head: .safetensors, or a state dict that torch saved.

    Names are those of the network: torchvision's, timm's, or ours; for a BiT network of ours, timm's too. A
    network of ours also starts from a checkpoint of `weights.save`, and then has to be its arm.
    """
    if path.suffix != SAFETENSORS and path.suffix not in PICKLED:
        do = f"give {SAFETENSORS} or one of {', '.join(PICKLED)}; an .npz of BiT is npz:FILE"
        raise fault(f"{path.suffix or 'no ending'}: no known kind of weights", str(path), do, BAD_INPUT)
    if isinstance(model, ResNetV2) and path.suffix == SAFETENSORS and checkpoint.is_ours(path):
        return checkpoint.load(model, path, head="replace")
    with readable(path) as file:
        size = file.seek(0, 2)
        if size > 4 * LARGEST:
            what = f"{size:,} bytes where at most {4 * LARGEST:,} are expected"
            raise fault(what, str(path), "choose the file of this network", BAD_INPUT)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        read = checkpoint.tensors if path.suffix == SAFETENSORS else state_dict.pickled
        state = _bare(read(path, file, size))
    if isinstance(model, ResNetV2):
        _fill_ours(model, path, state)
        return Source(path.name, size, sha256, model.built.model, None, None, ("a local file, by its names",))
    heads = tuple(f"{name.rpartition('.')[0]}." for name in model.published)
    state = {key: value for key, value in state.items() if not key.startswith(heads)}
    _fill(model, path, state, {})
    return Source(path.name, size, sha256, model.name, None, None, ("a local file, by its names",))


def _bare(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names without what wrappers of training put before every one of them."""
    bare = dict(state)
    for before in WRAPPED:
        if all(name.startswith(before) for name in bare):
            bare = {name.removeprefix(before): value for name, value in bare.items()}
    return bare


def _fill_ours(model: ResNetV2, path: Path, state: Mapping[str, Tensor]) -> None:
    """Copy a state dict with our names or timm's into a network of ours; its head stays as it is."""
    if "stem.conv.weight" in state:
        bit.refuse_other_arms(model)
        state = {name_mapping.from_timm(name): value for name, value in state.items()}
    found = {name: value for name, value in state.items() if name not in HEAD}
    expected = {n: tuple(value.shape) for n, value in model.state_dict().items() if n not in HEAD}
    compare(path, {n: tuple(value.shape) for n, value in found.items()}, expected, model.built.model)
    arrays = _arrays(found)
    if problems := not_finite(path, arrays):
        raise Fault(problems, BAD_INPUT)
    fill(model, arrays, "replace")


@torch.no_grad()
def _fill(
    model: Backbone, path: Path, state: Mapping[str, Tensor], head: Mapping[str, tuple[int, ...]]
) -> None:
    """Copy a whole state dict into the body and make the head zero, once everything in it is sound.

    head: the arrays of the last map that the file must have, by their names; empty where it was left out.
    """
    found = {_today(name): value for name, value in state.items()}
    found = {name: value for name, value in found.items() if not name.startswith(AUXILIARY)}
    own = model.body.state_dict()
    expected = {
        name: tuple(v.shape) for name, v in own.items() if name in found or not name.endswith(COUNTER)
    }
    expected |= head
    compare(path, {name: tuple(value.shape) for name, value in found.items()}, expected, model.name)
    body = {name: value for name, value in found.items() if name in own}
    if problems := not_finite(path, _arrays(body)):
        raise Fault(problems, BAD_INPUT)
    for name, value in model.state_dict().items():  # detached: no gradient follows
        given = body.get(name.removeprefix("body."))
        if given is None:  # the head, and a counter that the file lacks
            value.zero_()
        else:
            value.copy_(given)


def _arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """The values for NumPy, which has no bfloat16."""
    return {
        name: (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        for name, value in state.items()
    }


def _today(name: str) -> str:
    for pattern, new in _RENAMED:
        name = pattern.sub(new, name)
    return name


def _absent(name: str, path: Path, url: str, where: str = "") -> Fault:
    what = f"the published weights of {name} are not on this machine: {path.name}"
    return fault(what, where or str(path), f"add --download to the command, or put {url} there", BAD_INPUT)


def _check(spec: BackboneSpec, part: Path, _: object) -> None:
    with open_file(part) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if not sha256.startswith(spec.digits):
        what = f"{part.stat().st_size:,} bytes came whose sha256 begins {sha256[:8]}, not {spec.digits}"
        raise fault(what, spec.url, "check the connection and run the same again", RESOURCES)


def _must_be(spec: BackboneSpec, path: Path, file: Any) -> str:
    """The sha256 of an open file, which is left at its start; a Fault when it is not the published one."""
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    if not sha256.startswith(spec.digits):
        what = f"sha256 begins {sha256[:8]}; that of the published file begins {spec.digits}"
        do = "move the file away, then add --download to the command to fetch it again"
        raise fault(what, str(path), do, BAD_INPUT)
    return sha256
