"""Commands in a terminal of 40 columns and 20 lines: what is drawn moves, fits, and ends no command."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

import pytest

from fairtrial.cli.parser import parser
from fairtrial.regression import history
from fairtrial.regression.benchmark_records import folder_name, identity
from tests.support.studies import write
from tests.support.terminal_commands import TerminalCommands
from tests.support.toy import ROOT

TOY = str(ROOT / "tests/support/toy_fairtrial.py")
WIDTH, HEIGHT = 40, 20
LONG, SLOW = pytest.mark.soak, ("networks", "doctor")


class Terminal:
    """A command in a pseudo-terminal. screen: all that it wrote. commands: what forks it."""

    def __init__(self, folder, *words, close_after="", commands=None, **variables):
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, "TERM": "xterm", **variables}
        for name in ("CI", "NO_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        if commands is not None:
            commands.start(os.ttyname(theirs), folder, words, environment)
        else:
            how = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "env": environment, "cwd": folder}
            # as under nohup: the terminal may close, and nobody is told
            ignore = signal.signal(signal.SIGHUP, signal.SIG_IGN)
            process = subprocess.Popen([sys.executable, TOY, *map(str, words)], start_new_session=True, **how)
            signal.signal(signal.SIGHUP, ignore)
        os.close(theirs)
        self.screen = ""
        while chunk := _read(ours):
            self.screen += chunk.decode()
            if close_after and close_after in self.screen:
                break
        os.close(ours)
        self.code = process.wait(timeout=120) if commands is None else commands.wait()

    def lines(self):
        """Every line that was drawn, without what moves the cursor."""
        return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.screen))


def _read(handle):
    try:
        return os.read(handle, 1 << 16)
    except OSError:  # its last writer has ended
        return b""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A study of twelve cells that ran in a terminal, one cell of which fails at every try; slowly enough."""
    folder = tmp_path_factory.mktemp("terminal")
    write(folder)
    acts = json.dumps({"gn 1": "raise"})
    return folder, Terminal(folder, "run", "small.py", "--jobs", "2", TOY=acts, TOY_SLEEP_S="0.7")


@pytest.fixture(scope="module")
def commands():
    """What every command imports, loaded once."""
    process = TerminalCommands()
    yield process
    process.stop()


def test_a_run_shows_its_grid_what_runs_and_why_a_cell_failed(ran):
    _, run = ran
    assert run.code == 1
    assert "time to go unknown yet" in run.screen and "so far" in run.screen
    assert re.search(r"▸ .*seed \d: \d+ s", run.screen)
    assert re.search(r"bn, batch 4 +■▸?", run.screen)
    assert "seed 1 broke: ValueError: boom" in " ".join(run.lines())
    assert "inf" not in run.screen and "about 0 s" not in run.screen.partition("■")[0]
    assert "drawing the report" in run.screen
    grids = [line for line in run.lines() if line.startswith(("bn, batch", "gn, batch", "▸"))]
    assert grids and max(map(len, grids)) <= WIDTH


TABLE = "seed,arm,accuracy\n" + "".join(
    f"{seed},{arm},{value}\n" for seed in range(6) for arm, value in (("a", 0.8 + seed / 100), ("b", 0.7))
)
FIGURE = """
from matplotlib.figure import Figure

PLUGIN = {"figures": {"blank": "draw"}}


def draw(frame, verdicts):
    \'\'\'Nothing yet.\'\'\'
    return Figure()
"""
WALKS = {  # a command with its words -> what the screen then says
    "status small.py": "3 attempts failed",
    "plan small.py": "nothing left to train",
    "verdict small.py": "0:00:0",  # how long it takes
    "report small.py": "0:00:0",
    "verify small.py": "0:00:0",
    "export small.py --to csv": "16 attempts: small.csv",
    "replay small.py --sample 10%": "1 of 1 cells agree bit for bit",
    "repair small.py": "nothing to repair",
    "merge results --results joined": "small",
    "compare runs.csv --treatment a --control b": "a beats b",
    "agree small other": "no recorded study is called 'other'",
    "agree small results/small --allow-partial": "small batch: small (embedded) refused, incomplete: 1 of 3",
    "claims --allow-partial": "    Study small, gn: undecided, 0.0 % [0.0, 84.2] at 95 %, n = 2 seeds",
    "doctor": "torch",
    "gate --history": "no change of level in 1 night drawn: ",
    "fetch": "BiT-M-R50x1              r50x1   imagenet21k",
    "fetch BiT-M-R5Ox1": "no official file is called 'BiT-M-R5Ox1', did you mean 'BiT-M-R50x1'?",
    "init mine": "mine.py",
    "networks": "wrote results/networks/networks.json",
    "probe axes": "wrote results/probes/axes.json",
    "check my_figure.py": "figure blank: takes a frame and verdicts",
}


MOVES = {  # what it shows while it works
    "replay small.py --sample 10%": "opening data and weights 0:00:0",
    "repair small.py": "checking every record 0:00:0",
    "merge results --results joined": "joining studies: 0 of 1 0:00:0",
    "verify small.py": "making each report anew 0:00:0",
    "check my_figure.py": "my_figure.py: check 1 0:00:0",
}


@pytest.mark.parametrize("words", [pytest.param(w, marks=LONG if w in SLOW else ()) for w in WALKS])
def test_every_command_works_in_a_terminal(ran, commands, words):
    folder, _ = ran
    (folder / "runs.csv").write_text(TABLE)
    (folder / "my_figure.py").write_text(FIGURE)
    device = folder / "results/bench" / folder_name(identity("cpu", 1))
    if not device.exists():
        history.append(device, [{"test_work": 0.001}] * 2, {"cpu": "x"}, {"commit": "0" * 40}, None)
    found = Terminal(folder, *words.split(), commands=commands)
    assert "Traceback" not in found.screen and "\\n" not in found.screen
    assert found.code in (0, 2, 3, 5), found.screen
    assert WALKS[words] in " ".join(found.lines())
    assert MOVES.get(words, "") in " ".join(found.lines())
    if words == "status small.py":
        assert "boom" in found.screen and "test_acc" in found.screen


def test_every_command_is_walked():
    (commands,) = (action.choices for action in parser()._actions if isinstance(action.choices, dict))
    assert set(commands) == {words.partition(" ")[0] for words in WALKS} | {"run", "tune"}


def test_tune_shows_the_same_grid_of_its_trials(tmp_path, commands):
    write(tmp_path, ('"lr": 0.3,', '"val_per_class": 2,'))
    words = ("--space", "lr=0.1,0.3", "--tuning-seeds", "1", "--jobs", "2")
    found = Terminal(tmp_path, "tune", "small.py", *words, commands=commands, TOY_SLEEP_S="0.7")
    assert found.code == 0, found.screen
    assert "val_acc" in found.screen
    assert re.search(r"bn, batch 4 +■▸?", found.screen)


def test_a_terminal_that_closes_ends_no_run(tmp_path):
    write(tmp_path)
    Terminal(tmp_path, "run", "small.py", "--jobs", "2", close_after="▸", TOY_SLEEP_S="0.2")
    assert len(list((tmp_path / "results/small/cells").glob("*.json"))) == 12
    assert (tmp_path / "results/small/report.html").exists()
