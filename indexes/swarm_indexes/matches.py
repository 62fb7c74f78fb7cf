"""Where the terms of a question match: in entries, around them, and in the streams that they are part of.

Every row that holds a term is looked at as long as those are few. Where they are many, those are that hold most of the
rare terms; of them the best by BM25, with those who stand beside them.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection
from math import log
from typing import TYPE_CHECKING, NamedTuple

from .coordination import frequency, heaviest, holding, idf_of, shares, shares_among
from .dates import Span
from .streams import STREAM_BITS
from .tables import RANKED
from .within import Within, passing

if TYPE_CHECKING:
    from .meaning import Near

__all__ = ["DECAY", "POOL", "Matches", "Term", "best", "match"]

DECAY = (1.0, 0.7, 0.5, 0.35, 0.25)
"""What a match one, two, three, four places away counts."""

_UPTO = (1.0, 0.8, 0.6, 0.4, 0.25)
"""The same of what stands before."""

POOL = 100
"""How many of the best by BM25 are looked at more closely, where rows are many."""

_POOL_FOR_WORDS = 50
"""The same where no question is asked: what stands around a match then moves it by less."""

_HEAVY = 150
"""Of so many that weigh most by their terms, or a few more, the best by BM25 are taken, where rows are many.

The first ten are then those that a look at every row gives.
"""

_EVEN = 0.7
"""The exponent of a match: under 1, a long text that holds a term counts more beside a short one than BM25F has it."""

_NARROW = 20_000
"""A filter that fewer rows pass is cheaper inside the query for each term than beside it."""

_FEW = 1000
_FEW_FOR_WORDS = 300
"""The same where no question is asked: what stands beside a match then is no hit."""
_CLOSE = 400
"""Of how many rows, or those that tie, all features are looked at; others follow by the matches around them."""
_REACH = len(DECAY) - 1
_NEAREST = 20
"""How many of the rows that are nearest to a question in meaning are looked at whatever their words."""
_DATED, _AUTHORED = 100, 400
"""How many rows of a time that a question speaks of, and by the agent whom it names, are looked at at most."""


class Term(NamedTuple):
    """One term of a question."""

    text: str
    idf: float
    rows: dict[int, float]
    """Row → how much it is about the term, from 0 to 1: BM25F's share of it without the idf, to the power of _EVEN."""


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
        self.near: Near | None = None
        """How near the rows are to the question in meaning, where there is an embedder."""
        self._windows, self._upto = self._around()

    def window(self, n: int) -> tuple[float, float]:
        """(matches, cover) of the row with those around it: for each term the best, less with the distance."""
        cells = self._windows.get(self.spots.get(n, -1))
        if cells is None:
            return self.own.get(n, 0.0), self.cover.get(n, 0.0)
        return cells

    def upto(self, n: int) -> float:
        """The share of terms that the row holds or one before it, less with the distance."""
        return self._upto.get(self.spots.get(n, -1), self.cover.get(n, 0.0))

    def beside(self, n: int, distance: int) -> int | None:
        """The row that stands `distance` places further on in the stream of `n`."""
        spot = self.spots.get(n)
        return None if spot is None else self.at.get(spot + distance)

    def around(self, rows: Collection[int]) -> dict[int, float]:
        """Spot → how well those of `rows` match that stand up to four places away."""
        out: dict[int, float] = defaultdict(float)
        for term in self.terms:
            here = [(self.spots[n], value) for n, value in term.rows.items() if n in rows and n in self.spots]
            for spot, value in _reaching(here).items():
                out[spot] += term.idf / self.total * value
        return out

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

    def _around(self) -> tuple[dict[int, tuple[float, float]], dict[int, float]]:
        matches: dict[int, float] = defaultdict(float)
        upto: dict[int, float] = defaultdict(float)
        covers: dict[int, float] = defaultdict(float)
        for term in self.terms if self.spots else ():
            here = [(self.spots[n], value) for n, value in term.rows.items() if n in self.spots]
            nearest: dict[int, float] = {}
            behind: dict[int, float] = {}
            for distance in range(_REACH, -1, -1):  # what is nearer overrides
                decay = DECAY[distance]
                for step in {distance, -distance}:
                    places = [spot + step for spot, _ in here]
                    nearest.update(dict.fromkeys(places, decay))
                    if step >= 0:
                        behind.update(dict.fromkeys(places, _UPTO[distance]))
            share = term.idf / self.total
            for spot, value in _reaching(here).items():
                matches[spot] += share * value
                covers[spot] += share * nearest[spot]
            for spot, value in behind.items():
                upto[spot] += share * value
        return {spot: (value, covers[spot]) for spot, value in matches.items()}, upto


