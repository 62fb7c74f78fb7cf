"""What a text says, as its words: enough to see that another says the same."""

from __future__ import annotations

import re
from functools import lru_cache
from zlib import crc32

__all__ = ["ALIKE", "KEPT", "SHARED", "alike", "said_in", "sketch", "turns", "words"]

ALIKE = 0.85
"""Two texts with so much of their words in common say the same."""

KEPT, SHARED = 5, 2
"""So many numbers at most make a sketch; texts that are alike share at least so many of five (98 % of those with 0.85
of their words in common do, nearly all that are closer)."""

_WORD = re.compile(r"[^\W_]+")
_NOT = frozenset({"no", "not", "never", "none", "nor", "without", "cannot", "t"})
"""Words that turn what is said around; "t" is what is left of "isn't"."""

_FIGURE = re.compile(r"[0-9]")
_TITLE = re.compile(rb"^[ \t]*title:[ \t]*(.*)$", re.MULTILINE)
_END = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
_TELLING = re.compile(rb"[0-9a-z_\x80-\xff]{4,}")
_ANY = re.compile(rb"[0-9a-z_\x80-\xff]+")


@lru_cache(maxsize=4)
def words(text: str) -> frozenset[str]:
    """The words of a text, whatever their order, case and number."""
    # Kept for a moment: a write asks for those of its draft, and again for those of the file that it became.
    return frozenset(_WORD.findall(text.casefold()))


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts of these words say the same: nearly all words, and no other number."""
    if not one or not other or len(one & other) < ALIKE * len(one | other):
        return False
    return not turns(one ^ other)


def turns(differing: frozenset[str]) -> bool:
    """Whether texts that differ by these words say different things all the same: another number, or a "not"."""
    return any(word in _NOT or _FIGURE.search(word) for word in differing)


def sketch(text: str) -> list[int]:
    """A few numbers of which texts that are alike share most: the least of the hashes of their pairs of longer words.

    Words alone would be shared by many texts that have nothing else in common, and so would pairs of short ones.
    """
    said = text.casefold().encode(errors="replace")
    found = _TELLING.findall(said)
    if len(found) < 3:
        found = _ANY.findall(said)
    return sorted(set(map(crc32, map(b" ".join, zip(found, found[1:] or found, strict=False)))))[:KEPT]


def said_in(document: bytes) -> str:
    """Title and body of an entry's file, by the lines alone."""
    ends = [found.end() for found in _END.finditer(document)][:2]
    head, body = (document[: ends[1]], document[ends[1] :]) if len(ends) == 2 else (b"", document)
    title = _TITLE.search(head)
    return ((title[1] if title else b"") + b"\n" + body.strip()).decode(errors="replace")
