"""Two commits of the ledger, as git tells of them, brought to what `lineage.join` needs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence

from .decide import check_path
from .errors import BadInput, Damaged, NotFound, Refused
from .fork import Fork, Node, fork
from .git import environment, git
from .lineage import Content, Step, join
from .store import BlobId, CommitId

__all__ = ["MERGE_TRAILER", "Differing", "differing", "joined", "parted"]

MERGE_TRAILER = "Merge"
"""On merge commits that `join` decided: what they hold follows from other commits."""

_FORMAT = f"tformat:%x1e%H%x1f%at%x1f%(trailers:key={MERGE_TRAILER},valueonly,separator=%x20)%x1f%an"
_FILE_MODES = ("100644", "100755", "000000")

Differing = Mapping[str, tuple[BlobId | None, BlobId | None]]
"""Path → (version in ours, version in theirs)."""


def parted(ledger: str, ours: CommitId, theirs: CommitId) -> Fork:
    """Where `ours` and `theirs` parted."""
    command = ["git", f"--git-dir={ledger}", "rev-list", "--topo-order", "--parents", ours, theirs, "--"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        lines = (line.decode().split() for line in process.stdout)
        found = fork((Node(CommitId(one), tuple(map(CommitId, parents))) for one, *parents in lines), ours, theirs)
        ended = process.stdout.read(1) == b""
        if not ended:
            process.kill()
    if ended and process.returncode:
        raise Damaged(f"the history of {ours} or {theirs} is not whole; run `swarm doctor`.")
    return found


def joined(ledger: str, ours: CommitId, theirs: CommitId, fork: Fork, differing: Differing) -> dict[str, Content]:
    """What to write onto `ours` to hold what `ours` and `theirs` come to. Raises Damaged where objects are missing."""
    steps = _steps(ledger, fork.nodes)
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


def _steps(ledger: str, nodes: Sequence[Node]) -> list[Step]:
    """What the commits `nodes` wrote, in their order."""
    options = ("--no-walk=unsorted", "--stdin", "--no-renames", "--no-abbrev", "--raw", "--root", "-r", "-z")
    asked = "".join(f"{node.id}\n" for node in nodes).encode()
    tokens = iter(git(ledger, "log", *options, f"--format={_FORMAT}", stdin=asked).split(b"\0"))
    parents = dict(nodes)
    steps = {}
    writes: dict[str, tuple[BlobId | None, BlobId | None]] = {}
    for token in tokens:
        if token.startswith(b"\x1e"):
            name, at, decided_by_us, by = token[1:].decode(errors="replace").split("\x1f", 3)
            commit, writes = CommitId(name), {}
            foreign = len(parents[commit]) > 1 and not decided_by_us.strip()
            if foreign:
                writes = _decided(ledger, commit, parents[commit])
            steps[commit] = Step(commit, parents[commit], by, int(at), writes, foreign)
        elif meta := token.strip():
            path, before, after, _ = _change(meta, next(tokens))
            writes[path] = (before, after)
    return [steps[node.id] for node in nodes]


def _decided(
    ledger: str, merge: CommitId, parents: Sequence[CommitId]
) -> dict[str, tuple[BlobId | None, BlobId | None]]:
    """What another git's merge wrote: all that differs from either side."""
    out: dict[str, tuple[BlobId | None, BlobId | None]] = {}
    for parent in parents:
        for path, before, after, _ in _diff(ledger, parent, merge):
            out.setdefault(path, (before, after))
    return out


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
