"""A batch of requests as a chain of commits: one commit a request, one pack for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .decide import trailers
from .objects import BLOB, COMMIT, TREE, Tree, encode_commit, object_name
from .state import State
from .store import BlobId, CommitId, Request, Version

__all__ = ["Chain", "Joining", "TreeCache"]


@dataclass(frozen=True, slots=True)
class Joining:
    """A merge commit to be: its second parent, who makes it, and what it writes onto its first."""

    theirs: CommitId
    author: str
    at: int
    subject: str
    trailers: tuple[tuple[str, str], ...]
    writes: Mapping[str, BlobId | bytes | None]
    """Path → a version that the repository has, a new text, or None to remove it."""


class TreeCache:
    """Decoded directories, kept between batches of one process; checked against the state cache before use."""

    _LIMIT = 1024

    def __init__(self) -> None:
        self._trees: dict[str, tuple[bytes | None, Tree]] = {}

    def get(self, state: State, directory: str) -> Tree:
        """The tree of `directory`, empty where there is none. The caller may change it, and then calls `put`."""
        name = state.tree_name(directory)
        known = self._trees.get(directory)
        if known and known[0] == name:
            return known[1]
        row = state.tree(directory)
        tree = Tree(row[1] if row else b"")
        self.put(directory, name, tree)
        return tree

    def put(self, directory: str, name: bytes | None, tree: Tree) -> None:
        """Remember `tree` under its object's name."""
        if len(self._trees) >= self._LIMIT:
            self._trees.clear()
        self._trees[directory] = (name, tree)

    def clear(self) -> None:
        """Forget all: some trees were changed for a batch that did not land."""
        self._trees.clear()


class Chain:
    """Builds commits onto `tip`. `objects` and `trees` hold what the batch adds."""

    def __init__(self, tip: CommitId | None, state: State, cache: TreeCache) -> None:
        self.tip = tip
        self.objects: dict[bytes, tuple[int, bytes]] = {}
        """Name → (kind, content)."""
        self.trees: dict[str, tuple[bytes, bytes]] = {}
        """Directory → (name, content) of its tree after the last commit."""
        self._state, self._cache = state, cache
        self._open: dict[str, Tree] = {}

    def _tree(self, directory: str) -> Tree:
        tree = self._open.get(directory)
        if tree is None:
            tree = self._open[directory] = self._cache.get(self._state, directory)
        return tree

    def add(self, request: Request, writes: Mapping[str, Version | None]) -> CommitId:
        """Append the commit of `request`, which writes `writes`."""
        blobs: dict[str, bytes | None] = {}
        for path, new in writes.items():
            blobs[path] = bytes.fromhex(new.blob) if new else None
            if new:
                self.objects[bytes.fromhex(new.blob)] = (BLOB, new.text)
        self._write(blobs)
        parents = (self.tip,) if self.tip else ()
        return self._commit(parents, request.agent, request.at, request.subject, trailers(request))

    def join(self, joining: Joining) -> CommitId:
        """Append the merge commit of `joining`."""
        blobs: dict[str, bytes | None] = {}
        for path, new in joining.writes.items():
            if isinstance(new, bytes):
                blobs[path] = object_name(BLOB, new)
                self.objects[object_name(BLOB, new)] = (BLOB, new)
            else:
                blobs[path] = bytes.fromhex(new) if new else None
        self._write(blobs)
        parents = (*((self.tip,) if self.tip else ()), joining.theirs)
        return self._commit(parents, joining.author, joining.at, joining.subject, joining.trailers)

    def _write(self, blobs: Mapping[str, bytes | None]) -> None:
        """Bring the trees to path → name of its blob, or None to remove it."""
        touched = {""}
        for path, blob in blobs.items():
            directory, _, name = path.rpartition("/")
            if blob is None:
                self._tree(directory).remove(name.encode(), directory=False)
            else:
                self._tree(directory).set(name.encode(), blob, directory=False)
            while directory:
                touched.add(directory)
                directory = directory.rpartition("/")[0]
        for directory in sorted(touched, key=len, reverse=True):  # a directory's name is longer than its parent's
            raw = self._tree(directory).encode()
            tree_name = object_name(TREE, raw)
            self.trees[directory] = (tree_name, raw)
            if raw or not directory:
                self.objects[tree_name] = (TREE, raw)
            if directory:
                parent, _, name = directory.rpartition("/")
                if raw:
                    self._tree(parent).set(name.encode(), tree_name, directory=True)
                else:
                    self._tree(parent).remove(name.encode(), directory=True)

    def _commit(
        self, parents: Sequence[CommitId], author: str, at: int, subject: str, lines: Sequence[tuple[str, str]]
    ) -> CommitId:
        data = encode_commit(self.trees[""][0], parents, author, at, subject, lines)
        commit = object_name(COMMIT, data)
        self.objects[commit] = (COMMIT, data)
        self.tip = CommitId(commit.hex())
        return self.tip

    def settle(self) -> None:
        """The batch landed: let later batches of this process start from its trees."""
        for directory, (name, raw) in self.trees.items():
            self._cache.put(directory, name if raw else None, self._open[directory])
