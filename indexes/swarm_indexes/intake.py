"""Changes of the ledger taken into the tables of the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from swarm_ledger.store import Change, Changes

from . import hop
from .rows import Row, rows_of
from .streams import Streams
from .tables import COLUMNS, INDEXED, meta
from .wordsets import WordSets

__all__ = ["BULK", "drop_missing", "merge", "take_in"]

# S608 looks for data in SQL; these are texts of ours, and data are parameters.
_SELECT_ROWS = f"SELECT n, {COLUMNS} FROM entry WHERE file = ?"  # noqa: S608
_INSERT_ROW = f"INSERT INTO entry (file, {COLUMNS}) VALUES (?{', ?' * COLUMNS.count(',')}, ?)"  # noqa: S608
_INSERT_WORDS = f"INSERT INTO words (rowid, {INDEXED}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_DELETE_WORDS = f"INSERT INTO words (words, rowid, {INDEXED}) SELECT 'delete', n, {INDEXED} FROM entry WHERE n = ?"  # noqa: S608

BULK = 1000
"""From so many files on, a catch-up is many transactions, and the postings are merged into one segment at its end."""


def drop_missing(db: sqlite3.Connection, changes: Changes) -> int:
    """Where `changes` are complete, forget the files that are not among them; the number of entries removed."""
    if not changes.complete:
        return 0
    there = {change.path for change in changes.changes}
    gone = [path for (path,) in db.execute("SELECT path FROM file").fetchall() if path not in there]
    return take_in(db, [Change(path, None) for path in gone]) if gone else 0


def take_in(db: sqlite3.Connection, changes: Sequence[Change]) -> int:
    """Make the tables say what the ledger says after `changes`; the number of entries written or removed for it."""
    touched = 0
    streams, sets = Streams(db, int(meta(db, "entries") or 0)), WordSets(db)
    for change in changes:
        version = change.version
        if version is None:
            touched += _forget(db, change.path, streams, sets)
            continue
        known = db.execute("SELECT n, version FROM file WHERE path = ?", (change.path,)).fetchone()
        if known and known[1] == version.blob:
            continue
        rows, flaw = rows_of(change.path, version.text)
        if known:
            number = known[0]
            db.execute("UPDATE file SET version = ?, flaw = ? WHERE n = ?", (version.blob, flaw, number))
        else:
            number = db.execute(
                "INSERT INTO file (path, version, flaw) VALUES (?, ?, ?)", (change.path, version.blob, flaw)
            ).lastrowid
        touched += _write(db, number, rows, streams, sets, fresh=not known)
    streams.settle()
    sets.settle()
    db.execute("INSERT OR REPLACE INTO meta VALUES ('entries', ?)", (str(streams.entries),))
    if streams.removed:
        removed = int(meta(db, "removed") or 0) + streams.removed
        db.execute("INSERT OR REPLACE INTO meta VALUES ('removed', ?)", (str(removed),))
    return touched


def merge(db: sqlite3.Connection) -> None:
    """Make one segment of the postings."""
    db.execute("INSERT INTO words (words) VALUES ('optimize')")


def _write(
    db: sqlite3.Connection, file: int, rows: Sequence[Row], streams: Streams, sets: WordSets, *, fresh: bool
) -> int:
    """Make `rows` the rows of `file`, leaving alone those that are there already."""
    old: dict[tuple[object, ...], int] = {}
    if not fresh:
        for n, *values in db.execute(_SELECT_ROWS, (file,)).fetchall():
            old[tuple(values)] = n
    new = [row for row in dict.fromkeys(rows) if old.pop(row, None) is None]
    for n in old.values():
        _remove(db, n)
        streams.remove(n)
        sets.remove(n)
        streams.entries -= 1
        streams.removed += 1
    for row in new:
        n = db.execute(_INSERT_ROW, (file, *row)).lastrowid
        db.execute(_INSERT_WORDS, (n, row.title, row.body, row.names, row.paths, row.parts, row.facets))
        streams.entries += 1
        if n is not None:
            hop.add(db, n, row.id, row.moment, row.facets)
            sets.add(n, f"{row.title}\n{row.body}")
        if row.stream and n is not None:
            streams.add(n, row.stream, row.ordering)
    return len(new) + len(old)


def _forget(db: sqlite3.Connection, path: str, streams: Streams, sets: WordSets) -> int:
    known = db.execute("SELECT n FROM file WHERE path = ?", (path,)).fetchone()
    if known is None:
        return 0
    gone = _write(db, known[0], (), streams, sets, fresh=False)
    db.execute("DELETE FROM file WHERE n = ?", known)
    return gone


def _remove(db: sqlite3.Connection, n: int) -> None:
    # FTS5 keeps no copy of the text: to remove a row it has to be told what the row held.
    db.execute(_DELETE_WORDS, (n,))
    hop.remove(db, n)
    db.execute("DELETE FROM entry WHERE n = ?", (n,))
