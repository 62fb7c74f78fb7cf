"""What a ledger's store can do. Two implementations: `memory.MemoryStore` and `gitstore.GitStore`.

A store knows paths and bytes, nothing of entries: it keeps a chain of commits, each with the writes of one
agent, and moves its tip only by compare-and-swap. Every update names the version it replaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, NewType, Protocol

if TYPE_CHECKING:
    from .coherence import Token
    from .directory import Directory

__all__ = [
    "Append",
    "BlobId",
    "Change",
    "Changes",
    "Commit",
    "CommitId",
    "Delete",
    "Op",
    "Put",
    "Receipt",
    "Request",
    "Store",
    "Version",
]

BlobId = NewType("BlobId", str)
"""The name of a version: git's blob id of its text, 40 hex digits."""

CommitId = NewType("CommitId", str)
"""A commit of the ledger, 40 hex digits."""


class Put(NamedTuple):
    """Write `text` at `path`. `base` is the version that it replaces, or None where nothing may be yet."""

    entry: str
    path: str
    text: bytes
    base: BlobId | None


class Delete(NamedTuple):
    """Remove `path`, which must still be at `base`."""

    entry: str
    path: str
    base: BlobId


class Append(NamedTuple):
    """Add `section` to the newest file in `directory`; a new file starts with `header`.

    An append names no version and is never refused because others write too. The store starts a new file when
    the newest holds `logbook.ENTRIES_PER_FILE` sections or `logbook.BYTES_PER_FILE` bytes.
    """

    entry: str
    directory: str
    header: bytes
    section: bytes


Op = Put | Delete | Append


class Request(NamedTuple):
    """Writes of one agent that land in one commit or not at all.

    `id` makes it idempotent: a request is in history at most once, however often it is submitted.
    `at` is POSIX seconds (whole), `subject` the first line of the commit message.
    """

    id: str
    agent: str
    session: str
    at: int
    subject: str
    ops: tuple[Op, ...]
    trailers: tuple[tuple[str, str], ...] = ()
    fences: tuple[Token, ...] = ()
    """The tokens of the leases under which it writes: all must be current when the branch moves."""
    by_hand: bool = False
    """What a person saved in a file: taken in whoever has a lease."""


class Receipt(NamedTuple):
    """The acknowledgement: `commit` is on disk and on the branch. `paths` is one path for each op, in order."""

    request: str
    commit: CommitId
    paths: tuple[str, ...]


class Version(NamedTuple):
    """The text at a path: `blob` names it."""

    path: str
    blob: BlobId
    text: bytes


class Commit(NamedTuple):
    """One commit of the ledger, as history shows it. `trailers` keeps order and repeats; `at` is POSIX seconds."""

    id: CommitId
    parents: tuple[CommitId, ...]
    author: str
    at: int
    subject: str
    trailers: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, BlobId | None], ...] = ()
    """(path, version after this commit; None where it was removed)."""


class Change(NamedTuple):
    """A path that changed; `version` is None where it was removed."""

    path: str
    version: Version | None


class Changes(NamedTuple):
    """What changed after a mark. `mark` is where to go on from.

    When `complete` is True the list is every path that exists (the mark was unknown: start from nothing).
    """

    mark: str
    commit: CommitId | None
    complete: bool
    changes: Sequence[Change]


class Store(Protocol):
    """One conformance suite (tests/ledger/test_store.py) holds every implementation to this."""

    @property
    def directory(self) -> Directory:
        """The leases that its commits respect."""

    def tip(self) -> CommitId | None:
        """The newest commit, or None in an empty store."""

    def read(self, path: str) -> Version | None:
        """The current text at `path`, or None."""

    def read_many(self, paths: Sequence[str]) -> dict[str, Version]:
        """The current versions of those of `paths` that exist, all as of one commit."""

    def differing(self, known: Mapping[str, BlobId]) -> dict[str, BlobId | None]:
        """Of `known` (path → version), the paths that hold another version now, with it; None where nothing is."""

    def blob(self, version: BlobId) -> bytes:
        """The text of any version that was ever committed. Raises NotFound."""

    def paths(self, prefix: str = "") -> Iterator[tuple[str, BlobId]]:
        """(path, version) of everything under `prefix` (a path up to and including a slash), in path order."""

    def submit(self, request: Request) -> Receipt:
        """Commit `request`, and return once that is on disk and on the branch.

        Raises Conflict (an update's base is not current), Owned (another has the lease of what it changes), Fenced or
        Expired (a token that it shows is not current), Busy, Unconfirmed, StorageError, NewerFormat, Damaged.
        Submitting the same request again returns the first receipt's commit.
        """

    def history(self, path: str | None = None, limit: int | None = None) -> Iterator[Commit]:
        """Commits that changed `path`; or all, where a merge stands for what it brought. Newest first."""

    def changes(self, mark: str | None) -> Changes:
        """What changed since `mark`, an opaque string that an earlier call returned."""

    def close(self) -> None:
        """Release descriptors. The store can not be used after."""
