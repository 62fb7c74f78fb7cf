"""The code that facts speak of: the files of one tree of the user's repository, read through git.

Only the tree is needed, so that a checkout of depth 1 serves. The marks of each blob's lines are kept by the blob's
id, by which a text is looked for in all files at once.
"""

from __future__ import annotations

import os
import re
import subprocess
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from swarm_ledger.errors import NotFound

from .anchor import Anchor, Text, marks_of, split_lines
from .judge import TRIVIAL

__all__ = [
    "LARGEST",
    "NOT_FETCHED",
    "CodeTree",
    "Marks",
    "NoMarks",
    "Unreadable",
    "changed_files",
    "flaw_of",
    "fork_of",
    "git",
    "holders_of",
    "texts",
]

LARGEST = 4 << 20
"""A file of more bytes is not looked into."""

NOT_FETCHED = "its text was not fetched with the tree"
"""Of a file of a partial clone; it may be there the next time."""

_TOO_LARGE = "it is too large"

_LINK, _SUBMODULE = "120000", "160000"
_LFS = b"version https://git-lfs.github.com/spec/"
_SNIFFED = 8000
_AT_ONCE = 512
_DRAINED = 1 << 20
_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""Of a commit: what else git takes for one, such as a search of its messages, no citation may ask for."""
_WIDELY = 32
"""Of the files that hold a text, so many with the most of what stood around it are looked into."""

_PARTLY = 0.5
"""A file with so much of a span's lines may be where it is now."""


class Unreadable(Exception):
    """The tree, or a file of it, cannot be looked into; the message says why."""


class Marks(Protocol):
    """Keeps what was found out about blobs: the marks of their lines, as an array of unsigned integers of 32 bits in
    this machine's order, and why there are none."""

    def known(self, oids: Collection[str]) -> Mapping[str, tuple[bytes, str]]:
        """Those of `oids` that were looked into before."""

    def keep(self, blobs: Mapping[str, tuple[bytes, str]]) -> None:
        """Keep these too."""


class NoMarks:
    """Keeps nothing."""

    def known(self, oids: Collection[str]) -> Mapping[str, tuple[bytes, str]]:
        """See Marks.known."""
        return {}

    def keep(self, blobs: Mapping[str, tuple[bytes, str]]) -> None:
        """See Marks.keep."""


