"""What is printed for a shell makes it complete commands, options and studies: each shell is asked itself."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from fairtrial.cli.completion import SHELLS
from fairtrial.cli.main import main
from fairtrial.study.loader import known_studies

TYPED = [
    (["pl"], {"plan"}),
    (["run", "batch-s"], {"batch-seconds", "batch-statistics", "batch-steps"}),
    (["run", "min"], {"mine.py"}),
    (["run", "norm", "--budg"], {"--budget"}),
]
PROMPT, ASK = "ready> ", "\t\x07"  # complete, then the key of the widget
# after what we print: a prompt to wait for, and a key that writes down the line as it is by then
WIDGET = f"""
PS1='{PROMPT}'
unsetopt prompt_sp beep
_line() {{ print -r -- "$BUFFER" > line.part && mv line.part line }}
zle -N _line
bindkey '^G' _line
"""


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """What is printed for a shell; the current folder is a home that holds one Python file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "mine.py").touch()

    def of(shell):
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        with pytest.raises(SystemExit) as stopped:
            main(["--print-completion", shell])
        assert stopped.value.code == 0
        return capsys.readouterr().out

    return of


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_the_commands_and_studies(shell, script, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    for word in ("run", "verify", "fixed-lr", *known_studies()):
        assert word in script(shell)


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_bash_completes_what_is_typed(typed, offered, script, tmp_path):
    (tmp_path / "completion").write_text(script("bash"))
    words = " ".join(["fairtrial", *typed])
    asked = f"""source ./completion
        COMP_WORDS=({words}); COMP_CWORD={len(typed)}
        $(complete -p fairtrial | sed 's/.*-F \\([^ ]*\\) .*/\\1/') fairtrial {typed[-1]} x
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_fish_completes_what_is_typed(typed, offered, script, tmp_path):
    (tmp_path / ".config" / "fish").mkdir(parents=True)
    (tmp_path / ".config" / "fish" / "config.fish").write_text(script("fish"))
    asked = f"complete -C '{' '.join(['fairtrial', *typed])}'"
    done = subprocess.run(["fish", "-c", asked], capture_output=True, text=True)
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == offered, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_zsh_completes_what_is_typed(typed, offered, script, tmp_path):
    (tmp_path / ".zshrc").write_text(script("zsh") + WIDGET)
    assert zsh_offers(tmp_path, typed) == offered


def test_zsh_finds_the_script_among_its_functions_too(script, tmp_path):
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_fairtrial").write_text(script("zsh"))
    rc = "fpath=(~/functions $fpath)\nautoload -Uz compinit && compinit -u\n"
    (tmp_path / ".zshrc").write_text(rc + WIDGET)
    assert zsh_offers(tmp_path, TYPED[1][0]) == TYPED[1][1]


def zsh_offers(home, typed):
    """What a zsh in a terminal puts in the place of the last word, or lists below it."""
    ours, theirs = pty.openpty()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "200"}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    shell = subprocess.Popen(["zsh", "-i"], cwd=home, env=environment, start_new_session=True, **streams)
    os.close(theirs)
    try:
        greeting = said(ours, lambda text: PROMPT in text)
        assert greeting.split() == PROMPT.split(), greeting  # no error of the script
        os.write(ours, (" ".join(["fairtrial", *typed]) + ASK).encode())
        listed = said(ours, lambda _: (home / "line").exists())
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    last = (home / "line").read_text().split()[-1]
    words = {word for word in listed.split() if word.startswith(typed[-1])} - {typed[-1]}
    return words if last == typed[-1] else {last}


def said(terminal, enough, seconds=120):
    """What a terminal shows until it is enough, without its control sequences."""
    text, end = "", time.monotonic() + seconds
    while not enough(text):
        assert time.monotonic() < end, text
        if select.select([terminal], [], [], 0.05)[0]:
            text += os.read(terminal, 65536).decode(errors="replace")
            text = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])", "", text)
    return text
