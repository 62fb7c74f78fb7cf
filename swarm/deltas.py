"""What is different between two versions of an entry, in as few words as tell all of it.

A changed line is shown as `-` and `+`; of a long one only the words that differ, as `[-old-]` and `{+new+}`, with
the words around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from swarm_ledger.errors import NotFound
from swarm_ledger.ids import EntryId, id_of
from swarm_ledger.store import BlobId, Store

__all__ = ["Changed", "changed", "delta"]

_LONGEST = 6000
"""Characters of a delta; beyond, reading the entry again is the better way."""
_LONG_LINE = 60
_AROUND = 3
"""Words shown on each side of a change in a long line."""
_WORDS = re.compile(r"\s+|\w+|[^\w\s]+")
_COUNTED = re.compile(r"^rev: [0-9]+\n", re.MULTILINE)


class Changed(NamedTuple):
    """An entry that is not as it was when it was read."""

    id: EntryId
    was: BlobId
    """The version that was read."""
    version: BlobId | None
    """The version now; None where it was retracted."""
    delta: str
    """What is different; "" where that is too long, the old version is gone, or one of them is no text."""
    whole: bool
    """Whether who knows `was` and `delta` knows `version`."""


def changed(store: Store, path: str, was: BlobId, now: BlobId | None) -> Changed:
    """What became of version `was` of the entry at `path`, which is at `now`."""
    id = EntryId(id_of(path) or path)
    if now is None:
        return Changed(id, was, None, "retracted", True)
    try:
        text = delta(store.blob(was).decode(), store.blob(now).decode())
    except (NotFound, UnicodeDecodeError):  # erased, or not of our making
        text = ""
    whole = 0 < len(text) <= _LONGEST
    return Changed(id, was, now, text if whole else "", whole)


def delta(before: str, after: str) -> str:
    """The lines of `after` that `before` does not have, and the other way round. `rev` is left out: it always counts.

    Where that would be no shorter, `after` itself.
    """
    before, after = _COUNTED.sub("", before, count=1), _COUNTED.sub("", after, count=1)
    old, new = before.splitlines(), after.splitlines()
    out: list[str] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if b - a == d - c and all(min(len(x), len(y)) > _LONG_LINE for x, y in zip(old[a:b], new[c:d], strict=True)):
            out += [_words(x, y) for x, y in zip(old[a:b], new[c:d], strict=True)]
            continue
        if a == b and a > 0:  # what is new has its place after what was there
            out.append(f"after: {_short(old[a - 1])}")
        out += [f"-{line}" for line in old[a:b]] + [f"+{line}" for line in new[c:d]]
    text = "\n".join(out) or "only spaces or line ends differ"
    return text if len(text) < len(after) else f"now:\n{after}"


def _short(line: str) -> str:
    return line if len(line) <= _LONG_LINE else line[:_LONG_LINE] + "…"


def _words(old: str, new: str) -> str:
    return "~" + "".join(_marked(_WORDS.findall(old), _WORDS.findall(new)))


def _marked(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    around = 2 * _AROUND  # every other piece is a space
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for n, (tag, a, b, c, d) in enumerate(steps):
        if tag != "equal":
            yield f"[-{''.join(old[a:b])}-]" if b > a else ""
            yield f"{{+{''.join(new[c:d])}+}}" if d > c else ""
            continue
        head, tail = old[a : a + around] if n else [], old[max(a, b - around) : b] if n + 1 < len(steps) else []
        if b - a <= len(head) + len(tail):
            yield "".join(old[a:b])
        else:
            yield f"{''.join(head)}…{''.join(tail)}"
