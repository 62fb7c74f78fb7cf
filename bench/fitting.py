"""Weights of the ranking chosen from questions with known answers: the likelihood of the answers under a softmax over
the candidates of each question, with a little ridge; the same again for the second look, which builds on the values of
the first; then the chance that a hit is an answer, by logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from swarm_indexes.features import Columns
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.ranking import Weights, said_by_another
from swarm_indexes.second import NAMES

__all__ = ["FOR_CHANCE", "Sample", "chances", "fit", "model", "samples"]

_RIDGE = 10.0
_STEPS = 400
FOR_CHANCE = ("known", "own_cover")
"""Features that rank nothing, but say whether there is an answer."""
_CHANCE = (
    "known",
    "own_cover",
    "terms_asked_before",
    "author",
    "author_length",
    "time",
    "when_asked",
    "place_asked",
    "meaning",
)
"""Features of the best hit that say whether there is an answer at all; what a ranking has not is left out."""

Array = Any


class Sample:
    """One question: the features of its candidates, in the order of `names`, and which of them are answers."""

    def __init__(self, rows: Array, good: Array, look: Callable[[Array], Array] | None = None) -> None:
        self.rows, self.good, self._look = rows, good, look

    def again(self, values: Array) -> Array:
        """What the second look weighs where the first gives `values`: these, and its features; all 0 for mere words."""
        if self._look is None or not len(values):
            return np.zeros((len(values), 1 + len(NAMES)))
        return np.column_stack([values - values.max(), self._look(values)])


def samples(index: Fts5Index, names: Sequence[str], asked: Sequence[tuple[str, set[tuple[str, str]]]]) -> list[Sample]:
    """A sample for each of `asked`: a question and the (room's wing, ref) of its answers."""
    out = []
    for text, wanted in asked:
        said, columns, second = index.features(text)
        rows = np.array([columns.get(name) or [0.0] * len(said) for name in names], dtype=float).T
        good = np.array([((room or "").partition("/")[0], ref or "") in wanted for room, ref in said], dtype=float)
        out.append(Sample(rows.reshape(len(said), len(names)), good, partial(_columns, second)))
    return out


def _columns(second: Callable[[Sequence[float]], Columns], values: Array) -> Array:
    found = second(values.tolist())
    return np.array([found.get(name) or [0.0] * len(values) for name in NAMES], dtype=float).T


def fit(names: Sequence[str], given: Sequence[Sample]) -> dict[str, float]:
    """The weights under which the answers of `given` are likeliest."""
    usable = [one for one in given if one.good.any()]
    rows = np.vstack([one.rows for one in usable])
    spread = rows.std(0) + 1e-9
    rows = rows / spread
    sizes = [len(one.good) for one in usable]
    starts = np.r_[0, np.cumsum(sizes)][:-1]
    which = np.repeat(np.arange(len(usable)), sizes)
    wanted = np.concatenate([one.good / one.good.sum() for one in usable])
    weights, first, second = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    for step in range(1, _STEPS + 1):
        value = rows @ weights
        grown = np.exp(value - np.maximum.reduceat(value, starts)[which])
        share = grown / np.add.reduceat(grown, starts)[which]
        slope = ((share - wanted) @ rows + _RIDGE * weights) / len(usable)
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope * slope
        rate = 0.06 * min(1.0, 2 * (1 - step / _STEPS))
        weights -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-9)
    return {name: round(float(value), 3) for name, value in zip(names, weights / spread, strict=True)}


def chances(
    names: Sequence[str], weights: dict[str, float], again: dict[str, float], given: Sequence[Sample]
) -> dict[str, float]:
    """The calibration: how far below the best a hit is, and what the best is like, as the logit of its chance."""
    order = np.array([weights[name] for name in names])
    telling = [name for name in _CHANCE if name in names]
    columns = [list(names).index(name) for name in telling]
    seen, good = [], []
    for one in given:
        if not len(one.good):
            continue
        first = one.rows @ order
        value = one.again(first) @ np.array(list(again.values()))
        best = int(value.argmax())
        found = {name: one.rows[:, place].tolist() for place, name in enumerate(names)}
        ahead = said_by_another(found, first.tolist(), weights)
        near = np.argsort(-value, kind="stable")[:20]
        for place in near:
            seen.append([value[place] - value[best], *one.rows[best, columns], ahead, 1.0])
            good.append(one.good[place])
    rows, wanted = np.array(seen), np.array(good)
    fitted = np.zeros(rows.shape[1])
    for _ in range(30):  # Newton's method
        chance = 1 / (1 + np.exp(-np.clip(rows @ fitted, -30, 30)))
        slope = rows.T @ (chance - wanted) + 1e-3 * fitted
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + 1e-3 * np.eye(rows.shape[1])
        fitted -= np.linalg.solve(curve, slope)
    keys = ("slope", *telling, "said_by_another", "base")
    return {name: round(float(value), 3) for name, value in zip(keys, fitted, strict=True)}


def model(names: Sequence[str], given: Sequence[Sample], unanswerable: Sequence[Sample] = ()) -> Weights:
    """The whole model from `given`; `unanswerable` are questions whose candidates hold no answer."""
    kept = [place for place, name in enumerate(names) if name not in FOR_CHANCE]
    ranking = fit([names[place] for place in kept], [Sample(one.rows[:, kept], one.good) for one in given])
    weights = {name: ranking.get(name, 0.0) for name in names}
    order = np.array([weights[name] for name in names])
    again = fit(("first", *NAMES), [Sample(one.again(one.rows @ order), one.good) for one in given])
    return Weights(ranking, again, chances(names, weights, again, [*given, *unanswerable]))
