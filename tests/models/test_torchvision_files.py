"""Published files of torchvision's networks: read, refused, fetched."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from fairtrial.errors import Fault
from fairtrial.models.torchvision_backbones import Backbone, create_backbone
from fairtrial.study.backbone_names import BACKBONES, PREFIX
from fairtrial.training.augmentation import normalize
from fairtrial.weights.backbone_weights import load_published
from tests.models.making import draw
from tests.models.torchvision_networks import SMALL, awake, default, images, started, theirs


def values(name: str) -> dict[str, torch.Tensor]:
    """Random values under the names of torchvision, as wide as the network needs them to be."""
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in theirs(name).state_dict().items()}
    state = {}
    for key, shape in shapes.items():
        rng = draw(key, seed=2)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(5)
            continue
        if len(shape) > 1:
            array = rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:])))
        else:
            array = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        state[key] = torch.from_numpy(array)
    return state


def publish(monkeypatch, folder: Path, name: str, content: bytes) -> Path:
    """A file as torchvision publishes it: its row, and its name, end in the digits of its own digest."""
    file = f"{name.removeprefix(PREFIX)}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(BACKBONES, name, replace(BACKBONES[name], file=file))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    path.write_bytes(content)
    return path


def saved(state: object, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def state():
    return values(SMALL)


@pytest.fixture(scope="module")
def good(state) -> bytes:
    return saved(state)


def older(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layouts of 2017 of a DenseNet (dotted names, no counters), and of 2021 of a ViT, as published."""
    renamed = {}
    for key, value in state.items():
        key = key.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2.")
        for word in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in key:
                key = key.replace(f".{word}.", f".{word[:-1]}.{word[-1]}.")
        if not key.endswith("num_batches_tracked"):
            renamed[key] = value
    assert set(renamed) - set(state)
    return renamed


@pytest.mark.parametrize(
    "model",
    [
        "mobilenet_v3_small",
        "googlenet",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("inception_v3", "densenet121", "vit_b_32")),
    ],
)
def test_a_loaded_network_computes_what_torchvisions_own_computes(model, tmp_path, monkeypatch):
    """torchvision's builder reads the same file by its own way, second head and turned colours included."""
    name = f"{PREFIX}{model}"
    state = values(name)
    old = model == "densenet121"
    content = saved(
        older(name, state) if old or "vit" in model else state, _use_new_zipfile_serialization=not old
    )
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    path = publish(monkeypatch, folder, name, content)
    (folder / default(name).url.rpartition("/")[2]).write_bytes(content)
    official = get_model(model, weights=default(name)).eval()

    ours = awake(started(name, 1000))
    source = load_published(ours, download=False)
    assert source.file == path.name
    assert not ours.head.weight.any() and not ours.head.bias.any()
    with torch.no_grad():
        weight, bias = (state[key] for key in ours.published)
        ours.head.weight.copy_(weight)
        ours.head.bias.copy_(bias)
        side = ours.spec.smallest_side if ours.spec.fixed else 80
        x = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0))
        colours = default(name).transforms()
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (colours.mean, colours.std))
        expected = official((x / 255 - mean) / std)
        found = ours.eval()(normalize(x.to(torch.uint8)))
    # Relative to the largest logit: float32 through up to 121 layers that random values do not keep small.
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert expected.std() > 0


def test_the_record_says_what_was_read(tmp_path, monkeypatch, good):
    path = publish(monkeypatch, tmp_path, SMALL, good)
    source = load_published(started(SMALL), download=False, folder=tmp_path)
    assert (source.file, source.size, source.sha256) == (
        path.name,
        len(good),
        hashlib.sha256(good).hexdigest(),
    )
    assert (source.model, source.classes, source.upstream) == (SMALL, 1000, "ilsvrc2012")
    assert "IMAGENET1K_V1" in source.notes[0]


@pytest.fixture(scope="module")
def small() -> Backbone:
    """A started network for files that are refused, after which it is as it was."""
    return started(SMALL)


def refused(model: Backbone, folder: Path, **options) -> Fault:
    """The fault of a file that is not taken, after which the network is as it was."""
    model.spec = BACKBONES[model.name]  # as the test has published it
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(Fault) as error:
        load_published(model, folder=folder, **({"download": False} | options))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return error.value


def never(request):
    raise AssertionError(f"the network was asked for {request.full_url}")


def test_a_missing_file_is_named_with_its_place_and_the_way_to_get_it(tmp_path, small):
    fault = refused(small, tmp_path, opener=never)
    file = "mobilenet_v3_small-047dcff4.pth"
    assert fault.code == 3
    assert f"of {SMALL} are not on this machine: {file}" in fault.block()
    assert f"where: {tmp_path / file}" in fault.block()
    assert f"add --download to the command, or put https://download.pytorch.org/models/{file} there" in (
        fault.block()
    )


