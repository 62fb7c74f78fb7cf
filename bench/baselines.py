"""What group commit is measured against: the same objects, one commit at a time under one blocking lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import zlib
from collections.abc import Iterator, Sequence

from swarm_ledger import refs
from swarm_ledger.compact import compact_if_due
from swarm_ledger.env import Env
from swarm_ledger.gitstore import GitStore
from swarm_ledger.objects import BLOB, COMMIT, TREE, Tree, encode_commit, object_name
from swarm_ledger.spool import Outcome
from swarm_ledger.store import CommitId, Request

__all__ = ["LooseStore", "OneAtATime", "OneAtATimeUncompacted"]


class OneAtATime(GitStore):
    """The shipped store without its queue: each writer takes the lock and commits its own request, one pack each.

    Validation, objects, pack, ref, state cache and compaction are the shipped code, called in the same order.
    """

    compacts = True

    def _submit(self, request: Request) -> Outcome:
        with _locked(f"{self.home}/one-at-a-time.lock"):
            (outcome,) = self._leader._commit([request])
        if self.compacts:
            compact_if_due(self.home, self._env)
        return outcome


class OneAtATimeUncompacted(OneAtATime):
    """The same, its packs never merged: faster for as long as it lasts."""

    compacts = False


class LooseStore:
    """The least that a durable git write can be: loose objects, each fsynced, then the ref, under one lock.

    No validation, state cache, index or session record.
    """

    def __init__(self, home: str, env: Env) -> None:
        self._ledger, self._lock, self._env = f"{home}/ledger.git", f"{home}/one-at-a-time.lock", env
        self._trees: dict[bytes, bytes] = {}

    def put(self, path: str, text: bytes, agent: str, at: int) -> CommitId:
        """Commit `text` at `path`, on disk on return."""
        with _locked(self._lock):
            tip = refs.read(self._ledger)
            directories = _parents(path)
            trees = self._read_trees(tip, directories)
            name = self._write(BLOB, text)
            child, is_directory = path.rpartition("/")[2], False
            for directory in directories:
                tree = trees[directory]
                tree.set(child.encode(), name, directory=is_directory)
                name = self._write(TREE, tree.encode())
                child, is_directory = directory.rpartition("/")[2], True
            data = encode_commit(name, [tip] if tip else [], agent, at, path, [])
            commit = CommitId(self._write(COMMIT, data).hex())
            self._move(commit)
            return commit

    def _read_trees(self, tip: CommitId | None, directories: Sequence[str]) -> dict[str, Tree]:
        out: dict[str, Tree] = {}
        name: bytes | None = None
        if tip:
            name = bytes.fromhex(self._read(bytes.fromhex(tip)).split(b"\n", 1)[0].split()[1].decode())
        for directory in reversed(directories):
            if directory:
                parent = out[directory.rpartition("/")[0]]
                name = parent.get(directory.rpartition("/")[2].encode(), directory=True)
            out[directory] = Tree(self._read(name) if name else b"")
        return out

    def _path(self, name: bytes) -> str:
        return f"{self._ledger}/objects/{name.hex()[:2]}/{name.hex()[2:]}"

    def _read(self, name: bytes) -> bytes:
        if name not in self._trees:
            if len(self._trees) > 2000:
                self._trees.clear()
            with open(self._path(name), "rb") as file:
                self._trees[name] = zlib.decompress(file.read()).partition(b"\0")[2]
        return self._trees[name]

    def _write(self, kind: int, data: bytes) -> bytes:
        name = object_name(kind, data)
        path = self._path(name)
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            label = {BLOB: b"blob", TREE: b"tree", COMMIT: b"commit"}[kind]
            scratch = f"{path}.{os.getpid()}"
            self._env.disk.create(scratch, zlib.compress(b"%s %d\0%s" % (label, len(data), data), 1))
            os.rename(scratch, path)
        return name

    def _move(self, commit: CommitId) -> None:
        path = f"{self._ledger}/refs/heads/{refs.BRANCH}"
        self._env.disk.create(f"{path}.lock", f"{commit}\n".encode())
        os.rename(f"{path}.lock", path)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _parents(path: str) -> list[str]:
    """The directories of `path`, the nearest first, "" last."""
    out = []
    while path:
        path = path.rpartition("/")[0]
        out.append(path)
    return out
