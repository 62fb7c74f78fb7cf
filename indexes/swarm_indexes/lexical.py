"""Lexical search over the ledger: SQLite FTS5 with BM25F, stemmed, brought up to date by the search itself.

The index is one file derived from the ledger. It notes the commit that it reflects, so a search after a write
takes in what changed since, and any process sees every write that was acknowledged before it asked. A query
imports light modules of the standard library only, and alone what ranks: most commands count, or look up. YAML is read
when entries are taken in.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial, reduce
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput

from .filters import EVERYTHING, Filters
from .hits import Hit, fetch, successors_first, to_hit
from .indexfile import IndexFile
from .tables import APPLICATION, SCHEMA, VERSION, meta
from .terms import clean, facet, facet_values, query_terms
from .within import Within, passing

if TYPE_CHECKING:
    from swarm_ledger.store import Store

    from .embedder import Embedder
    from .features import Columns
    from .matches import Matches
    from .meaning import Meanings
    from .question import Question
    from .ranking import Weights

    _Features = tuple[list[tuple[str, str]], Columns, Callable[[Sequence[float]], Columns]]

__all__ = ["TERMS", "Filters", "Fts5Index", "Hit"]

_T = TypeVar("_T")

TERMS = 64
"""How many distinct terms of a query are searched for; `Fts5Index.terms_left_out` counts the others."""

_MENTIONING = 1000
"""How many entries that mention an entity tell what stands beside it."""


class Fts5Index:
    """The index of `store` in the file `path`, for the threads of a process. Other processes may use the file too."""

    def __init__(
        self,
        path: str,
        store: Store,
        env: Env | None = None,
        model: Weights | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """`model` ranks instead of the weights that come with the package.

        With an `embedder`, what an entry means counts too; its vectors are kept beside the file.
        """
        self._store = store
        self._model = model
        self._env = env or Env()
        self._embedder = embedder
        self._meanings: Meanings | None = None
        self._directory = os.path.dirname(os.path.abspath(path))
        self._file = IndexFile(path, SCHEMA, APPLICATION, VERSION, self._env)
        self.progress: Callable[[int, int], None] = lambda done, total: None
        """Told (files taken in, or texts embedded, of how many) now and then while there are many."""
        self.terms_left_out = 0
        """How many distinct terms of the last query were beyond `TERMS` and not searched for."""

    @property
    def rebuilt(self) -> str:
        """Why this object made the file anew: "missing", "foreign" or "damaged"; "" if it did not."""
        return self._file.rebuilt

    def catch_up(self) -> int:
        """Take in what the ledger holds by now; the number of entries that were written or removed for it.

        One process at a time; in one transaction, unless it is much. Then what was taken in stays when the process
        dies, and nobody searches before the rest has followed. Raises Busy, StorageError, and what the store raises.
        """
        return self._file.run(self._catch_up)

    def reindex(self) -> int:
        """Build the index from nothing; the number of entries in it. Until it is built, the old one answers.

        Goes on with what a process that died had built. Raises Busy where another process is at it.
        """
        with self._file.rebuilding() as path:
            fresh = Fts5Index(path, self._store, self._env)
            fresh.progress = self.progress
            try:
                fresh.catch_up()
                entries = fresh._file.run(lambda db: int(meta(db, "entries") or 0))
            finally:
                fresh.close()
        if self._embedder:
            self._up_to_date(self._take_in_meanings)
        return entries

    def search(self, query: str, filters: Filters = EVERYTHING, *, k: int = 10) -> list[Hit]:
        """The `k` best entries for `query`, best first; ties newest first, then by id.

        Each has one of the query's terms, or mentions what the best of those mention; where the query is a question,
        it may stand beside one that has. An entry that was superseded comes behind the hit that took its place.
        Without a term (nothing but stop words) the filters, or a time that the query speaks of, decide alone, newest
        first; so does such a time where no word matches. A query in the query language (see syntax.is_formal and
        `language`) has conditions of its own. Raises BadInput where there is neither, or where that language has no
        such time or value, and what `catch_up` and the embedder raise.
        """
        if k < 1:
            raise BadInput(f"k: {k} is not a number of hits; ask for 1 or more.")
        equal, span = filters.equal(), filters.span()
        k = min(k, 1 << 30)
        worded = bool(query_terms(query, 1)[0])  # else nothing ranks, and no model needs to be loaded

        def work(db: sqlite3.Connection) -> list[Hit]:
            if worded:
                self._take_in_meanings(db)
            db.execute("BEGIN")  # one state for the ranking and for what is shown of it
            if worded:
                self._take_in_meanings(db)  # what was written meanwhile
            words, formal, bare = _parsed(db, query, self._env.now())
            question = _understood(db, words, self._env.now())
            self.terms_left_out = question.left_out
            conditions = {field: _condition(db, field, *values) for field, values in equal.items()}
            facets = "".join(f"{condition} AND " for condition in conditions.values())
            within = _during(formal, span)._replace(facets=facets)
            hits = self._ranked(db, words, question, within, span, k) if question.terms else []
            if not hits and (question.spans or not question.terms):
                if not span and question.spans:
                    within = _during(within, question.spans[0])
                if not equal and not within.whole()[0]:
                    raise BadInput("nothing to search for: give a word that is not a stop word, or a filter.")
                hits = [to_hit(row) for row in _newest(db, equal, conditions, within, k)]
            elif not bare and len(hits) < k:
                there = {hit.id for hit in hits}  # (cache OR kind:log) holds for logs without the word too
                more = _newest(db, equal, conditions, within, k + len(there))
                hits += [to_hit(row) for row in more if row[1] not in there][: k - len(hits)]
            db.execute("COMMIT")
            return hits

        return successors_first(self._up_to_date(work))

    def did_you_mean(self, query: str) -> str | None:
        """`query` with each word that no entry holds replaced by the nearest that one does; None where none is near."""
        from .spelling import respelt

        return self._up_to_date(lambda db: respelt(db, clean(query)))

    def features(self, query: str) -> _Features:
        """(room, ref) and the features of what is looked at closely for `query`, in no order, and what gives, for
        their values, the features of the second look: to fit weights."""
        from .ranking import featured, second

        def work(db: sqlite3.Connection) -> _Features:
            self._take_in_meanings(db)
            question = _understood(db, query, self._env.now())
            matches = self._matches(db, query, question, Within(), 1)
            close = featured(db, question, matches, self._weights().features)
            said = {row[0]: (row[9], row[11]) for row in fetch(db, "true", ())} if close.rows else {}
            return [said[row.n] for row in close.rows], close.columns, partial(second, question, matches, close)

        return self._up_to_date(work)

    def get(self, entry_id: str) -> Hit | None:
        """The entry with this id, or None; the place of a log entry is known only here."""
        rows = self._up_to_date(lambda db: fetch(db, "id = ? ORDER BY path LIMIT 1", (clean(entry_id),)))
        return to_hit(rows[0]) if rows else None

    def beside(self, entity: str) -> list[tuple[str, int]]:
        """What else is mentioned in the newest 1,000 entries that mention `entity`, with in how many; the most first.

        An id where one is listed, else as the text has it, in small letters; ties in alphabetical order.
        """
        from .mentions import together

        value = entity.casefold()

        def work(db: sqlite3.Connection) -> list[tuple[str, int]]:
            rows = db.execute(
                "SELECT facets FROM entry WHERE n IN (SELECT rowid FROM words WHERE words MATCH ?) "
                "ORDER BY moment DESC, id LIMIT ?",
                (_condition(db, "entity", value), _MENTIONING),
            )
            return together([facet_values("entity", facets) for (facets,) in rows], value)

        return self._up_to_date(work)

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
        if self._meanings:
            self._meanings.close()

    def _up_to_date(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def caught_up(db: sqlite3.Connection) -> _T:
            self._catch_up(db)  # inside, because the file may be made anew in between
            return work(db)

        return self._file.run(caught_up)

    def _ranked(
        self,
        db: sqlite3.Connection,
        words: str,
        question: Question,
        within: Within,
        span: tuple[float, float] | None,
        k: int,
    ) -> list[Hit]:
        from .hop import SEEDS, hops
        from .matches import best
        from .ranking import rank

        matches = self._matches(db, words, question, within, k)
        seeds = best(db, {n: -matches.own[n] for n in matches.pool if n in matches.own}, SEEDS)[:SEEDS]
        held = hops(db, seeds, span, lambda rows: passing(db, rows, within))
        ranked = rank(db, question, matches, held, k, self._weights())
        listed = "entry.n IN (SELECT value FROM json_each(?))"  # one parameter, however many rows
        found = {row[0]: row for row in fetch(db, listed, (str([one.n for one in ranked]),))}
        return [to_hit(found[one.n], one.score, question.terms, one.shares) for one in ranked]

    def _matches(
        self,
        db: sqlite3.Connection,
        words: str,
        question: Question,
        within: Within,
        k: int,
    ) -> Matches:
        from .matches import match

        return match(
            db,
            question.terms,
            int(meta(db, "entries") or 0),
            within,
            k,
            context=question.asks,
            spans=question.spans,
            author=question.subject,
            near=self._meanings.near(words) if self._meanings else None,
        )

    def _weights(self) -> Weights:
        from .ranking import weights

        return self._model or weights(self._embedder is not None)

    def _take_in_meanings(self, db: sqlite3.Connection) -> None:
        """Where there is an embedder, have what it makes of every entry."""
        if self._embedder is None:
            return
        if self._meanings is None:
            from .meaning import Meanings

            self._meanings = Meanings(self._directory, self._embedder, self._env)
        self._meanings.progress = self.progress
        self._meanings.take_in(db)

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
        if meta(db, "commit") == tip:
            return 0
        with self._file.writing() as alone:
            db.execute("BEGIN IMMEDIATE")
            if meta(db, "commit") == tip:
                db.execute("ROLLBACK")  # another process took it in while this one waited
                return 0
            changes = self._store.changes(meta(db, "mark"))
            from .intake import BULK, drop_missing, merge, take_in

            total = len(changes.changes)
            if total >= BULK:
                alone()
            touched = drop_missing(db, changes)
            for start in range(0, total, BULK):
                if start:
                    # What is there stays there, whatever becomes of this process: the mark is not moved, and what
                    # was taken in is known by its version when the same changes come again.
                    db.execute("COMMIT")
                    self.progress(start, total)
                    db.execute("BEGIN IMMEDIATE")
                touched += take_in(db, changes.changes[start : start + BULK])
            if total >= BULK:
                merge(db)
            for key, value in (("mark", changes.mark), ("commit", changes.commit)):
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            db.execute("COMMIT")
            if total >= BULK:
                self.progress(total, total)
        return touched


def _condition(db: sqlite3.Connection, field: str, *values: str) -> str:
    """The FTS5 expression for `field` = one of `values`; an entity is also what of its type went by its name."""
    tokens = [facet(field, value) for value in values]
    for value in values if field == "entity" else ():
        kind, _, slug = value.removeprefix("entity-").partition("-") if value.startswith("entity-") else ("", "", value)
        pages = db.execute(
            "SELECT id FROM entry WHERE n IN (SELECT rowid FROM words WHERE words MATCH ?) ORDER BY id",
            (f'facets : "{facet("alias", slug)}"',),
        )
        of_kind = f"entity-{kind}-" if kind else ""
        if kind == "file":  # what a text mentions, or cites, as a path
            tokens.append(facet(field, slug))
        tokens += [facet(field, id) for (id,) in pages if id.startswith(of_kind)]
    listed = " OR ".join(f'"{token}"' for token in dict.fromkeys(tokens))
    return f"facets : ({listed})"


def _during(within: Within, span: tuple[float, float] | None) -> Within:
    return within.plus("moment BETWEEN ? AND ?", span) if span else within


def _parsed(db: sqlite3.Connection, query: str, now: float) -> tuple[str, Within, bool]:
    """The words of `query`, its conditions where it is in the query language, and whether a hit needs a word."""
    from .syntax import is_formal

    if not is_formal(query):
        return query, Within(), True
    from .language import parse

    found = parse(clean(query), now, db, lambda field, value: _condition(db, field, value.casefold()))
    return found.words, found.within, found.bare


def _newest(
    db: sqlite3.Connection,
    equal: dict[str, tuple[str, ...]],
    conditions: dict[str, str],
    within: Within,
    k: int,
) -> list[tuple[Any, ...]]:
    columns = {"kind": "kind", "by": "by_"}
    given = Within(*within.whole())
    for field, condition in conditions.items():
        if field not in columns:
            given = given.plus("entry.n IN (SELECT rowid FROM words WHERE words MATCH ?)", (condition,))
    # SQLite has the newest of one kind or agent in order; those of several it would sort, however many there are.
    lists = [[(f"{columns[f]} = ?", (clean(one),)) for one in equal[f]] for f in columns if f in equal]
    wheres = [reduce(lambda found, one: found.plus(*one), some, given) for some in product(*lists)]
    order = "ORDER BY moment DESC, id, entry.n LIMIT ?"
    if len(wheres) > 1:
        listed = (db.execute(f"SELECT n FROM entry WHERE {one.sql} {order}", (*one.values, k)) for one in wheres)  # noqa: S608 (text of ours)
        rows = [n for found in listed for (n,) in found]
        wheres = [Within("entry.n IN (SELECT value FROM json_each(?))", (str(rows),))]
    return fetch(db, f"{wheres[0].sql} {order}", (*wheres[0].values, k))


def _understood(db: sqlite3.Connection, query: str, now: float) -> Question:
    from .question import understand

    # One each: of the two together SQLite would scan the index.
    first, last = db.execute("SELECT (SELECT min(moment) FROM entry), (SELECT max(moment) FROM entry)").fetchone()
    years = None
    if first is not None:
        try:
            years = datetime.fromtimestamp(first, UTC).year, datetime.fromtimestamp(last, UTC).year
        except (ValueError, OverflowError):
            years = None
    return understand(query, TERMS, _authors(db), now, years)


def _authors(db: sqlite3.Connection) -> list[str]:
    """Who wrote entries, by as many steps in the index as there are authors."""
    return [
        name
        for (name,) in db.execute(
            "WITH RECURSIVE author (name) AS (SELECT min(by_) FROM entry UNION ALL SELECT "
            "(SELECT min(by_) FROM entry WHERE by_ > name) FROM author WHERE name IS NOT NULL) "
            "SELECT name FROM author WHERE name <> ''"
        )
    ]
