"""Evidence for a fact: a citation is made from the caller's own worktree, where the code can be read.

A span of code is named by path, lines, the commit that holds the same text (where one does) and the sha256 of
the text with LF line ends, so that another branch can be asked later whether the evidence still stands.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import kind_of, path_of
from swarm_ledger.store import CommitId, Store

__all__ = ["citation", "cite_code", "head", "span_digest"]

_SPAN = re.compile(r"(?P<path>.+):(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?", re.DOTALL)
_URL = re.compile("https?://", re.IGNORECASE)


def citation(text: str, worktree: str | None, cwd: str, store: Store) -> dict[str, object]:
    """The citation of what `text` names: a URL, an entry (at its current version), or `PATH:A-B`.

    Raises BadInput, NotFound for an entry that is not there.
    """
    if _URL.match(text):
        return {"url": text}
    try:
        kind = kind_of(text)
    except BadInput:
        if worktree is None:
            raise BadInput(f"{text!r} can not be cited: not inside a worktree, so there is no code to read.") from None
        return cite_code(text, worktree, cwd)
    if kind == "log":
        return {"log": text}
    version = store.read(path_of(text))
    if version is None:
        raise NotFound(f"{text} can not be cited: no such entry in this ledger.")
    return {"entry": text, "version": version.blob}


def cite_code(spec: str, worktree: str, cwd: str) -> dict[str, object]:
    """The citation of `PATH:A-B` (lines from 1, both included), PATH relative to `cwd`.

    Raises BadInput: malformed, outside `worktree`, not a file, or lines that are not there.
    """
    match = _SPAN.fullmatch(spec)
    if not match:
        raise BadInput(f"{spec!r} is not a citation; write PATH:FIRST-LAST, such as src/auth.py:10-24.")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    path = _inside(match["path"], worktree, cwd)
    text = _read(f"{worktree}/{path}", path)
    digest = span_digest(text, first, last)
    if digest is None:
        raise BadInput(f"{path} has {len(_lines(text))} lines; {first}-{last} is not a span of them.")
    citation: dict[str, object] = {"path": path, "lines": [first, last]}
    commit = head(worktree)
    if commit:
        committed = _git(worktree, "cat-file", "blob", f"{commit}:{path}")
        if committed is not None and span_digest(committed, first, last) == digest:
            citation["commit"] = commit
    return {**citation, "sha256": digest}


def span_digest(text: bytes, first: int, last: int) -> str | None:
    """sha256 of lines `first` to `last`, each ended by one LF; None where the text has no such lines."""
    lines = _lines(text)
    if not 1 <= first <= last <= len(lines):
        return None
    return hashlib.sha256(b"".join(line + b"\n" for line in lines[first - 1 : last])).hexdigest()


def head(worktree: str) -> CommitId | None:
    """The commit that `worktree` is on, or None on a branch without one."""
    out = _git(worktree, "rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}")
    return CommitId(out.decode().strip()) if out else None


def _lines(text: bytes) -> list[bytes]:
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


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
            return file.read()
    except OSError as error:
        raise BadInput(f"{path!r} can not be read: {error.strerror}.") from None


def _git(worktree: str, *arguments: str) -> bytes | None:
    """Standard output of git in the worktree, or None where it says no."""
    try:
        done = subprocess.run(
            ["git", "-C", worktree, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=_environment(),
            check=False,
        )
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    return done.stdout if done.returncode == 0 else None


def _environment() -> dict[str, str]:
    """The caller's, with their own git settings, but without what would turn git to another repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