def test_without_a_folder_the_place_is_torch_hubs_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(Fault) as error:
        load_published(create_backbone(SMALL, 2), download=False)
    assert f"where: {tmp_path / 'hub' / 'checkpoints' / 'mobilenet_v3_small'}-" in error.value.block()


def test_a_file_of_another_digest_is_refused(tmp_path, monkeypatch, good, small):
    path = publish(monkeypatch, tmp_path, SMALL, good)
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 1
    path.write_bytes(damaged)
    fault = refused(small, tmp_path)
    digits = hashlib.sha256(damaged).hexdigest()[:8]
    assert fault.code == 3
    assert f"sha256 begins {digits}; that of the published file begins {path.stem[-8:]}" in fault.block()


class Canary:
    """A pickle of it opens, and so creates, a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_w18_a_file_that_would_run_code_is_refused_and_runs_none(zipped, tmp_path, monkeypatch, state, small):
    canary = tmp_path / "canary"
    content = saved({**state, "extra": Canary(canary)}, _use_new_zipfile_serialization=zipped)
    publish(monkeypatch, tmp_path, SMALL, content)
    fault = refused(small, tmp_path)
    assert fault.code == 3 and "pickled objects, which are refused" in fault.block()
    assert not canary.exists()
    torch.load(io.BytesIO(content), weights_only=False)["extra"].close()
    assert canary.exists()  # so that the test can fail


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"PK\x03\x04" + bytes(200), saved([1, 2]), saved({1: torch.ones(2)})],
    ids=["empty", "a page", "half a zip", "a list", "a number as name"],
)
def test_what_is_no_table_of_tensors_is_refused(content, tmp_path, monkeypatch, small):
    publish(monkeypatch, tmp_path, SMALL, content)
    fault = refused(small, tmp_path)
    assert fault.code == 3 and "not a table of plain tensors" in fault.block()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("features.0.0.weight", torch.ones(16, 3, 5, 5), r"shape (16, 3, 5, 5), expected (16, 3, 3, 3)"),
        ("features.0.1.bias", torch.ones(1), "shape (1,), expected (16,)"),
        ("features.0.1.weight", None, "1 arrays of torchvision:mobilenet_v3_small are missing"),
        ("classifier.3.weight", torch.ones(10, 1024), "shape (10, 1024), expected (1000, 1024)"),
        ("another", torch.ones(1), "1 arrays that torchvision:mobilenet_v3_small does not have: another"),
        ("features.0.1.running_var", torch.full((16,), torch.nan), "16 of 16 values are NaN or infinite"),
        ("features.0.1.weight", torch.ones(16).to_sparse(), "not a table of plain tensors"),
        ("features.0.1.weight", torch.ones(16, device="meta"), "not a table of plain tensors"),
        ("features.0.1.weight", torch.ones(16, dtype=torch.complex64), "not a table of plain tensors"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_a_file_of_another_network_is_refused(key, value, words, tmp_path, monkeypatch, state, small):
    wrong = {**state, key: value}
    if value is None:
        del wrong[key]
    publish(monkeypatch, tmp_path, SMALL, saved(wrong))
    fault = refused(small, tmp_path)
    assert fault.code == 3 and words in fault.block()


class Answer(io.BytesIO):
    """A response of a server."""

    status = 200

    def __init__(self, content):
        super().__init__(content)
        self.headers = {"Content-Length": str(len(content))}


def test_download_fetches_once_and_only_what_is_missing(tmp_path, monkeypatch, good):
    path = publish(monkeypatch, tmp_path / "cache", SMALL, good)
    path.unlink()
    path.parent.rmdir()
    asked = []

    def opener(request):
        asked.append(request.full_url)
        return Answer(good)

    first, again = started(SMALL), started(SMALL)
    load_published(first, download=True, folder=path.parent, opener=opener)
    load_published(again, download=True, folder=path.parent, opener=never)
    assert asked == [f"https://download.pytorch.org/models/{path.name}"]
    assert sorted(each.name for each in path.parent.iterdir()) == [f".{path.name}.lock", path.name]
    assert path.read_bytes() == good
    assert torch.equal(first.eval().features(images(2, 32)), again.eval().features(images(2, 32)))


def test_a_download_that_breaks_off_or_is_another_file_leaves_nothing(tmp_path, monkeypatch, good, small):
    publish(monkeypatch, tmp_path, SMALL, good).unlink()
    fault = refused(small, tmp_path, download=True, opener=lambda _: Answer(good[:-1]))
    assert fault.code == 6 and f"{len(good) - 1:,} bytes came whose sha256 begins" in fault.block()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("error", [URLError("no route to host"), TimeoutError("timed out")], ids=str)
def test_a_machine_without_a_network_says_what_was_wanted_and_where(error, tmp_path, small):
    def opener(request):
        raise error

    fault = refused(small, tmp_path, download=True, opener=opener)
    assert fault.code == 6
    assert "could not fetch mobilenet_v3_small-047dcff4.pth: " in fault.block()
    assert f"for {tmp_path / 'mobilenet_v3_small-047dcff4.pth'}" in fault.block()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
