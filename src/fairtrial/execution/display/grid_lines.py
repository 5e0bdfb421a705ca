"""The grid of a run as lines that fit a terminal of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairtrial.execution.display.watch import MARKS, PENDING, RUNS, Arm, Busy, Watch
from fairtrial.screen import duration
from fairtrial.study.failure_policy import WORDS

SHORT: Final = 24  # columns of an arm's name, before anything else gives way
LEAST: Final = 8  # and however narrow the terminal is
GAP: Final = "  "


def grid_lines(watch: Watch, busy: Busy, width: int, height: int) -> list[str]:
    """Return at most `height` - 1 lines of at most `width` characters; what does not fit is summed up."""
    arms = watch.arms(cell.id for _, cell in busy)
    head = _packed([f"{watch.done()} of {len(watch.cells)} cells", *watch.times(busy)], width)
    marks = sorted(set("".join(arm.marks for arm in arms)) - {MARKS["done"], RUNS, PENDING})
    words = {MARKS[status]: said for status, said in WORDS.items()}
    legend = _packed([f"{mark} {words[mark]}" for mark in marks], width)
    room = max(1, height - 1 - len(head) - len(legend) - 1)
    running = _running(busy, width, max(1, room // 3))
    shown = _table(arms, width, max(1, room - len(running)))
    return [line[:width] for line in [*head, *shown, *running, *legend]][: max(1, height - 1)]


def _packed(words: Sequence[str], width: int) -> list[str]:
    """Put words side by side, in as many lines as they take."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 3 + len(word) <= width:
            lines[-1] += f" · {word}"
        else:
            lines.append(word)
    return lines


def _running(busy: Busy, width: int, most: int) -> list[str]:
    """Say which cells run, for how long, and what each is at; in two lines each, if that fits better."""
    texts = []
    for worker, cell in busy:
        doing = f", {worker.doing}" if worker.doing else ""
        texts.append((f"{cell.arm}, seed {cell.seed}", f"{duration(worker.ran_s())}{doing}"))
    if 2 * len(texts) <= most and max((len(f"{RUNS} {name}: {at}") for name, at in texts), default=0) > width:
        return [line for name, at in texts for line in (f"{RUNS} {_cut(name, width - 2)}", f"  {at}")]
    lines = [f"{RUNS} {_cut(name, max(LEAST, width - 4 - len(at)))}: {at}" for name, at in texts]
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"{RUNS} {'and ' if most > 1 else ''}{len(lines) - most + 1} cells run"]


def _table(arms: Sequence[Arm], width: int, room: int) -> list[str]:
    """Return a heading and a row for each arm, those that run first where there is no room for all."""
    rows, rest = list(arms), ""
    if len(arms) + 1 > room:
        if (most := room - 2) < 1:
            return [_summary(arms, 0)]
        order = sorted(range(len(arms)), key=lambda place: _closed(arms[place]))
        rows = [arms[place] for place in sorted(order[:most])]
        rest = _summary([arms[place] for place in order[most:]], len(rows))
    score = "best val_acc" if arms and arms[0].best else "mean test_acc"
    texts = [(arm.name, arm.marks, *arm.words) for arm in rows]
    counts = [(arm.name, f"{arm.ended}/{len(arm.marks)}", arm.words[0], "") for arm in rows]
    heading = ("arm", "cells", score, "[95 %]" if any(row[3] for row in texts) else "")
    for table in ([heading, *texts], [(*heading[:3], ""), *((*row[:3], "") for row in texts)]):
        total, widths = _widths(table)
        if total - max(0, widths[0] - SHORT) <= width:
            break
    else:
        table = [("arm", "", score.split()[1], ""), *counts]
    total, widths = _widths(table)
    widths[0] = min(widths[0], max(LEAST, widths[0] - max(0, total - width)))
    lines = [
        GAP.join(_cut(text, size).ljust(size) for text, size in zip(row, widths, strict=True) if size)
        for row in table
    ]
    return [*(line.rstrip() for line in lines), *([rest] if rest else [])]


def _closed(arm: Arm) -> tuple[bool, bool]:
    """Order arms: those that run, then those that are not complete."""
    return RUNS not in arm.marks, arm.ended == len(arm.marks)


def _widths(table: Sequence[Sequence[str]]) -> tuple[int, list[int]]:
    """Return the width of a table and of each of its columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return sum(widths) + len(GAP) * sum(width > 0 for width in widths[1:]), widths


def _cut(text: str, size: int) -> str:
    """Cut a text in its middle: the ends of names tell arms apart."""
    left = (size - 1) // 2
    return text if len(text) <= size else f"{text[:left]}…{text[len(text) - (size - 1 - left) :]}"


def _summary(arms: Sequence[Arm], shown: int) -> str:
    ended, cells = sum(arm.ended for arm in arms), sum(len(arm.marks) for arm in arms)
    return f"{'and ' if shown else ''}{len(arms)} {'more ' if shown else ''}arms: {ended} of {cells} cells"
