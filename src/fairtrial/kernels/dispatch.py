"""The one rule that says which kernels run on a device: our own, once a process has tried them there.

Importing this loads no torch: `doctor` asks the same rule.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from fairtrial.installation import isolated_python
from fairtrial.kernels.compiler import NOTE

if TYPE_CHECKING:
    import torch

FASTEST: Final = "fastest"
FUSED: Final = "fused"
KERNELS: Final = {
    FASTEST: "our own kernels where they can be had: compiled C on a CPU, Triton on a GPU",
    FUSED: "as fastest; on a CPU, gn takes its relu along and evaluation runs in small batches",
    "torch": "torch's kernels: layer norm over the filters of one layer after the other",
    "plain": "the formula as in BiT's released code: var_mean, a subtraction, a division",
}
OURS: Final = (FASTEST, FUSED)  # the rows that ask for our own
OWN: Final = {"cpu": "compiled", "cuda": "triton"}
CHECK: Final = "fairtrial.kernels.contract"
LONGEST_S: Final = {"cpu": 60.0, "cuda": 180.0}  # of the check, what it compiles included


class Choice(NamedTuple):
    """What "fastest" comes to on a device; reason: why not our own kernels, in one line."""

    kernels: str
    reason: str | None = None


class Slower(UserWarning):
    """Our own kernels cannot be had on this machine."""


_chosen: dict[str, Choice] = {}


def choose(device: str) -> Choice:
    """Return what runs on a device, "cpu" or a GPU as torch names it; tried once in the life of a process."""
    if device not in _chosen:
        kind = device.partition(":")[0]
        reason = check(device) if kind in OWN else f"there are none for {kind!r}"
        _chosen[device] = Choice("torch", reason) if reason else Choice(OWN[kind])
    return _chosen[device]


def tried(device: str) -> bool:
    """Whether our own kernels were tried on a device by this process or its run, and run there."""
    return device in _chosen and _chosen[device].reason is None


def adopt(device: str, choice: Choice) -> None:
    """Take over what another process of the same run found on this device."""
    _chosen[device] = choice


def own_kernels(device: torch.device) -> str | None:
    """Return the name of our own kernels on a device; None where there are none, said once in a warning."""
    if device.type == "meta":  # shapes alone: nothing is slower
        return None
    kernels, reason = choose(str(device))
    if reason is None:
        return kernels
    _warn(f"StdConv runs on torch's own kernels, which are slower: {reason}")
    return None


def check(device: str) -> str | None:
    """Compile, load and run our kernels in a process of their own; why they cannot be used, None if they can.

    The process may crash, or hang with all that it has started: it is ended then, and that is the reason.
    """
    limit_s = LONGEST_S[device.partition(":")[0]]
    alive, held = os.pipe()  # the process ends itself when the other end closes: with this process
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                isolated_python("-m", CHECK, device),
                stdin=alive, stdout=printed, stderr=complaints, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            os.close(held)
            return f"no process could be started to try them: {error.strerror}"
        finally:
            os.close(alive)
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return f"trying them did not end within {limit_s:g} s; the C compiler may hang"
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the compilers that it has started
                process.wait()
            os.close(held)
        said = _text(complaints)
        for line in said.splitlines():
            if line.startswith(NOTE):
                print(line, file=sys.stderr)
        return _verdict(code, _text(printed), said)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()


def _verdict(code: int, printed: str, complaints: str) -> str | None:
    """The reason that a process of `contract` gave, or how it ended without one."""
    if code < 0:
        return f"the process that tried them was ended by signal {-code} ({signal.Signals(-code).name})"
    try:
        return json.loads(printed.splitlines()[-1])["reason"]
    except (IndexError, KeyError, TypeError, ValueError):
        last = (complaints.splitlines() or ["it said nothing"])[-1]
        return f"the process that tried them ended with exit code {code}: {last}"


@cache
def _warn(words: str) -> None:
    warnings.warn(words, Slower, stacklevel=4)
