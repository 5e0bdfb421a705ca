"""What a machine has and lacks, and what to do about it."""

import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

from fairtrial.cli import doctor
from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, RESOURCES, USAGE
from tests.data.making import picture, png, write_folder

EXTRAS = doctor.EXTRAS
PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())


@pytest.fixture(autouse=True)
def one_extra(monkeypatch):
    """What all of them bring takes seconds to load."""
    monkeypatch.setattr(doctor, "EXTRAS", {"data": EXTRAS["data"]})


def test_every_extra_is_known_to_the_doctor():
    assert set(EXTRAS) == set(PYPROJECT["project"]["optional-dependencies"]) - {"dev"}


def test_a_sound_machine(tmp_path, capsys):
    assert main(["doctor", "--results", str(tmp_path)]) == DONE
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split()[0] for line in out.splitlines()] == [
        "python", "torch", "cores", "gpu", "kernels", *["extra"] * len(doctor.EXTRAS), "code", "results",
    ]  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_machine_without_a_compiler_is_told_what_that_costs(fresh_kernels, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert main(["doctor", "--results", str(tmp_path)]) == DONE
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("kernels"))
    assert "torch (CC names 'no-such-compiler', which is not there)" in line and "slower" in line


def test_a_missing_extra_names_the_command_that_brings_it(tmp_path, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else found(name))
    assert main(["doctor", "--results", str(tmp_path)]) == DONE  # nobody needs every extra
    assert 'parquet files: not installed; pip install "fairtrial[data]"' in capsys.readouterr().out


