"""The order of hits: a linear model over named features, its weights in weights.json.

`python -m bench.tune` chose the weights. A score is the chance that the entry answers the question, as calibrated on
the same data; it grows with the model's value.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Mapping
from functools import lru_cache
from math import exp
from typing import NamedTuple

from .features import Candidate, asked_terms, of_numbers, of_texts, read_marks
from .matches import Matches
from .question import Question
from .tables import RANKED

__all__ = ["Ranked", "Weights", "candidates", "featured", "rank", "weights"]

_CLOSE = 250
"""Of so many that are best without a look at their text, the text is looked at."""
_LEAST = 1e-4
"""What a row beyond those that were looked at closely scores at most."""


class Weights(NamedTuple):
    """The model. A chance is the logistic function of `slope` times how far the value is below that of the best, plus
    the weighted features of the best, plus `base`."""

    features: Mapping[str, float]
    chance: Mapping[str, float]


class Ranked(NamedTuple):
    """A row in its place."""

    n: int
    score: float
    shares: Mapping[str, float]
    """Feature → its part of the value; what had no part is left out."""


@lru_cache(maxsize=1)
def weights() -> Weights:
    """The weights that come with the package."""
    with open(os.path.join(os.path.dirname(__file__), "weights.json"), encoding="utf-8") as file:
        data = json.load(file)
    return Weights(data["features"], data["chance"])


def candidates(db: sqlite3.Connection, rows: Collection[int]) -> list[Candidate]:
    """Those of `rows` that there are, in no order."""
    listed = f"SELECT n, id, by_, moment FROM {RANKED} WHERE n IN (SELECT value FROM json_each(?))"  # noqa: S608
    return [Candidate(*row) for row in db.execute(listed, (str(list(rows)),))]


def featured(
    db: sqlite3.Connection, question: Question, matches: Matches, model: Mapping[str, float]
) -> tuple[list[tuple[Candidate, dict[str, float]]], list[tuple[Candidate, dict[str, float]]]]:
    """The pool with all features of those that are best without a look at their text, and the rest with what it has.

    For mere words no text is looked at.
    """
    pool = candidates(db, matches.pool)
    numbers = of_numbers(question, matches, pool)
    first = sorted(
        zip(pool, numbers, strict=True), key=lambda item: (-round(_value(item[1], model), 9), *_newest(item[0]))
    )
    close, rest = first[:_CLOSE], first[_CLOSE:]
    if not question.asks:
        return close, rest  # what a text shows on its face answers questions; it says nothing of mere words
    before = {row.n: matches.beside(row.n, -1) for row, _ in close}
    wanted = {*before, *(n for n in before.values() if n is not None)}
    noted = db.execute("SELECT n, marks FROM entry WHERE n IN (SELECT value FROM json_each(?))", (str(list(wanted)),))
    seen = {n: read_marks(one) for n, one in noted}
    texts = [n for n, one in seen.items() if one.questions and n in matches.own]
    bodies = db.execute("SELECT n, body FROM entry WHERE n IN (SELECT value FROM json_each(?))", (str(texts),))
    terms = [term.text for term in matches.terms]
    asking = {
        n: [there and n in term.rows for term, there in zip(matches.terms, asked_terms(body, terms), strict=True)]
        for n, body in bodies
    }
    return [(row, found | of_texts(question, matches, row, seen, asking, found)) for row, found in close], rest


def rank(db: sqlite3.Connection, question: Question, matches: Matches, k: int, model: Weights) -> list[Ranked]:
    """The `k` best of the pool, best first; ties newest first, then by id."""
    close, rest = featured(db, question, matches, model.features)
    ordered = sorted(
        ((round(_value(found, model.features), 9), row, found) for row, found in close),
        key=lambda item: (-item[0], *_newest(item[1])),
    )
    if not ordered:
        return []
    offset = sum(
        weight * ordered[0][2].get(name, 0.0) for name, weight in model.chance.items() if name in ordered[0][2]
    )
    offset += model.chance["base"]
    slope, best = model.chance["slope"], ordered[0][0]
    out = [
        Ranked(row.n, _chance(slope * (value - best) + offset), _shares(found, model) if place < k else {})
        for place, (value, row, found) in enumerate(ordered)
    ]
    low = min(out[-1].score, _LEAST)
    listed = [row.n for row, _ in rest]
    known = {one.n for one in out} | set(listed)
    listed += [n for n in matches.order if n not in known]
    return [*out, *(Ranked(n, low / (place + 2), {}) for place, n in enumerate(listed))][:k]


def _value(found: Mapping[str, float], model: Mapping[str, float]) -> float:
    return sum(model.get(name, 0.0) * value for name, value in found.items() if value)


def _shares(found: Mapping[str, float], model: Weights) -> dict[str, float]:
    return {name: round(part, 4) for name, value in found.items() if (part := model.features.get(name, 0.0) * value)}


def _newest(row: Candidate) -> tuple[float, str]:
    return -(row.moment or 0.0), row.id


def _chance(value: float) -> float:
    return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, value))))
