"""The forms of a data specification, and the name it has whatever its path."""

import subprocess
import sys

import pytest

from fairtrial.errors import USAGE, Fault
from fairtrial.study.data_spec import SOURCES, TORCHVISION, name_of, parse, published_name


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("digits", "digits"),
        ("cifar10", "cifar10"),
        ("oxfordiiitpet", "oxfordiiitpet"),
        ("parquet:/data/cifar10", "parquet:cifar10"),
        ("parquet:/data/cifar10/", "parquet:cifar10"),
        ("parquet:/elsewhere/x/../cifar10", "parquet:cifar10"),
        ("folder:pets", "folder:pets"),
        ("folder:/a b/pets: mine", "folder:pets: mine"),
        ("folder:/", "folder:root"),
    ],
)
def test_a_name_is_the_data_without_its_path(spec, name):
    assert name_of(spec) == name


@pytest.mark.parametrize(
    "spec", ["digits", "cifar10", "parquet:/d/cifar10", "folder:a/b", "torchvision:mnist:/d"]
)
def test_what_papers_call_the_data_is_told_of_a_record_too(spec):
    """A record holds the name alone: mnist, which no command takes without its folder."""
    recorded = name_of(spec)
    assert published_name(recorded) == published_name(spec)
    assert ":" not in published_name(spec)


def test_the_current_folder_has_its_own_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_of("folder:.") == f"folder:{tmp_path.name}"
    assert parse("folder:.").path == tmp_path


def test_a_link_keeps_its_own_name(tmp_path):
    (tmp_path / "disk7").mkdir()
    (tmp_path / "pets").symlink_to(tmp_path / "disk7")
    assert name_of(f"folder:{tmp_path / 'pets'}") == "folder:pets"


@pytest.mark.parametrize(
    "spec", ["", "cifar", "CIFAR10", "parquet", "parquet:", "folder: ", "zip:x", "digits:16"]
)
def test_an_unknown_form_lists_the_forms(spec):
    with pytest.raises(Fault) as caught:
        parse(spec)
    assert caught.value.code == USAGE
    assert repr(spec) in caught.value.problems[0].what
    for form in (form for row in SOURCES.values() for form in row.forms):
        assert form in caught.value.problems[0].do


def test_a_near_miss_is_named():
    with pytest.raises(Fault, match="did you mean 'cifar10'"):
        parse("cifar-10")


def test_a_home_that_does_not_exist_is_only_a_missing_folder():
    assert name_of("folder:~nobody-has-this-name/pets") == "folder:pets"


def test_the_table_names_classes_of_torchvision():
    datasets = pytest.importorskip("torchvision.datasets")
    for row in TORCHVISION.values():
        assert hasattr(datasets, row.dataset)


def test_reading_a_specification_imports_neither_torch_nor_numpy():
    code = (
        "import sys, fairtrial.study.data_spec as s; s.name_of('digits'); "
        "print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
