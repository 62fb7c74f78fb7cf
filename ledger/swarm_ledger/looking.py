"""Looking at the files of a view for what hands did: by stat, and by content where that is not enough."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .errors import BadInput
from .manifest import Row
from .tree import Tree, signature

if TYPE_CHECKING:
    from .view import View

__all__ = ["SETTINGS", "Look", "Scan", "is_untouched", "may_be_entry", "reason"]

SETTINGS = "swarm.yaml"

_RACY_NS = 2_000_000_000
"""A file written so shortly before it was looked at may have been written once more with the same times."""

_TICK_NS = 20_000_000
"""The same, on Linux and macOS with a file system of theirs: their clock of files stands still for 10 ms at most."""


class Scan(NamedTuple):
    """What hands did since we looked last. Paths are the view's."""

    edited: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: dict[str, str] = {}  # noqa: RUF012 - never changed
    """File → why it cannot be taken in."""


class Look:
    """What a scan comes to."""

    def __init__(self, view: View, tree: Tree) -> None:
        self._view, self._tree = view, tree
        self.edited: list[str] = []
        self.new: list[str] = []
        self.missing: list[str] = []
        self.problems: dict[str, str] = {}
        self.seen: set[str] = set()

    def at(self, path: str, row: Row | None, stat_of: Callable[[], os.stat_result], trust: bool = False) -> None:
        """Look at one file; with `trust` by stat alone, unless that leaves a doubt."""
        try:
            info = stat_of()
            self.seen.add(path)
            if stat.S_ISDIR(info.st_mode) and row is None:
                return
            if not stat.S_ISREG(info.st_mode):
                self.problems[path] = "not a file; the view takes in plain files only"
            elif row is None:
                self.new.append(path)
            elif trust and is_untouched(row, info):
                return
            elif not is_untouched(row, info, _RACY_NS) and self._view.is_changed(self._tree, row):
                self.edited.append(path)
        except FileNotFoundError:
            self.seen.discard(path)
        except (OSError, BadInput) as error:
            self.seen.add(path)
            self.problems[path] = reason(error)

    def for_missing(self, path: str) -> None:
        """Look whether a file that was not found is gone."""
        try:
            info = self._tree.stat(path)
        except OSError as error:
            self.problems[path] = reason(error)
            return
        if info is None:
            self.missing.append(path)
        elif stat.S_ISDIR(info.st_mode):
            self.problems[path] = "a directory stands where a file of the ledger belongs; move it away"


def may_be_entry(path: str, name: str) -> bool:
    """Whether a file is looked at: what editors put beside one while they save ends otherwise, or is hidden."""
    return path == SETTINGS or (name.endswith(".md") and not name.startswith("."))


def is_untouched(row: Row, info: os.stat_result, racy_ns: int = _TICK_NS) -> bool:
    """Whether stat shows that a file is as we left it; where it does not, the content tells."""
    sig = row.signature
    return sig is not None and sig == signature(info) and sig.modified < row.looked - racy_ns


def reason(error: Exception) -> str:
    if isinstance(error, OSError):
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return "a symbolic link or a file stands in the way; the view follows no links"
        return f"it cannot be read ({(error.strerror or str(error)).lower()})"
    return str(error)
