"""Where the terms of a question match: in entries, around them, and in the streams that they are part of.

Every row that holds a term is looked at as long as those are few. Where they are many, the best by BM25 are, with
those who stand beside them.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection
from math import log
from typing import NamedTuple

from .maxscore import MATCHING, frequency, idf_of, top
from .streams import STREAM_BITS

__all__ = ["DECAY", "POOL", "Matches", "Term", "match"]

DECAY = (1.0, 0.7, 0.5, 0.35)
"""What a match one, two, three places away counts."""

POOL = 100
"""How many of the best by BM25 are looked at more closely, where rows are many."""

_FEW = 2000
_FEW_FOR_WORDS = 300
"""The same where no question is asked: what stands beside a match then is no hit."""
_CLOSE = 600
"""Of how many rows all features are looked at; others follow in the order of the matches around them."""
_REACH = len(DECAY) - 1
_K1 = 1.2


class Term(NamedTuple):
    """One term of a question."""

    text: str
    idf: float
    rows: dict[int, float]
    """Row → how much it is about the term, from 0 to 1: BM25F's share of it without the idf."""


class Matches:
    """The matches of `terms`. `pool` are the rows to rank, of which `order` has those to be listed as BM25 has them."""

    def __init__(
        self, terms: list[Term], pool: Collection[int], spots: dict[int, int], order: list[int], absent: float
    ) -> None:
        self.terms = terms
        self.spots = spots
        self.order = order
        self.pool = list(pool)
        self.total = sum(term.idf for term in terms) or 1.0
        self.known = self.total / (self.total + absent)
        """The idf-weighted share of the question's terms that any entry holds; `absent` is the idf of the others."""
        self.own: dict[int, float] = defaultdict(float)
        """Row → the idf-weighted mean of its matches."""
        self.cover: dict[int, float] = defaultdict(float)
        """Row → the idf-weighted share of terms that it holds."""
        for term in terms:
            share = term.idf / self.total
            for n, value in term.rows.items():
                self.own[n] += share * value
                self.cover[n] += share
        self.at = {spot: n for n, spot in spots.items()}
        self._windows = self._around()

    def window(self, n: int) -> tuple[float, float]:
        """(matches, cover) of the row with those around it: for each term the best, less with the distance."""
        cells = self._windows.get(self.spots.get(n, -1))
        if cells is None:
            return self.own.get(n, 0.0), self.cover.get(n, 0.0)
        return cells

    def beside(self, n: int, distance: int) -> int | None:
        """The row that stands `distance` places further on in the stream of `n`."""
        spot = self.spots.get(n)
        return None if spot is None else self.at.get(spot + distance)

    def streams(self) -> dict[int, float]:
        """Stream → how much it is about the question, as one text."""
        sums: list[dict[int, float]] = []
        for term in self.terms:
            found: dict[int, float] = defaultdict(float)
            for n, value in term.rows.items():
                if n in self.spots:
                    found[self.spots[n] >> STREAM_BITS] += value
            sums.append(found)
        number = len({spot >> STREAM_BITS for spot in self.spots.values()})
        weights = [log(1 + (number - len(found) + 0.5) / (len(found) + 0.5)) for found in sums]
        total = sum(weights) or 1.0
        out: dict[int, float] = defaultdict(float)
        for found, weight in zip(sums, weights, strict=True):
            for stream, value in found.items():
                out[stream] += weight / total * value / (value + 0.5)
        return out

    def _around(self) -> dict[int, tuple[float, float]]:
        matches: dict[int, float] = defaultdict(float)
        covers: dict[int, float] = defaultdict(float)
        for term in self.terms:
            best: dict[int, float] = {}
            nearest: dict[int, float] = {}
            for n, value in term.rows.items():
                spot = self.spots.get(n)
                if spot is None:
                    continue
                for distance in range(-_REACH, _REACH + 1):
                    decay = DECAY[abs(distance)]
                    here = spot + distance
                    if decay * value > best.get(here, 0.0):
                        best[here] = decay * value
                    if decay > nearest.get(here, 0.0):
                        nearest[here] = decay
            share = term.idf / self.total
            for spot, value in best.items():
                matches[spot] += share * value
                covers[spot] += share * nearest[spot]
        return {spot: (value, covers[spot]) for spot, value in matches.items()}


