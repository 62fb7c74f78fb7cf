"""Two commits of the ledger, as git tells of them, brought to what `lineage.join` needs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .decide import check_path
from .errors import BadInput, Damaged, NotFound, Refused
from .git import environment, git
from .lineage import Content, Step, join
from .store import BlobId, CommitId

__all__ = ["Apart", "apart", "differing", "joined"]

MERGE_TRAILER = "Merge"
"""On merge commits that `join` decided: what they hold follows from other commits."""

_FORMAT = f"tformat:%x1e%m%x1f%H%x1f%P%x1f%at%x1f%(trailers:key={MERGE_TRAILER},valueonly,separator=%x20)%x1f%an"
_FILE_MODES = ("100644", "100755", "000000")


Differing = Mapping[str, tuple[BlobId | None, BlobId | None]]
"""Path → (version in ours, version in theirs)."""


class Apart(NamedTuple):
    """How many commits only the one, and only the other has."""

    ours: int
    theirs: int


def apart(ledger: str, ours: CommitId, theirs: CommitId) -> Apart:
    """How far `ours` and `theirs` went apart."""
    out = git(ledger, "rev-list", "--count", "--left-right", f"{ours}...{theirs}").split()
    return Apart(int(out[0]), int(out[1]))


def joined(ledger: str, ours: CommitId, theirs: CommitId, differing: Differing) -> dict[str, Content]:
    """What to write onto `ours` to hold what `ours` and `theirs` come to. Raises Damaged where objects are missing."""
    steps = _steps(ledger, ours, theirs)
    with _Texts(ledger) as texts:
        return join(steps, ours, theirs, differing, texts.get)


def differing(ledger: str, ours: CommitId | None, theirs: CommitId) -> Differing:
    """Where their trees differ.

    Raises Refused where `theirs` has, and `ours` has not, what no ledger holds: links, submodules, odd paths.
    """
    out: dict[str, tuple[BlobId | None, BlobId | None]] = {}
    for path, before, after, mode in _diff(ledger, ours, theirs):
        try:
            if mode not in _FILE_MODES:
                raise BadInput(f"{path!r} is no plain file (mode {mode})")
            check_path(path)
        except BadInput as error:
            raise Refused("foreign", f"{error}; take it out of the branch on the remote, then sync again.") from None
        out[path] = (before, after)
    return out


def _steps(ledger: str, ours: CommitId, theirs: CommitId) -> list[Step]:
    """The commits of both, parents first, back to one, left out, that all of them descend from; or all."""
    steps, edge = _log(ledger, f"{ours}...{theirs}")
    while edge:
        # Some may not know all that is common to both sides: they began elsewhere, or on another of its commits. Then
        # go back to where it all began.
        began = not all(step.parents for step in steps)
        if len(edge) == 1 and not began:
            break
        common = [] if began else git(ledger, "merge-base", "--octopus", *edge, absent=True).decode().split()
        steps, edge = _log(ledger, ours, theirs, *(f"^{commit}" for commit in common[:1]))
    return steps


def _log(ledger: str, *span: str) -> tuple[list[Step], list[str]]:
    """(the commits of `span`, those outside that they were made on)."""
    options = ("--topo-order", "--reverse", "--boundary", "--no-renames", "--no-abbrev", "--raw", "--root", "-r", "-z")
    tokens = iter(git(ledger, "log", *options, f"--format={_FORMAT}", *span, "--").split(b"\0"))
    steps: list[Step] = []
    edge = []
    foreign: list[Step] = []
    writes: dict[str, tuple[BlobId | None, BlobId | None]] = {}
    for token in tokens:
        if token.startswith(b"\x1e"):
            mark, commit, parents, at, ours, by = token[1:].decode(errors="replace").split("\x1f", 5)
            writes = {}
            if mark == "-":
                edge.append(commit)
                continue
            made_on = tuple(CommitId(parent) for parent in parents.split())
            steps.append(Step(CommitId(commit), made_on, by, int(at), writes))
            if len(made_on) > 1 and not ours.strip():
                foreign.append(steps[-1])
        elif meta := token.strip():
            path, before, after, _ = _change(meta, next(tokens))
            writes[path] = (before, after)
    for step in foreign:
        # It is a write of all that differs from either side.
        decided: dict[str, tuple[BlobId | None, BlobId | None]] = {}
        for parent in step.parents:
            for path, before, after, _ in _diff(ledger, parent, step.id):
                decided.setdefault(path, (before, after))
        steps[steps.index(step)] = Step(step.id, step.parents, step.by, step.at, decided, decided=True)
    return steps, edge


def _diff(ledger: str, old: CommitId | None, new: CommitId) -> Iterator[tuple[str, BlobId | None, BlobId | None, str]]:
    """(path, version before, version after, mode after) of what differs."""
    options = ("-r", "--raw", "-z", "--no-renames", "--no-abbrev")
    if old is None:
        out = git(ledger, "diff-tree", *options, "--root", "--no-commit-id", new)
    else:
        out = git(ledger, "diff-tree", *options, old, new)
    fields = out.split(b"\0")[:-1]
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        yield _change(meta, path)


def _change(meta: bytes, path: bytes) -> tuple[str, BlobId | None, BlobId | None, str]:
    _, mode, before, after, _ = meta.decode().split()
    old, new = (BlobId(name) if name.strip("0") else None for name in (before, after))
    return path.decode(errors="backslashreplace"), old, new, mode


class _Texts:
    """Versions' texts, from one process that is started with the first."""

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger
        self._process: subprocess.Popen[bytes] | None = None
        self._read: dict[BlobId, bytes] = {}

    def __enter__(self) -> _Texts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()

    def get(self, version: BlobId) -> bytes:
        """The text of `version`. Raises Damaged where the repository lacks it."""
        if version not in self._read:
            self._read[version] = self._fetch(version)
        return self._read[version]

    def _fetch(self, version: BlobId) -> bytes:
        if self._process is None:
            command = ["git", f"--git-dir={self._ledger}", "cat-file", "--batch"]
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
                )
            except FileNotFoundError:
                raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101 - both are pipes
        stdin.write(version.encode() + b"\n")
        stdin.flush()
        header = stdout.readline().split()
        if len(header) != 3:
            raise Damaged(f"this ledger lacks the version {version} of its history; run `swarm doctor`.")
        text = stdout.read(int(header[2]))
        stdout.read(1)
        return text
