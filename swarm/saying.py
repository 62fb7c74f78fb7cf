"""What a text says, as its words: enough to see that another says the same."""

from __future__ import annotations

import re
from zlib import crc32

__all__ = ["ALIKE", "alike", "said_in", "sketch", "words"]

ALIKE = 0.85
"""Two texts with so much of their words in common say the same."""

_WORD = re.compile(r"[^\W_]+")
_TITLE = re.compile(rb"^[ \t]*title:[ \t]*(.*)$", re.MULTILINE)
_END = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
_KEPT = 8


def words(text: str) -> frozenset[str]:
    """The words of a text, whatever their order, case and number."""
    return frozenset(_WORD.findall(text.casefold()))


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts of these words say the same."""
    return len(one & other) >= ALIKE * len(one | other) if one and other else False


def sketch(text: str) -> list[int]:
    """A few numbers of which texts that are alike share most: the least of the hashes of their pairs of words.

    Words alone would be shared by many texts that have nothing else in common.
    """
    said = text.casefold()
    found = [word.encode() for word in _WORD.findall(said)]
    return sorted({crc32(b"%b %b" % pair) for pair in zip(found, found[1:] or found, strict=False)})[:_KEPT]


def said_in(document: bytes) -> str:
    """Title and body of an entry's file, by the lines alone."""
    ends = [found.end() for found in _END.finditer(document)][:2]
    head, body = (document[: ends[1]], document[ends[1] :]) if len(ends) == 2 else (b"", document)
    title = _TITLE.search(head)
    return ((title[1] if title else b"") + b"\n" + body).decode(errors="replace")
