"""The command line where the caller, the system or a notebook has set something up in another way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import DONE, RESOURCES
from fairtrial.execution.process_environment import worker_environment
from tests.support.records import declared_store, publish
from tests.support.studies import study, write

LIBRARY = Path(__file__).parents[2] / "src"


@pytest.fixture
def folder(tmp_path):
    """A study with some records."""
    write(tmp_path)
    store = declared_store(study(), tmp_path / "results")
    for cell in study().cells()[:4]:
        publish(store, cell)
    return tmp_path


def fairtrial(folder, command, closed="", **environment):
    """A command as a shell runs it, with streams closed: "<&- >&-"."""
    line = f'exec "$0" -P -m fairtrial {command} {closed}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable], cwd=folder, capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": str(LIBRARY), **environment},
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "no-such-backend"])
def test_a_notebooks_backend_is_ignored(folder, backend):
    code = "from fairtrial.reporting.figures import figure_files"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(LIBRARY), "MPLBACKEND": backend},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["plan small.py", "status small.py --json"])
def test_closed_streams_change_no_exit_code(folder, closed, command):
    whole, done = fairtrial(folder, command), fairtrial(folder, command, closed)
    assert done.returncode == whole.returncode == DONE
    assert done.stdout == ("" if ">&- " in f"{closed} ".replace("2>&-", "") else whole.stdout)
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_an_error_never_goes_to_standard_output(folder, closed):
    done = fairtrial(folder, "plan no-such-study", closed)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown study") if closed == ">&-" else done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_said(folder, unbuffered):
    done = fairtrial(folder, "plan small.py", "> /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == RESOURCES
    assert done.stderr.startswith("error: the system refused: No space left on device")
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("missing", ["fcntl", "resource"])
@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["plan", "norm"]])
def test_windows_is_one_block(monkeypatch, capsys, missing, argv):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 3)
    assert err.startswith(f"error: fairtrial runs on Linux and macOS; this Python has no {missing}")


def test_nothing_of_the_command_line_loads_what_windows_lacks():
    code = (
        "import sys\nfor name in ('fcntl', 'resource', 'pwd', 'grp', 'termios'): sys.modules[name] = None\n"
    )
    code += "import signal\nfor name in ('SIGHUP', 'SIGUSR1', 'pthread_sigmask'): delattr(signal, name)\n"
    code += "sys.argv = ['fairtrial', '--help']\nfrom fairtrial.__main__ import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("error: fairtrial runs on Linux and macOS")


def test_an_empty_entry_of_pythonpath_is_not_the_current_folder(folder, monkeypatch):
    """`export PYTHONPATH=$PYTHONPATH:/x` makes one; the user's queue.py took the place of Python's own."""
    (folder / "queue.py").write_text("raise SystemExit('this is the file of the user')")
    done = fairtrial(folder, "status small.py", PYTHONPATH=f"{os.pathsep}{LIBRARY}")
    assert (done.returncode, done.stderr) == (DONE, "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "a", "", "b"]))  # of a notebook
    assert worker_environment(1, "cpu")["PYTHONPATH"] == os.pathsep.join(["a", "b"])
