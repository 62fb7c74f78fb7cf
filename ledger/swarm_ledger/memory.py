"""A store in memory: the simple implementation that the git store is held against, and a place for tests."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from .decide import Draft, check_leases, check_request, is_log_file, trailers
from .directory import Directory, MemoryDirectory
from .errors import NotFound
from .objects import COMMIT, encode_commit, object_name
from .store import BlobId, Change, Changes, Commit, CommitId, Receipt, Request, Version

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps everything in this process, for its threads. Commits carry the same data as in git, without trees."""

    def __init__(self, directory: Directory | None = None) -> None:
        self.directory = directory or MemoryDirectory()
        self._lock = threading.RLock()
        self._files: dict[str, Version] = {}
        self._blobs: dict[BlobId, bytes] = {}
        self._commits: list[Commit] = []
        self._done: dict[str, Receipt] = {}

    def tip(self) -> CommitId | None:
        """See Store.tip."""
        return self._commits[-1].id if self._commits else None

    def read(self, path: str) -> Version | None:
        """See Store.read."""
        return self._files.get(path)

    def read_many(self, paths: Sequence[str]) -> dict[str, Version]:
        """See Store.read_many."""
        with self._lock:
            return {path: self._files[path] for path in paths if path in self._files}

    def differing(self, known: Mapping[str, BlobId]) -> dict[str, BlobId | None]:
        """See Store.differing."""
        with self._lock:
            now = {path: self._version(path) for path in known}
        return {path: version for path, version in now.items() if version != known[path]}

    def blob(self, version: BlobId) -> bytes:
        """See Store.blob."""
        try:
            return self._blobs[version]
        except KeyError:
            raise NotFound(f"no version {version} in this ledger") from None

    def paths(self, prefix: str = "") -> Iterator[tuple[str, BlobId]]:
        """See Store.paths."""
        names = sorted(self._files)
        for name in names[bisect_left(names, prefix) :]:
            if not name.startswith(prefix):
                return
            yield name, self._files[name].blob

    def submit(self, request: Request) -> Receipt:
        """See Store.submit."""
        check_request(request)
        with self._lock, self.directory.deciding() as table:
            if request.id in self._done:
                return self._done[request.id]
            check_leases(table, request, self.directory.now())
            draft = Draft(self._version, self._newest, lambda path, version: self._files[path].text)
            writes, paths = draft.apply(request)
            for path, new in writes.items():
                if new is None:
                    del self._files[path]
                else:
                    self._files[path] = new
                    self._blobs[new.blob] = new.text
            parents = tuple(commit.id for commit in self._commits[-1:])
            lines = trailers(request)
            data = encode_commit(bytes(20), parents, request.agent, request.at, request.subject, lines)
            commit = CommitId(object_name(COMMIT, data).hex())
            changed = tuple((path, new.blob if new else None) for path, new in sorted(writes.items()))
            self._commits.append(
                Commit(commit, parents, request.agent, request.at, request.subject, tuple(lines), changed)
            )
            receipt = self._done[request.id] = Receipt(request.id, commit, paths)
            return receipt

    def history(self, path: str | None = None, limit: int | None = None) -> Iterator[Commit]:
        """See Store.history."""
        found = 0
        for commit in reversed(self._commits):
            if limit is not None and found >= limit:
                return
            if path is None or any(name == path for name, _ in commit.changed):
                found += 1
                yield commit

    def changes(self, mark: str | None) -> Changes:
        """See Store.changes."""
        with self._lock:
            known = mark is not None and mark.isdecimal() and int(mark) <= len(self._commits)
            start = int(mark) if known and mark else 0
            names = {name for commit in self._commits[start:] for name, _ in commit.changed}
            found = [Change(name, self._files.get(name)) for name in sorted(names) if known or name in self._files]
            return Changes(str(len(self._commits)), self.tip(), not known, found)

    def close(self) -> None:
        """Nothing to release."""

    def _version(self, path: str) -> BlobId | None:
        known = self._files.get(path)
        return known.blob if known else None

    def _newest(self, directory: str) -> str | None:
        return max((path for path in self._files if is_log_file(path, directory)), default=None)