def match(
    db: sqlite3.Connection,
    terms: list[str],
    total: int,
    facets: str,
    within: str,
    values: tuple[object, ...],
    k: int,
    *,
    context: bool,
) -> Matches:
    """The matches of `terms` among those of the `total` entries that `facets` and `within` (see maxscore.top) hold for.

    With `context`, what only stands beside a match is in the pool too.
    """
    counts = {term: frequency(db, term) for term in terms}
    known = [term for term in terms if counts[term]]
    weights = {term: idf_of(counts[term], total) for term in known}
    order: list[int] = []
    if sum(counts.values()) <= (_FEW if context else _FEW_FOR_WORDS):
        found = [Term(term, _weight(counts[term], total), _rows(db, term, weights[term], None)) for term in known]
        spots = _spots(db, {n for term in found for n in term.rows})
        pool = {n for term in found for n in term.rows}
    else:
        best = top(db, known, counts, total, facets, within, values, max(k, POOL))
        order = _ordered(db, best)
        pool = set(order[:POOL])
        region = pool | set(_neighbours(db, _spots(db, pool), 2 * _REACH).values())
        found = [Term(term, _weight(counts[term], total), _rows(db, term, weights[term], region)) for term in known]
        spots = _spots(db, region)
    if context:
        here = {n: spots[n] for n in pool if n in spots}
        beside = _neighbours(db, here, _REACH)
        spots |= {n: spot for spot, n in beside.items()}
        pool |= set(beside.values())
    if facets or within:
        pool = _allowed(db, pool, facets, within, values)
    absent = sum(_weight(0, total) for term in terms if not counts[term])
    matches = Matches(found, pool, spots, order, absent)
    if len(pool) > _CLOSE and not order:
        matches.order = _ordered(db, {n: -matches.window(n)[0] for n in pool})
        matches.pool = matches.order[:_CLOSE]
    return matches


def _ordered(db: sqlite3.Connection, scores: dict[int, float]) -> list[int]:
    """Rows by score (lower is better); ties newest first, then by id."""
    keys = db.execute(
        "SELECT n, moment, id FROM entry WHERE n IN (SELECT value FROM json_each(?))", (str(list(scores)),)
    )
    best = sorted((round(scores[n], 9), -(moment or 0.0), id, n) for n, moment, id in keys)
    return [n for _, _, _, n in best]


def _weight(count: int, total: int) -> float:
    """A term's idf, never negative."""
    return log(1 + (total - count + 0.5) / (count + 0.5))


def _rows(db: sqlite3.Connection, term: str, idf: float, region: Collection[int] | None) -> dict[int, float]:
    where, values = "", [f'"{term}"']
    if region is not None:
        where = "AND +rowid IN (SELECT value FROM json_each(?))"
        values.append(str(list(region)))
    scored = db.execute(f"SELECT rowid, {MATCHING} FROM words WHERE words MATCH ? {where}", values)  # noqa: S608
    unit = -1 / (idf * (_K1 + 1))
    return {n: score * unit for n, score in scored}


def _spots(db: sqlite3.Connection, rows: Collection[int]) -> dict[int, int]:
    return dict(db.execute("SELECT n, spot FROM place WHERE n IN (SELECT value FROM json_each(?))", (str(list(rows)),)))


def _neighbours(db: sqlite3.Connection, spots: dict[int, int], reach: int) -> dict[int, int]:
    """Spot → row of all that stand up to `reach` places from one of `spots`, those included."""
    wanted = sorted({spot + distance for spot in spots.values() for distance in range(-reach, reach + 1)})
    return dict(db.execute("SELECT spot, n FROM place WHERE spot IN (SELECT value FROM json_each(?))", (str(wanted),)))


def _allowed(
    db: sqlite3.Connection, rows: Collection[int], facets: str, within: str, values: tuple[object, ...]
) -> set[int]:
    listed = "IN (SELECT value FROM json_each(?))"
    given = str(list(rows))
    if not facets:
        return {
            n
            for (n,) in db.execute(
                f"SELECT n FROM (SELECT n AS rowid, n FROM entry WHERE n {listed}) WHERE true {within}",  # noqa: S608
                (given, *values),
            )
        }
    match = facets.removesuffix(" AND ")
    return {
        n
        for (n,) in db.execute(
            f"SELECT rowid FROM words WHERE words MATCH ? AND +rowid {listed} {within}",  # noqa: S608
            (match, given, *values),
        )
    }
