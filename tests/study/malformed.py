"""What stderr says, in blocks."""

import re

LEVELS, SIZES, FIXED, SEEDS, BUDGET = '("bn", "gn")', "(4, 16)", '"lr": 0.3', "range(3)", "examples=64"


def listing(folder):
    return {path: path.stat().st_size for path in folder.rglob("*")}


def blocks(err):
    return re.findall(r"^error: (.+)\n  where: (.+)\n  do:    (.+)$", err, re.MULTILINE)
