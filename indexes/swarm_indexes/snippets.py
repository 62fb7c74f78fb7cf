"""The part of a text to show with a hit.

FTS5's snippet() and highlight() take time quadratic in the matches of one text, so matches are looked for here, by a
light stem: good enough to choose what to show, and nothing else depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["WIDTH", "snippet"]

WIDTH = 200
"""How many characters are shown, give or take a word at either end."""

_LEAD = WIDTH // 5
_WORD = 30
_ENDINGS = ("ies", "ing", "ed", "es", "s", "e", "y")


def snippet(text: str, terms: Sequence[str] = ()) -> str:
    """The stretch of `text` with most matches of `terms`, in one line; "…" where text was left out.

    The first such stretch; the start of the text where nothing matches. Terms are in lower case.
    """
    folded = text.lower()
    matches = sorted({at for term in terms for at in _matches(text, folded, _stem(term))})
    start = _densest(matches) - _LEAD
    start = 0 if start < _WORD or len(text) <= WIDTH else _after_space(text, start)
    end = start + WIDTH
    if end < len(text):
        space = text.rfind(" ", end - _WORD, end)
        end = space if space > 0 else end
    shown = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"


def _matches(text: str, folded: str, stem: str) -> Iterator[int]:
    """Where `stem` begins a word, or a word inside an identifier, or stands in a script without spaces."""
    if len(folded) != len(text):
        text = folded  # some letters are longer in lower case; what is shown may be off by those
    at = folded.find(stem)
    while at >= 0:
        if at == 0 or not text[at - 1].isalnum() or text[at].isupper() or not stem.isascii():
            yield at
        at = folded.find(stem, at + len(stem))


def _stem(term: str) -> str:
    for ending in _ENDINGS:
        if term.endswith(ending) and len(term) >= len(ending) + 3:
            term = term.removesuffix(ending)
            break
    return term[:-1] if len(term) > 3 and term[-1] == term[-2] else term


def _densest(matches: list[int]) -> int:
    """The match from which on most others lie within what is shown."""
    best, most, last = 0, 0, 0
    for first, at in enumerate(matches):
        while last < len(matches) and matches[last] < at + WIDTH - _LEAD:
            last += 1
        if last - first > most:
            best, most = at, last - first
    return best


def _after_space(text: str, start: int) -> int:
    space = text.find(" ", start - 1, start + _WORD)
    return space + 1 if space >= 0 else start