class CodeTree:
    """The files of `ref` in the repository of `directory`. Raises Unreadable where there is no such tree."""

    def __init__(self, directory: str, ref: str, marks: Marks | None = None) -> None:
        self.directory = directory
        self._marks = marks or NoMarks()
        self.commit, self.root = _resolve(directory, ref)
        """The names of the commit and of its tree."""
        self._texts: dict[str, Text] = {}
        self._reading: subprocess.Popen[bytes] | None = None

    @cached_property
    def files(self) -> dict[str, tuple[str, str]]:
        """Path → (mode, object name)."""
        out = {}
        for line in git(self.directory, "ls-tree", "-r", "-z", self.root).split(b"\0")[:-1]:
            meta, _, path = line.partition(b"\t")
            mode, _, oid = meta.decode().split()
            out[path.decode(errors="surrogateescape")] = (mode, oid)
        return out

    def blob(self, path: str) -> str:
        """The object name at `path`; "" where no file is."""
        return self.files.get(path, ("", ""))[1]

    def text(self, path: str) -> Text | None:
        """The file at `path`, or None where there is none. Raises Unreadable where it can not be looked into."""
        mode, oid = self.files.get(path, ("", ""))
        if not mode and self._in_submodule(path):
            raise Unreadable("it is in a submodule, whose files are in another repository")
        if not mode:
            return None
        if mode == _SUBMODULE:
            raise Unreadable("it is a submodule now, whose files are in another repository")
        if mode == _LINK:
            raise Unreadable("it is a symbolic link now")
        if oid not in self._texts:
            self._texts[oid] = Text(b"", self._lines(oid))
        return self._texts[oid]

    def _in_submodule(self, path: str) -> bool:
        parts = path.split("/")
        return any(self.files.get("/".join(parts[:n]), ("",))[0] == _SUBMODULE for n in range(1, len(parts)))

    def of_commit(self, commit: str, path: str) -> Text | None:
        """The file that `commit` has at `path`, or None where this repository does not hold it."""
        if not _NAME.fullmatch(commit):
            return None
        try:
            data = self._read(f"{commit}:{path}")
        except Unreadable:
            return None
        return Text(data) if data is not None and not flaw_of(data) else None

    def holders(self, anchors: Sequence[Anchor]) -> list[list[str]]:
        """For each of `anchors`, paths of the files that may hold its text; where none does, much of it."""
        wanted = {mark for one in anchors for part in (one.span, one.before, one.after, one.scope) for mark in part}
        files: dict[int, list[str]] = {mark: [] for mark in wanted}
        paths: dict[str, list[str]] = {}
        for path, (mode, oid) in self.files.items():
            if mode not in (_LINK, _SUBMODULE):
                paths.setdefault(oid, []).append(path)
        for oid, (marks, _) in self._all(list(paths)):
            for mark in wanted.intersection(array("I", marks)):
                files[mark] += paths[oid]
        return [holders_of(anchor, files) for anchor in anchors]

    def close(self) -> None:
        """End the process that reads blobs."""
        if self._reading:
            self._reading.communicate()
            self._reading = None

    def _lines(self, oid: str) -> list[bytes]:
        data = self._read(oid)
        if data is None:
            raise Unreadable(NOT_FETCHED)
        if flaw := flaw_of(data):
            raise Unreadable(flaw)
        return split_lines(data)

    def _read(self, name: str) -> bytes | None:
        """The content of the blob that git calls `name`; None where it is not there."""
        if "\n" in name:
            return None
        if self._reading is None:
            self._reading = subprocess.Popen(
                ["git", "-C", self.directory, "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
            )
        ask, answer = self._reading.stdin, self._reading.stdout
        if ask is None or answer is None:
            raise Unreadable("git does not answer")
        try:
            ask.write(name.encode(errors="surrogateescape") + b"\n")
            ask.flush()
        except BrokenPipeError:
            self.close()
            raise Unreadable("git does not read it; `git fsck` says what is wrong") from None
        head = answer.readline().split()
        if len(head) != 3 or not head[2].isdigit():
            return None
        size = int(head[2])
        if size > LARGEST:
            while size > 0:
                size -= len(answer.read(min(size, _DRAINED))) or size
            answer.read(1)
            raise Unreadable(_TOO_LARGE)
        data = answer.read(size)
        answer.read(1)
        return data if head[1] == b"blob" else None

    def _all(self, oids: Sequence[str]) -> Iterator[tuple[str, tuple[bytes, str]]]:
        """Each of `oids` with what is kept of it; those seen for the first time are read in a few calls of git."""
        known = self._marks.known(oids)
        yield from known.items()
        new = [oid for oid in oids if oid not in known]
        for start in range(0, len(new), _AT_ONCE):
            part = dict(self._look(new[start : start + _AT_ONCE]))
            self._marks.keep(part)
            yield from part.items()

    def _look(self, oids: Sequence[str]) -> Iterator[tuple[str, tuple[bytes, str]]]:
        asked = "\n".join([*oids, ""]).encode()
        small = []
        for oid, line in zip(
            oids, git(self.directory, "cat-file", "--batch-check", stdin=asked).split(b"\n"), strict=False
        ):
            fields = line.split()
            if len(fields) == 3 and int(fields[2]) <= LARGEST:
                small.append(oid)
            elif len(fields) == 3:
                yield oid, (b"", _TOO_LARGE)
        out = git(self.directory, "cat-file", "--batch", stdin="\n".join([*small, ""]).encode())
        at = 0
        for oid in small:
            end = out.index(b"\n", at)
            size = int(out[at:end].split()[2])
            data = out[end + 1 : end + 1 + size]
            at = end + size + 2
            flaw = flaw_of(data)
            yield oid, (b"" if flaw else marks_of(split_lines(data)).tobytes(), flaw)


def holders_of(anchor: Anchor, files: Mapping[int, Sequence[str]]) -> list[str]:
    """Paths of the files that may hold the span; where none does, much of it. `files`: its marks → paths with them."""
    marks = set(anchor.span)
    if not marks:
        return []
    lists = sorted((files.get(mark, ()) for mark in marks), key=len)
    whole = set(lists[0]).intersection(*lists[1:]) - {anchor.path}
    telling = {*anchor.before, *anchor.after, *anchor.scope} if whole else marks
    counts = dict.fromkeys(whole, 0)
    for mark in telling - TRIVIAL:
        for path in files.get(mark, ()):
            if not whole or path in counts:
                counts[path] = counts.get(path, 0) + 1
    counts.pop(anchor.path, None)
    best = sorted(counts, key=lambda path: (-counts[path], path))
    if whole:
        return best[:_WIDELY]
    return [path for path in best[:3] if counts[path] >= _PARTLY * len(marks - TRIVIAL)]


def flaw_of(data: bytes) -> str:
    """Why the lines of a file can not be looked at, or ""."""
    if len(data) > LARGEST:
        return _TOO_LARGE
    if data.startswith(_LFS):
        return "it is a pointer of Git LFS, and its text is elsewhere"
    return "it is binary" if b"\0" in data[:_SNIFFED] else ""


def git(directory: str, *arguments: str, stdin: bytes = b"") -> bytes:
    """Standard output of git in `directory`. Raises Unreadable with git's own first line, NotFound without git."""
    try:
        done = subprocess.run(
            ["git", "-C", directory, *arguments], input=stdin, capture_output=True, env=environment(), check=False
        )
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"]
        raise Unreadable(lines[0].removeprefix("fatal: ").removeprefix("error: "))
    return done.stdout


def environment() -> dict[str, str]:
    """The caller's, with their own git settings, but without what would turn git to another repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _resolve(directory: str, ref: str) -> tuple[str, str]:
    try:
        names = git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        tree = git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{tree}}")
    except Unreadable as error:
        none = "there is no commit yet" if ref == "HEAD" else f"{ref[:80]!r} is no commit here"
        raise Unreadable(none if str(error) == "exit 1" else str(error)) from None
    return names.decode().strip(), tree.decode().strip()


def changed_files(directory: str, old: str, new: str) -> dict[str, list[tuple[int, int]]]:
    """Path in `new` → its lines (first, last) that differ from `old`; a file that is gone has none.

    A place where lines were only taken out is the line before it. Raises Unreadable.
    """
    names = git(directory, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
    out: dict[str, list[tuple[int, int]]] = {
        name.decode(errors="surrogateescape"): [] for name in names.split(b"\0")[:-1]
    }
    options = ("-U0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=a/")
    diff = git(directory, "diff-tree", "-r", "-p", *options, "--dst-prefix=b/", old, new)
    current: list[tuple[int, int]] = []
    left = 0
    for line in diff.split(b"\n"):
        if left and line[:1] in (b"+", b"-"):
            left -= 1  # a line of a file, which may read like one of the diff's own
        elif line.startswith(b"+++ "):
            current = out.get(_plain(line[4:]), [])
        elif line.startswith(b"@@ "):
            (_, gone), (start, come) = (_range(part) for part in line.split(b" ")[1:3])
            left = gone + come
            current.append((start, start + max(come, 1) - 1))
    return out


def fork_of(directory: str, base: str, tip: str) -> str:
    """The commit where `tip` left `base`; `base` itself where history is cut off before that."""
    try:
        return git(directory, "merge-base", base, tip).decode().split()[0]
    except Unreadable:
        return base


def _range(part: bytes) -> tuple[int, int]:
    """(first line, number of lines) of one side of a hunk, such as -3,2."""
    start, _, count = part[1:].partition(b",")
    return int(start), int(count or 1)


def _plain(name: bytes) -> str:
    """A path as a diff names it."""
    name = name.rstrip(b"\t")
    if name.startswith(b'"'):
        name = name[1:-1].decode("unicode_escape").encode("latin-1")
    return name.removeprefix(b"b/").decode(errors="surrogateescape")


def texts(tree: CodeTree, paths: Iterable[str]) -> Iterator[tuple[str, Text]]:
    """Those of `paths` that can be read."""
    for path in paths:
        try:
            text = tree.text(path)
        except Unreadable:
            continue
        if text:
            yield path, text
