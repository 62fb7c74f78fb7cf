"""The rows that hold most of a query's terms, found without scoring the others.

Coordination level matching, weighted by idf: a row weighs what its terms do, and a rare term weighs more. Which terms a
row holds is known from the postings alone, and costs FTS5 a tenth of what a score of the row does. So those that weigh
most are found first, and only they are scored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import log

from .terms import phrase
from .within import Within

__all__ = ["MATCHING", "WEIGHTS", "frequency", "heaviest", "holding", "idf_of", "shares", "shares_among"]

WEIGHTS = (3.0, 1.0, 2.0, 1.0, 1.0, 0.0)
"""title, body, names, paths, parts, facets."""

MATCHING = f"bm25(words, {', '.join(map(str, WEIGHTS))})"
_K1 = 1.2
"""FTS5's own, and fixed there; a term's part of a score stays below its idf times k1 + 1."""

_TOGETHER = ((4, 4), (8, 2))
"""(up to so many terms, by how many of them at once rows are told apart): expressions grow with the power of it."""

_GUESSED = 6
"""For so many of the rarest terms it is guessed how many rows hold which of them."""

_STEP = 8
"""How many times more rows to look for where those that weigh most were too few."""

_Weighed = Sequence[tuple[float, str]]
"""(idf, term), the rarest first."""


def heaviest(
    db: sqlite3.Connection,
    counts: Mapping[str, int],
    total: int,
    allowed: int,
    within: Within,
    wanted: int,
) -> list[int]:
    """`wanted` of the rows that hold terms of `counts`, or more, those that weigh most and some others; else all.

    `counts` has the `frequency` of each term, `total` is the number of rows and `allowed` of those for which the facets
    of `within` hold.
    """
    terms = sorted(((idf_of(count, total), term) for term, count in counts.items()), reverse=True)
    rows: list[int] = []
    condition = within.condition(db)
    for need in _levels(terms, counts, total, wanted * total / max(allowed, 1)):
        found = db.execute(
            f"SELECT rowid FROM words WHERE words MATCH ? {condition}",  # noqa: S608 (text of ours; data are parameters)
            (within.match(_reaching(terms, need)), *within.values),
        )
        rows = [n for (n,) in found]
        if len(rows) >= wanted:
            break
    return rows


def shares(
    db: sqlite3.Connection, term: str, idf: float, rows: Collection[int] | None, facets: str = ""
) -> dict[int, float]:
    """Row → how much it is about `term`, from 0 to 1: BM25F's share of it without the `idf`.

    Of `rows`, or where they are None of all; only where `facets` hold (as in `Within`), which has no part in it.
    """
    where, values = "", [facets + phrase(term)]
    if rows is not None:
        where = "AND +rowid IN (SELECT value FROM json_each(?))"
        values.append(str(list(rows)))
    scored = db.execute(f"SELECT rowid, {MATCHING} FROM words WHERE words MATCH ? {where}", values)  # noqa: S608
    unit = -1 / (idf * (_K1 + 1))
    return {n: min(1.0, score * unit) for n, score in scored}  # a rare form of a word weighs more than the word


def shares_among(
    db: sqlite3.Connection, idf: Mapping[str, float], rows: Sequence[int], narrow: Mapping[str, str]
) -> dict[str, dict[int, float]]:
    """Term → the `shares` of it in `rows`, each of which holds one of the terms.

    `narrow` has facets for some terms, which hold for all of `rows` and for fewer rows than have the term. The postings
    of a common term are long. Once all of `rows` hold a rarer one, only what is in both is gone through: a score is a
    sum, and the part of the rarer ones is known.
    """
    found: dict[str, dict[int, float]] = {}
    scores: dict[int, float] = {}
    rarer: list[str] = []
    for term in sorted(idf, key=lambda term: -idf[term]):
        facets = narrow.get(term, "")
        most = idf[term] * (_K1 + 1)
        if not rarer or len(scores) < len(rows):
            found[term] = shares(db, term, idf[term], rows, facets)
            for n, share in found[term].items():
                scores[n] = scores.get(n, 0.0) + share * most
            rarer.append(term)
        else:
            both = db.execute(
                f"SELECT rowid, {MATCHING} FROM words "  # noqa: S608 (text of ours)
                "WHERE words MATCH ? AND +rowid IN (SELECT value FROM json_each(?))",
                (f"{facets}{phrase(term)} AND ({_any(rarer)})", str(rows)),
            )
            found[term] = {n: min(1.0, max(0.0, -score - scores[n]) / most) for n, score in both}
    return found


def holding(db: sqlite3.Connection, facets: str, most: int) -> int:
    """For how many rows `facets` hold (as in `Within`); counts up to `most`."""
    count: int = db.execute(
        "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)", (facets.removesuffix(" AND "), most)
    ).fetchone()[0]
    return count


def frequency(db: sqlite3.Connection, term: str) -> int:
    """How many rows hold `term`."""
    count: int = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (phrase(term),)).fetchone()[0]
    return count


def idf_of(count: int, total: int) -> float:
    """FTS5's idf of a term in `count` of `total` rows."""
    return max(1e-6, log((total - count + 0.5) / (count + 0.5)) if count < total else 0.0)


def _levels(terms: _Weighed, counts: Mapping[str, int], total: int, wanted: float) -> Iterator[float]:
    """Falling sums of idf, the first for `wanted` rows, as is guessed, each other for _STEP times as many."""
    sets = [(0.0, float(total))]
    for idf, term in terms[:_GUESSED]:
        part = counts[term] / total
        # As if who holds one term held another no more often than others do.
        sets = [one for sum_, n in sets for one in ((sum_, n * (1 - part)), (sum_ + idf, n * part))]
    aim, rows = wanted, 0.0
    for sum_, n in sorted(sets, reverse=True):
        rows += n
        if sum_ and rows >= aim:
            yield sum_ - 1e-9
            aim = rows * _STEP
    yield 0.0


def _reaching(terms: _Weighed, need: float) -> str:
    """An expression for the rows whose terms weigh `need` at least; it may hold for some that weigh less."""
    left = [*accumulate((idf for idf, _ in reversed(terms)), initial=0.0)][::-1]
    together = next((size for most, size in _TOGETHER if len(terms) <= most), 1)

    def reaching(start: int, need: float, together: int) -> str:
        parts = []
        for place, (idf, term) in enumerate(terms[start:], start):
            if left[place] < need:
                break
            if idf >= need or together == 1:
                parts.append(phrase(term))
            else:
                parts.append(f"({phrase(term)} AND ({reaching(place + 1, need - idf, together - 1)}))")
        return " OR ".join(parts)

    return reaching(0, need, together)


def _any(terms: Iterable[str]) -> str:
    return " OR ".join(map(phrase, terms))
