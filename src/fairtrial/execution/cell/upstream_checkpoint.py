"""Checkpoints between studies: what pre-training keeps, and where a cell's network starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.data import Dataset
from fairtrial.data import decoded_cache as images
from fairtrial.errors import BAD_INPUT, REFUSED, fault
from fairtrial.models.resnet import ResNetV2
from fairtrial.models.torchvision_backbones import Backbone
from fairtrial.plain_file import read_file
from fairtrial.storage.atomic import publish, writing
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study import initial_checkpoint
from fairtrial.study.factors import row_of
from fairtrial.study.initial_checkpoint import InitialCheckpoint
from fairtrial.study.presets import PRESETS
from fairtrial.study.study import Cell
from fairtrial.weights.backbone_weights import load_file, load_published, load_timm
from fairtrial.weights.bit import load_bit
from fairtrial.weights.checkpoint import load as load_checkpoint
from fairtrial.weights.checkpoint import save as save_checkpoint
from fairtrial.weights.weights_source import Source

MOST_PRINTS: Final = 8 * 2**24  # bytes; eight an image
ALWAYS_NAMED: Final = ("model", "norm", "weight_std")  # of a network, in messages

Network = tuple[tuple[str, Any], ...]  # of a StartKey


def keep(model: ResNetV2, dataset: Dataset, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Save a pre-trained network without its head, beside the prints of the images it saw -> its record."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    prints = path.with_name(f"images-{dataset.sha256[:16]}.u64")
    if not prints.exists():
        publish(prints, image_prints(dataset.train_images.numpy()).tobytes(), overwrite=True)
    metadata = {**facts, "upstream": dataset.name, "data": dataset.sha256, "cell": path.stem}
    source = save_checkpoint(model, path, metadata, head=False)
    return {"file": path.name, "bytes": source.size, "sha256": source.sha256, "images": prints.name}


def image_prints(pictures: np.ndarray) -> np.ndarray:
    """Eight bytes of each image's digest, sorted. (n, 3, H, W) uint8 -> (n,) little-endian uint64."""
    found = [hashlib.blake2b(picture.tobytes(), digest_size=8).digest() for picture in pictures]
    return np.sort(np.frombuffer(b"".join(found), "<u8"))


def start(
    model: ResNetV2 | Backbone,
    cell: Cell,
    dataset: Dataset,
    *,
    results: Sequence[str],
    download: bool = False,
) -> dict[str, Any] | None:
    """Fill a cell's network from where its settings say, but not its head -> what goes into the record.

    results: folders in which a study that pre-trained may lie; the first that has it counts. download: of the
    published weights of torchvision and timm. None from scratch. overlap: test images of the cell that are
    byte for byte among the upstream's training images; None where that cannot be known.
    """
    if cell.upstream_seed is None:
        return None
    found = initial_checkpoint.parse(cell.upstream)
    if found.kind == "study" and isinstance(model, ResNetV2):
        return _from_study(model, cell, dataset, _folder(found.name, results))
    source = _published(model, cell.settings.model, found, download)
    return {"file": source.file, "sha256": source.sha256, "upstream": source.upstream, "overlap": None}


def _published(model: ResNetV2 | Backbone, name: str, found: InitialCheckpoint, download: bool) -> Source:
    """Fill a network from one file: a local one, or one that was published."""
    if found.kind == "file" and found.path is not None:
        return load_file(model, found.path)
    if found.kind == initial_checkpoint.TIMM:
        return load_timm(
            model, name if found.name == initial_checkpoint.TIMM else found.name, download=download
        )
    if isinstance(model, Backbone):
        return load_published(model, download=download, folder=None)
    path = found.path or images.folder() / "weights" / f"{found.name}.npz"
    if found.kind == "official" and not path.exists():
        do = f"fetch it once: fairtrial fetch {found.name}"
        raise fault(f"the official weights {found.name} are not here", str(path), do, BAD_INPUT)
    return load_bit(model, path, head="replace")


def refuse_change(begun: Mapping[str, Any], recorded: str | None) -> None:
    """A Fault (exit code 4) when recorded cells of this arm and upstream seed began otherwise."""
    if recorded not in (None, begun["sha256"]):
        what = f"recorded cells started from other weights: sha256 {recorded[:12]}...,"
        what += f" now {begun['sha256'][:12]}..."
        do = "put the weights back, or use another --results folder"
        raise fault(what, begun["file"], do, REFUSED)


