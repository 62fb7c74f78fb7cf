"""The directory of leases of one host, in SQLite beside the ledger: one transaction a decision, no fsync.

What it holds protects work in progress and nothing else, so it may be lost: deleted, damaged, or some commits short
after a power loss. Its generation is kept in a file of its own, fsynced, and raised at each boot and each loss, so
that a token from before is never taken for one from after.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator

from .coherence import Lease, Table
from .env import NO_FILE, Env, inode, storage_error
from .errors import Busy
from .lines import PREFIX, Line, head

__all__ = ["LeaseFile"]

_SCHEMA_VERSION = 2
_SCHEMA = """
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (generation INTEGER NOT NULL, boot TEXT NOT NULL, epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS leases (line TEXT PRIMARY KEY, epoch INTEGER NOT NULL, session TEXT, agent TEXT NOT NULL,
    since REAL NOT NULL, deadline REAL NOT NULL, ttl REAL NOT NULL, note TEXT NOT NULL, head TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leases_by_session ON leases (session) WHERE session IS NOT NULL;
PRAGMA user_version = 2;
COMMIT;
"""
_COLUMNS = "line, epoch, session, agent, since, deadline, ttl, note"
_GLOBS = (PREFIX, PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1))
_RUBBISH = 2**53
"""No count of boots or seconds comes to this; what does is a damaged file."""
_ENDED_KEPT_S = 86_400.0
"""How long it is remembered who ended a lease; whoever comes later is told that it ended, but not by whom."""


class LeaseFile:
    """The directory in `<home>/leases.db`. One object for one process and its threads."""

    def __init__(self, home: str, env: Env, *, patience: float = 10.0) -> None:
        """`patience`: seconds to wait for a transaction of another process that does not go on."""
        self._path, self._counter = f"{home}/leases.db", f"{home}/generation"
        self._env, self._patience = env, patience
        self.lock = threading.RLock()
        """Held by whoever is inside SQLite; a process forks only when nobody is."""
        self._rows: _Rows | None = None
        self._inode = NO_FILE

    def now(self) -> float:
        """See Directory.now."""
        return self._env.uptime()

    @contextlib.contextmanager
    def deciding(self) -> Iterator[Table]:
        """See Directory.deciding."""
        with self.lock:
            try:
                rows = self._begin()
            except sqlite3.Error as error:
                raise _failed(error) from error
            except OSError as error:
                raise storage_error(error, "opening the leases") from error
            try:
                yield rows
                rows.db.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    rows.db.execute("ROLLBACK")
                if isinstance(error, sqlite3.DatabaseError) and rows.damaged():
                    self._replace()  # whoever tries again finds a new table
                if isinstance(error, sqlite3.Error):
                    raise _failed(error) from error
                raise

    def leases(self) -> list[Lease]:
        """See Directory.leases."""
        if not os.path.exists(self._path):
            return []
        with self.deciding() as table:
            assert isinstance(table, _Rows)  # noqa: S101 - it is what `deciding` yields
            return table.live(self.now())

    def close(self) -> None:
        """See Directory.close."""
        with self.lock:
            if self._rows is not None:
                self._rows.db.close()
            self._rows = None

    def _begin(self) -> _Rows:
        """A write transaction on the file that is at the path now; a damaged one is replaced, once."""
        try:
            return self._try_begin()
        except sqlite3.OperationalError as error:
            if "no such" not in str(error) and "disk I/O" not in str(error):
                raise
            self._replace()  # a file of which parts were deleted
        except sqlite3.DatabaseError:
            self._replace()
        return self._try_begin()

    def _try_begin(self) -> _Rows:
        deadline = self._env.monotonic() + self._patience
        pause = 0.0002
        while True:
            try:
                rows = self._current()
                rows.db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                # SQLite's own waiting is unfair: with sixteen processes some starve for seconds.
                if self._env.monotonic() > deadline:
                    raise Busy(
                        f"another process has held {self._path} for over {self._patience:.0f} s without going on; "
                        "nothing was changed. Resume or end it, then try again."
                    ) from None
                self._env.sleep(pause * (0.5 + self._env.rng.random()))
                pause = min(pause * 1.5, 0.004)
                continue
            if inode(self._path) == self._inode:
                return rows
            rows.db.execute("ROLLBACK")  # deleted since it was opened: others use another

    def _current(self) -> _Rows:
        """The connection of this process to the file at the path, opened where need be."""
        if self._rows is not None:
            if inode(self._path) == self._inode:
                if self._rows.db.in_transaction:  # left open by an interrupt
                    self._rows.db.execute("ROLLBACK")
                return self._rows
            self.close()
        while self._rows is None:
            # What was at the path before and after is what was opened: one that is open keeps its inode. A file that
            # was made by opening it, or replaced meanwhile, is opened once more.
            self._inode = inode(self._path)
            db = self._open()
            try:
                if self._inode == inode(self._path) != NO_FILE:
                    self._rows = _Rows(db, self._generation(db))
            finally:
                if self._rows is None:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    db.close()
        return self._rows

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executescript(_SCHEMA)
            elif version != _SCHEMA_VERSION:
                raise sqlite3.DatabaseError(f"schema {version}")
            # A power loss ends the boot, and so every lease; what it damages is replaced. Nothing waits for a disk.
            db.execute("PRAGMA synchronous = OFF")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            db.close()
            raise
        return db

    def _generation(self, db: sqlite3.Connection) -> int:
        """The generation of the table in `db`; a new one, and an empty table, after a boot or a loss."""
        boot = self._env.boot()
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT generation, boot FROM meta").fetchone()
        counted = self._counted()
        if row == (counted, boot):
            db.execute("COMMIT")
            return counted
        # The clock keeps numbers apart where the file was deleted with the table; the file, where the clock is wrong.
        generation = max(counted + 1, row[0] + 1 if row else 1, int(self._env.now()))
        self._count(generation)
        db.execute("DELETE FROM leases")
        db.execute("DELETE FROM meta")
        db.execute("INSERT INTO meta VALUES (?, ?, 0)", (generation, boot))
        db.execute("COMMIT")
        return generation

    def _counted(self) -> int:
        try:
            with open(self._counter, encoding="ascii", errors="replace") as file:
                text = file.read(40).strip()
        except FileNotFoundError:
            return 0
        counted = int(text) if text.isdecimal() and text.isascii() else 0
        return counted if counted < _RUBBISH else 0

    def _count(self, generation: int) -> None:
        """Put the generation on disk before any token carries it."""
        disk = self._env.disk
        whole = f"{self._counter}.{self._env.rng.getrandbits(48):012x}"
        disk.create(whole, f"{generation}\n".encode())
        try:
            disk.rename(whole, self._counter)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.unlink(whole)
            raise
        disk.sync_directory(os.path.dirname(self._counter))

    def _replace(self) -> None:
        self.close()
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + suffix)


class _Rows:
    """The table inside a transaction."""

    def __init__(self, db: sqlite3.Connection, generation: int) -> None:
        self.db, self.generation = db, generation

    def damaged(self) -> bool:
        """Whether the file holds pages that make no sense. It is small; this is asked only after an error."""
        try:
            return bool(self.db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        except sqlite3.DatabaseError as error:
            return not isinstance(error, sqlite3.OperationalError)

    def get(self, line: Line) -> Lease | None:
        row = self.db.execute(f"SELECT {_COLUMNS} FROM leases WHERE line = ?", (line,)).fetchone()  # noqa: S608
        return Lease(*row) if row else None

    def globs(self, near: Line) -> list[Lease]:
        # Most leases share no beginning with the line; to leave them to SQLite is ten times quicker than to fetch them.
        query = (
            f"SELECT {_COLUMNS} FROM leases WHERE line >= ?1 AND line < ?2 AND session IS NOT NULL "  # noqa: S608
            "AND (substr(?3, 1, length(head)) = head OR substr(head, 1, length(?3)) = ?3)"
        )
        return [Lease(*row) for row in self.db.execute(query, (*_GLOBS, head(near)))]

    def of(self, session: str) -> list[Lease]:
        query = f"SELECT {_COLUMNS} FROM leases WHERE session = ? ORDER BY line"  # noqa: S608
        return [Lease(*row) for row in self.db.execute(query, (session,))]

    def live(self, now: float) -> list[Lease]:
        query = f"SELECT {_COLUMNS} FROM leases WHERE session IS NOT NULL AND deadline > ? ORDER BY line"  # noqa: S608
        return [Lease(*row) for row in self.db.execute(query, (now,))]

    def put(self, lease: Lease) -> None:
        self.db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*lease, head(lease.line)))

    def next_epoch(self) -> int:
        (epoch,) = self.db.execute("UPDATE meta SET epoch = epoch + 1 RETURNING epoch").fetchone()
        if epoch % 10_000 == 0:
            self.db.execute(
                "DELETE FROM leases WHERE session IS NULL AND deadline < (SELECT max(since) FROM leases) - ?",
                (_ENDED_KEPT_S,),
            )
        return int(epoch)


def _failed(error: sqlite3.Error) -> Exception:
    return storage_error(OSError(None, str(error)), "writing the leases")
