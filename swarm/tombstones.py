"""The tombstone of an entry that was taken out."""

from __future__ import annotations

from swarm_ledger.entry import Document
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import EntryId, kind_of, path_of
from swarm_ledger.store import Store, Version

__all__ = ["tombstone_of"]

_COMMITS = 20


def tombstone_of(store: Store, id: EntryId) -> Version | None:
    """The newest tombstone of `id`, or None: by its name where that follows from the id, else by history."""
    if kind_of(id) not in ("plan", "entity", "tombstone", "log"):
        stone = _of(store, "tombstone-" + id.partition("-")[2], id)
        if stone:
            return stone
    for commit in store.history(path_of(id), limit=_COMMITS):
        for name, value in commit.trailers:
            stone = _of(store, value, id) if name == "Entry" and value.startswith("tombstone-") else None
            if stone:
                return stone
    return None


def _of(store: Store, name: str, id: EntryId) -> Version | None:
    try:
        stone = store.read(path_of(name))
        return stone if stone and Document.parse(stone.text).fields.get("of") == id else None
    except BadInput:
        return None
