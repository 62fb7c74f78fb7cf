"""What is known of an entry when a question is asked, as named numbers from about 0 to 1.

They are of three views: words (its own, those around it, those of its stream), time, and who and what it names. None
knows the question's subject, none is special to one kind of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import log1p
from typing import NamedTuple

from .dates import closeness
from .matches import Matches
from .question import Question
from .streams import STREAM_BITS

__all__ = ["Candidate", "Marks", "marks", "of_numbers", "of_texts", "read_marks"]

_WHEN = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|recently|since|(?:last|next|this|past|previous) (?:night|week|weekend"
    r"|month|year|summer|winter|spring|fall|autumn|mon|tues|wednes|thurs|fri|satur|sun)\w*|(?:mon|tues|wednes|thurs|fri"
    r"|satur|sun)day|january|february|march|april|june|july|august|september|october|november|december|(?:19|20)\d\d"
    r"|\d+(?:st|nd|rd|th)|for (?:\w+ )?(?:hour|day|week|month|year)s?)\b"
)
_NUMBER = re.compile(r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|dozen|once|twice|couple|several)\b")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w'-]+")
_LONG = 4000
"""Characters of a text in which marks are looked for."""


class Marks(NamedTuple):
    """What a text shows on its face."""

    when: bool
    number: bool
    names: float
    quotes: bool
    asks: bool

    def noted(self) -> str:
        """As the index keeps them."""
        return " ".join(f"{float(one):.4g}" for one in self)


class Candidate(NamedTuple):
    """A row that may be a hit."""

    n: int
    id: str
    by: str
    moment: float | None


def marks(text: str) -> Marks:
    """The marks of `text`."""
    start = text[:_LONG]
    folded = start.lower()  # a pattern that ignores case takes three times as long
    return Marks(
        _WHEN.search(folded) is not None,
        _NUMBER.search(folded) is not None,
        log1p(len(_NAME.findall(start))),
        '"' in start or "“" in start,
        start.split("[image: ")[0].rstrip().endswith("?"),
    )


def read_marks(noted: str) -> Marks:
    """The marks that were `noted`."""
    when, number, names, quotes, asks = map(float, noted.split())
    return Marks(when > 0, number > 0, names, quotes > 0, asks > 0)


def of_numbers(question: Question, matches: Matches, rows: Sequence[Candidate]) -> list[dict[str, float]]:
    """The features of `rows` that need no text, in their order."""
    streams = matches.streams()
    own = [matches.own.get(row.n, 0.0) for row in rows]
    windows = [matches.window(row.n) for row in rows]
    sittings = [
        streams.get(matches.spots[row.n] >> STREAM_BITS, 0.0) if row.n in matches.spots else value
        for row, value in zip(rows, own, strict=True)
    ]
    own_most, around_most = _most(own), _most(value for value, _ in windows)
    stream_most = _most(streams.values())
    one = len(question.authors) == 1
    out = []
    for row, value, (around, covered), sitting in zip(rows, own, windows, sittings, strict=True):
        named = float(one and row.by in question.authors)
        in_stream = row.n in matches.spots
        before = matches.beside(row.n, -1)
        previous = matches.own.get(before, 0.0) if before is not None else 0.0
        further = matches.beside(row.n, -2)
        out.append(
            {
                "known": matches.known,
                "own": value / own_most,
                "own_cover": matches.cover.get(row.n, 0.0),
                "around": around / around_most,
                "around_cover": covered,
                "before": previous,
                "before_by_two": matches.own.get(further, 0.0) if further is not None else 0.0,
                "stream": sitting / stream_most if in_stream else value / own_most,
                "author": named,
                "author_around": named * around / around_most,
                "time": closeness(row.moment, question.spans),
                "opens": float(in_stream and before is None),
            }
        )
    return out


def of_texts(
    question: Question, matches: Matches, row: Candidate, seen: Mapping[int, Marks], around: float
) -> dict[str, float]:
    """The features of `row` that need its text and that before it; `seen` has the marks of both."""
    mark = seen[row.n]
    before = matches.beside(row.n, -1)
    asked = before is not None and before in seen and seen[before].asks
    return {
        "when": float(mark.when),
        "when_asked": float(mark.when and question.for_time),
        "number_asked": float(mark.number and question.for_number),
        "names": mark.names,
        "names_asked": mark.names * question.for_name,
        "quotes": float(mark.quotes),
        "asks": float(mark.asks),
        "asks_around": mark.asks * around,
        "asked": float(asked),
        "asked_before": asked * (matches.own.get(before, 0.0) if before is not None else 0.0),
    }


def _most(values: Iterable[float]) -> float:
    return max(values, default=0.0) or 1.0
