"""The ledger's history as git tells it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import IO

from .errors import Damaged
from .git import environment
from .store import BlobId, Commit, CommitId

__all__ = ["read_history"]

_FORMAT = "tformat:%x00%H%x00%P%x00%an%x00%at%x00%s%x00%(trailers:only,unfold)%x00"
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def read_history(ledger: str, tip: CommitId | None, path: str | None, limit: int | None) -> Iterator[Commit]:
    """Commits that changed `path`, on whichever host, newest first, as they are read from git.

    Without `path` the branch as it grew here: what another host did shows as the merge that brought it. With it, a
    merge shows only where it holds what none of its parents does.
    """
    if tip is None or limit == 0:
        return
    command = ["git", f"--git-dir={ledger}", "-c", "core.quotePath=false", "log", f"--format={_FORMAT}"]
    command += ["--raw", "--no-abbrev", "--no-renames", "--root", "-r"]
    if path is None:
        command += ["--first-parent", "-m", tip, "--"]
    else:
        command += ["--full-history", "-c", tip, "--", f":(literal,top){path}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - both are pipes
    with process:
        finished = False
        try:
            left = limit
            for commit in map(_commit, _records(process.stdout)):
                if path is not None and not commit.changed:
                    continue
                yield commit
                if left is not None:
                    left -= 1
                    if left == 0:
                        return
            finished = True
        finally:
            if not finished:
                process.kill()
        error = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise Damaged(f"git log failed on {ledger}: {error.partition(chr(10))[0]}. Run `swarm doctor`.")


def _records(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """The seven fields of each commit: nothing that a commit can hold is a NUL."""
    fields: list[bytes] = []
    rest = b""
    while chunk := stream.read(1 << 16):
        *parts, rest = (rest + chunk).split(b"\0")
        fields += parts
        while len(fields) >= 8:  # the first is what stands before the NUL that begins a record
            yield fields[1:8]
            fields = fields[7:]
    if len(fields) == 7:
        yield [*fields[1:], rest]


def _commit(record: list[bytes]) -> Commit:
    name, parents, author, at, subject, trailers, raw = record
    pairs = []
    for line in trailers.decode(errors="replace").split("\n"):
        key, separator, value = line.partition(": ")
        if separator:
            pairs.append((key, value))
    changed: list[tuple[str, BlobId | None]] = []
    for entry in raw.split(b"\n"):
        if entry.startswith(b":"):
            meta, _, path = entry.partition(b"\t")
            # A merge's lines begin with a colon a parent, and have as many modes and versions before the new one.
            new = meta.split()[2 * (len(meta) - len(meta.lstrip(b":"))) + 1].decode()
            changed.append((_unquote(path), BlobId(new) if new.strip("0") else None))
    return Commit(
        CommitId(name.decode()),
        tuple(CommitId(parent) for parent in parents.decode().split()),
        author.decode(errors="replace"),
        int(at),
        subject.decode(errors="replace"),
        tuple(pairs),
        tuple(changed),
    )


def _unquote(path: bytes) -> str:
    if path.startswith(b'"') and path.endswith(b'"'):
        path = _ESCAPE.sub(
            lambda m: _ESCAPED.get(m[1]) or (bytes([int(m[1], 8)]) if m[1].isdigit() else m[1]), path[1:-1]
        )
    return path.decode(errors="backslashreplace")