def test_an_extra_that_does_not_load_says_why(tmp_path, capsys, monkeypatch):
    (tmp_path / "broken_extra.py").write_text("raise OSError('libbroken.so.5: no such file')")
    (tmp_path / "crashing_extra.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    extras = {"ray": ("broken_extra", "many machines"), "data": ("crashing_extra", "parquet files")}
    monkeypatch.setattr(doctor, "EXTRAS", extras)
    assert main(["doctor", "--results", str(tmp_path)]) == DONE
    out = capsys.readouterr().out
    assert "many machines: OSError: libbroken.so.5: no such file; pip install" in out
    assert "parquet files: its import ends with exit code -6; pip install" in out


@pytest.mark.parametrize(
    ("needed", "error", "said"),
    [
        ("hardlink_to", PermissionError(1, "Operation not permitted"), "hard link"),
        ("flock", OSError(38, "Function not implemented"), "lock"),
    ],
)
def test_a_file_system_that_lacks_what_a_run_needs(needed, error, said, tmp_path, capsys, monkeypatch):
    def refuse(*_):
        raise error

    monkeypatch.setattr(f"{'pathlib.Path' if needed == 'hardlink_to' else 'fcntl'}.{needed}", refuse)
    assert main(["doctor", "--results", str(tmp_path)]) == RESOURCES
    err = capsys.readouterr().err
    assert said in err.split("do:")[1] and f"where: {tmp_path}\n" in err
    assert not list(tmp_path.iterdir())


def test_json(tmp_path, capsys):
    assert main(["doctor", "--results", str(tmp_path), "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found["cores"] >= 1
    assert set(found["extras"]) == set(doctor.EXTRAS)
    assert {extra for extra, works in found["extras"].items() if not works} == set(found["extra_lacks"])


def test_data_that_opens(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["doctor", "--results", str(tmp_path), "--data", "digits"]) == DONE
    assert "data      digits" in capsys.readouterr().out


def uneven(root):
    """An image folder of uneven sizes, a grey, a palette -> the file of one image."""
    write_folder(root, ("cat", "dog"), train=3, test=1)
    picture(50, (30, 20)).save(root / "train/cat/0.png")
    picture(51, (30, 20)).convert("L").save(root / "train/cat/1.png")
    picture(52).convert("P").save(root / "train/dog/0.png")
    (root / "train/dog/3.png").write_bytes(png(60))
    return root / "train/dog/1.png"


def test_data_of_uneven_sizes_says_what_would_be_used(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uneven(tmp_path / "pets")
    for _ in range(2):  # decoded, then from the cache
        assert main(["doctor", "--results", str(tmp_path), "--data", f"folder:{tmp_path}/pets"]) == DONE
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        at = lines.index(f"data      folder:{tmp_path}/pets: 7 training and 2 test images")
        assert lines[at + 1 : at + 4] == [
            "2 classes, of each 3 to 4 training and 1 test images",
            "cat 3+1, dog 4+1",
            "sizes 8x8 (7), 30x20 (2); a study resizes all to one",
        ]
        assert lines[at + 4].startswith("decoded 0.0 MB at 32 px, 0.4 MB at 128 px, 1.4 MB at 224 px; ")
        assert lines[at + 4].endswith(" are free in the cache")
    assert main(["doctor", "--results", str(tmp_path), "--data", f"folder:{tmp_path}/pets", "--json"]) == DONE
    uses = json.loads(capsys.readouterr().out)["data_uses"]
    assert (uses["classes"], uses["sizes"]) == ({"cat": [3, 1], "dog": [4, 1]}, {"8x8": 7, "30x20": 2})


def test_uneven_test_classes_are_told_with_what_the_largest_one_scores(tmp_path, capsys):
    root = write_folder(tmp_path / "pets", ("cat", "dog"), train=2, test=1)
    for number in (1, 2, 3):
        (root / f"test/dog/{number}.png").write_bytes(png(60 + number))
    assert main(["doctor", "--results", str(tmp_path), "--data", f"folder:{root}"]) == DONE
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "uneven: always answering dog scores 80.0 % on the test images" in said


def test_a_name_in_data_cannot_write_to_the_terminal(tmp_path, capsys):
    write_folder(tmp_path / "odd", ("\x1b[31mred", "two\nlines", "\u202eright"), 1, 1)
    assert main(["doctor", "--results", str(tmp_path), "--data", f"folder:{tmp_path / 'odd'}"]) == DONE
    out = capsys.readouterr().out
    assert r"\x1b[31mred 1+1, two\nlines 1+1, \u202eright 1+1" in out
    assert all(c.isprintable() for c in out.replace("\n", ""))


def test_what_is_wrong_with_data_is_said_once_per_kind_and_a_broken_image_by_its_name(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    broken = uneven(tmp_path / "pets")
    broken.write_bytes(png(9)[:-30])
    for number in (1, 2):
        picture(70 + number, (100, 2)).save(tmp_path / f"pets/train/cat/{number}.png")
    assert main(["doctor", "--results", str(tmp_path), "--data", f"folder:{tmp_path}/pets"]) == BAD_INPUT
    blocks = capsys.readouterr().err.split("error: ")[1:]
    assert len(blocks) == 2
    assert "a side ratio of at most 20; got 100x2 (2 such)" in blocks[0]
    assert f"where: {tmp_path}/pets/train/cat/1.png, {tmp_path}/pets/train/cat/2.png\n" in blocks[0]
    assert "got damaged PNG data" in blocks[1] and f"where: {broken}\n" in blocks[1]


def test_data_that_is_not_there(tmp_path, capsys):
    assert main(["doctor", "--results", str(tmp_path), "--data", f"folder:{tmp_path}/no"]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert out.startswith("python")  # the findings come first
    assert f"where: {tmp_path}/no/train" in err


def test_data_of_no_known_form(tmp_path, capsys):
    assert main(["doctor", "--results", str(tmp_path), "--data", "digit"]) == USAGE
    assert "did you mean 'digits'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "old"), [("2.5.1+cu121", True), ("1.13.0", True), ("2.6.0a0+git1", False), ("2.10.1", False)]
)
def test_torch_before_2_6_is_too_old(version, old, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_torch", lambda: (version, []))
    assert main(["doctor", "--results", str(tmp_path)]) == (USAGE if old else DONE)
    assert ("pip install 'torch>=2.6'" in capsys.readouterr().err) is old


def test_without_torch(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert main(["doctor", "--results", str(tmp_path)]) == USAGE
    assert "torch is not installed" in capsys.readouterr().err


def test_results_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    assert main(["doctor", "--results", str(tmp_path / "a" / "b")]) == RESOURCES
    err = capsys.readouterr().err
    assert "cannot write: Permission denied" in err
    assert f"where: {tmp_path}\n" in err  # the nearest folder there is


def test_a_disk_that_is_nearly_full(tmp_path, capsys, monkeypatch):
    usage = __import__("collections").namedtuple("Usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(2**30, 2**30, 2**20))
    assert main(["doctor", "--results", str(tmp_path)]) == RESOURCES
    assert "1 MB are free" in capsys.readouterr().err
