"""What is kept of a span of code so that it is found again without its old file: hashes, and marks of lines.

A mark is the CRC-32 of a line without its white space; it only says where to look. That a text is the same is
always told by sha256. Nothing here reads a file or a repository.
"""

from __future__ import annotations

import binascii
import re
from array import array
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

__all__ = ["Anchor", "Text", "anchor_of", "fields_of", "loosely", "marks_of", "read_anchor", "split_lines"]

AROUND = 12
"""So many lines that are not blank are kept of what stands before a span, and after it."""

KEPT = 400
"""Of a longer span the marks of so many lines are kept."""

_SCOPES = 3
_LONGEST = 16384
"""Characters of marks, as an entry may have them."""

_NOTHING: tuple[tuple[int, ...], ...] = ((), (), (), (), ())
_MARKS = re.compile(r"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}")
_LOOSE = re.compile(
    r".*\.(?:c|h|cc|cpp|cxx|hpp|hh|java|js|jsx|mjs|cjs|ts|tsx|mts|cts|go|rs|cs|swift|kt|kts|scala|dart|php|css|scss"
    r"|less|json|json5|proto|thrift|sql)",
    re.IGNORECASE | re.DOTALL,
)
"""Files of languages where white space between words means nothing. In all others it is taken to mean something."""

_TEXTS = re.compile(rb"[\"'`]")
_LONG_TEXTS = re.compile(rb"`|\"\"\"|'''|<<|R\"|@\"")
"""What may begin a text of several lines, in which white space means something everywhere."""


class Anchor(NamedTuple):
    """A cited span: `first` and `last` count lines from 1. What is absent in an old citation is empty."""

    path: str
    first: int
    last: int
    sha256: str
    loose: str = ""
    """sha256 of the text as `loosely` gives it; "" where that is the text itself."""
    span: tuple[int, ...] = ()
    """Marks of its lines that are not blank, of the first `KEPT` lines."""
    before: tuple[int, ...] = ()
    """Of the lines before it, the nearest first, blank ones left out; so `after`."""
    after: tuple[int, ...] = ()
    scope: tuple[int, ...] = ()
    """Of the lines above that it is indented under, the innermost first."""
    copies: int = 0
    """How often its text stood in the tree when it was cited; 0 is unknown."""
    rival_here: float = 0.0
    """If its text stood in its file more than once: the share of what stood around it that stood around another."""
    rival_away: float = 0.0
    """How alike the best place in another file was: the share of its lines that were there too, or where all of them
    were, 1 and the share of what stood around it."""

    twins: tuple[int, ...] = ()
    """Of each other place with its text, if they are few: a mark of its path, and one of its next neighbours."""

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return self.last - self.first + 1


class Text:
    """A file's lines, with LF for CRLF, and their marks."""

    def __init__(self, data: bytes, lines: list[bytes] | None = None) -> None:
        self.lines = split_lines(data) if lines is None else lines
        self.marks = marks_of(self.lines)

    @cached_property
    def solid(self) -> array[int]:
        """Which lines are not blank, counted from 0."""
        return array("I", (number for number, mark in enumerate(self.marks) if mark))

    @cached_property
    def dense(self) -> array[int]:
        """Their marks."""
        return array("I", (mark for mark in self.marks if mark))

    @cached_property
    def where(self) -> Mapping[int, Sequence[int]]:
        """Mark → its places in `dense`."""
        out: dict[int, list[int]] = {}
        for place, mark in enumerate(self.dense):
            out.setdefault(mark, []).append(place)
        return out

    def digest(self, first: int, last: int) -> str | None:
        """sha256 of lines `first` to `last` (from 1), each ended by one LF; None where there are no such lines."""
        if not 1 <= first <= last <= len(self.lines):
            return None
        return _digest(self.lines[first - 1 : last])

    def loose_digest(self, path: str, first: int, last: int) -> str:
        """The same of those lines as `loosely` gives them for a file called `path`."""
        return _digest(loosely(path, self.lines[first - 1 : last]))

    def around(self, first: int, last: int, number: int = AROUND) -> tuple[Sequence[int], Sequence[int]]:
        """The marks before and after lines `first` to `last`, the nearest first."""
        low, high = bisect_left(self.solid, first - 1), bisect_left(self.solid, last)
        return self.dense[max(0, low - number) : low][::-1], self.dense[high : high + number]

    def scope(self, first: int) -> tuple[int, ...]:
        """The marks of the lines above that line `first` is indented under, the innermost first."""
        found: list[int] = []
        at = first - 1
        while at < len(self.lines) and not self.marks[at]:
            at += 1
        depth = _depth(self.lines[at]) if at < len(self.lines) else 0
        for number in range(min(at, len(self.lines)) - 1, -1, -1):
            if not depth or len(found) == _SCOPES:
                break
            if self.marks[number] and (here := _depth(self.lines[number])) < depth:
                depth = here
                found.append(self.marks[number])
        return tuple(found)


