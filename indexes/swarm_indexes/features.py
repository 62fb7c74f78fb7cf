"""What is known of an entry when a question is asked, as named numbers from about 0 to 1.

They are of three views: words (its own, those around it, those of its stream), time, and who and what it names; and,
where there is an embedder, of what it means. None knows the question's subject, none is special to one kind of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import log1p
from struct import Struct
from typing import NamedTuple

from .dates import closeness
from .matches import Matches
from .question import Question
from .streams import STREAM_BITS
from .terms import forms
from .wordsets import Words

__all__ = ["Candidate", "Columns", "Marks", "asked_terms", "marks", "of_numbers", "of_texts"]

Columns = dict[str, list[float]]
"""Feature → its value for each of some rows, in their order; an empty column is of zeros.

Columns are weighed in a third of the time that rows take.
"""

# Compiled when first used: mere words ask for none of them.
_WHEN = (
    r"\b(?:yesterday|today|tonight|tomorrow|ago|recently|since|(?:last|next|this|past|previous) (?:night|week|weekend"
    r"|month|year|summer|winter|spring|fall|autumn|mon|tues|wednes|thurs|fri|satur|sun)\w*|(?:mon|tues|wednes|thurs|fri"
    r"|satur|sun)day|january|february|march|april|june|july|august|september|october|november|december|(?:19|20)\d\d"
    r"|\d+(?:st|nd|rd|th)|for (?:\w+ )?(?:hour|day|week|month|year)s?)\b"
)
_NUMBER = r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|dozen|once|twice|couple|several)\b"
_NAME = r"(?<=[a-z,;] )[A-Z][\w'-]+"
_PLACE = r"\b(?:in|at|to|from|near) (?:the )?[A-Z][\w'-]+"
_LASTS = (
    r"\b(?:(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|few|several|couple)(?: of)? (?:minute|hour|day"
    r"|week|month|year|decade)s?|since|for (?:long|(?:a )?while|ages))\b"
)
_SELF = r"\b(?:i|my|me|we|our|us)\b"
_ASKED = r"[^.!?\n]+\?"
_WORD = re.compile(r"[^\W_]+")
_LONG = 4000
"""Characters of a text in which marks are looked for."""
_FEW = 2
"""Up to so many terms a question says little by its words."""
_ASKED_SHARE = 0.9
"""What a term counts that the entry before asked for, beside one of the entry's own."""


_NOTED = Struct("<2?f4?2f?")


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

    def noted(self) -> bytes:
        """As the index keeps them."""
        return _NOTED.pack(*self)

    @classmethod
    def read(cls, noted: bytes) -> Marks:
        """What was `noted`."""
        return cls._make(_NOTED.unpack(noted))


class Candidate(NamedTuple):
    """A row that may be a hit."""

    n: int
    id: str
    by: str
    moment: float | None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def marks(text: str) -> Marks:
    """The marks of `text`."""
    start = text[:_LONG]
    folded = start.lower()  # a pattern that ignores case takes three times as long
    return Marks(
        _compiled(_WHEN).search(folded) is not None,
        _compiled(_NUMBER).search(folded) is not None,
        log1p(len(_compiled(_NAME).findall(start))),
        '"' in start or "“" in start,
        start.split("[image: ")[0].rstrip().endswith("?"),
        _compiled(_PLACE).search(start) is not None,
        _compiled(_LASTS).search(folded) is not None,
        min(3, len(_compiled(_SELF).findall(folded))) / 3,
        log1p(start.count(" ")),
        "?" in start,
    )


def asked_terms(text: str, terms: Sequence[str]) -> list[bool]:
    """Which of `terms` stand in a question of `text`, told by how its words begin."""
    words = [word for sentence in _compiled(_ASKED).findall(text[:_LONG].lower()) for word in _WORD.findall(sentence)]
    heads = [tuple(form[: max(3, len(form) - 3)] for form in forms(term)) for term in terms]
    return [any(word.startswith(head) for word in words) for head in heads]


