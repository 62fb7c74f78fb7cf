"""One SQLite file that can be thrown away: opened, waited for, and made anew when it is missing or damaged.

Many processes use it at once. A damaged file is replaced under a lock on its directory, which every process
also holds for the moment in which it opens the file: SQLite would otherwise pair an old file with a new log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from swarm_ledger.env import Env, storage_error
from swarm_ledger.errors import Busy, StorageError

__all__ = ["IndexFile"]

_T = TypeVar("_T")

_PATIENCE_S = 60.0
"""How long to wait for a process that brings the index up to date and gets no further."""

_PAUSES_S = (0.0005, 0.02)
"""The first and the longest pause between two tries. SQLite's own busy handler waits up to a second."""

_LOG_BYTES = 16 * 1024 * 1024
"""What SQLite's log may keep of the disk after a large catch-up."""

_PAGE_BYTES = 4096

_CACHE_KIB = 16 * 1024
"""How much of the file a connection may keep in memory: SQLite's 2 MB would not hold the lengths of 100,000 texts."""

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_DISK = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)

_INHERITED: list[sqlite3.Connection | None] = []


class _LockedError(Exception):
    """Another process is opening or replacing the file, or is taking in much."""


class IndexFile:
    """The file `path` with the tables of `schema`; `application` and `version` tell it from any other file.

    One object serves the threads of a process, one at a time; after a fork the child opens the file itself.

    `rebuilt` says why this object had to make the file anew ("missing", "foreign" or "damaged"), else "".
    """

    def __init__(self, path: str, schema: str, application: int, version: int, env: Env) -> None:
        self._path = os.path.abspath(path)
        self._schema = schema
        self._application, self._version = application, version
        self._env = env
        self._mutex = threading.RLock()
        self._pid = os.getpid()
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._condemned = False
        self.rebuilt = ""

    def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """What `work` returns, given a connection outside a transaction. `work` may be called more than once.

        Waits while another process writes; replaces a damaged file, once. Raises Busy, StorageError.
        """
        with self._alone():
            return self._run(work)

    def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        deadline = self._env.monotonic() + _PATIENCE_S
        pause, longest = _PAUSES_S
        mended = False
        size: object = None
        while True:
            try:
                return work(self._connection())
            except (
                sqlite3.Error,
                struct.error,
                _LockedError,
                ArithmeticError,
                LookupError,
                TypeError,
                ValueError,
            ) as error:
                self._roll_back()
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code in _BUSY or isinstance(error, _LockedError):
                    if size is None:
                        size = self._size()
                    if self._env.monotonic() > deadline and size != (size := self._size()):
                        deadline = self._env.monotonic() + _PATIENCE_S
                    if self._env.monotonic() > deadline:
                        raise Busy(
                            f"another process has been writing {self._path} for {_PATIENCE_S:.0f} s and does not "
                            "go on. Try again; if it stays, stop that process or delete the file: it comes back."
                        ) from None
                    self._env.sleep(pause * self._env.rng.uniform(0.5, 1.0))
                    pause = min(pause * 2, longest)
                elif code in _DISK:
                    raise StorageError(
                        f"the search index {self._path} cannot be used: {error}. Free some space or set "
                        "SWARM_HOME to a directory that may be written to; the ledger itself is untouched."
                    ) from None
                elif not mended:
                    # The tables do not say what was written: a page of them is damaged, whichever way it shows. If
                    # they still do not once they are made anew, it is an error of ours.
                    mended = True
                    self._condemned = True
                else:
                    raise
            except BaseException:
                self._roll_back()
                raise

    def _size(self) -> object:
        """What shows that whoever is waited for gets further."""
        with contextlib.suppress(OSError):
            return [os.stat(self._path + suffix).st_size for suffix in ("", "-wal")]
        return []

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[], None]]:
        """Write in turn with others; who calls what this yields is alone until the end, through many transactions.

        For use inside `run`, which tries again later where somebody else is alone, or somebody writes.
        """
        descriptor = self._open_lock("lock")

        def lock(mode: int) -> None:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _LockedError from None

        try:
            # SQLite's own lock is for one transaction. This one, dropped by the kernel with its holder, is for all
            # that a large catch-up needs: else whoever waits would get between two of them and begin the same work.
            lock(fcntl.LOCK_SH)
            yield lambda: lock(fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def rebuilding(self) -> Iterator[str]:
        """The path at which to build a file that takes the place of this one; what a dead process left is there.

        One process at a time: raises Busy. Until then this file answers. Whoever builds closes it before the end.
        """
        descriptor = self._open_lock("rebuild")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh = f"{self._path}.new"
            yield fresh
            with self._alone():
                self.close()
                while True:
                    with contextlib.suppress(_LockedError), self._lock(fcntl.LOCK_EX):
                        self._remove()
                        os.rename(fresh, self._path)
                        return
                    self._env.sleep(_PAUSES_S[1])
        except BlockingIOError:
            raise Busy(f"another process is building {self._path} anew already; what it builds serves all.") from None
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            return os.open(f"{self._path}.{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(error, "opening the search index") from None

    def close(self) -> None:
        """Release the descriptors; the next `run` opens the file again."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _alone(self) -> threading.RLock:
        """What one thread holds at a time; in a forked child a new one, and no connection."""
        if self._pid != os.getpid():
            # A thread that is not here may have held the one. A connection may not be used, nor closed, on the other
            # side of a fork: SQLite's locks are the parent's.
            _INHERITED.append(self._db)
            self._mutex, self._db, self._pid = threading.RLock(), None, os.getpid()
        return self._mutex

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._current()
        except OSError as error:
            raise storage_error(error, "opening the search index") from None

    def _current(self) -> sqlite3.Connection:
        if self._condemned:
            self._replace()
        if self._db is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == self._inode:
                    return self._db
            self.close()
        with self._lock(fcntl.LOCK_SH):
            why = self._open()
        if why:
            with self._lock(fcntl.LOCK_EX):
                why = self._open()
                if why:
                    self._remove()
                    self._create()
                    self.rebuilt = self.rebuilt or why
                    self._open()
        if self._db is None:
            raise sqlite3.DatabaseError(f"{self._path} is not an index right after it was made")
        return self._db

    def _replace(self) -> None:
        with self._lock(fcntl.LOCK_EX), contextlib.suppress(FileNotFoundError):
            # Our connection keeps the old inode from being given to a new file, so equal means the same file.
            if self._db is None or os.stat(self._path).st_ino == self._inode:
                self._remove()
                self.rebuilt = "damaged"
        self._condemned = False
        self.close()

    @contextlib.contextmanager
    def _lock(self, mode: int) -> Iterator[None]:
        directory = os.path.dirname(self._path)
        os.makedirs(directory, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Held for one open or one replacement, milliseconds, and dropped by the kernel with its holder.
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _LockedError from None
            yield
        finally:
            os.close(descriptor)

    def _open(self) -> str:
        """Open the file if it is ours; else "missing", "foreign" or "damaged". The lock is held."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return "missing"
        # SQLite takes what is missing of the last page for noughts. With a log beside it, it is about to be mended.
        torn = found.st_size % _PAGE_BYTES and not os.path.exists(f"{self._path}-wal")
        db = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            marks = (
                db.execute("PRAGMA application_id").fetchone()[0],
                db.execute("PRAGMA user_version").fetchone()[0],
            )
            # The first read of a table opens the log too, while nobody can replace it.
            ours = marks == (self._application, self._version) and db.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except UnicodeDecodeError:  # of a message about what the file holds
            db.close()
            return "damaged"
        except sqlite3.DatabaseError as error:
            db.close()
            if error.sqlite_errorcode & 0xFF in _DAMAGED:
                return "foreign" if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB else "damaged"
            raise
        if torn or not ours:
            db.close()
            return "damaged" if ours else "foreign"
        self._db, self._inode = db, found.st_ino
        return ""

    def _create(self) -> None:
        db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            db.executescript(
                f"PRAGMA page_size = {_PAGE_BYTES}; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE;"
                f"{self._schema} PRAGMA application_id = {self._application};"
                f"PRAGMA user_version = {self._version}; COMMIT;"
            )
        finally:
            db.close()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + suffix)

    def _roll_back(self) -> None:
        if self._db is not None and self._db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
