"""What each commit says of itself against what it did, and what another git took away.

A plain git commit made in a stale checkout removes or reverts entries although its parent is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from swarm_ledger import logbook
from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import id_of, path_of
from swarm_ledger.store import BlobId, Commit, Store

from .finding import Finding
from .subject import SETTINGS, WORKFLOW, Subject

__all__ = ["Replay", "history"]


def history(subject: Subject) -> Iterator[Finding]:
    """Every commit keeps the invariants of a history, and together they lead to the files that are there."""
    return Replay(subject.store).walk(subject.commits, subject.tree)


class Replay:
    """Replays commits, oldest first, and holds what each changed against what it says."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._now: dict[str, BlobId] = {}
        self._once: dict[str, set[BlobId]] = {}
        """Path → every version it ever had."""
        self._requests: dict[str, str] = {}

    def walk(self, commits: Iterable[Commit], tree: Mapping[str, BlobId]) -> Iterator[Finding]:
        """Findings about `commits`, and about a `tree` that is not what they lead to."""
        for commit in commits:
            trailers = dict(commit.trailers)
            if "Agent" in trailers and "Request" in trailers:
                yield from self._ours(commit, trailers)
            else:
                yield from self._foreign(commit, tree)
            for path, version in commit.changed:
                if version is None:
                    self._now.pop(path, None)
                else:
                    self._now[path] = version
                    self._once.setdefault(path, set()).add(version)
        for path in sorted({*self._now, *tree}):
            if self._now.get(path) != tree.get(path):
                yield Finding("error", "state", path, "is not what history says it is; run `swarm doctor`")

    def _ours(self, commit: Commit, trailers: Mapping[str, str]) -> Iterator[Finding]:
        def wrong(rule: str, message: str) -> Finding:
            return Finding("error", rule, commit.id, message)

        if trailers["Agent"] != commit.author:
            yield wrong("author", f"authored by {commit.author}, but its trailer says {trailers['Agent']}")
        first = self._requests.setdefault(trailers["Request"], commit.id)
        if first != commit.id:
            yield wrong("once", f"request {trailers['Request']} is in history twice, first in {first}")
        changed = dict(commit.changed)
        unnamed = set(changed)
        values = [value for name, value in commit.trailers if name in ("Entry", "Base")]
        for entry, base in zip(values[::2], values[1::2], strict=False):
            if base == "append":
                files = [path for path in changed if path.startswith("log/")]
                unnamed -= set(files)
                if not files:
                    yield wrong("trailers", f"says that it appends {entry}, but changes no log")
                continue
            path = _path(entry)
            if path not in changed:
                yield wrong("trailers", f"says that it writes {entry}, but does not change it")
            elif base != self._now.get(path, "none"):
                yield wrong("base", f"says that it replaces {base} at {path}, where {self._now.get(path, 'none')} was")
            unnamed.discard(path)
        # A merge brings what commits of the other host say for themselves.
        for path in sorted(unnamed) if "Merge" not in trailers else ():
            yield wrong("trailers", f"changes {path}, which it does not name")

    def _foreign(self, commit: Commit, tree: Mapping[str, BlobId]) -> Iterator[Finding]:
        """What another git did. What it took away is an error until it is there again, in `tree`."""

        def lost(message: str) -> Finding:
            return Finding("error", "foreign", commit.id, message)

        yield Finding("warn", "foreign", commit.id, f"was made by another git ({commit.author}: {commit.subject})")
        for path, version in commit.changed:
            was = self._now.get(path)
            if path.startswith("log/") and was:
                for id in sorted(self._sections(was) - self._sections(version) - self._sections(tree.get(path))):
                    yield lost(f"removed {id} from {path}; `swarm restore {id}` brings it back")
            elif version is None and path not in tree:
                entry = id_of(path)
                way = f"`swarm restore {entry}` brings it back" if entry else f"`swarm git show {was}` shows it"
                yield lost(f"removed {path}; {way}")
            elif version in self._once.get(path, ()) and version != was and version == tree.get(path):
                yield lost(f"set {path} back to an older version; `swarm git show {was}` shows the newer one")

    def _sections(self, version: BlobId | None) -> set[str]:
        try:
            return {entry.id for entry in logbook.parse(self._store.blob(version))} if version else set()
        except (BadInput, NotFound):
            return set()


def _path(entry: str) -> str:
    """Where the entry that a trailer names lies; "" for what is no file of its own."""
    try:
        return entry if entry in (SETTINGS, WORKFLOW) or entry.startswith("log/") else path_of(entry)
    except BadInput:
        return ""
