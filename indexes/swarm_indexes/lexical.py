"""Lexical search over the ledger: SQLite FTS5 with BM25F, stemmed, brought up to date by the search itself.

The index is one file derived from the ledger. It notes the commit that it reflects, so a search after a write
takes in what changed since, and any process sees every write that was acknowledged before it asked. A query
imports light modules of the standard library only; YAML is read when entries are taken in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput

from .filters import EVERYTHING, Filters
from .indexfile import IndexFile
from .maxscore import top
from .snippets import snippet
from .terms import clean, facet, query_terms

if TYPE_CHECKING:
    from swarm_ledger.store import Changes, Store

    from .rows import Row

__all__ = ["TERMS", "Filters", "Hit", "LexicalIndex"]

_T = TypeVar("_T")

TERMS = 64
"""How many distinct terms of a query are searched for; `LexicalIndex.terms_left_out` counts the others."""

_APPLICATION, _VERSION = 0x53574C58, 2
_KEPT = "id, kind, by_, at, valid_from, moment, room, status, ref, to_, superseded_by, entities"
_INDEXED = "title, body, names, paths, parts, facets"
_COLUMNS = f"{_KEPT}, {_INDEXED}"
"""The fields of rows.Row, in its order."""
_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE file (n INTEGER PRIMARY KEY, path TEXT UNIQUE, version TEXT NOT NULL, flaw TEXT NOT NULL);
CREATE TABLE entry (n INTEGER PRIMARY KEY, file INTEGER NOT NULL, {_COLUMNS});
CREATE INDEX entry_file ON entry (file);
CREATE INDEX entry_id ON entry (id);
CREATE INDEX entry_moment ON entry (moment);
CREATE INDEX entry_kind ON entry (kind, moment);
CREATE INDEX entry_by ON entry (by_, moment);
CREATE INDEX entry_room ON entry (room, moment);
CREATE VIRTUAL TABLE words USING fts5
    ({_INDEXED}, content = 'entry', content_rowid = 'n', tokenize = 'porter unicode61');
"""
# S608 looks for data in SQL; these are texts of ours, and data are parameters.
_SELECT_ROWS = f"SELECT n, {_COLUMNS} FROM entry WHERE file = ?"  # noqa: S608
_INSERT_ROW = f"INSERT INTO entry (file, {_COLUMNS}) VALUES (?{', ?' * _COLUMNS.count(',')}, ?)"  # noqa: S608
_INSERT_WORDS = f"INSERT INTO words (rowid, {_INDEXED}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_DELETE_WORDS = f"INSERT INTO words (words, rowid, {_INDEXED}) SELECT 'delete', n, {_INDEXED} FROM entry WHERE n = ?"  # noqa: S608
_SELECT_HITS = """
SELECT entry.n, id, kind, title, by_, at, valid_from, path, version, room, status, ref, to_, superseded_by, entities,
body FROM entry JOIN file ON file.n = entry.file WHERE
"""
_BULK = 1000
"""From so many files in one catch-up on, the postings are merged into one segment at its end."""

_TITLE_CHARACTERS = 80


class Hit(NamedTuple):
    """An entry that was found. What it does not say is None. "…" in `title` and `snippet` marks what was left out.

    A log entry's title is the start of its text; a tombstone's text is why the entry was retracted.
    """

    id: str
    kind: str
    title: str
    by: str
    at: str
    valid_from: str | None
    path: str
    version: str
    """The blob id of its file."""
    score: float | None
    """Higher is better; None where there was no word to rank by."""
    snippet: str
    room: str | None
    entities: tuple[str, ...]
    ref: str | None
    """What it stands for: elsewhere, as a turn of an imported conversation does; of a tombstone the entry."""
    status: str | None
    to: tuple[str, ...]
    """The agents whom a log entry is for."""
    superseded_by: tuple[str, ...]
    """The entries that hold in its place."""
    whole: bool
    """Whether `snippet` is all of its body, as it stands."""


