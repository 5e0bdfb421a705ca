"""The base of a comparison: a commit of this checkout, in a worktree of its own while it is needed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairtrial.errors import USAGE, fault
from fairtrial.storage.provenance import GitRefused, git

MAIN: Final = ("main", "origin/main", "master", "origin/master")


@dataclass(frozen=True)
class Base:
    """A commit to compare with, and in words why it is this one."""

    commit: str
    why: str


def choose(root: Path, asked: str | None, since_s: float | None = None) -> Base | None:
    """The commit that was asked for; else the merge base with the main branch, or on it the commit before.

    since_s: the newest commit that is at least so old, which is HEAD when nothing is newer. On the main
    branch with changes of src/ that are not committed: its last commit. None where there is no such commit:
    no checkout, a first commit, a shallow clone.
    """
    if asked is not None:
        commit = _commit(root, asked)
        if commit is None:
            do = "give a branch, a tag or a commit that `git rev-parse` knows; a shallow clone lacks old ones"
            raise fault(f"no commit {asked!r} in this checkout", "--base", do, USAGE)
        return Base(commit, asked)
    head = _commit(root, "HEAD")
    if head is None:
        return None
    if since_s is not None:
        old = _git(root, "rev-list", "-1", f"--before={since_s:.0f} seconds ago", "HEAD")
        return Base(old, f"the newest commit that is {since_s / 3600:g} h old") if old else None
    main = next((name for name in MAIN if _commit(root, name)), None)
    common = _git(root, "merge-base", "HEAD", main) if main else None
    if common and common != head:
        return Base(common, f"the merge base with {main}")
    # what git refuses to tell is no clean tree
    if _git(root, "status", "--porcelain", "--", "src") != "":
        return Base(head, "HEAD: src/ has changes that are not committed")
    before = _commit(root, "HEAD~1")
    return None if before is None else Base(before, "HEAD~1: there is nothing that main lacks")


def is_ancestor(root: Path, commit: str) -> bool:
    """Whether the commit is known here and lies before HEAD, or is it."""
    return _git(root, "merge-base", "--is-ancestor", commit, "HEAD") is not None


@contextlib.contextmanager
def checked_out(root: Path, base: Base) -> Iterator[Path]:
    """A folder with the tree of the base, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fairtrial-base-") as folder:
        tree = Path(folder) / "tree"
        try:
            if _git(root, "worktree", "add", "--detach", str(tree), base.commit) is None:
                do = "try `git worktree add --detach FOLDER` by hand, or compare with --stored"
                raise fault(f"git could not check out {base.commit[:12]}", str(root), do, USAGE)
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def _commit(root: Path, name: str) -> str | None:
    return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None when it refuses or this is no checkout."""
    try:
        printed = git(root, *arguments)
    except GitRefused:
        return None
    return None if printed is None else printed.decode(errors="replace").strip()
