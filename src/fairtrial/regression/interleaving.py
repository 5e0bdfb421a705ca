"""The turns of processes that measure: a round of one runs only while the others wait."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any, Final

from fairtrial.errors import RESOURCES, fault

PATIENCE_S: Final = 120.0  # no import and no round takes that long


class Connection:
    """The gate's end of the socket to one process."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(PATIENCE_S)
        self.end = end
        self.text = end.makefile("rw", encoding="utf-8")

    def receive(self) -> dict[str, Any] | None:
        """Return what the process says, when it waits again; None when it has ended."""
        try:
            line = self.text.readline()
        except TimeoutError:
            what = f"a bench of the gate has said nothing for {PATIENCE_S:g} s"
            do = "run it by hand: pytest bench/test_gate.py"
            raise fault(what, "the processes of this launch", do, RESOURCES) from None
        except OSError:
            return None
        return json.loads(line) if line else None

    def send(self, **answer: Any) -> None:
        """Let the process go on; one that has ended gets nothing."""
        try:
            self.text.write(json.dumps(answer) + "\n")
            self.text.flush()
        except OSError:
            return

    def close(self) -> None:
        """Close the socket; a process that still waits on it ends too."""
        self.text.detach()
        self.end.close()


def take_turns(
    connections: Sequence[Connection], messages: Sequence[dict[str, Any] | None], flip: bool
) -> None:
    """Give turns until every process has ended.

    messages: what each process said last; it now waits. Of those that wait, the ones that are least far go
    first, one after the other: in the order of Thue and Morse, AB BA BA AB ..., which leaves no room for a
    drift nor for what the last turn left in the caches; with `flip` the other way round. The number of calls
    in a round is the largest that any of them asks for.
    """
    waiting = {index: message for index, message in enumerate(messages) if message is not None}
    while waiting:
        place = min(message["place"] for message in waiting.values())
        turn = [index for index, message in waiting.items() if message["place"] == place]
        calls = max(waiting[index].get("calls", 1) for index in turn)
        for index in reversed(turn) if (place[1].bit_count() % 2 == 1) != flip else turn:
            connections[index].send(calls=calls)
            message = connections[index].receive()
            if message is None:
                del waiting[index]
            else:
                waiting[index] = message
