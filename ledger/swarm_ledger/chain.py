"""A batch of requests as a chain of commits: one commit a request, one pack for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .decide import is_log_file, trailers
from .errors import Refused
from .objects import BLOB, COMMIT, TREE, Tree, blob_id, encode_commit, entry_delta, object_name
from .state import State
from .store import BlobId, CommitId, Request, Version

__all__ = ["CacheError", "Chain", "Joining", "TreeCache"]


_DELTAS = 40
"""So many in a row at most (git: 50), for a reader applies them one by one."""

_SMALL = 250
"""Bytes of a tree, of which a delta saves little."""


class Joining(NamedTuple):
    """A merge commit to be: its second parent, who makes it, and what it writes onto its first."""

    theirs: CommitId
    author: str
    at: int
    subject: str
    trailers: tuple[tuple[str, str], ...]
    writes: Mapping[str, BlobId | bytes | None]
    """Path → a version that the repository has, a new text, or None to remove it."""


class CacheError(Exception):
    """The state cache does not hold what git's names say: it must be built anew."""


class TreeCache:
    """Decoded directories, kept between batches of one process under the names of their objects."""

    _LIMIT = 1024

    def __init__(self) -> None:
        self._trees: dict[str, tuple[bytes, Tree]] = {}

    def get(self, state: State, directory: str, name: bytes) -> Tree:
        """The tree `name` of `directory`. The caller may change it, and then calls `put` or `clear`."""
        known = self._trees.get(directory)
        if known and known[0] == name:
            return known[1]
        row = state.tree(directory)
        if row is None or object_name(TREE, row[1]) != name:
            raise CacheError(f"the tree of {directory or 'the root'}")
        return Tree(row[1])

    def put(self, directory: str, name: bytes, tree: Tree) -> None:
        """Remember `tree` under its object's name."""
        if len(self._trees) >= self._LIMIT:
            self._trees.clear()
        self._trees[directory] = (name, tree)

    def clear(self) -> None:
        """Forget all: some trees were changed for a batch that did not land."""
        self._trees.clear()


class Chain:
    """Builds commits onto `tip`. `objects` and `trees` hold what the batch adds.

    What it reads of the cache is checked by name, from the tip down: a cache that lies cannot lose anything.
    """

    def __init__(self, tip: CommitId | None, state: State, cache: TreeCache) -> None:
        self.tip = tip
        self.head = b""
        """The content of the last commit."""
        self.objects: dict[bytes, tuple[int, bytes]] = {}
        """Name → (kind, content)."""
        self.deltas: dict[bytes, tuple[bytes, bytes]] = {}
        """Name → (an earlier one of `objects`, the delta from it), of trees that are stored so."""
        self._depths: dict[bytes, int] = {}
        self.trees: dict[str, tuple[bytes, bytes]] = {}
        """Directory → (name, content) of its tree after the last commit."""
        self._state, self._cache = state, cache
        self._open: dict[str, Tree] = {}
        self._root: bytes | None = None
        if tip is not None:
            head = state.head()
            if object_name(COMMIT, head).hex() != tip:
                raise CacheError("the tip")
            self._root = bytes.fromhex(head[5:45].decode())

    def _tree(self, directory: str) -> Tree:
        tree = self._open.get(directory)
        if tree is None:
            if directory:
                # A directory is opened before its entry in the parent changes, so this is its name at the tip.
                parent, _, last = directory.rpartition("/")
                name = self._entry(self._tree(parent), last, directory, directory=True)
            else:
                name = self._root
            tree = self._open[directory] = self._cache.get(self._state, directory, name) if name else Tree()
        return tree

    @staticmethod
    def _entry(tree: Tree, name: str, path: str, *, directory: bool) -> bytes | None:
        if tree.get(name.encode(), directory=not directory) is not None:
            is_there, wanted = ("a file", "a directory") if directory else ("a directory", "a file")
            raise Refused(
                "layout",
                f"{path} is {is_there} where {wanted} belongs: another git put it there; "
                "remove it from the branch with plain git, then write again.",
            )
        return tree.get(name.encode(), directory=directory)

    def version(self, path: str) -> BlobId | None:
        """The version at `path` before the batch, where the batch has not written it."""
        directory, _, name = path.rpartition("/")
        found = self._entry(self._tree(directory), name, path, directory=False)
        return BlobId(found.hex()) if found else None

    def newest(self, directory: str) -> str | None:
        """The last log file in `directory` (with its slash)."""
        for entry in reversed(self._tree(directory[:-1]).entries):
            name = entry[:-21].partition(b" ")[2].decode(errors="backslashreplace")
            if entry[0] == ord("1") and is_log_file(directory + name, directory):
                return directory + name
        return None

    def text(self, path: str, version: BlobId) -> bytes:
        """The text of `version`, which stands at `path` before the batch."""
        found = self._state.read(path)
        if found is None or blob_id(found.text) != version:
            raise CacheError(path)
        return found.text

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
        touched: dict[str, list[bytes]] = {"": []}
        """Directory → what was set in it."""
        for path, blob in blobs.items():
            directory, _, name = path.rpartition("/")
            if blob is None:
                self._tree(directory).remove(name.encode(), directory=False)
            else:
                entry = self._tree(directory).set(name.encode(), blob, directory=False)
                touched.setdefault(directory, []).append(entry)
            while directory:
                touched.setdefault(directory, [])
                directory = directory.rpartition("/")[0]
        for directory in sorted(touched, key=len, reverse=True):  # a directory's name is longer than its parent's
            raw = self._tree(directory).encode()
            tree_name = object_name(TREE, raw)
            if raw or not directory:
                self._add_tree(tree_name, raw, self.trees.get(directory), touched[directory])
            self.trees[directory] = (tree_name, raw)
            if directory:
                parent, _, name = directory.rpartition("/")
                if raw:
                    touched[parent].append(self._tree(parent).set(name.encode(), tree_name, directory=True))
                else:
                    self._tree(parent).remove(name.encode(), directory=True)

    def _add_tree(self, name: bytes, raw: bytes, before: tuple[bytes, bytes] | None, entries: list[bytes]) -> None:
        """Add a tree; as a delta where `before`, which the directory was until now, is in the same pack."""
        if name in self.objects:
            return
        self.objects[name] = (TREE, raw)
        if len(entries) == 1 and len(raw) > _SMALL and before and before[0] in self.objects:
            depth = self._depths.get(before[0], 0) + 1
            delta = entry_delta(before[1], raw, entries[0]) if depth <= _DELTAS else None
            if delta:
                self.deltas[name] = (before[0], delta)
                self._depths[name] = depth

    def _commit(
        self, parents: Sequence[CommitId], author: str, at: int, subject: str, lines: Sequence[tuple[str, str]]
    ) -> CommitId:
        data = encode_commit(self.trees[""][0], parents, author, at, subject, lines)
        self.head = data
        commit = object_name(COMMIT, data)
        self.objects[commit] = (COMMIT, data)
        self.tip = CommitId(commit.hex())
        return self.tip

    def settle(self) -> None:
        """The batch landed: let later batches of this process start from its trees."""
        for directory, (name, raw) in self.trees.items():
            if raw:
                self._cache.put(directory, name, self._open[directory])