class LexicalIndex:
    """The index of `store` in the file `path`, for the threads of a process. Other processes may use the file too."""

    def __init__(self, path: str, store: Store, env: Env | None = None) -> None:
        self._store = store
        self._file = IndexFile(path, _SCHEMA, _APPLICATION, _VERSION, env or Env())
        self.terms_left_out = 0
        """How many distinct terms of the last query were beyond `TERMS` and not searched for."""

    @property
    def rebuilt(self) -> str:
        """Why this object made the file anew: "missing", "foreign", "damaged" or "asked for"; "" if it did not."""
        return self._file.rebuilt

    def catch_up(self) -> int:
        """Take in what the ledger holds by now; the number of entries that were written or removed for it.

        One transaction, one process at a time. Raises Busy, StorageError, and what the store raises.
        """
        return self._file.run(self._catch_up)

    def reindex(self) -> int:
        """Build the index from nothing; the number of entries in it."""
        self._file.discard("asked for")
        return self.catch_up()

    def search(self, query: str, filters: Filters = EVERYTHING, *, k: int = 10) -> list[Hit]:
        """The `k` best entries with any of the query's terms, best first; ties newest first, then by id.

        An entry that was superseded comes behind the hit that took its place. Without a term (nothing but stop
        words) the filters alone decide, newest first. Raises BadInput where there is neither a term nor a filter,
        and what `catch_up` raises.
        """
        if k < 1:
            raise BadInput(f"k: {k} is not a number of hits; ask for 1 or more.")
        terms, self.terms_left_out = query_terms(query, TERMS)
        equal, span = filters.equal(), filters.span()
        if not terms and not equal and span is None:
            raise BadInput("nothing to search for: give a word that is not a stop word, or a filter.")
        k = min(k, 1 << 30)

        def work(db: sqlite3.Connection) -> list[Hit]:
            if not terms:
                return [_hit(row) for row in _newest(db, equal, span, k)]
            facets = "".join(f'facets : "{facet(field, value)}" AND ' for field, value in equal.items())
            # The + keeps SQLite from running the full-text query once for each row of the span.
            within = "AND +rowid IN (SELECT n FROM entry WHERE moment BETWEEN ? AND ?)" if span else ""
            db.execute("BEGIN")  # one state for the ranking and for what is shown of it
            scores = top(db, terms, facets, within, span or (), k)
            hits = _best(db, scores, terms, k)
            db.execute("COMMIT")
            return hits

        return _successors_first(self._up_to_date(work))

    def get(self, entry_id: str) -> Hit | None:
        """The entry with this id, or None; the place of a log entry is known only here."""
        rows = self._up_to_date(lambda db: _fetch(db, "id = ? ORDER BY path LIMIT 1", (clean(entry_id),)))
        return _hit(rows[0]) if rows else None

    def counts(self) -> dict[str, int]:
        """Kind → number of entries, of the kinds that there are, in alphabetical order."""
        return self._up_to_date(
            lambda db: dict(db.execute("SELECT kind, count(*) FROM entry GROUP BY kind ORDER BY kind").fetchall())
        )

    def flaws(self) -> list[tuple[str, str]]:
        """(path, what is wrong) of the files that could not be read as entries, in path order."""
        return self._up_to_date(
            lambda db: db.execute("SELECT path, flaw FROM file WHERE flaw <> '' ORDER BY path").fetchall()
        )

    def check(self) -> list[str]:
        """What is wrong with the index, one line each; empty if it is sound. Reads all of it, so it takes a while."""
        return self._up_to_date(self._check)

    def close(self) -> None:
        """Release the descriptors."""
        self._file.close()

    def _up_to_date(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def caught_up(db: sqlite3.Connection) -> _T:
            self._catch_up(db)  # inside, because the file may be made anew in between
            return work(db)

        return self._file.run(caught_up)

    def _check(self, db: sqlite3.Connection) -> list[str]:
        found = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            found.append("the postings disagree with the texts")
        indexed = dict(db.execute("SELECT path, version FROM file"))
        db.execute("ROLLBACK")
        ledger = dict(self._store.paths())
        wrong = sorted(path for path in indexed.keys() | ledger if indexed.get(path) != ledger.get(path))
        return found + [f"{path}: the index does not hold the current version" for path in wrong]

    def _catch_up(self, db: sqlite3.Connection) -> int:
        tip = self._store.tip()
        if _meta(db, "commit") == tip:
            return 0
        db.execute("BEGIN IMMEDIATE")
        if _meta(db, "commit") == tip:
            db.execute("ROLLBACK")  # another process took it in while this one waited
            return 0
        changes = self._store.changes(_meta(db, "mark"))
        touched = _apply(db, changes)
        for key, value in (("mark", changes.mark), ("commit", changes.commit)):
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        db.execute("COMMIT")
        return touched


def _apply(db: sqlite3.Connection, changes: Changes) -> int:
    from .rows import rows_of

    touched = 0
    if changes.complete:
        there = {change.path for change in changes.changes}
        for (path,) in db.execute("SELECT path FROM file").fetchall():
            if path not in there:
                touched += _forget(db, path)
    for change in changes.changes:
        version = change.version
        if version is None:
            touched += _forget(db, change.path)
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
        touched += _write(db, number, rows, fresh=not known)
    if len(changes.changes) >= _BULK:
        db.execute("INSERT INTO words (words) VALUES ('optimize')")
    return touched


def _write(db: sqlite3.Connection, file: int, rows: Sequence[Row], *, fresh: bool) -> int:
    """Make `rows` the rows of `file`, leaving alone those that are there already."""
    old: dict[tuple[object, ...], int] = {}
    if not fresh:
        for n, *values in db.execute(_SELECT_ROWS, (file,)).fetchall():
            old[tuple(values)] = n
    new = [row for row in dict.fromkeys(rows) if old.pop(row, None) is None]
    for n in old.values():
        _remove(db, n)
    for row in new:
        n = db.execute(_INSERT_ROW, (file, *row)).lastrowid
        db.execute(_INSERT_WORDS, (n, row.title, row.body, row.names, row.paths, row.parts, row.facets))
    return len(new) + len(old)


def _forget(db: sqlite3.Connection, path: str) -> int:
    known = db.execute("SELECT n FROM file WHERE path = ?", (path,)).fetchone()
    if known is None:
        return 0
    gone = _write(db, known[0], (), fresh=False)
    db.execute("DELETE FROM file WHERE n = ?", known)
    return gone


def _remove(db: sqlite3.Connection, n: int) -> None:
    # FTS5 keeps no copy of the text: to remove a row it has to be told what the row held.
    db.execute(_DELETE_WORDS, (n,))
    db.execute("DELETE FROM entry WHERE n = ?", (n,))


def _meta(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def _newest(
    db: sqlite3.Connection, equal: dict[str, str], span: tuple[float, float] | None, k: int
) -> list[tuple[Any, ...]]:
    columns = {"kind": "kind", "by": "by_", "room": "room"}
    where = ["moment BETWEEN ? AND ?"] if span else []
    values: list[object] = list(span or ())
    for field, value in equal.items():
        if field in columns:
            where.append(f"{columns[field]} = ?")
            values.append(clean(value))
        else:
            where.append("entry.n IN (SELECT rowid FROM words WHERE words MATCH ?)")
            values.append(f'facets : "{facet(field, value)}"')
    order = "ORDER BY moment DESC, id, entry.n LIMIT ?"
    return _fetch(db, f"{' AND '.join(where)} {order}", (*values, k))


def _best(db: sqlite3.Connection, scores: dict[int, float], terms: Sequence[str], k: int) -> list[Hit]:
    listed = "IN (SELECT value FROM json_each(?))"  # one parameter, however many rows
    keys = db.execute(f"SELECT n, moment, id FROM entry WHERE n {listed}", (str(list(scores)),))  # noqa: S608
    newest_first = ((scores[n], -(moment or 0.0), identity, n) for n, moment, identity in keys)
    chosen = [n for _, _, _, n in sorted(newest_first)[:k]]
    found = {row[0]: row for row in _fetch(db, f"entry.n {listed}", (str(chosen),))}
    return [_hit(found[n], -scores[n], terms) for n in chosen]


def _fetch(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
    """What `_hit` takes, of the entries that `where` holds for."""
    return db.execute(_SELECT_HITS + where, values).fetchall()


def _successors_first(hits: list[Hit]) -> list[Hit]:
    """`hits` with each superseded one behind the hit that took its place, if that is among them."""
    if not any(hit.superseded_by for hit in hits):
        return hits
    left = {hit.id for hit in hits}
    waiting: dict[str, list[Hit]] = {}
    out = []
    for first in hits:
        ready = [first]
        while ready:
            hit = ready.pop()
            successor = next((id for id in hit.superseded_by if id in left and id != hit.id), None)
            if successor:
                waiting.setdefault(successor, []).append(hit)
                continue
            left.discard(hit.id)
            out.append(hit)
            ready += reversed(waiting.pop(hit.id, []))
    # What a hand made supersede each other in a circle.
    return out + [hit for circle in waiting.values() for hit in circle]


def _hit(row: tuple[Any, ...], score: float | None = None, terms: Sequence[str] = ()) -> Hit:
    _, identity, kind, title, by, at, valid_from, path, version, room, status, ref, to, successors, entities, body = row
    first = next((line for line in body.splitlines() if line.strip()), "")
    shown = snippet(body, terms)
    return Hit(
        id=identity,
        kind=kind,
        title=title or _cut(" ".join(first.split()), _TITLE_CHARACTERS),
        by=by,
        at=at,
        valid_from=valid_from or None,
        path=path,
        version=version,
        score=score,
        snippet=shown,
        room=room or None,
        entities=tuple(entities.splitlines()),
        ref=ref or None,
        status=status or None,
        to=tuple(to.splitlines()),
        superseded_by=tuple(successors.splitlines()),
        whole=shown == body.strip(),
    )


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"
