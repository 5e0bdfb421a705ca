"""Shared by all tests: one thread per process, their order, and where the real images lie."""

import gc
import os
from collections import Counter
from pathlib import Path

import pytest

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = (
        "1"  # before torch is imported: as in a worker, and pytest-xdist has the other cores
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: for about half of their time tests wait for what they started."""
    from fairtrial.execution.container import cores

    return cores() + 1


def pytest_configure() -> None:
    """What is imported and collected stays until the end: looking through it again and again is in vain."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage; forks share what is frozen."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Let what was frozen go at the end: libraries complain of objects that outlive them."""
    gc.unfreeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, or the last one is run by one worker while the others have ended."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def image_folder() -> Path:
    """The folder with cifar10/ and tiny-imagenet-32/; without it the test is skipped, with the reason."""
    folder = os.environ.get("FAIRTRIAL_TEST_DATA")
    if not folder:
        pytest.skip("FAIRTRIAL_TEST_DATA names no folder of real images")
    return Path(folder)


@pytest.fixture(scope="module", autouse=True)
def tables_as_before_each_file():
    """A plug-in of one file is unknown in the next: a norm `own` made a rule of the house fail."""
    from tests.support.plugin_tables import as_before

    with as_before():
        yield


@pytest.fixture(scope="session")
def library() -> Path:
    """Our compiled kernels, where they lie on this machine; without a compiler the test is skipped."""
    from fairtrial.kernels import compiler

    try:
        return compiler.build()
    except compiler.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def fresh_kernels(tmp_path, monkeypatch):
    """Our kernels were never tried, compiled, loaded or complained about."""
    from fairtrial.kernels import cpu, dispatch

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(dispatch, "_chosen", {})
    for function in (dispatch._warn, cpu.library):
        function.cache_clear()
    yield
    for function in (dispatch._warn, cpu.library):
        function.cache_clear()
