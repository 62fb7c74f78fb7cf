"""Which entries stand beside each other: the places of log entries in the stream that they are part of.

A stream is what was logged in one room on one day, by whomever, or without a room by one agent on that day. The `spot`
of an entry is a number of its own; that of its neighbours is one more and one less. It follows from what the entries
say alone, so an index that grew and one built at once agree on who stands beside whom.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

__all__ = ["SCHEMA", "STREAM_BITS", "Streams"]

STREAM_BITS = 24
"""A spot is the number of its stream and, in this many low bits, the place in it."""

_FIRST = 64
"""The first place: distances to neighbours never reach into another stream."""

SCHEMA = """
CREATE TABLE stream (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE place (n INTEGER PRIMARY KEY, spot INTEGER UNIQUE NOT NULL);
"""


class Streams:
    """Keeps the places right during one transaction that adds and removes entries; `settle` ends it."""

    def __init__(self, db: sqlite3.Connection, entries: int) -> None:
        self._db = db
        self.entries = entries
        """How many entries there are, with a place or without."""
        self.removed = 0
        """How many were removed."""
        self._ends: dict[str, tuple[int, str]] = {}
        """Stream → the spot and the order of its last entry."""
        self._unsettled: set[int] = set()

    def add(self, n: int, stream: str, order: str) -> None:
        """Entry `n` is of `stream`, and stands where `order` sorts."""
        end = self._ends.get(stream) or self._end(stream)
        spot = end[0] + 1
        if order <= end[1]:
            self._unsettled.add(spot >> STREAM_BITS)
            order = end[1]
        self._db.execute("INSERT INTO place VALUES (?, ?)", (n, spot))
        self._ends[stream] = (spot, order)

    def remove(self, n: int) -> None:
        """Entry `n` is gone, if it had a place."""
        found = self._db.execute("DELETE FROM place WHERE n = ? RETURNING spot", (n,)).fetchone()
        if found:
            self._unsettled.add(found[0] >> STREAM_BITS)

    def settle(self) -> None:
        """Order the streams in which something stands out of place."""
        for number in self._unsettled:
            low = number << STREAM_BITS
            rows = self._db.execute(
                "SELECT place.n, spot FROM place JOIN entry ON entry.n = place.n WHERE spot BETWEEN ? AND ? "
                "ORDER BY ordering, id, place.n",
                (low, low + (1 << STREAM_BITS) - 1),
            ).fetchall()
            wanted = [(n, low + _FIRST + place) for place, (n, _) in enumerate(rows)]
            moved = [(spot, n) for (n, spot), (_, was) in zip(wanted, rows, strict=True) if spot != was]
            self._move(moved)

    def _move(self, moved: Iterable[tuple[int, int]]) -> None:
        changes = list(moved)
        # Negative meanwhile: two entries never share a spot.
        self._db.executemany("UPDATE place SET spot = -? WHERE n = ?", changes)
        self._db.executemany("UPDATE place SET spot = ? WHERE n = ?", changes)

    def _end(self, stream: str) -> tuple[int, str]:
        self._db.execute("INSERT OR IGNORE INTO stream (name) VALUES (?)", (stream,))
        (number,) = self._db.execute("SELECT number FROM stream WHERE name = ?", (stream,)).fetchone()
        low = number << STREAM_BITS
        last = self._db.execute(
            "SELECT spot, ordering FROM place JOIN entry ON entry.n = place.n WHERE spot BETWEEN ? AND ? "
            "ORDER BY spot DESC LIMIT 1",
            (low, low + (1 << STREAM_BITS) - 1),
        ).fetchone()
        return last or (low + _FIRST - 1, "")
