"""An exhaustive search for a span of an old tree in a new one: every window of every file, with all the old text.

It is what verdicts from hashes alone are held against, and shares no code with them but what counts as the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import cached_property

from swarm.anchor import loosely

__all__ = ["Slow"]

Lines = list[bytes]
Place = tuple[str, int, int]


class Slow:
    """Two trees, as path → lines."""

    def __init__(self, old: Mapping[str, Lines], new: Mapping[str, Lines]) -> None:
        self.old, self.new = old, new
        self._maps: dict[tuple[str, str], list[int | None]] = {}

    @cached_property
    def renamed(self) -> dict[str, str]:
        """Path of an old file that is no more → the new one that is most like it."""
        out = {}
        fresh = [path for path in self.new if path not in self.old]
        for path in self.old:
            if path not in self.new:
                lines = set(self.old[path])
                likeness = {one: len(lines & set(self.new[one])) / max(1, len(lines)) for one in fresh}
                best = max(fresh, key=lambda one: likeness[one], default="")
                if best and likeness[best] > 0.5:
                    out[path] = best
        return out

    def judge(self, path: str, first: int, last: int) -> tuple[str, Place | None]:
        """Verdict and place (None for gone)."""
        span = self.old[path][first - 1 : last]
        if self.new.get(path, [])[first - 1 : last] == span:
            return "fresh", (path, first, last)
        found = self._windows(self.new, path, span)
        copies = len(self._windows(self.old, path, span))
        now = path if path in self.new else self.renamed.get(path)
        mapped = self._mapped(path, now)[first - 1 : last] if now else []
        kept = [place for place in mapped if place is not None]
        if now and kept and len(kept) == len(span) and kept[-1] - kept[0] == len(span) - 1:
            return "moved", (now, kept[0] + 1, kept[-1] + 1)
        indented = [one for one in found if now and one[0] == now and kept and one[1] <= kept[0] + 1 <= one[2]]
        if indented:
            return "moved", indented[0]
        solid = sum(1 for line in span if line.strip())
        left = sum(1 for line, place in zip(span, mapped, strict=False) if place is not None and line.strip())
        if len(found) == 1 and copies == 1 and left < 0.4 * solid:
            return "moved", found[0]
        if now:
            region = self._region(path, now, first, last)
            if region:
                return "changed", region
        return "gone", None

    def _windows(self, tree: Mapping[str, Lines], path: str, span: Lines) -> list[Place]:
        """Every place of `tree` that has the text, exactly or as a block that is further in or out."""
        wanted, length, out = loosely(path, span), len(span), []
        start = next(number for number, line in enumerate(span) if line.strip())
        key = span[start].strip()
        for name, lines in tree.items():
            for at, line in enumerate(lines):
                begin = at - start
                if line.strip() == key and begin >= 0 and begin + length <= len(lines):
                    window = lines[begin : begin + length]
                    if window == span or loosely(path, window) == wanted:
                        out.append((name, begin + 1, begin + length))
        return out

    def _mapped(self, path: str, now: str) -> list[int | None]:
        """Where each line of the old file is in the new one, as their difference says."""
        if (path, now) not in self._maps:
            lines: list[int | None] = [None] * len(self.old[path])
            for a, b, size in SequenceMatcher(None, self.old[path], self.new[now], False).get_matching_blocks():
                lines[a : a + size] = range(b, b + size)
            self._maps[path, now] = lines
        return self._maps[path, now]

    def _region(self, path: str, now: str, first: int, last: int) -> Place | None:
        """What stands between the last line that is the same before the span and the first one after it."""
        mapped = self._mapped(path, now)
        before = next((place for place in mapped[first - 2 :: -1] if place is not None), -1) if first > 1 else -1
        after = next((place for place in mapped[last:] if place is not None), len(self.new[now]))
        inside = [number for number in range(before + 1, after) if self.new[now][number].strip()]
        return (now, inside[0] + 1, inside[-1] + 1) if inside else None
