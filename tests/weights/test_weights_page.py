"""The page on weights: the Python of a file of one's own runs, and prints what the page says."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/weights.md").read_text(encoding="utf-8")
OWN = PAGE[PAGE.index("## A file of your own") : PAGE.index("## Your own checkpoints")]


def test_its_python_runs_and_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", OWN, re.MULTILINE | re.DOTALL)
    for code in blocks:
        exec(compile(code, "docs/weights.md", "exec"), {})
    shown = re.findall(r"^print\(.*\)  # (.*)$", "".join(blocks), re.MULTILINE)
    assert shown and capsys.readouterr().out.splitlines() == shown
