"""The directory of leases. Two implementations: `MemoryDirectory` here and `leasefile.LeaseFile` (SQLite).

A third, for many hosts, needs a table of leases and transactions; the protocol itself is in `coherence.py`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from .coherence import Lease, Table
from .lines import Line, is_glob

__all__ = ["Directory", "MemoryDirectory"]


class Directory(Protocol):
    """One conformance suite (tests/ledger/test_directory.py) holds every implementation to this."""

    def now(self) -> float:
        """The directory's time in seconds: uptime, time asleep included. Setting the clock does not move it."""

    def deciding(self) -> AbstractContextManager[Table]:
        """The table in one transaction that excludes all others: kept at the end, undone on an exception.

        Raises Busy where another holds it and does not go on, StorageError.
        """

    def leases(self) -> list[Lease]:
        """The live leases, by line, as of one moment."""

    def close(self) -> None:
        """Release descriptors."""


class MemoryDirectory:
    """Keeps leases in this process, for its threads."""

    def __init__(self, uptime: Callable[[], float] = time.monotonic) -> None:
        self._uptime = uptime
        self._lock = threading.RLock()
        self._table = _Rows(1)

    def now(self) -> float:
        """See Directory.now."""
        return self._uptime()

    @contextlib.contextmanager
    def deciding(self) -> Iterator[Table]:
        """See Directory.deciding."""
        with self._lock:
            rows, epoch = dict(self._table.rows), self._table.epoch
            try:
                yield self._table
            except BaseException:
                self._table.rows, self._table.epoch = rows, epoch
                raise

    def leases(self) -> list[Lease]:
        """See Directory.leases."""
        with self._lock:
            now = self.now()
            return sorted(lease for lease in self._table.rows.values() if lease.live(now))

    def lose(self) -> None:
        """As after a boot, or when somebody deleted the table: all leases are gone, and the generation is raised."""
        with self._lock:
            self._table = _Rows(self._table.generation + 1)

    def close(self) -> None:
        """Nothing to release."""


class _Rows:
    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.epoch = 0
        self.rows: dict[Line, Lease] = {}

    def get(self, line: Line) -> Lease | None:
        return self.rows.get(line)

    def globs(self, near: Line) -> Iterable[Lease]:
        return [lease for lease in self.rows.values() if lease.session is not None and is_glob(lease.line)]

    def of(self, session: str) -> Iterable[Lease]:
        return [lease for lease in self.rows.values() if lease.session == session]

    def put(self, lease: Lease) -> None:
        self.rows[lease.line] = lease

    def next_epoch(self) -> int:
        self.epoch += 1
        return self.epoch
