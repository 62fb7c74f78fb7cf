"""Facts by what they cite and what they give the value of, and what is contested: derived, beside the search index.

It also keeps what was found out about the code: the marks of blobs, and verdicts by the blob that they were given on.
All of it can be deleted and comes back.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from swarm_indexes.indexfile import IndexFile
from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import id_of
from swarm_ledger.store import Change, Store
from swarm_ledger.times import parse_time

__all__ = ["Cited", "Fact", "FactIndex", "Known", "digests", "is_active"]

_APPLICATION, _VERSION = 0x53574556, 8
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE fact (n INTEGER PRIMARY KEY, path TEXT UNIQUE, id TEXT, title TEXT, by_ TEXT, at TEXT, key TEXT,
    since REAL, until REAL, active INTEGER);
CREATE INDEX fact_id ON fact (id);
CREATE INDEX fact_key ON fact (key) WHERE key IS NOT NULL;
CREATE TABLE cited (fact INTEGER, nth INTEGER, kind TEXT, digest TEXT, path TEXT, data TEXT);
CREATE INDEX cited_fact ON cited (fact);
CREATE TABLE contested (id TEXT PRIMARY KEY, of TEXT) WITHOUT ROWID;
CREATE INDEX contested_of ON contested (of);
CREATE TABLE blob (oid TEXT PRIMARY KEY, marks BLOB, flaw TEXT) WITHOUT ROWID;
CREATE TABLE verdict (digest TEXT, source TEXT, verdict TEXT, path TEXT, first INTEGER, last INTEGER, exact INTEGER,
    why TEXT, PRIMARY KEY (digest, source)) WITHOUT ROWID;
CREATE TABLE tree (source TEXT PRIMARY KEY, used INTEGER, commit_ TEXT) WITHOUT ROWID;
"""
_KINDS = ("path", "entry", "log", "url", "command")
_PATIENCE_MS = 250
"""So long it is waited for another that writes, to keep what was found out."""

_TREES = 4
"""Verdicts on so many trees are kept; those on single blobs stay."""

_TELLING = re.compile(rb"^[ \t]*[\"']?(?:citations|key|valid_to|superseded_by|status)\b", re.MULTILINE)
"""Of a fact that has none of these there is nothing to check, and its YAML is not read."""

_FACTS = "SELECT id, title, by_, at, key, since, until, path, active FROM fact"
_SELECT = """SELECT fact.id, cited.nth, cited.kind, cited.digest, cited.path, cited.data
FROM cited JOIN fact ON fact.n = cited.fact"""
_PART = 500


class Fact(NamedTuple):
    """A fact or reflection, as it stands. `until` is None where nothing says when it ends."""

    id: str
    title: str
    by: str
    at: str
    key: str | None
    since: float
    until: float | None
    path: str
    active: bool
    """Whether nothing took its place."""


class Cited(NamedTuple):
    """The citation number `nth` (from 0) of a fact. `digest` names what it says, `path` is that of a code citation."""

    fact: str
    nth: int
    kind: str
    digest: str
    path: str
    data: str

    def fields(self) -> dict[str, object]:
        """What it says."""
        fields: dict[str, object] = json.loads(self.data)
        return fields


class Known(NamedTuple):
    """A verdict, as it is kept: `path` is "" where there is no place."""

    verdict: str
    path: str
    first: int
    last: int
    exact: bool
    why: str


