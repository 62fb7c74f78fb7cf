"""A ledger in memory, or over any store, that is easy to write entries into."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from swarm_ledger import ids, logbook
from swarm_ledger.entry import Document
from swarm_ledger.memory import MemoryStore
from swarm_ledger.store import Append, Delete, Op, Put, Request, Store

START = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


class Ledger:
    """Writes entries into `store`, one commit each, a minute apart unless told when."""

    def __init__(self, store: Store, seed: int = 7) -> None:
        self.store = store
        self._rng = random.Random(seed)
        self._minutes = 0

    def log(self, text: str, by: str = "ada", at: datetime | None = None, **meta: object) -> str:
        """Append `text` to the log of `by`; its id."""
        at = at or self._next()
        identity = ids.new_id("log", at, self._rng)
        found = logbook.LogEntry(identity, ids.agent_name(by), at, text, dict(meta))
        day = at.date()
        self.submit(Append(identity, ids.log_directory(by, day), logbook.header(by, day), logbook.section(found)), by)
        return identity

    def put(
        self, kind: str, title: str, body: str = "", *, id: str = "", at: datetime | None = None, **more: object
    ) -> str:
        """Write a document of `kind`, a new one or over the one with `id`; its id."""
        at = at or self._next()
        identity = id or ids.new_id(kind, at, self._rng)
        fields: dict[str, object] = {"id": identity, "kind": kind, "title": title, "by": "ada"}
        fields["at"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.write(ids.path_of(identity), Document.create(fields | more, body).data, identity)
        return identity

    def fact(self, title: str, body: str = "", **more: object) -> str:
        """Write a fact; its id."""
        return self.put("fact", title, body, **more)  # type: ignore[arg-type]

    def write(self, path: str, data: bytes, identity: str = "x") -> None:
        """Put `data` at `path`, whatever is there."""
        known = self.store.read(path)
        self.submit(Put(identity, path, data, known.blob if known else None))

    def delete(self, path: str) -> None:
        """Remove the file at `path`."""
        known = self.store.read(path)
        assert known is not None
        self.submit(Delete("x", path, known.blob))

    def submit(self, op: Op, agent: str = "ada") -> None:
        """Commit one operation."""
        self.store.submit(Request(ids.new_request(self._rng), agent, "s", 1_795_000_000, "test", (op,)))

    def _next(self) -> datetime:
        self._minutes += 1
        return START + timedelta(minutes=self._minutes)


@pytest.fixture
def ledger() -> Ledger:
    """An empty ledger in memory."""
    return Ledger(MemoryStore())


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the index is to be."""
    return str(tmp_path / "lexical.db")
