"""Evidence for a fact: a citation is made from the caller's own worktree, where the code can be read.

A span of code is named by path, lines, the commit that holds the same text (where one does) and the sha256 of
the text with LF line ends, so that another branch can be asked later whether the evidence still stands.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import kind_of, path_of, quoted
from swarm_ledger.store import CommitId, Store

from .anchor import Anchor, Text, anchor_of, fields_of
from .codetree import LARGEST, CodeTree, Marks, Unreadable, flaw_of, texts
from .judge import in_place, settle

__all__ = ["anchored", "citation", "cite_code", "head", "holds", "span_digest"]

_SPAN = re.compile(r"(?P<path>.+):(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?", re.DOTALL)
_FILES = 20_000
"""In a tree of more files it is not looked for how often a text stands in it."""

_URL = re.compile("https?://", re.IGNORECASE)
_PAGE = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)


def citation(text: str, worktree: str | None, cwd: str, store: Store, marks: Marks | None = None) -> dict[str, object]:
    """The citation of what `text` names: a URL, an entry (at its current version), or `PATH:A-B`.

    Raises BadInput, NotFound for an entry that is not there.
    """
    if _URL.match(text):
        if not _PAGE.fullmatch(text):
            raise BadInput(f"{quoted(text)} is no address of a page, such as https://example.org/page.")
        return {"url": text}
    try:
        kind = kind_of(text)
    except BadInput:
        if worktree is None:
            raise BadInput(f"{text!r} can not be cited: not inside a worktree, so there is no code to read.") from None
        return cite_code(text, worktree, cwd, marks)
    if kind == "log":
        return {"log": text}
    version = store.read(path_of(text))
    if version is None:
        raise NotFound(f"{text} can not be cited: no such entry in this ledger.")
    return {"entry": text, "version": version.blob}


def cite_code(spec: str, worktree: str, cwd: str, marks: Marks | None = None) -> dict[str, object]:
    """The citation of `PATH:A-B` (lines from 1, both included), PATH relative to `cwd`.

    Raises BadInput: malformed, outside `worktree`, not a file, or lines that are not there.
    """
    match = _SPAN.fullmatch(spec)
    if not match:
        raise BadInput(f"{spec!r} is not a citation; write PATH:FIRST-LAST, such as src/auth.py:10-24.")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    path = _inside(match["path"], worktree, cwd)
    data = _read(f"{worktree}/{path}", path)
    if flaw := flaw_of(data):
        raise BadInput(f"{path} can not be cited by lines: {flaw}.")
    text = Text(data)
    if text.digest(first, last) is None:
        raise BadInput(f"{path} has {len(text.lines)} lines; {first}-{last} is not a span of them.")
    if not any(text.marks[first - 1 : last]):
        raise BadInput(f"lines {first}-{last} of {path} are blank, and so no evidence; cite some that say something.")
    tree = _tree(worktree, marks)
    anchor = anchor_of(path, text, first, last)
    fields = fields_of(_settled(anchor, text, tree))
    if tree:
        with contextlib.suppress(Unreadable):
            committed = tree.text(path)
            if committed and committed.digest(first, last) == anchor.sha256:
                fields["commit"] = tree.commit
        tree.close()
    return fields


def anchored(tree: CodeTree, path: str, text: Text, first: int, last: int) -> dict[str, object]:
    """The citation of lines of a file as `tree` has it."""
    return {**fields_of(_settled(anchor_of(path, text, first, last), text, tree)), "commit": tree.commit}


def _tree(worktree: str, marks: Marks | None) -> CodeTree | None:
    try:
        return CodeTree(worktree, "HEAD", marks)
    except Unreadable:
        return None


def _settled(anchor: Anchor, text: Text, tree: CodeTree | None) -> Anchor:
    """The anchor with what else in the tree is like it."""
    if tree is None:
        return settle(anchor, text, ())
    if len(tree.files) > _FILES:
        return anchor  # how often it stands in so many files is not looked for; then surroundings must always decide
    (paths,) = tree.holders([anchor])
    return settle(anchor, text, texts(tree, paths))


def holds(worktree: str, anchor: Anchor) -> bool:
    """Whether the file of the worktree itself, committed or not, has the span in its place."""
    try:
        data = _read(f"{worktree}/{_inside(anchor.path, worktree, worktree)}", anchor.path)
    except BadInput:
        return False
    return in_place(anchor, Text(data))


def span_digest(text: bytes, first: int, last: int) -> str | None:
    """sha256 of lines `first` to `last`, each ended by one LF; None where the text has no such lines."""
    return Text(text).digest(first, last)


def head(worktree: str) -> CommitId | None:
    """The commit that `worktree` is on, or None on a branch without one."""
    tree = _tree(worktree, None)
    return CommitId(tree.commit) if tree else None


def _inside(path: str, worktree: str, cwd: str) -> str:
    root = os.path.realpath(worktree)
    if any(ord(char) < 32 or char == "\x7f" for char in path):
        raise BadInput(f"{path!r} can not be cited: a path may not hold control characters.")
    whole = os.path.realpath(os.path.join(cwd, path))
    inner = os.path.relpath(whole, root)
    if inner.split("/")[0] in ("..", ".git"):
        raise BadInput(f"{path!r} is not in the worktree {root}; only its own files can be cited.")
    try:
        inner.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{path!r} can not be cited: its name is not UTF-8.") from None
    return inner


def _read(whole: str, path: str) -> bytes:
    try:
        # A FIFO would be waited for, a device read without end.
        if not stat.S_ISREG(os.stat(whole).st_mode):
            raise BadInput(f"{path!r} is not a file.")
        with open(whole, "rb") as file:
            return file.read(LARGEST + 1)  # enough to see that it is too large
    except OSError as error:
        raise BadInput(f"{path!r} can not be read: {error.strerror}.") from None
