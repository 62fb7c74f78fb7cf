"""What a query asks for, beside its words: of whom, of what time, and for what kind of answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .dates import Span, spans
from .terms import query_terms

__all__ = ["Question", "is_question", "understand"]

_WORD = re.compile(r"[^\W_]+")
_LIMIT = 2000
"""How much of a query is read as a sentence; a question is shorter, and what follows is words."""
_ASKS = re.compile(
    r"\s*(?:what|who|whom|whose|when|where|which|why|how|is|are|was|were|do|does|did|has|have|had|can|could|would|should"
    r"|will)\b",
    re.IGNORECASE,
)
# Compiled when first used: mere words ask for none of them.
_TIME = r"\bwhen\b|\bhow long\b|\b(?:what|which) (?:\w+ )?(?:date|day|time|month|year|week)\b"
_NUMBER = r"\bhow (?:many|much|often)\b"
_LENGTH = r"\bhow (?:long|old|often)\b"
_PLACE = r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:city|town|country|state|place|location|area|file|folder|directory)\b"
_NAME = r"\b(?:who|whom|whose|where|which)\b"


class Question(NamedTuple):
    """A query, understood."""

    terms: list[str]
    left_out: int
    """How many more terms there were."""
    asks: bool
    """Whether it is a sentence that asks something. What answers it may share no word with it."""
    authors: frozenset[str]
    """Agents whom it names."""
    subject: str
    """The one whom it names first, or ""."""
    spans: list[Span]
    """Times that it speaks of."""
    for_time: bool
    for_number: bool
    for_name: bool
    for_place: bool
    for_length: bool


def is_question(query: str) -> bool:
    """Whether `query` asks something, rather than gives words."""
    sentence = query[:_LIMIT]
    return "?" in sentence or _ASKS.match(sentence) is not None


def understand(
    query: str, limit: int, authors: Iterable[str], now: float, years: tuple[int, int] | None = None
) -> Question:
    """`query` read as a question to a ledger in which `authors` write, of which `years` are the first and the last.

    Whom it names is no word to look for: of those who talk to each other, others say the name.
    """
    sentence = query[:_LIMIT]
    folded = {word.lower() for word in _WORD.findall(sentence)}
    capital = {word.lower() for word in _WORD.findall(sentence) if word[0].isupper()}
    named: dict[str, int] = {}
    said: set[str] = set()
    for author in authors:
        parts = [part for part in _WORD.findall(author) if part]
        whole = bool(parts) and folded.issuperset(parts)
        first = bool(parts) and len(parts[0]) > 2 and parts[0] in capital
        if whole or first:
            named[author] = sentence.lower().find(parts[0])
            said.update(part for part in parts if part in capital or f"@{author}" in sentence)
    terms, left_out = query_terms(query, limit)
    asks = is_question(sentence)
    kept = [term for term in terms if term not in said]
    return Question(
        terms=kept or terms,
        left_out=left_out,
        asks=asks,
        authors=frozenset(named),
        subject=min(named, key=lambda author: (named[author], author), default=""),
        spans=spans(sentence, now, years),
        for_time=asks and _is_in(_TIME, sentence),
        for_number=asks and _is_in(_NUMBER, sentence),
        for_name=asks and _is_in(_NAME, sentence),
        for_place=asks and _is_in(_PLACE, sentence),
        for_length=asks and _is_in(_LENGTH, sentence),
    )


def _is_in(pattern: str, sentence: str) -> bool:
    return re.search(pattern, sentence, re.IGNORECASE) is not None
