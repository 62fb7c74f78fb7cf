"""The second hop: entries that mention what the best matches of the words mention.

What a question is about may have other names than its words: the entries that hold the words name files, issues and
pages, and other entries name those. Every entity counts, listed or found in a text, under all names of its page. That
it is meant is the likelier the more of the best matches mention it; these count by reciprocal rank, because what their
scores are worth depends on the kind of text.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from math import exp, log1p
from typing import NamedTuple

from .mentions import slug_of
from .terms import facet, facet_values

__all__ = ["LIKELY", "SCHEMA", "SEEDS", "Hops", "add", "hops", "reason", "remove", "together"]

SCHEMA = """
CREATE TABLE entity (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE mention (entity INTEGER NOT NULL, moment REAL NOT NULL, id TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (entity, moment, id, n)) WITHOUT ROWID;
"""

SEEDS = 15
"""How many of the best matches are asked what they mention."""
_UNKNOWN = 1.0
"""The weight of a match that mentions nothing, added to theirs: few matches alone say little of what is meant."""
_NAMES = 48
"""How many names of entities are looked up at most, of those that are likeliest."""
_ENTITIES = 24
"""How many entities are followed at most."""
_NEWEST = 100
"""How many of the entries that mention an entity are looked at: the newest of the time that is asked for."""
LIKELY = 0.8
"""How likely an entry is meant at most by what it shares, and no less by holding all words of the question."""
_LEAST = 0.1
"""An entry that only a hop leads to is no hit below this chance."""


class Hops(NamedTuple):
    """What the best matches lead to."""

    rows: Mapping[int, Mapping[str, float]]
    """Row → entity that it shares with them → how much that counts for it; see `together`."""
    weight: float
    """How much of the best matches mentions what others mention too, from 0 to 1."""


def add(db: sqlite3.Connection, n: int, id: str, moment: float | None, facets: str) -> None:
    """Entry `n` mentions the entities of its `facets`; a page leads to its own entity, which does not lead to it."""
    for name in _others(id, facets):
        db.execute("INSERT OR IGNORE INTO entity (name) VALUES (?)", (name,))
        db.execute(
            "INSERT INTO mention SELECT number, ?, ?, ? FROM entity WHERE name = ?", (moment or 0.0, id, n, name)
        )


def remove(db: sqlite3.Connection, n: int) -> None:
    """Entry `n`, which is still there, is about to go."""
    id, moment, facets = db.execute("SELECT id, moment, facets FROM entry WHERE n = ?", (n,)).fetchone()
    for name in _others(id, facets):
        db.execute(
            "DELETE FROM mention WHERE entity = (SELECT number FROM entity WHERE name = ?) "
            "AND moment = ? AND id = ? AND n = ?",
            (name, moment or 0.0, id, n),
        )


def hops(
    db: sqlite3.Connection,
    seeds: Sequence[int],
    span: tuple[float, float] | None,
    allowed: Callable[[Collection[int]], set[int]],
) -> Hops:
    """Where `seeds` lead, the best matches, the best first: to rows of `span`, if that is given, that are `allowed`."""
    listed = "SELECT n, facets FROM entry WHERE n IN (SELECT value FROM json_each(?))"
    mentioned = {n: _mentioned(facets) for n, facets in db.execute(listed, (str(seeds),))}
    if not any(mentioned.values()):
        return Hops({}, 0.0)
    weights = {n: 1 / place for place, n in enumerate(seeds, 1)}
    pages, names = _pages(db, _likeliest(weights, mentioned, _NAMES))
    meant = {n: dict.fromkeys(pages.get(name, name) for name in found) for n, found in mentioned.items()}
    low, high = span or (float("-inf"), float("inf"))
    total = _UNKNOWN + sum(weights.values())
    out: dict[int, dict[str, float]] = defaultdict(dict)
    for entity, weight in _likeliest(weights, meant, _ENTITIES).items():
        part = reason(weight / total)
        holding = {
            n
            for name in names.get(entity, [entity])
            for (n,) in db.execute(
                "SELECT n FROM mention WHERE entity = (SELECT number FROM entity WHERE name = ?) "
                "AND moment BETWEEN ? AND ? ORDER BY moment DESC, id DESC LIMIT ?",
                (name, low, high, _NEWEST),
            )
        }
        holding |= {n for n in seeds if entity in meant[n]}
        for n in holding if len(holding) > 1 else ():
            out[n][entity] = part
    near = {n for n, parts in out.items() if n in weights or together(sum(parts.values())) >= _LEAST / LIKELY}
    rows = {n: _tempered(out[n]) for n in allowed(near)}
    return Hops(rows, sum(weights[n] for n in seeds if n in rows) / sum(weights.values()))


def reason(chance: float) -> float:
    """What a reason of this `chance` counts, so that independent reasons add up."""
    return -log1p(-chance)


def together(parts: float) -> float:
    """The chance that one of several independent reasons holds, which add up to `parts`."""
    return 1 - exp(-parts)


def _tempered(parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    unit = reason(LIKELY * together(total)) / total
    return {name: part * unit for name, part in parts.items()}


def _mentioned(facets: str) -> list[str]:
    return list(dict.fromkeys(map(slug_of, facet_values("entity", facets))))


def _others(id: str, facets: str) -> list[str]:
    own = slug_of(id) if id.startswith("entity-") else ""
    return [name for name in _mentioned(facets) if name != own]


def _likeliest(
    weights: Mapping[int, float], mentioned: Mapping[int, Sequence[str] | Mapping[str, None]], most: int
) -> dict[str, float]:
    """Name → the weight of the rows that mention it; the heaviest, ties in alphabetical order."""
    sums: dict[str, float] = defaultdict(float)
    for n, weight in weights.items():
        for name in mentioned.get(n, ()):
            sums[name] += weight
    return dict(sorted(sums.items(), key=lambda one: (-one[1], one[0]))[:most])


def _pages(db: sqlite3.Connection, wanted: Mapping[str, float]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """(name → entity, entity → names) of those entities whose pages say that one of `wanted` is a name of theirs."""
    tokens = " OR ".join(f'"{facet("alias", name)}"' for name in wanted)
    entities: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for id, facets in db.execute(
        "SELECT id, facets FROM entry WHERE n IN (SELECT rowid FROM words WHERE words MATCH ?) ORDER BY id",
        (f"facets : ({tokens})",),
    ):
        own = slug_of(id)
        listed = dict.fromkeys([own, *map(slug_of, facet_values("alias", facets))])
        names.setdefault(own, []).extend(name for name in listed if entities.setdefault(name, own) == own)
    return entities, names
