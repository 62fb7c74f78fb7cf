"""What a view holds: which version of the ledger each of its files stands for, and how the file looked when we left it.

It is derived: a lost or damaged one is made anew by comparing the files with the ledger (`View.adopt`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .env import inode
from .store import BlobId
from .tree import Signature

__all__ = ["DIRECTORY", "Hand", "Manifest", "Row", "as_text"]

DIRECTORY = ".swarm/ledger"
"""Of a view's files, from the top of the worktree."""

_SCHEMA = """
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, version TEXT NOT NULL, shown TEXT NOT NULL,
  size INTEGER, modified INTEGER, inode INTEGER, changed INTEGER, looked INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hands (path TEXT PRIMARY KEY, rev INTEGER, version TEXT, text BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS owed (path TEXT PRIMARY KEY, tries INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS problems (path TEXT PRIMARY KEY, what TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dropped (name TEXT PRIMARY KEY, path TEXT NOT NULL, version TEXT NOT NULL, at REAL NOT NULL)
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
"""
_COLUMNS = "path, version, shown, size, modified, inode, changed, looked"


class Row(NamedTuple):
    """A file of the view."""

    path: str
    version: BlobId
    """The version of the entry that the file stands for: the base of what a hand makes of it."""
    shown: BlobId
    """The content: `version`, or the text of a hand that became `version` when it was taken in."""
    signature: Signature | None
    """None: look at the content."""
    looked: int
    """When `signature` was taken, in ns."""


class Hand(NamedTuple):
    """The last text of a hand that was taken in at a path: what its editor may go on from."""

    rev: int | None
    version: BlobId | None
    """What it became; None where more than the hand's own went into that."""
    text: bytes


class Manifest:
    """The manifest in the file `path`. Used by whoever holds the view's lock; `problems` may be read by all."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._inode = 0
        self._pid = os.getpid()
        try:
            self.db = self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # damaged: it is made anew
            self.discard()
            self.db = self._open()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] != 1:
                db.executescript(_SCHEMA)
            db.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            db.close()
            raise
        self._inode = os.stat(self._path).st_ino
        return db

    def usable(self) -> bool:
        """Whether this is still the file at its path, and this process opened it."""
        return os.getpid() == self._pid and inode(self._path) == self._inode

    def discard(self) -> None:
        """Delete the file."""
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + suffix)

    def close(self) -> None:
        """Close the connection; in a forked child it is its parent's, and left alone."""
        if os.getpid() == self._pid:
            self.db.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction; what was done before an exception stays, because the files it tells of were changed too."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self.db.execute("COMMIT")

    # Files

    def row(self, path: str) -> Row | None:
        """What is known of `path`."""
        found = self.db.execute(f"SELECT {_COLUMNS} FROM files WHERE path = ?", (path,)).fetchone()  # noqa: S608
        return _row(found) if found else None

    def rows(self, directory: str = "") -> dict[str, Row]:
        """Everything under `directory` ("" is all)."""
        where, values = ("WHERE path > ? AND path < ?", (f"{directory}/", f"{directory}0")) if directory else ("", ())
        found = self.db.execute(f"SELECT {_COLUMNS} FROM files {where}", values)  # noqa: S608
        return {one[0]: _row(one) for one in found}

    def count(self) -> int:
        """How many files."""
        return int(self.db.execute("SELECT count(*) FROM files").fetchone()[0])

    def put(self, row: Row) -> None:
        """Know `row`."""
        stat = row.signature or (None, None, None, None)
        self.db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.path, row.version, row.shown, *stat, row.looked),
        )

    def drop(self, path: str) -> None:
        """Know nothing of `path`."""
        self.db.execute("DELETE FROM files WHERE path = ?", (path,))
        self.db.execute("DELETE FROM hands WHERE path = ?", (path,))

    def set_hand(self, path: str, hand: Hand) -> None:
        """Note what a hand wrote at `path`."""
        self.db.execute("INSERT OR REPLACE INTO hands VALUES (?, ?, ?, ?)", (path, *hand))

    def hand(self, path: str) -> Hand | None:
        """What a hand wrote at `path` last, if anything."""
        found = self.db.execute("SELECT rev, version, text FROM hands WHERE path = ?", (path,)).fetchone()
        return Hand(found[0], BlobId(found[1]) if found[1] else None, found[2]) if found else None

    def clear(self) -> None:
        """Know nothing at all."""
        with self.writing():
            for table in ("files", "hands", "owed", "problems", "dropped", "meta"):
                self.db.execute(f"DELETE FROM {table}")  # noqa: S608

    # What is still to be shown

    def owe(self, paths: Iterable[str]) -> None:
        """Note that these files do not show the newest version yet."""
        self.db.executemany("INSERT OR IGNORE INTO owed (path) VALUES (?)", [(path,) for path in paths])

    def settle(self, path: str) -> None:
        """Note that `path` shows it."""
        self.db.execute("DELETE FROM owed WHERE path = ?", (path,))

    def postpone(self, path: str) -> None:
        """Note that it could not be shown yet: the others come first."""
        self.db.execute("UPDATE owed SET tries = tries + 1 WHERE path = ?", (path,))

    def owed(self, limit: int | None = None) -> list[str]:
        """Those files."""
        count = -1 if limit is None else limit
        return [path for (path,) in self.db.execute("SELECT path FROM owed ORDER BY tries LIMIT ?", (count,))]

    @property
    def mark(self) -> str | None:
        """Up to where the ledger was looked at; see Store.changes."""
        found = self.db.execute("SELECT value FROM meta WHERE key = 'mark'").fetchone()
        return str(found[0]) if found else None

    @mark.setter
    def mark(self, mark: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES ('mark', ?)", (mark,))

    # What waits for a hand

    def set_problem(self, name: str, what: str | None) -> None:
        """Say what keeps the file `name` from being taken in; None: nothing."""
        name = as_text(name)
        known = self.db.execute("SELECT what FROM problems WHERE path = ?", (name,)).fetchone()
        if what is None and known:
            self.db.execute("DELETE FROM problems WHERE path = ?", (name,))
        elif what is not None and known != (what,):
            self.db.execute("INSERT OR REPLACE INTO problems VALUES (?, ?)", (name, what))

    def problems(self) -> dict[str, str]:
        """File → why it is not taken in."""
        return dict(self.db.execute("SELECT path, what FROM problems ORDER BY path"))

    # Files that hands made under names of their own

    def set_dropped(self, name: str, path: str, version: BlobId, at: float) -> None:
        """Note that the new file `name` became `version` of the entry at `path`."""
        self.db.execute("INSERT OR REPLACE INTO dropped VALUES (?, ?, ?, ?)", (as_text(name), path, version, at))

    def dropped(self, name: str, since: float) -> tuple[str, BlobId] | None:
        """(path, version) of what the file `name` became, if that was after `since`."""
        query = "SELECT path, version FROM dropped WHERE name = ? AND at >= ?"
        found = self.db.execute(query, (as_text(name), since)).fetchone()
        return (found[0], BlobId(found[1])) if found else None


def as_text(name: str) -> str:
    """A file name as SQLite and a terminal can hold it."""
    return name.encode(errors="backslashreplace").decode()


def _row(found: tuple[str, str, str, int | None, int, int, int, int]) -> Row:
    path, version, shown, size, modified, inode, changed, looked = found
    known = None if size is None else Signature(size, modified, inode, changed)
    return Row(path, BlobId(version), BlobId(shown), known, looked)
