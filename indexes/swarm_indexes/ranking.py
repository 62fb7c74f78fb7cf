"""The order of hits: a linear model over named features, its weights in weights.json.

`python -m bench.tune` chose the weights. A score is the chance that the entry answers the question, as calibrated on
the same data; it grows with the model's value.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import exp, sqrt
from typing import NamedTuple

from .features import Candidate, Columns, Marks, asked_terms, of_numbers, of_texts
from .hop import LIKELY, Hops, reason, together
from .matches import Matches
from .question import Question
from .second import second_look
from .tables import RANKED, meta
from .wordsets import Words, heads, read

__all__ = ["Close", "Ranked", "Weights", "featured", "rank", "said_by_another", "second", "weights"]

_CLOSE = 80
"""Of so many that are best without a look at their text, the text is looked at."""
_LEAST = 1e-4
"""What a row beyond those that were looked at closely scores at most."""
_AUTHORS = ("author", "around_by_author", "author_says_i", "author_length")
"""The features that only entries by the agent whom a question names have, or those around them."""
_MOST_AHEAD = 4.0
"""From here on it does not matter by how much more somebody else's entry is ahead."""
_FIRST, _HALVED = 0.6, 2
"""How likely the best by the weights answers, beside entries that share entities with the best matches; and by how many
places on it is half as likely."""
_HOLDS = 4
"""An entry that holds a share of the question's terms is meant with LIKELY times that share to this power."""


class Weights(NamedTuple):
    """The model. A chance is the logistic function of `slope` times how far the value is below that of the best, plus
    the weighted features of the best, plus that of `said_by_another`, plus `base`."""

    features: Mapping[str, float]
    again: Mapping[str, float]
    """Of a second look at what answers a question: of the value so far ("first"), and of the features in `second`."""
    chance: Mapping[str, float]


class Close(NamedTuple):
    """What is looked at closely for a question."""

    rows: list[Candidate]
    columns: Columns
    rest: list[Candidate]
    """The others, the best first."""
    words: Words | None
    """Of `rows`; None where mere words were given."""


class Ranked(NamedTuple):
    """A row in its place."""

    n: int
    score: float
    shares: Mapping[str, float]
    """Feature → its part of the value; what had no part is left out."""


@lru_cache(maxsize=2)
def weights(meaning: bool = False) -> Weights:
    """The weights that come with the package; with `meaning` those for ranking with an embedder."""
    name = "weights_meaning.json" if meaning else "weights.json"
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        data = json.load(file)
    return Weights(data["features"], data["again"], data["chance"])


def featured(db: sqlite3.Connection, question: Question, matches: Matches, model: Mapping[str, float]) -> Close:
    """Those of the pool that are best without a look at their text, with all features; and the rest, best first.

    For mere words no text is looked at.
    """
    pool = _candidates(db, matches.pool)
    numbers = of_numbers(question, matches, pool)
    order = _order(pool, _values(numbers, model, len(pool)))
    close = [pool[place] for _, place in order[:_CLOSE]]
    rest = [pool[place] for _, place in order[_CLOSE:]]
    found = {name: [column[place] for _, place in order[:_CLOSE]] for name, column in numbers.items() if column}
    found = {name: found.get(name, []) for name in numbers}
    if not question.asks:
        # What a text shows on its face answers questions; it says nothing of mere words.
        return Close(close, found, rest, None)
    before = (matches.beside(row.n, -1) for row in close)
    wanted = {row.n for row in close}.union(n for n in before if n is not None)
    noted = db.execute(
        f"SELECT n, marks FROM {RANKED} WHERE n IN (SELECT value FROM json_each(?))",  # noqa: S608
        (str(list(wanted)),),
    )
    seen = {n: Marks.read(one) for n, one in noted}
    texts = [n for n, one in seen.items() if one.questions and n in matches.own]
    bodies = db.execute("SELECT n, body FROM entry WHERE n IN (SELECT value FROM json_each(?))", (str(texts),))
    terms = [term.text for term in matches.terms]
    asking = {
        n: [there and n in term.rows for term, there in zip(matches.terms, asked_terms(body, terms), strict=True)]
        for n, body in bodies
    }
    words = read(db, [row.n for row in close], int(meta(db, "entries") or 0))
    return Close(close, found | of_texts(question, matches, close, seen, asking, found, words), rest, words)


def second(question: Question, matches: Matches, close: Close, values: Sequence[float]) -> Columns:
    """The features of a second look at `close`, whose `values` are those of the first; none for mere words."""
    if close.words is None:
        return {}
    return second_look(matches, close.rows, values, close.words, heads(" ".join(question.terms)))


def _candidates(db: sqlite3.Connection, rows: Sequence[int]) -> list[Candidate]:
    listed = f"SELECT n, id, by_, moment FROM {RANKED} WHERE n IN (SELECT value FROM json_each(?))"  # noqa: S608
    found = list(map(Candidate._make, db.execute(listed, (str(rows),))))
    if len(found) != len(rows):
        raise LookupError("postings of rows that there are not")  # IndexFile makes such tables anew
    return found