def _folder(study: str, results: Sequence[str]) -> Path:
    for folder in results:
        if is_study(Path(folder) / study):
            return Path(folder) / study
    do = f"pre-train first: {_command(study)}; or choose upstream=none"
    raise fault(f"no study {study!r} has pre-trained anything", ", ".join(results), do, BAD_INPUT)


def _command(study: str) -> str:
    """What makes the networks of a study; its folder may hold a preset: upstream-bit."""
    name, _, preset = study.rpartition("-")
    return f"fairtrial run {f'{name} --preset {preset}' if preset in PRESETS and name else study}"


def _from_study(model: ResNetV2, cell: Cell, dataset: Dataset, folder: Path) -> dict[str, Any]:
    assert cell.upstream_seed is not None
    record = _checkpoint(folder, cell.settings.start_key.network, cell.upstream_seed)
    kept = record.measured.checkpoint
    # `_attempts` leaves the others out
    assert kept is not None
    path = folder / "weights" / kept.file
    if not path.is_file():
        do = f"put it back, or pre-train into a results folder of your own: {_command(folder.name)}"
        raise fault(f"the records of {folder.name} are here without its networks", str(path), do, BAD_INPUT)
    source = load_checkpoint(model, path, head="replace")
    if source.sha256 != kept.sha256 or source.metadata.get("cell") != path.stem:
        what = f"sha256 {source.sha256[:16]}... of cell {source.metadata.get('cell')}"
        what += f"; its record says {kept.sha256[:16]}... of cell {path.stem}"
        raise fault(what, str(path), "put the file of this record back, or pre-train again", REFUSED)
    prints = path.with_name(kept.images)
    return {
        "file": source.file,
        "sha256": source.sha256,
        "upstream": source.upstream,
        "overlap": _overlap(prints, dataset) if record.settings.resolution == _side(dataset) else None,
    }


@cache
def _attempts(folder: Path) -> tuple[Attempt, ...]:
    """The cells of a study that kept their network; read once per process."""
    return tuple(
        record
        for record in Store(folder).attempts()
        if record.status == "done" and record.measured.checkpoint
    )


def _checkpoint(folder: Path, network: Network, seed: int) -> Attempt:
    """The one record of this network and seed; the difference to what there is otherwise (exit code 4)."""
    there = _attempts(folder)
    fitting = [
        record for record in there if record.seed == seed and record.settings.start_key.network == network
    ]
    if len({record.cell for record in fitting}) == 1:
        return fitting[-1]
    asked = _named(network)
    if fitting:
        what = f"{len(fitting)} checkpoints fit {asked}, seed {seed}: which one is meant?"
        raise fault(what, str(folder), "give upstream a study with one cell per arm and seed", REFUSED)
    known = sorted({
        f"{_named(record.settings.start_key.network)}, seed {record.seed}"
        for record in there
    })  # fmt: skip
    what = f"no checkpoint of {asked}, upstream seed {seed}; there are: {'; '.join(known) or 'none'}"
    raise fault(what, str(folder), "pre-train this arm, or set upstream_seeds to what there is", REFUSED)


def _named(network: Network) -> str:
    """A network in the words of a study; what every network of BiT has goes without saying."""
    return ", ".join(f"{n}={v!r}" for n, v in network if n in ALWAYS_NAMED or v != row_of(n).default)


def _side(dataset: Dataset) -> int:
    return int(dataset.test_images.shape[-1])


@cache
def _overlap(prints: Path, dataset: Dataset) -> int | None:
    """How many test images the upstream saw in training; None when its prints were not kept."""
    try:
        seen = np.frombuffer(read_file(prints, MOST_PRINTS), "<u8")
    except (OSError, ValueError) as error:
        raise fault(
            f"the prints of the upstream images cannot be read: {error}", str(prints),
            "put the file back, or pre-train again", BAD_INPUT,
        ) from None  # fmt: skip
    return int(np.isin(image_prints(dataset.test_images.numpy()), seen).sum())
