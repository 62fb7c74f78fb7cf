"""The best rows for a query of several terms, by FTS5's bm25(), without scoring what cannot be among them.

MaxScore (Turtle and Flood, 1995): a term's share of a score is below a bound that its document frequency gives. Where
the k-th best of the rows with a rare term scores at least the sum of the bounds of the common terms, a row with common
terms only cannot do better, so only rows with a rare term are scored. The answer is exactly that of scoring them all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from math import log

__all__ = ["MATCHING", "WEIGHTS", "frequency", "idf_of", "top"]

WEIGHTS = (3.0, 1.0, 2.0, 1.0, 1.0, 0.0)
"""title, body, names, paths, parts, facets."""

MATCHING = f"bm25(words, {', '.join(map(str, WEIGHTS))})"
_K1 = 1.2
"""FTS5's own, and fixed there; a term's share of a score stays below its idf times k1 + 1."""

_SMALL = 2000
"""Below so many rows, scoring them all costs less than asking which of them to score."""

_MORE = 16
"""How many rows to look beyond the k-th for others with its score."""


def top(
    db: sqlite3.Connection,
    terms: list[str],
    counts: Mapping[str, int],
    total: int,
    facets: str,
    condition: str,
    values: tuple[object, ...],
    k: int,
) -> dict[int, float]:
    """Row → bm25 (lower is better) of the `k` best rows with any of `terms`, and of all that tie with the k-th.

    `counts` has the `frequency` of each term, `total` is the number of rows. `facets` is an FTS5 expression ending in
    AND, or ""; `condition` is SQL beginning with AND, or "".
    """

    def ranked(match: str) -> dict[int, float]:
        limit = k + _MORE
        while True:
            rows = db.execute(
                f"SELECT rowid, {MATCHING} AS score FROM words "  # noqa: S608 (text of ours; data are parameters)
                f"WHERE words MATCH ? {condition} ORDER BY score LIMIT ?",
                (f"{facets}({match})", *values, limit),
            ).fetchall()
            if len(rows) < limit or rows[-1][1] > rows[k - 1][1]:
                return dict(rows)
            limit *= 8

    split = _split(terms, counts, total, k)
    if split is not None:
        rare, common, bound = split
        # Rows without a common term keep the score of the first query, the others take that of the second.
        best = ranked(rare) | ranked(f"({rare}) AND ({common})")
        scores = sorted(best.values())
        if len(scores) >= k and -scores[k - 1] >= bound:
            return best
    return ranked(_any(terms))


def frequency(db: sqlite3.Connection, term: str) -> int:
    """How many rows hold `term`."""
    count: int = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (f'"{term}"',)).fetchone()[0]
    return count


def idf_of(count: int, total: int) -> float:
    """FTS5's idf of a term in `count` of `total` rows."""
    return max(1e-6, log((total - count + 0.5) / (count + 0.5)) if count < total else 0.0)


def _split(terms: list[str], counts: Mapping[str, int], total: int, k: int) -> tuple[str, str, float] | None:
    """(rare terms, common terms, what the common can add at most), or None where that promises nothing."""
    if total <= _SMALL or len(terms) < 2:
        return None
    rising = sorted((counts[term], term) for term in terms)
    idf = [idf_of(n, total) for n, _ in rising]
    for i in range(1, len(rising)):
        bound = sum(idf[i:]) * (_K1 + 1)
        if sum(n for n, _ in rising[:i]) >= k and sum(n for n, _ in rising[i:]) > _SMALL and idf[i - 1] >= bound:
            return _any([term for _, term in rising[:i]]), _any([term for _, term in rising[i:]]), bound
    return None


def _any(terms: list[str]) -> str:
    return " OR ".join(f'"{term}"' for term in terms)