def match(
    db: sqlite3.Connection,
    terms: list[str],
    total: int,
    within: Within,
    k: int,
    *,
    context: bool,
    spans: Collection[Span] = (),
    author: str = "",
    near: Near | None = None,
) -> Matches:
    """The matches of `terms` among those of the `total` entries for which `within` holds.

    With `context`, what only stands beside a match is in the pool too, and what is of the times of
    `spans`, by `author` or `near` to the question in meaning.
    """
    counts = {term: frequency(db, term) for term in terms}
    known = {term: count for term, count in counts.items() if count}
    idf = {term: idf_of(count, total) for term, count in known.items()}
    order: list[int] = []
    nearest: set[int] = set()
    if sum(counts.values()) <= (_FEW if context else _FEW_FOR_WORDS):
        rows = {term: shares(db, term, idf[term], None) for term in known}
        pool = {n for found in rows.values() for n in found}
        unsure = pool  # whether the filters hold for them
        spots = _spots(db, pool)
    else:
        few = holding(db, within.facets, _NARROW) if within.facets else _NARROW
        allowed = few if few < _NARROW else total
        narrow = {term: within.facets for term, count in known.items() if allowed < count}
        heavy = heaviest(db, known, total, allowed, within, max(k, _HEAVY))
        rows = shares_among(db, idf, heavy, narrow)
        size = POOL if context else _POOL_FOR_WORDS
        order = _best(db, rows, idf, max(k, size))
        pool, unsure = set(order[:size]), set()
        spots = _spots(db, pool)
        spots |= {n: spot for spot, n in _neighbours(db, spots, 2 * _REACH if context else _REACH).items()}
        region = pool | spots.keys()
        beyond = region.difference(heavy)
        for term, found in rows.items():
            rows[term] = {n: value for n, value in found.items() if n in region}
            if beyond:
                rows[term] |= shares(db, term, idf[term], beyond)
    if context:
        beside = _neighbours(db, {n: spots[n] for n in pool if n in spots}, _REACH)
        spots |= {n: spot for spot, n in beside.items()}
        if near:
            nearest = _nearest(db, near, within)
        then = _during(db, spans) | _by(db, author) | nearest
        spots |= _spots(db, then)
        unsure = unsure | (set(beside.values()) | then) - pool
        pool = pool | unsure
        spots |= _previous(db, spots)
    if unsure and any(within):
        pool = pool - unsure | passing(db, unsure, within)
    absent = sum(_weight(0, total) for term in terms if not counts[term])
    matched = [
        Term(term, _weight(count, total), {n: share**_EVEN for n, share in rows[term].items()})
        for term, count in known.items()
    ]
    matches = Matches(matched, pool, spots, order, absent)
    matches.near = near
    if len(pool) > _CLOSE and not order:
        scores = {n: -matches.window(n)[0] for n in pool}
        matches.pool = list(_lowest(scores, _CLOSE).keys() | nearest & pool)
        if k > _CLOSE:
            matches.order = _ordered(db, scores)
    return matches


def _reaching(here: Collection[tuple[int, float]]) -> dict[int, float]:
    """Spot → the best of the matches `here`, each with its spot, that stand up to four places away."""
    best: dict[int, float] = {}
    for distance, decay in enumerate(DECAY):
        for step in {distance, -distance}:
            for spot, value in here:
                if decay * value > best.get(spot + step, 0.0):
                    best[spot + step] = decay * value
    return best