class FactIndex:
    """The index of `store` in the file `path`; brought up to the ledger by whoever asks."""

    def __init__(self, path: str, store: Store, env: Env) -> None:
        self._store = store
        self._file = IndexFile(path, _SCHEMA, _APPLICATION, _VERSION, env)

    def facts(self, ids: Collection[str] | None = None) -> list[Fact]:
        """Those of `ids`, or all, by id."""
        return [_fact(row) for row in self._rows(_FACTS, "id", ids, "ORDER BY id")]

    def cited(self, ids: Collection[str] | None = None) -> list[Cited]:
        """What those of `ids` cite, or all active facts, by id."""
        which = "" if ids is not None else "WHERE fact.active"
        return [Cited(*row) for row in self._rows(f"{_SELECT} {which}", "fact.id", ids, "ORDER BY fact.id, nth")]

    def with_keys(self, ids: Collection[str] | None = None) -> dict[str, list[Fact]]:
        """Key → the active facts that give it a value, of the keys of those of `ids`, or of all."""
        keys = None if ids is None else {fact.key for fact in self.facts(ids) if fact.key and fact.active}
        which = "" if keys is not None else "WHERE key IS NOT NULL"
        out: dict[str, list[Fact]] = {}
        for row in self._rows(f"{_FACTS} {which}", "key", keys, "ORDER BY id"):
            if (fact := _fact(row)).active:
                out.setdefault(str(fact.key), []).append(fact)
        return out

    def contested(self, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Id → the contested entries about it, of those of `ids`, of whatever kind, about which there are any."""
        out: dict[str, tuple[str, ...]] = {}
        for of, id in self._rows("SELECT of, id FROM contested", "of", ids, "ORDER BY id"):
            out[of] = (*out.get(of, ()), id)
        return out

    def _rows(self, select: str, column: str, values: Collection[str | None] | None, order: str) -> list[Any]:
        def work(db: sqlite3.Connection) -> list[Any]:
            self._catch_up(db)
            if values is None:
                return db.execute(f"{select} {order}").fetchall()
            out: list[Any] = []
            wanted = sorted(str(value) for value in values)
            for start in range(0, len(wanted), _PART):
                part = wanted[start : start + _PART]
                out += db.execute(f"{select} WHERE {column} IN ({_marks(part)}) {order}", part).fetchall()
            return out

        return self._file.run(work)

    # What was found out about code

    def known(self, oids: Collection[str]) -> Mapping[str, tuple[bytes, str]]:
        """(marks, flaw) of those blobs that were looked into before."""

        def work(db: sqlite3.Connection) -> dict[str, tuple[bytes, str]]:
            wanted, columns = set(oids), "SELECT oid, marks, flaw FROM blob"
            if len(wanted) > _PART:
                rows: Iterable[tuple[str, bytes, str]] = db.execute(columns)
            else:
                part = [*wanted]
                rows = db.execute(f"{columns} WHERE oid IN ({_marks(part)})", part)
            return {oid: (marks, flaw) for oid, marks, flaw in rows if oid in wanted}

        return self._file.run(work)

    def keep(self, blobs: Mapping[str, tuple[bytes, str]]) -> None:
        """Keep these too."""
        rows = [(oid, marks, flaw) for oid, (marks, flaw) in blobs.items()]
        self._write(lambda db: db.executemany("INSERT OR REPLACE INTO blob VALUES (?, ?, ?)", rows))

    def verdicts(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """(digest, source) → the verdict that was given on it; a source is a blob or a tree."""
        pairs = set(wanted)

        def work(db: sqlite3.Connection) -> dict[tuple[str, str], Known]:
            columns = "SELECT digest, source, verdict, path, first, last, exact, why FROM verdict"
            rows: Iterable[Any]
            if len(pairs) > _PART:
                rows = db.execute(columns)
            else:
                asked = f"{columns} WHERE digest = ? AND source = ?"
                rows = (row for pair in pairs for row in db.execute(asked, pair))
            return {
                (row[0], row[1]): Known(row[2], row[3], row[4], row[5], bool(row[6]), row[7])
                for row in rows
                if (row[0], row[1]) in pairs
            }

        return self._file.run(work)

    def tree_of(self, commit: str) -> str | None:
        """The tree of `commit`, where verdicts on it are kept under that name."""

        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT source FROM tree WHERE commit_ = ?", (commit,)).fetchone()
            return row[0] if row else None

        return self._file.run(work)

    def note(self, found: Mapping[tuple[str, str], Known], tree: str, commit: str) -> None:
        """Keep these verdicts; `tree`, of `commit`, is what they were given on, and older ones are forgotten."""
        rows = [(*pair, *known) for pair, known in found.items()]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute(
                "INSERT OR REPLACE INTO tree SELECT ?, ifnull(max(used), 0) + 1, ? FROM tree",
                (tree, commit),
            )
            old = db.execute("SELECT source FROM tree ORDER BY used DESC LIMIT -1 OFFSET ?", (_TREES,)).fetchall()
            db.executemany("DELETE FROM verdict WHERE source = ?", old)
            db.executemany("DELETE FROM tree WHERE source = ?", old)

        self._write(work)

    def forget(self) -> None:
        """Begin anew: all of it comes back from the ledger and the code."""

        def work(db: sqlite3.Connection) -> None:
            for table in ("meta", "cited", "fact", "contested", "blob", "verdict", "tree"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words

        self._write(work, waits=True)

    def close(self) -> None:
        """Release the descriptors."""
        self._file.close()

    def _write(self, work: Callable[[sqlite3.Connection], object], *, waits: bool = False) -> None:
        """Do `work` in a transaction; without `waits` only if no other process writes for long."""

        def transaction(db: sqlite3.Connection) -> None:
            try:
                db.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if waits or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                return  # what was found out about code is found out again; nobody who writes a fact is held up by it
            finally:
                db.execute("PRAGMA busy_timeout = 0")
            work(db)
            db.execute("COMMIT")

        self._file.run(transaction)

    def _catch_up(self, db: sqlite3.Connection) -> None:
        tip = self._store.tip()
        if db.execute("SELECT value FROM meta WHERE key = 'tip'").fetchone() == (tip,):
            return
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT value FROM meta WHERE key = 'mark'").fetchone()
        changes = self._store.changes(row[0] if row else None)
        if changes.complete:
            db.execute("DELETE FROM cited")
            db.execute("DELETE FROM fact")
            db.execute("DELETE FROM contested")
        for change in changes.changes:
            if change.path.startswith(("facts/", "reflections/")):
                _take_in(db, change)
            elif change.path.startswith("contested/"):
                _take_in_contested(db, change)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('mark', ?), ('tip', ?)", (changes.mark, changes.commit))
        db.execute("COMMIT")


def digests(fields: Mapping[str, object]) -> list[str]:
    """The names of what the citations in the fields of an entry say."""
    citations = fields.get("citations")
    return [digest for _, (_, digest, _, _) in _cited(citations if isinstance(citations, list) else [])]


def is_active(fields: Mapping[str, object]) -> bool:
    """Whether nothing took the place of a fact that says this."""
    return not fields.get("superseded_by") and fields.get("status") in (None, "active", "open")


def _take_in(db: sqlite3.Connection, change: Change) -> None:
    old = db.execute("SELECT n FROM fact WHERE path = ?", (change.path,)).fetchone()
    if old:
        db.execute("DELETE FROM cited WHERE fact = ?", old)
        db.execute("DELETE FROM fact WHERE n = ?", old)
    id = id_of(change.path)
    if change.version is None or id is None:
        return
    fields: Mapping[str, object] = {}
    if _TELLING.search(change.version.text):
        from swarm_ledger.entry import Document

        try:
            fields = Document.parse(change.version.text).fields
        except BadInput:
            return  # `check` names it
    key = fields.get("key")
    active = is_active(fields)
    since = _moment(fields.get("valid_from")) or _moment(fields.get("at")) or 0.0
    values = (
        *(change.path, id, str(fields.get("title", "")), str(fields.get("by", "")), str(fields.get("at", ""))),
        *(key if isinstance(key, str) else None, since, _moment(fields.get("valid_to")), int(active)),
    )
    n = db.execute(
        "INSERT INTO fact (path, id, title, by_, at, key, since, until, active) VALUES (?,?,?,?,?,?,?,?,?)", values
    ).lastrowid
    citations = fields.get("citations")
    db.executemany(
        "INSERT INTO cited VALUES (?, ?, ?, ?, ?, ?)",
        [(n, nth, *row) for nth, row in _cited(citations if isinstance(citations, list) else [])],
    )


def _take_in_contested(db: sqlite3.Connection, change: Change) -> None:
    from swarm_ledger.entry import Document

    id = id_of(change.path)
    db.execute("DELETE FROM contested WHERE id = ?", (id,))
    if change.version and id:
        with contextlib.suppress(BadInput):  # `check` names it
            of = Document.parse(change.version.text).fields.get("of")
            if isinstance(of, str):  # else of a file that is no entry
                db.execute("INSERT INTO contested VALUES (?, ?)", (id, of))


def _fact(row: Sequence[Any]) -> Fact:
    return Fact._make((*row[:8], bool(row[8])))


def _cited(citations: Sequence[object]) -> Iterator[tuple[int, tuple[str, str, str, str]]]:
    for nth, one in enumerate(citations):
        fields = one if isinstance(one, Mapping) else {}
        kind = next((kind for kind in _KINDS if kind in fields), "")
        data = json.dumps(fields, sort_keys=True, ensure_ascii=False, default=str)
        path = fields.get("path")
        digest = sha256(data.encode(errors="replace")).hexdigest()[:32]
        yield nth, (kind, digest, path if isinstance(path, str) else "", data)


def _moment(value: object) -> float | None:
    try:
        return parse_time(value).timestamp() if isinstance(value, str) else None
    except BadInput:
        return None


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
