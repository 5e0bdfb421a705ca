"""Which kernels run on a device: tried in a process of its own, said in one line, taken over by others."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from fairtrial.kernels import dispatch
from fairtrial.kernels.dispatch import Choice, adopt, choose, own_kernels
from fairtrial.kernels.standardization import BIT, standardize_all, way_of
from fairtrial.models.resnet import create_model
from tests.support.compilers import FAILING, failing, quick
from tests.support.filters import close, need, oracle, weights
from tests.support.toy import gone, until


@pytest.fixture
def fresh(fresh_kernels, tmp_path):
    return tmp_path


def refuse(reason):
    pytest.fail(f"tried: {reason}")


@pytest.mark.parametrize("name", FAILING)
def test_where_they_cannot_be_had_one_line_says_so_and_torch_computes(fresh, monkeypatch, name):
    monkeypatch.setenv("CC", failing(name, fresh))
    monkeypatch.setitem(dispatch.LONGEST_S, "cpu", 2.0 if name == "hangs" else 60.0)
    weight = torch.from_numpy(weights((4, 3, 3, 3)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            (out,) = standardize_all([weight])
        create_model("mini", 10)(torch.zeros(1, 3, 16, 16))
    (warning,) = caught
    words = str(warning.message)
    assert warning.category is dispatch.Slower and "\n" not in words
    assert "torch's own kernels, which are slower" in words and FAILING[name][1] in words
    assert way_of("fastest", weight) == "layer_norm"
    close(out, oracle(weight.numpy(), weight.numpy(), BIT)[0], 1e-5)


def test_a_compiler_that_hangs_ends_with_all_that_it_has_started(fresh, monkeypatch):
    monkeypatch.setenv("CC", failing("hangs", fresh))
    for limit in (2.0, 8.0, 32.0):  # until a busy machine has come to the compiler
        monkeypatch.setitem(dispatch.LONGEST_S, "cpu", limit)
        assert f"did not end within {limit:g} s" in dispatch.check("cpu")
        if (fresh / "children").exists():
            break
    children = [int(line) for line in (fresh / "children").read_text().split()]
    assert len(children) == 1 and gone(children)


def test_who_asks_ends_and_the_compiler_ends_with_it(fresh, monkeypatch):
    monkeypatch.setenv("CC", failing("hangs", fresh))
    code = "from fairtrial.kernels.dispatch import choose; choose('cpu')"
    asker = subprocess.Popen([sys.executable, "-c", code])
    child = int(until(lambda: (fresh / "children").exists() and (fresh / "children").read_text()))
    asker.kill()
    asker.wait()
    assert gone([child])


def test_without_a_compiler_the_reason_is_said_and_a_named_one_is_not_replaced(fresh, monkeypatch):
    monkeypatch.setenv("PATH", str(fresh))
    assert choose("cpu") == Choice("torch", "no C compiler is installed")
    dispatch._chosen.clear()
    monkeypatch.setenv("CC", "no-such-cc")
    assert choose("cpu") == Choice("torch", "CC names 'no-such-cc', which is not there")


@pytest.fixture
def compiles(library, fresh, monkeypatch):
    """There is a compiler, and it is quick."""
    monkeypatch.setenv("CC", quick(library, fresh))


def test_a_cache_that_cannot_be_written_is_a_reason(compiles, fresh, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(fresh / "file"))
    (fresh / "file").write_text("in the way")
    assert "cannot write" in choose("cpu").reason


def test_what_was_ignored_is_said_to_the_user(compiles, fresh, capfd):
    assert choose("cpu") == Choice("compiled")
    folder = fresh / "cache" / "fairtrial" / "kernels"
    folder.chmod(0o777)
    dispatch._chosen.clear()
    assert choose("cpu") == Choice("compiled")
    assert "note: ignored the kernels of" in capfd.readouterr().err


def test_a_process_that_cannot_be_started_is_a_reason(fresh, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert choose("cpu") == Choice(
        "torch", "no process could be started to try them: No such file or directory"
    )


def test_what_is_tried_once_is_known(fresh, monkeypatch):
    need("compiled")
    assert choose("cpu") == Choice("compiled")
    monkeypatch.setattr(dispatch, "check", refuse)
    assert choose("cpu") == Choice("compiled")
    assert own_kernels(torch.device("cpu")) == "compiled"


def test_an_answer_of_another_process_is_taken_over_and_nothing_is_tried(fresh, monkeypatch):
    monkeypatch.setattr(dispatch, "check", refuse)
    adopt("cpu", Choice("torch", "it hangs"))
    adopt("cuda:0", Choice("triton"))
    with pytest.warns(dispatch.Slower, match="it hangs"):
        assert own_kernels(torch.device("cpu")) is None
    assert own_kernels(torch.device("cuda:0")) == "triton"


def test_a_device_that_we_have_no_kernels_for(fresh, monkeypatch):
    monkeypatch.setattr(dispatch, "check", refuse)
    assert choose("mps") == Choice("torch", "there are none for 'mps'")


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        ("(7, 5)", "Triton kernels need compute capability 8.0 or later; this GPU has 7.5"),
        ("(9, 0)", "Triton does not load: no triton here"),
    ],
)
def test_a_gpu_is_tried_not_looked_up(fresh, monkeypatch, capability, reason):
    """Triton is installed, and the kernels cannot be used all the same."""
    old_gpu(fresh, monkeypatch, capability)
    (fresh / "triton.py").write_text("raise ImportError('no triton here')")
    assert choose("cuda:0") == Choice("torch", reason)


def old_gpu(folder: Path, monkeypatch, capability="(7, 5)"):
    """A torch, for processes started from here, that sees one GPU."""
    (folder / "torch.py").write_text(
        "class device:\n def __init__(self, name): self.type = name.partition(':')[0]\n"
        "class version: hip = None\n"
        "class cuda:\n is_available = staticmethod(lambda: True)\n"
        f" get_device_capability = staticmethod(lambda device: {capability})\n"
    )
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.parametrize("kernels", ["torch", "plain"])
def test_who_asks_for_others_tries_nothing_and_hears_nothing(fresh, monkeypatch, kernels, recwarn):
    monkeypatch.setattr(dispatch, "check", refuse)
    standardize_all([torch.from_numpy(weights((4, 3, 3, 3)))], BIT, kernels)
    assert not [warning for warning in recwarn if warning.category is dispatch.Slower]


def test_shapes_alone_need_no_kernels(fresh, monkeypatch, recwarn):
    monkeypatch.setattr(dispatch, "check", refuse)
    with torch.device("meta"):
        model = create_model("mini", 10)
    assert model(torch.empty(2, 3, 16, 16, device="meta")).shape == (2, 10)
    assert not [warning for warning in recwarn if warning.category is dispatch.Slower]


def test_importing_and_asking_loads_no_torch(compiles):
    code = "import sys, fairtrial.kernels.dispatch as d\n"
    code += "print(d.choose('cpu').kernels, 'torch' in sys.modules)"
    assert python(code).stdout == "compiled False\n"


def test_building_a_network_compiles_nothing_and_says_nothing(fresh, monkeypatch, capfd, recwarn):
    monkeypatch.setattr(dispatch, "check", refuse)
    create_model("mini", 10)
    assert capfd.readouterr() == ("", "") and not recwarn.list
    assert not (fresh / "cache").exists()


def test_a_program_without_a_compiler_says_it_once_on_its_standard_error(fresh):
    code = "import torch; from fairtrial.resnetv2 import create_model\nfor _ in range(3):\n"
    code += " create_model('mini', 10)(torch.zeros(1, 3, 16, 16))"
    done = python(code, PATH="")
    assert done.returncode == 0
    assert done.stderr.count("Slower") == done.stderr.count("no C compiler is installed") == 1


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )
