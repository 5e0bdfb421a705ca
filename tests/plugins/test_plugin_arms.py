"""A plug-in as an arm: its identity, its declaration, and what is said where it is broken."""

import pytest

from fairtrial import Budget, Study
from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, USAGE, Fault
from fairtrial.execution.cell.check_plugin import check
from fairtrial.execution.cell.load_plugins import load_plugins
from fairtrial.execution.cell.prepare import build_model
from fairtrial.execution.engines import changed_plugins
from fairtrial.plugins.plugin import Plugin
from fairtrial.plugins.registry import known_elsewhere
from fairtrial.storage.store import Store


def study(*plugins, norms=("bn", "rms"), **changes):
    fields = {"question": "?", "budget": Budget(steps=2), "seeds": range(3), "fixed": {"data": "digits"}}
    return Study(name="toy", factors={"norm": norms}, plugins=plugins, **{**fields, **changes})


def ids(study):
    return {cell.settings.norm: cell.id for cell in study.cells() if cell.seed == 0}


def test_the_digest_of_a_plugin_is_part_of_the_cells_that_use_it_alone(rms):
    first = ids(study(rms()))
    assert first["bn"] == ids(study(norms=("bn", "gn")))["bn"]
    again = ids(study(rms(name="renamed.py")))
    assert again == first
    changed = ids(study(rms("1e-5", "1e-6")))
    assert (changed["bn"], changed["rms"] == first["rms"]) == (first["bn"], False)


def test_a_declaration_holds_the_text_so_that_the_file_may_go(rms):
    path = rms()
    declared = study(path).declaration()
    path.unlink()
    assert ids(Study.of(declared)) == ids(Study.of(declared)) != {}
    spoiled = {**declared["plugins"][0], "text": "import os\n"}
    with pytest.raises(Fault) as refused:
        Study.of({**declared, "plugins": [spoiled]})
    assert refused.value.code == BAD_INPUT
    assert "plugins" not in study(norms=("bn", "gn")).declaration()


def test_a_change_since_the_record_is_said(rms, tmp_path):
    store = Store(tmp_path / "toy")
    store.declare(study(rms()))
    assert list(changed_plugins(study(rms()), store)) == []
    (said,) = changed_plugins(study(rms("1e-5", "1e-6")), store)
    assert said.startswith("my_norm.py changed since it was recorded (sha256 ")


def test_every_check_passes_a_sound_norm_and_a_false_claim_fails(rms):
    sound = list(check(rms()))
    assert len(sound) == 12 and [problem for _, problem in sound if problem] == []
    lie = rms('{"rms": "RMS"}', '{"lie": {"builder": "RMS", "mixes_batch": True}}', name="lie.py")
    failed = {title: problem for title, problem in check(lie) if problem}
    assert [*failed] == ["norm lie: mixes_batch"]
    assert failed["norm lie: mixes_batch"].where == f"{lie}:7"


def test_one_error_that_fails_several_checks_is_said_once(rms, capsys):
    assert main(["check", str(rms(" * self.weight", " * self.wieght"))]) == USAGE
    said = capsys.readouterr()
    assert said.out.count("FAILS") > 3
    blocks = said.err.split("error: ")[1:]
    assert len(blocks) == len(set(blocks)) < said.out.count("FAILS")


