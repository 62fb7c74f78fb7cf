"""What was taken out of the ledger, as the writes that bring it back."""

from __future__ import annotations

from swarm_ledger import logbook
from swarm_ledger.ids import EntryId, kind_of, log_directory, path_of
from swarm_ledger.store import Append, BlobId, Delete, Op, Put, Store

__all__ = ["writes_of"]


def writes_of(store: Store, id: EntryId, tombstone: EntryId | None, version: BlobId | None) -> list[Op]:
    """The writes that bring back `id`, which is not there: the entry's own comes first. Empty if it never was.

    `version` is what its `tombstone` says that it was; without one it is what history last tells of.
    """
    if kind_of(id) == "log":
        section = _section(store, id)
        return [section] if section else []
    path = path_of(id)
    if version is None:
        versions = (dict(commit.changed).get(path) for commit in store.history(path))
        version = next((one for one in versions if one), None)
    if version is None:
        return []
    stone = store.read(path_of(tombstone)) if tombstone else None
    gone = [Delete(str(tombstone), stone.path, stone.blob)] if stone else []
    return [Put(id, path, store.blob(version), None), *gone]


def _section(store: Store, id: EntryId) -> Append | None:
    for commit in store.history():
        for path, version in commit.changed if ("Entry", id) in commit.trailers else ():
            for entry in logbook.parse(store.blob(version)) if version and path.startswith("log/") else ():
                if entry.id == id:
                    day = entry.at.date()
                    header = logbook.header(entry.by, day)
                    return Append(id, log_directory(entry.by, day), header, logbook.section(entry))
    return None
