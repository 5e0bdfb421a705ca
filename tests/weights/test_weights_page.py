"""The page on weights: the Python of a file of one's own runs, and prints what the page says."""

import importlib.resources
import json
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/weights.md").read_text(encoding="utf-8")
PUBLISHED = importlib.resources.files("fairtrial.reporting.claims") / "published.json"
OWN = PAGE[PAGE.index("## A file of your own") : PAGE.index("## Your own checkpoints")]


def test_its_python_runs_and_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", OWN, re.MULTILINE | re.DOTALL)
    for code in blocks:
        exec(compile(code, "docs/weights.md", "exec"), {})
    shown = re.findall(r"^print\(.*\)  # (.*)$", "".join(blocks), re.MULTILINE)
    assert shown and capsys.readouterr().out.splitlines() == shown


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