BROKEN = {  # what is replaced, by what -> the line that is named, and words of the sentence
    "syntax": ("def forward", "def for ward", 12, "not Python"),
    "no such module": ("import torch\n", "import torch, nonexistent\n", 1, "'nonexistent', which is not"),
    "raises": ('PLUGIN = {"norms": {"rms": "RMS"}}', 'PLUGIN = {"norms": {"rms": "RMS"}}; 1 / 0', 4, "Zero"),
    "leaves": ("class RMS", "raise SystemExit(0)\n\n\nclass RMS", 7, "ends the program"),
    "other shape": ("return x *", "return x[None] *", 7, "shape"),
    "raises in a layer": (" * self.weight", " * self.weigth", 13, "AttributeError"),
    "draws": (" * self.weight", " * torch.rand(1)", 7, "other numbers"),
    "no function": ('"RMS"}}', '"Rms"}}', 4, "does not define"),
    "no table": ('{"norms": {"rms": "RMS"}}', "dict(norms=1)", 4, "more than plain values"),
    "unknown kind": ('"norms"', '"norm"', 4, "did you mean 'norms'"),
    "a name of ours": ('{"rms": "RMS"}', '{"gn": "RMS"}', 7, "fairtrial's own"),
    "unknown option": ('"RMS"}}', '{"builder": "RMS", "mixes": 1}}}', 7, "unknown option"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_is_one_fault_at_its_line(rms, how):
    old, new, line, words = BROKEN[how]
    path = rms(old, new)
    with pytest.raises(Fault) as refused:
        load_plugins([{**Plugin.read(path).record(), "file": str(path)}])
    (problem,) = refused.value.problems
    assert (problem.where, refused.value.code) == (f"{path}:{line}", USAGE)
    assert words in problem.what


def test_a_copy_that_is_loaded_after_its_like_is_named_itself(rms, tmp_path):
    first = rms(" * self.weight", " * self.wieght")
    (tmp_path / "copies").mkdir()
    copy = first.rename(tmp_path / "copies" / first.name)
    first.write_text(copy.read_text())
    told = []
    for path in (first, copy):
        told.append([problem.where.removeprefix(str(path)) for _, problem in check(path) if problem])
        assert known_elsewhere("norms", "rms").path == str(path)
    assert told[0] == told[1] and ":13" in told[0]


def test_two_files_may_not_give_one_name(rms):
    with pytest.raises(Fault, match=r"given by my_norm.py and by other.py"):
        study(rms(), rms("1e-5", "1e-6", name="other.py"))


def test_what_ends_the_worker_is_told_before_it_is_executed(rms):
    told = []
    with pytest.raises(Fault, match="ends the program"):
        load_plugins([Plugin.read(rms("import torch\n", "raise SystemExit\n")).record()], told.append)
    assert told == ["loading my_norm.py"]


def test_a_plugin_imports_nothing_from_the_current_folder(rms, tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    with pytest.raises(Fault, match="needs the module 'beside'"):
        load_plugins([Plugin.read(rms("import torch\n", "import torch, beside\n")).record()])


def test_an_installed_package_offers_a_norm(rms, tmp_path, monkeypatch):
    rms(name="offered_norm.py")
    folder = tmp_path / "offered-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[fairtrial.plugins]\nrms = offered_norm\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from fairtrial.plugins import registry

    registry.installed.cache_clear()
    assert [plugin.name for plugin in study().plugins] == ["offered_norm.py"]
    registry.installed.cache_clear()


BLOCK = """
from torch import nn
from fairtrial.models.blocks import activated

PLUGIN = {"blocks": {"plain": "Plain"}, "data": {"noise": "noise"}}


class Plain(nn.Module):
    def __init__(self, cin, cmid, stride, parts):
        super().__init__()
        self.activated, self.norm1 = activated(parts), parts.norm(cin)
        self.conv1 = parts.conv(cin, 4 * cmid, 3, stride=stride, padding=1, bias=False)

    def forward(self, x):
        return self.conv1(self.activated(self.norm1, x))


def noise(name, download=False):
    import numpy as np
    from fairtrial.data.split_arrays import Arrays, Source

    labels = np.arange(40) % 2
    images = np.random.default_rng(0).integers(0, 255, (40, 3, 16, 16), np.uint8)
    return Source("1", lambda resolution: Arrays(("a", "b"), images, labels, images[:8] + 1, labels[:8]))
"""


def test_a_block_and_a_data_source_are_arms_too(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(BLOCK)
    assert [title for title, problem in check(path) if problem] == []
    blocks = {"block": ("pre-activation", "plain")}
    made = Study(
        name="toy", question="?", factors=blocks, fixed={"data": "noise"}, plugins=(path,),
        budget=Budget(flops=1e6), seeds=range(3),
    )  # fmt: skip
    cell = next(cell for cell in made.cells() if cell.settings.block == "plain")
    model = build_model(cell.settings, 2, 0, 0)
    assert any(type(layer).__name__ == "Plain" for layer in model.modules())


NET = """
from torch import nn

PLUGIN = {"backbones": {"tiny": {"builder": "tiny", "norm": "bn"}}}


def tiny(classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )
"""


def test_a_network_is_an_arm_with_the_norm_that_it_has(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    assert [problem for _, problem in check(path)] == [None] * 4
    fixed = {"data": "digits", "weight_std": False, "model": "tiny"}
    made = study(path, norms=("bn",), fixed=fixed)
    assert made.cells()[0].settings.extra["plugins"] == made.plugins[0].sha256
    model = build_model(made.cells()[0].settings, 7, 0, 0)
    assert model.head.weight.shape == (7, 4) and not model.head.weight.any()
    for norm, changes, words in (
        ("gn", {}, "comes with bn"),
        ("bn", {"finetune": "last"}, "last stage begins"),
    ):
        with pytest.raises(Fault, match=words):
            study(path, norms=(norm,), fixed=fixed | changes)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (', "norm": "bn"', "", 'is built with "norm": "bn"'),
        ("classes)\n", "classes), nn.Softmax(1)\n", "behind its last nn.Linear"),
        ("4, classes)", "4, 3)", "no last nn.Linear with one output for each of 10"),
        ("return nn.Sequential(", "return len, (", "not a torch.nn.Module"),
        ('"tiny": {', '"r50x1": {', "'r50x1' is one of fairtrial's own"),
        ('"norm": "bn"', '"norm": "bnn"', "unknown norm 'bnn', did you mean 'bn'"),
    ],
)
def test_a_network_that_is_not_what_its_row_says_is_a_fault_in_the_worker(tmp_path, old, new, words):
    path = tmp_path / "net.py"
    path.write_text(NET.replace(old, new))
    with pytest.raises(Fault, match=words) as refused:
        load_plugins([Plugin.read(path).record()])
    assert refused.value.problems[0].where == "net.py:7"
