"""Two edits of one text, joined line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

__all__ = ["merge_lines"]

_MOST_PAIRS = 4_000_000
"""Lines of one side times lines of the other, beyond which no common lines are looked for inside a change."""


def merge_lines(base: str, ours: str, theirs: str) -> str | None:
    """`base` with the changes that both made to it; None where they changed the same place differently.

    diff3 (Khanna, Kunal and Pierce, "A Formal Investigation of Diff3", 2007): between places that all three have in
    common, a stretch that one side left alone is taken from the other.
    """
    lines = [text.splitlines(keepends=True) for text in (base, ours, theirs)]
    out: list[str] = []
    at = (0, 0, 0)
    for size, *starts in _common(*lines):
        b, o, t = (text[begin:end] for text, begin, end in zip(lines, at, starts, strict=True))
        if o not in (b, t) and t != b:
            return None
        out += t if o == b else o
        out += lines[0][starts[0] : starts[0] + size]
        at = (starts[0] + size, starts[1] + size, starts[2] + size)
    return "".join(out)


def _common(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """(length, start in base, in ours, in theirs) of what all three share, in order; last an empty one at the end."""
    left, right = _matches(base, ours), _matches(base, theirs)
    i = j = 0
    while i < len(left) and j < len(right):
        (a, o, n), (b, t, m) = left[i], right[j]
        start, end = max(a, b), min(a + n, b + m)
        if start < end:
            yield end - start, start, o + start - a, t + start - b
        if a + n <= b + m:
            i += 1
        else:
            j += 1
    yield 0, len(base), len(ours), len(theirs)


def _matches(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, int]]:
    """(start in a, start in b, length) of lines in common, ascending."""
    shorter = min(len(a), len(b))
    head = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    tail = next((i for i in range(shorter - head) if a[-1 - i] != b[-1 - i]), shorter - head)
    inner_a, inner_b = a[head : len(a) - tail], b[head : len(b) - tail]
    out = [(0, 0, head)]
    if len(inner_a) * len(inner_b) <= _MOST_PAIRS:
        blocks = SequenceMatcher(None, inner_a, inner_b, autojunk=False).get_matching_blocks()
        out += [(head + block.a, head + block.b, block.size) for block in blocks]
    out.append((len(a) - tail, len(b) - tail, tail))
    return [match for match in out if match[2]]
