"""Texts that a person writes, and files held against others: damaged, they are refused or compared."""

import shutil
import zlib
from functools import cache

import pytest
from matplotlib.figure import Figure

from fairtrial.plugins.plugin import Plugin
from fairtrial.reporting.differences import compare
from fairtrial.reporting.figures.figure_files import MADE_BY, render
from fairtrial.storage import lock
from fairtrial.study import loader
from fairtrial.tuning.database_url import FILE_VARIABLE, given_url
from tests.support.memory import grows_by_less_than
from tests.support.mutations import MOST_KB, NUMBERS, refusals

STUDY = """
from fairtrial import Budget, Contrast, Study

STUDY = Study(
    name="own",
    question="Which norm?",
    factors={"norm": ("bn", "gn"), "batch_size": (4, 16)},
    fixed={"data": "digits", "resolution": 8, "lr": 0.1},
    budget=Budget(examples=64),
    seeds=range(3),
    primary=Contrast("first", treatment={"norm": "gn"}, control={"norm": "bn"}, at={"batch_size": 4}),
)
"""
PLUGIN = """
class Rms:
    pass

PLUGIN = {"norms": {"rms": {"builder": "Rms", "mixes_batch": False}}}
"""
TABLE = 'arm,MAE,mean\nbn,-10,-0.25\n"gn, scaled",-10,"-1,234.5"\n'
FLOATS = '{\n "mean": 0.25,\n "low": 0.1,\n "seeds": [\n  1.5,\n  2.5\n ],\n "says": "by 7.4 points"\n}\n'


def load(path):
    loader.declared_name(path)
    loader.load(path)


READ = {
    "study file": ("own.py", STUDY, load),
    "plug-in": ("own.py", PLUGIN, Plugin.read),
    "address": (
        "url",
        "postgresql://me:a%2Fb@host:5432/trials?sslmode=require&password=x\n",
        lambda path: given_url(None, {FILE_VARIABLE: str(path)}),
    ),
}


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # of Python, of a text such as 1for
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", READ)
def test_a_damaged_text_is_refused_or_read(tmp_path, monkeypatch, kind, number):
    """A study is executed here, and not in a process of its own first, which takes 20 ms."""
    monkeypatch.setattr(loader, "try_aside", lambda _: None)
    name, text, ask = READ[kind]
    path = tmp_path / name
    path.write_text(text)
    ask(path)
    assert refusals(path, ask, number) > number / 5


@cache
def drawn(kind: str) -> bytes:
    """A picture as a report has it; its page for html."""
    figure = Figure(figsize=(0.5, 0.5), dpi=20)
    figure.add_subplot().plot([1, 2])
    pictures = render("one", "", figure).formats
    made_by = f'<meta name="generator" content="{MADE_BY}">'.encode()
    return made_by + b"<p>1,000 runs</p>" + pictures["svg"] if kind == "html" else pictures[kind]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", [".csv", ".json", ".md", ".svg", ".html", ".png", ".pdf"])
def test_a_damaged_file_of_a_report_is_compared_and_never_the_same(tmp_path, kind, number):
    texts = {".csv": TABLE, ".json": FLOATS, ".md": f"# A\n\n{TABLE}"}
    expected = texts[kind].encode() if kind in texts else drawn(kind[1:])
    path = tmp_path / f"file{kind}"
    path.write_bytes(expected)

    def ask(path):
        found = path.read_bytes()
        difference = compare(kind, found, expected)
        if kind in texts:
            assert (found == expected) == (not difference.places and not difference.note)

    assert refusals(path, ask, number) == 0


@pytest.mark.parametrize(
    ("kind", "found", "expected"),
    [
        (".csv", "a,b\n1\r2,3\n", "a,b\n12,3\n"),
        (".json", '{"a": 97,5}', '{"a": 97.5}'),
        (".json", '{"a": 1-2.5}', '{"a": 12.5}'),
    ],
)
def test_what_no_parser_reads_differs(kind, found, expected):
    assert compare(kind, found.encode(), expected.encode()).places


def test_a_picture_of_another_size_is_not_unpacked():
    """One of 100 million pixels in 100 kB."""
    expected, side, packer = drawn("png"), 10_000, zlib.compressobj(1)
    values = b"".join(packer.compress(bytes(1 + side)) for _ in range(side)) + packer.flush()
    size = side.to_bytes(4, "big")
    made_by = b"Software\0" + MADE_BY.encode()
    parts = {b"IHDR": size + size + bytes([8, 0, 0, 0, 0]), b"tEXt": made_by, b"IDAT": values, b"IEND": b""}
    found = expected[:8]
    for name, data in parts.items():
        found += len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
    with grows_by_less_than(MOST_KB):
        assert compare(".png", found, expected).places


@pytest.mark.parametrize("number", NUMBERS)
def test_a_damaged_signature_of_a_lock_is_passed_over(tmp_path, number):
    with lock.hold(tmp_path / lock.WHOLE):
        shutil.copy(tmp_path / lock.WHOLE, tmp_path / "signature")
        assert lock.began(tmp_path) is not None
    shutil.copy(tmp_path / "signature", tmp_path / lock.WHOLE)
    assert refusals(tmp_path / lock.WHOLE, lambda _: lock.began(tmp_path), number) == 0
