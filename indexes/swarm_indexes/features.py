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
from .terms import forms

__all__ = ["Candidate", "Marks", "asked_terms", "marks", "of_numbers", "of_texts", "read_marks"]

_WHEN = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|recently|since|(?:last|next|this|past|previous) (?:night|week|weekend"
    r"|month|year|summer|winter|spring|fall|autumn|mon|tues|wednes|thurs|fri|satur|sun)\w*|(?:mon|tues|wednes|thurs|fri"
    r"|satur|sun)day|january|february|march|april|june|july|august|september|october|november|december|(?:19|20)\d\d"
    r"|\d+(?:st|nd|rd|th)|for (?:\w+ )?(?:hour|day|week|month|year)s?)\b"
)
_NUMBER = re.compile(r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|dozen|once|twice|couple|several)\b")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w'-]+")
_PLACE = re.compile(r"\b(?:in|at|to|from|near) (?:the )?[A-Z][\w'-]+")
_LASTS = re.compile(
    r"\b(?:(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|few|several|couple)(?: of)? (?:minute|hour|day"
    r"|week|month|year|decade)s?|since|for (?:long|(?:a )?while|ages))\b"
)
_SELF = re.compile(r"\b(?:i|my|me|we|our|us)\b")
_ASKED = re.compile(r"[^.!?\n]+\?")
_WORD = re.compile(r"[^\W_]+")
_LONG = 4000
"""Characters of a text in which marks are looked for."""
_FEW = 2
"""Up to so many terms a question says little by its words."""
_ASKED_SHARE = 0.9
"""What a term counts that the entry before asked for, beside one of the entry's own."""


class Marks(NamedTuple):
    """What a text shows on its face."""

    when: bool
    number: bool
    names: float
    quotes: bool
    asks: bool
    """Whether it ends with a question."""
    place: bool
    lasts: bool
    """Whether it says how long."""
    says_i: float
    """How much it speaks of who wrote it, from 0 to 1."""
    length: float
    """The logarithm of its number of words."""
    questions: bool
    """Whether there is a question in it."""

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
        _PLACE.search(start) is not None,
        _LASTS.search(folded) is not None,
        min(3, len(_SELF.findall(folded))) / 3,
        log1p(start.count(" ")),
        "?" in start,
    )


def read_marks(noted: str) -> Marks:
    """The marks that were `noted`."""
    when, number, names, quotes, asks, place, lasts, says_i, length, questions = map(float, noted.split())
    yes = (when > 0, number > 0, quotes > 0, asks > 0, place > 0, lasts > 0, questions > 0)
    return Marks(yes[0], yes[1], names, yes[2], yes[3], yes[4], yes[5], says_i, length, yes[6])


def asked_terms(text: str, terms: Sequence[str]) -> list[bool]:
    """Which of `terms` stand in a question of `text`, told by how its words begin."""
    words = [word for sentence in _ASKED.findall(text[:_LONG].lower()) for word in _WORD.findall(sentence)]
    heads = [tuple(form[: max(3, len(form) - 3)] for form in forms(term)) for term in terms]
    return [any(word.startswith(head) for word in words) for head in heads]


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
    few = len(question.terms) <= _FEW
    out = []
    for row, value, (around, covered), sitting in zip(rows, own, windows, sittings, strict=True):
        named = float(one and row.by in question.authors)
        in_stream = row.n in matches.spots
        further = matches.beside(row.n, -2)
        out.append(
            {
                "known": matches.known,
                "own_cover": matches.cover.get(row.n, 0.0),
                "around": around / around_most,
                "around_cover": covered,
                "before_by_two": matches.own.get(further, 0.0) if further is not None else 0.0,
                "upto_cover": matches.upto(row.n),
                "stream": sitting / stream_most if in_stream else value / own_most,
                "author": named,
                "subject": float(not one and row.by == question.subject),
                "around_of_few": few * around / around_most,
                "time": closeness(row.moment, question.spans),
            }
        )
    return out


def of_texts(
    question: Question,
    matches: Matches,
    row: Candidate,
    seen: Mapping[int, Marks],
    asking: Mapping[int, Sequence[bool]],
    numbers: Mapping[str, float],
) -> dict[str, float]:
    """The features of `row` that need its text and that before it.

    `seen` has the marks of both, `asking` for those with questions which terms are in these; `numbers` are its others.
    """
    mark, author, around = seen[row.n], numbers["author"], numbers["around"]
    before = matches.beside(row.n, -1)
    previous = seen.get(before) if before is not None else None
    in_question = asking.get(before, ()) if before is not None else ()
    own = matches.cover.get(row.n, 0.0)
    asked_for = [(term, row.n in term.rows) for term, there in zip(matches.terms, in_question, strict=False) if there]
    wanted = sum(term.idf for term, _ in asked_for) / matches.total
    given = sum(term.idf for term, held in asked_for if held) / matches.total
    return {
        "when": float(mark.when),
        "when_asked": float(mark.when and question.for_time),
        "number_asked": float(mark.number and question.for_number),
        "place_asked": float(mark.place and question.for_place),
        "lasting_asked": float(mark.lasts and question.for_length),
        "names": mark.names,
        "names_asked": mark.names * question.for_name,
        "quotes": float(mark.quotes),
        "asks": float(mark.asks),
        "asks_around": mark.asks * around,
        "question_before": float(previous is not None and previous.questions),
        "terms_asked_before": wanted,
        "answered": own + _ASKED_SHARE * (wanted - given),
        "author_says_i": author * mark.says_i,
        "length": mark.length,
        "author_length": author * mark.length,
        "length_before": previous.length if previous is not None else 0.0,
    }


def _most(values: Iterable[float]) -> float:
    return max(values, default=0.0) or 1.0
