"""C compilers that fail in every way, and one that is quick, as a value of CC."""

import shutil
from pathlib import Path

import pytest

OUT = 'out=; for word; do [ "$previous" = -o ] && out=$word; previous=$word; done\n'
CRASH = "__attribute__((constructor)) void crash(void) { *(volatile int *)0 = 1; }"
# name -> (shell script, what the reason says); $CC is a compiler that works
FAILING = {
    "fails": ("exit 1", "could not compile our kernels"),
    "makes nothing": ("exit 0", "made no library"),
    "writes nonsense": (OUT + 'echo nonsense > "$out"', "do not load"),
    "computes nonsense": (  # without optimization, which takes two seconds
        'exec $CC -Dsqrtf=fabsf "$@" -O0',
        "the compiled kernels are wrong: filters differ by",
    ),
    "crashes at load": (
        f"""{OUT}case "$*" in *-shared*) echo '{CRASH}' > "$out.c"
        exec $CC -shared -fPIC "$out.c" -o "$out";; esac
        """,
        "ended by signal 11 (SIGSEGV)",
    ),
    "hangs": ("sleep 300 & echo $! >> $FOLDER/children; wait", "did not end within"),
}  # fmt: skip


def working():
    """The path of a compiler; the test is skipped where there is none."""
    path = next((path for name in ("gcc", "cc", "clang") if (path := shutil.which(name))), None)
    return path or pytest.skip("no C compiler is installed")


def failing(name: str, folder: Path) -> str:
    """The path of a compiler that fails in this way, and leaves a line in `calls` each time it is called."""
    return _script(folder, FAILING[name][0])


def quick(library: Path, folder: Path) -> str:
    """The path of a compiler that gives this library at once: to compile our kernels takes two seconds."""
    return _script(folder, f"""{OUT}case "$*" in *-shared*) exec cp '{library}' "$out";; esac""")


def _script(folder: Path, does: str) -> str:
    script = folder / "a-cc"
    text = does.replace("$CC", working()).replace("$FOLDER", str(folder))
    script.write_text(f"#!/bin/sh\necho x >> {folder}/calls\n{text}\n")
    script.chmod(0o755)
    return str(script)