def _during(db: sqlite3.Connection, spans: Collection[Span]) -> set[int]:
    """The newest rows of the times of `spans`, which are answers whatever their words."""
    listed = "SELECT n FROM entry WHERE moment >= ? AND moment < ? ORDER BY moment DESC, n LIMIT ?"
    return {n for low, high in spans for (n,) in db.execute(listed, (low, high, _DATED))}


def _by(db: sqlite3.Connection, author: str) -> set[int]:
    """The newest rows by `author`."""
    listed = "SELECT n FROM entry WHERE by_ = ? ORDER BY moment DESC, n LIMIT ?"
    return {n for (n,) in db.execute(listed, (author, _AUTHORED))} if author else set()


def _nearest(db: sqlite3.Connection, near: Near, within: Within) -> set[int]:
    """The rows nearest in meaning of those for which `within` holds."""
    found: list[int] = []
    for part in near.nearest():
        held = passing(db, part, within) if any(within) else set(part)
        found += (n for n in part if n in held)
        if len(found) >= _NEAREST:
            break
    return set(found[:_NEAREST])


def _best(db: sqlite3.Connection, rows: dict[str, dict[int, float]], idf: dict[str, float], k: int) -> list[int]:
    """The `k` best of `rows` by BM25, and those that tie with the last."""
    scores: dict[int, float] = defaultdict(float)
    for term, found in rows.items():
        for n, value in found.items():
            scores[n] -= idf[term] * value
    return best(db, scores, k)


def best(db: sqlite3.Connection, scores: dict[int, float], k: int) -> list[int]:
    """The `k` best rows by score (lower is better), and those that tie with the last."""
    return _ordered(db, _lowest(scores, k))


def _lowest(scores: dict[int, float], k: int) -> dict[int, float]:
    """The `k` lowest of `scores`, and those that tie with the last."""
    if len(scores) <= k:
        return scores
    last = sorted(scores.values())[k - 1] + 1e-9
    return {n: score for n, score in scores.items() if score <= last}


def _ordered(db: sqlite3.Connection, scores: dict[int, float]) -> list[int]:
    """Rows by score (lower is better); ties newest first, then by id."""
    keys = db.execute(
        f"SELECT n, moment, id FROM {RANKED} WHERE n IN (SELECT value FROM json_each(?))",  # noqa: S608 (text of ours)
        (str(list(scores)),),
    )
    best = sorted((round(scores[n], 9), -(moment or 0.0), id, n) for n, moment, id in keys)
    return [n for _, _, _, n in best]


def _weight(count: int, total: int) -> float:
    """A term's idf, never negative."""
    return log(1 + (total - count + 0.5) / (count + 0.5))


def _spots(db: sqlite3.Connection, rows: Collection[int]) -> dict[int, int]:
    return dict(db.execute("SELECT n, spot FROM place WHERE n IN (SELECT value FROM json_each(?))", (str(list(rows)),)))


def _neighbours(db: sqlite3.Connection, spots: dict[int, int], reach: int) -> dict[int, int]:
    """Spot → row of all that stand up to `reach` places from one of `spots`, those included."""
    wanted = sorted({spot + distance for spot in spots.values() for distance in range(-reach, reach + 1)})
    return dict(db.execute("SELECT spot, n FROM place WHERE spot IN (SELECT value FROM json_each(?))", (str(wanted),)))


def _previous(db: sqlite3.Connection, spots: dict[int, int]) -> dict[int, int]:
    """Row → spot of those that stand before a row of `spots` and are not there."""
    wanted = sorted({spot - 1 for spot in spots.values()}.difference(spots.values()))
    listed = "SELECT n, spot FROM place WHERE spot IN (SELECT value FROM json_each(?))"
    return dict(db.execute(listed, (str(wanted),)))