def rank(
    db: sqlite3.Connection,
    question: Question,
    matches: Matches,
    hops: Hops,
    k: int,
    model: Weights,
) -> list[Ranked]:
    """The `k` best of the pool and of `hops`, best first; ties newest first, then by id."""
    looked = featured(db, question, matches, model.features)
    close, found = looked.rows, looked.columns
    if not close:
        return []
    first_values = values = _values(found, model.features, len(close))
    again = second(question, matches, looked, values)
    if again:
        found = found | again
        values = _values({"first": values} | again, model.again, len(close))
    order = _order(close, values)
    best, first = order[0]
    offset = sum(weight * found[name][first] for name, weight in model.chance.items() if found.get(name))
    ahead = said_by_another(found, first_values, model.features)
    offset += model.chance["base"] + model.chance["said_by_another"] * ahead
    slope = model.chance["slope"]
    if hops.rows:
        weighed = [
            (close[place], {**_shares(found, place, model), **_reasons(found["own_cover"][place], rank)})
            for rank, (_, place) in enumerate(order)
        ]
        out = _joined(db, weighed, hops, _chance(offset), sqrt(matches.known * max(found["own_cover"])))[:k]
    else:
        out = [
            Ranked(close[place].n, _chance(slope * (value - best) + offset), _shares(found, place, model))
            for value, place in order[:k]
        ]
    if k <= len(out):
        return out
    low = min(out[-1].score, _LEAST)
    known = {one.n for one in out}
    listed = [n for n in dict.fromkeys([*(row.n for row in looked.rest), *matches.order]) if n not in known]
    return [*out, *(Ranked(n, low / (place + 2), {}) for place, n in enumerate(listed))][:k]


def _joined(
    db: sqlite3.Connection,
    weighed: Sequence[tuple[Candidate, Mapping[str, float]]],
    hops: Hops,
    chance: float,
    sure: float,
) -> list[Ranked]:
    """The rows `weighed`, with their shares, best first, and those of `hops`, by what both say of them.

    No weights fit both, so what a row shares with the best matches counts beside its reciprocal rank among those that
    were weighed, not beside its value: each is a reason to think that it is meant, independent of the others. A score
    is the chance that one of them holds, times `sure`, how well the words of the question are matched at all. The less
    of the best matches leads anywhere, the more it is such that the best has `chance`, its own by the weights.
    """
    there = {row.n for row, _ in weighed}
    more = _candidates(db, [n for n in hops.rows if n not in there])
    rows = [row for row, _ in weighed] + more
    own = [shares["place"] + shares["cover"] for _, shares in weighed] + [0.0] * len(more)
    values = [value + sum(hops.rows.get(row.n, {}).values()) for row, value in zip(rows, own, strict=True)]
    order = _order(rows, values)
    unit = hops.weight * sure + (1 - hops.weight) * chance / together(order[0][0])
    out = []
    for value, place in order:
        parts = {f"hop {name}": part for name, part in hops.rows.get(rows[place].n, {}).items()}
        if place < len(weighed):
            parts = {**weighed[place][1], **parts}
        shares = {name: round(part, 4) for name, part in parts.items()}
        out.append(Ranked(rows[place].n, unit * together(value), shares))
    return out


def _reasons(cover: float, rank: int) -> dict[str, float]:
    """What counts for a row that holds `cover` of the question's terms, `rank` places behind the best by weights."""
    return {"place": reason(_FIRST * _HALVED / (_HALVED + rank)), "cover": reason(LIKELY * cover**_HOLDS)}


def said_by_another(found: Columns, values: Sequence[float], model: Mapping[str, float]) -> float:
    """Where the question names one agent: how far the best entry by others would be ahead of the best by that one, if
    it did not matter who wrote them. Then what is asked of the one was said by another, and there may be no answer.
    """
    named = found.get("author") or []
    parts = _values({name: found[name] for name in _AUTHORS if name in found}, model, len(values))
    plain = [value - part for value, part in zip(values, parts, strict=True)]
    theirs = [value for value, by in zip(plain, named, strict=False) if not by]
    own = [value for value, by in zip(plain, named, strict=False) if by]
    return min(_MOST_AHEAD, max(0.0, max(theirs) - max(own))) if own and theirs else 0.0


def _values(columns: Columns, model: Mapping[str, float], rows: int) -> list[float]:
    out = [0.0] * rows
    for name, column in columns.items():
        weight = model.get(name)
        if weight and column:
            out = [total + weight * value for total, value in zip(out, column, strict=True)]
    return out


def _order(rows: Sequence[Candidate], values: Sequence[float]) -> list[tuple[float, int]]:
    """(value, place in `rows`), the best first; ties newest first, then by id."""
    columns = ([-round(value, 9) for value in values], [-(row.moment or 0.0) for row in rows], [row.id for row in rows])
    return [(-value, place) for value, _, _, place in sorted(zip(*columns, range(len(rows)), strict=True))]


def _shares(found: Columns, place: int, model: Weights) -> dict[str, float]:
    first = model.again["first"] if "alike" in found else 1.0
    weights = {name: first * weight for name, weight in model.features.items()} | dict(model.again)
    parts = {name: weights.get(name, 0.0) * column[place] for name, column in found.items() if column}
    return {name: round(part, 4) for name, part in parts.items() if part}


def _chance(value: float) -> float:
    return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, value))))