def of_numbers(question: Question, matches: Matches, rows: Sequence[Candidate]) -> Columns:
    """The features of `rows` that need no text."""
    numbers = [row.n for row in rows]
    own = [matches.own.get(n, 0.0) for n in numbers]
    cover = [matches.cover.get(n, 0.0) for n in numbers]
    own_most = _most(own)
    stream, before_by_two = [value / own_most for value in own], list[float]()
    around, around_cover, upto = own, cover, cover
    if matches.spots:
        windows = [matches.window(n) for n in numbers]
        around, around_cover = [value for value, _ in windows], [covered for _, covered in windows]
        upto = [matches.upto(n) for n in numbers]
        streams = matches.streams()
        stream_most = _most(streams.values())
        places = [matches.spots.get(n) for n in numbers]
        stream = [
            streams.get(spot >> STREAM_BITS, 0.0) / stream_most if spot is not None else value
            for spot, value in zip(places, stream, strict=True)
        ]
        further = [matches.beside(n, -2) for n in numbers]
        before_by_two = [matches.own.get(n, 0.0) if n is not None else 0.0 for n in further]
    around_most = _most(around)
    around = [value / around_most for value in around]
    one = len(question.authors) == 1
    by_author: Mapping[int, float] = {}
    if one and matches.spots:
        by_author = matches.around({row.n for row in rows if row.by in question.authors})
    return {
        "known": [matches.known] * len(rows),
        "own_cover": cover,
        "around": around,
        "around_cover": around_cover,
        "around_by_author": [by_author.get(matches.spots.get(n, -1), 0.0) for n in numbers] if by_author else [],
        "before_by_two": before_by_two,
        "upto_cover": upto,
        "stream": stream,
        "author": [float(row.by in question.authors) for row in rows] if one else [],
        "subject": [float(row.by == question.subject) for row in rows] if question.subject and not one else [],
        "around_of_few": around if len(question.terms) <= _FEW else [],
        "time": [closeness(row.moment, question.spans) for row in rows] if question.spans else [],
        "meaning": matches.near.of(numbers) if matches.near else [],
    }


def of_texts(
    question: Question,
    matches: Matches,
    rows: Sequence[Candidate],
    seen: Mapping[int, Marks],
    asking: Mapping[int, Sequence[bool]],
    numbers: Columns,
    words: Words,
) -> Columns:
    """The features of `rows` that need their texts and those before them.

    `seen` has the marks of these, `asking` for those with questions which terms are in them; `numbers` are the others,
    `words` those of these rows.
    """
    marks = [seen[row.n] for row in rows]
    before = [matches.beside(row.n, -1) for row in rows]
    previous = [seen.get(n) if n is not None else None for n in before]
    author = numbers["author"] or [0.0] * len(rows)
    wanted, answered = [], []
    for row, n, own in zip(rows, before, numbers["own_cover"], strict=True):
        in_question = asking.get(n, ()) if n is not None else ()
        asked = [term for term, there in zip(matches.terms, in_question, strict=False) if there]
        all_, held = sum(term.idf for term in asked), sum(term.idf for term in asked if row.n in term.rows)
        wanted.append(all_ / matches.total)
        answered.append(own + _ASKED_SHARE * (all_ - held) / matches.total)
    return {
        "when": [float(mark.when) for mark in marks],
        "when_asked": [float(mark.when) for mark in marks] if question.for_time else [],
        "number_asked": [float(mark.number) for mark in marks] if question.for_number else [],
        "place_asked": [float(mark.place) for mark in marks] if question.for_place else [],
        "lasting_asked": [float(mark.lasts) for mark in marks] if question.for_length else [],
        "names": [mark.names for mark in marks],
        "names_asked": [mark.names for mark in marks] if question.for_name else [],
        "quotes": [float(mark.quotes) for mark in marks],
        "asks": [float(mark.asks) for mark in marks],
        "asks_around": [mark.asks * value for mark, value in zip(marks, numbers["around"], strict=True)],
        "question_before": [float(mark is not None and mark.questions) for mark in previous],
        "terms_asked_before": wanted,
        "answered": answered,
        "author_says_i": [value * mark.says_i for mark, value in zip(marks, author, strict=True)],
        "rarity": [words.rarity(row.n) for row in rows],
        "length": [mark.length for mark in marks],
        "author_length": [value * mark.length for mark, value in zip(marks, author, strict=True)],
        "length_before": [mark.length if mark is not None else 0.0 for mark in previous],
    }


def _most(values: Iterable[float]) -> float:
    return max(values, default=0.0) or 1.0