def split_lines(data: bytes) -> list[bytes]:
    """Lines as they are cited: ended by LF or CRLF, the last one perhaps by nothing."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def marks_of(lines: Sequence[bytes]) -> array[int]:
    """The mark of each line; 0 is that of a blank one, and of no other that matters."""
    return array("I", [crc32(b" ".join(line.split())) for line in lines])


def loosely(path: str, lines: Sequence[bytes]) -> list[bytes]:
    """What may not differ in a text that counts as the same in another place.

    Where white space means something: everything but the indentation that all lines share. Elsewhere: everything but
    blank lines and the white space around words, as long as no quotation is near.
    """
    if _LOOSE.fullmatch(path) and not any(_LONG_TEXTS.search(line) for line in lines):
        return [line.strip() if _TEXTS.search(line) else b" ".join(line.split()) for line in lines if line.strip()]
    solid = [line for line in lines if line.strip()]
    if not solid:
        return list(lines)
    least, most = min(solid), max(solid)
    shared = 0
    while shared < min(len(least), len(most)) and least[shared] == most[shared] and least[shared] in b" \t":
        shared += 1
    return [line[shared:] if line.strip() else b"" for line in lines]


def anchor_of(path: str, text: Text, first: int, last: int, copies: int = 0) -> Anchor:
    """The anchor of lines `first` to `last` of `text`, which has them."""
    digest = text.digest(first, last)
    if digest is None:
        raise ValueError(f"lines {first}-{last} of {len(text.lines)}")
    loose = text.loose_digest(path, first, last)
    span = tuple(mark for mark in text.marks[first - 1 : min(last, first - 1 + KEPT)] if mark)
    before, after = text.around(first, last)
    return Anchor(
        path,
        first,
        last,
        digest,
        "" if loose == digest else loose,
        span,
        tuple(before),
        tuple(after),
        text.scope(first),
        copies,
    )


def fields_of(anchor: Anchor) -> dict[str, object]:
    """The anchor as fields of a citation."""
    parts = (anchor.before, anchor.span, anchor.after, anchor.scope, anchor.twins)
    fields: dict[str, object] = {
        "path": anchor.path,
        "lines": [anchor.first, anchor.last],
        "sha256": anchor.sha256,
        "loose": anchor.loose,
        "marks": ".".join(map(_encode, parts)) if anchor.span else "",
        "copies": anchor.copies,
        "rivals": [anchor.rival_here, anchor.rival_away] if anchor.rival_here or anchor.rival_away else [],
    }
    return {name: value for name, value in fields.items() if value}


def read_anchor(citation: Mapping[str, object]) -> Anchor | None:
    """The anchor that a citation of code says; None where it is malformed."""
    path, lines, digest = citation.get("path"), citation.get("lines"), citation.get("sha256")
    if not isinstance(path, str) or not isinstance(digest, str) or not isinstance(lines, list) or len(lines) != 2:
        return None
    first, last = lines
    if not isinstance(first, int) or not isinstance(last, int) or not 1 <= first <= last:
        return None
    loose, marks = citation.get("loose"), citation.get("marks")
    copies, rivals = citation.get("copies"), citation.get("rivals")
    here, away = rivals if isinstance(rivals, list) and len(rivals) == 2 else (0.0, 0.0)
    known = isinstance(marks, str) and len(marks) <= _LONGEST
    before, span, after, scope, twins = _decode(str(marks)) if known else _NOTHING
    if not span:
        return Anchor(path, first, last, digest)
    return Anchor(
        path,
        first,
        last,
        digest,
        loose if isinstance(loose, str) else "",
        span,
        before,
        after,
        scope,
        copies if isinstance(copies, int) else 0,
        float(here) if isinstance(here, int | float) else 0.0,
        float(away) if isinstance(away, int | float) else 0.0,
        twins,
    )


def _encode(marks: Sequence[int]) -> str:
    return urlsafe_b64encode(b"".join(mark.to_bytes(4, "big") for mark in marks)).rstrip(b"=").decode()


def _decode(text: str) -> tuple[tuple[int, ...], ...]:
    """The five sequences of marks in `text`; empty ones where it is malformed."""
    if not _MARKS.fullmatch(text):
        return _NOTHING
    try:
        parts = [urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split(".")]
    except (binascii.Error, ValueError):
        return _NOTHING
    return tuple(tuple(int.from_bytes(part[at : at + 4], "big") for at in range(0, len(part) - 3, 4)) for part in parts)


def _digest(lines: Sequence[bytes]) -> str:
    return sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def _depth(line: bytes) -> int:
    """How far in a line stands; a tab reaches to the next multiple of eight."""
    return len(line.expandtabs()) - len(line.expandtabs().lstrip())
