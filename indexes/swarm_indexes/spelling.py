"""What may have been meant by a word that no entry holds: the nearest that one does, by Damerau and Levenshtein."""

from __future__ import annotations

import re
import sqlite3

from .coordination import frequency
from .syntax import FACETS, TEXTS
from .tables import vocabulary
from .terms import query_terms

__all__ = ["respelt"]

_WORD = re.compile(r"[^\W_]+")
_KEPT = re.compile(
    rf"((?<![\w/])(?:(?:{'|'.join(TEXTS)}):|(?:{'|'.join((*FACETS, 'at'))}):(?:\"[^\"]*\"|'[^']*'|\[[^\]]*\]|\S*)))"
)
"""What of the query language are no words to respell: the names of fields, and values that are compared whole."""
_SHORTEST = 4
_TWO_ERRORS = 6
"""From so many letters on a word may have two errors."""
_STEMS = 8
"""Of how many near stems the words are looked at."""
_LONGEST = 2000
_TERMS = 16


def respelt(db: sqlite3.Connection, query: str) -> str | None:
    """`query` with the words that no entry holds replaced by near ones that some do; None where nothing is near."""
    if len(query) > _LONGEST:
        return None
    found = {}
    parts = _KEPT.split(query)  # every other one is kept
    for term in query_terms(" ".join(parts[::2]), _TERMS)[0]:
        if len(term) >= _SHORTEST and not term.isdigit() and not frequency(db, term):
            near = _nearest(db, term)
            if near:
                found[term] = near
    if not found:
        return None
    parts[::2] = [_WORD.sub(lambda match: found.get(match[0].lower(), match[0]), part) for part in parts[::2]]
    return "".join(parts)


def _nearest(db: sqlite3.Connection, term: str) -> str | None:
    most = 2 if len(term) >= _TWO_ERRORS else 1
    vocabulary(db)
    # The index knows stems: those of a word with its first letter that is not much longer or shorter.
    stems = db.execute(
        "SELECT term FROM temp.vocabulary WHERE term >= ? AND term < ? || char(1114111) "
        "AND length(term) BETWEEN ? AND ?",
        (term[0], term[0], len(term) - 5, len(term) + most),
    )
    # A stem lacks an ending, so it is near to the start of the term too.
    near = [
        stem for (stem,) in stems if stem.isalnum() and min(_far(stem, term), _far(stem, term[: len(stem)])) <= most
    ]
    choices = {}
    for stem in sorted(near, key=lambda stem: _far(stem, term))[:_STEMS]:
        for word in _whole(db, stem):
            distance = _far(word, term)
            if distance <= most:
                choices[word] = (distance, -frequency(db, word), word)
    return min(choices, key=lambda word: choices[word]) if choices else None


def _far(one: str, other: str) -> int:
    from whoosh.support.levenshtein import damerau_levenshtein  # most queries that find nothing have no near word

    return int(damerau_levenshtein(one, other, limit=2))  # type: ignore[no-untyped-call]


def _whole(db: sqlite3.Connection, stem: str) -> set[str]:
    """Words of an entry that has `stem`, which may be those that have it."""
    row = db.execute(
        "SELECT title, body, names FROM entry WHERE n IN (SELECT doc FROM temp.instance WHERE term = ? LIMIT 1)",
        (stem,),
    ).fetchone()
    start = stem[: max(3, len(stem) - 1)]
    return {word for word in _WORD.findall("\n".join(row).lower()) if word.startswith(start)} if row else set()
