"""The words of each entry as a set of numbers, and in how many entries each is.

They tell how particular a text is, and which texts are alike, without reading any. A word is known by how it begins,
which stands in for a stemmer, and by one of 65,536 numbers: two with one number are taken for one, which few are. So
all counts are read at once, a quarter of a MiB, in less time than those of a thousand words one by one.
Figures are no words: what counts up, such as builds, would look particular, each entry of it.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Collection, Mapping
from math import log
from typing import NamedTuple
from zlib import crc32

from .terms import STOP_WORDS

__all__ = ["SCHEMA", "WordSets", "Words", "heads", "read"]

SCHEMA = """
CREATE TABLE wordset (n INTEGER PRIMARY KEY, words BLOB NOT NULL);
CREATE TABLE spread (part INTEGER PRIMARY KEY, counts BLOB NOT NULL);
"""

_WORD = re.compile(r"[^\W\d_]{3,}")
_HEAD = 6
"""Letters by which a word is known."""
_MOST = 24
"""Of how many different words of a text, the first, a set is made."""
_LONG = 4000
"""Characters of a text that are looked at."""
_PARTS = 256
"""The counts are kept in so many parts, of as many counts each."""
_RAREST = 3
"""By how many of its words a text is particular."""


class Words(NamedTuple):
    """The sets of some entries."""

    of: Mapping[int, frozenset[int]]
    idf: Mapping[int, float]
    """Word → how rare it is among all entries, from 0 to 1."""

    def rarity(self, n: int) -> float:
        """How rare the rarest words of entry `n` are in the mean, from 0 to 1."""
        idf = self.idf
        return sum(sorted([idf[word] for word in self.of.get(n, ())])[-_RAREST:]) / _RAREST


class WordSets:
    """Keeps the sets right during one transaction that adds and removes entries; `settle` ends it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._more: dict[int, int] = defaultdict(int)

    def add(self, n: int, text: str) -> None:
        """Entry `n` says `text`."""
        words = heads(text)
        self._db.execute("INSERT INTO wordset VALUES (?, ?)", (n, array("H", words).tobytes()))
        for word in words:
            self._more[word] += 1

    def remove(self, n: int) -> None:
        """Entry `n` is gone."""
        for (noted,) in self._db.execute("DELETE FROM wordset WHERE n = ? RETURNING words", (n,)):
            for word in array("H", noted):
                self._more[word] -= 1

    def settle(self) -> None:
        """Note in how many entries each word is now."""
        parts: dict[int, array[int]] = {}
        for word, more in self._more.items():
            part, place = divmod(word, _PARTS)
            if part not in parts:
                kept = self._db.execute("SELECT counts FROM spread WHERE part = ?", (part,)).fetchone()
                parts[part] = array("I", kept[0] if kept else bytes(4 * _PARTS))
            parts[part][place] += more
        changed = ((part, counts.tobytes()) for part, counts in parts.items())
        self._db.executemany("INSERT OR REPLACE INTO spread VALUES (?, ?)", changed)


def heads(text: str) -> list[int]:
    """The first different words of `text`, as numbers, without stop words."""
    found = (word[:_HEAD] for word in _WORD.findall(text[:_LONG].lower()) if word not in STOP_WORDS)
    return list(dict.fromkeys(crc32(head.encode()) % (_PARTS * _PARTS) for head in found))[:_MOST]


def read(db: sqlite3.Connection, rows: Collection[int], total: int) -> Words:
    """The sets of `rows`, of `total` entries."""
    listed = "SELECT n, words FROM wordset WHERE n IN (SELECT value FROM json_each(?))"
    of = {n: frozenset(array("H", noted)) for n, noted in db.execute(listed, (str(list(rows)),))}
    if len(of) != len(rows):
        raise LookupError("entries without their words")  # IndexFile makes such tables anew
    counts = array("I", bytes(4 * _PARTS * _PARTS))
    for part, noted in db.execute("SELECT part, counts FROM spread"):
        counts[part * _PARTS : (part + 1) * _PARTS] = array("I", noted)
    words = set[int]().union(*of.values())
    found = {counts[word] for word in words}
    if 0 in found:
        raise LookupError("words that are in no entry")
    total = max([total, *found])
    most = log(1 + (total - 0.5) / 1.5)
    rare = {entries: log(1 + (total - entries + 0.5) / (entries + 0.5)) / most for entries in found}
    return Words(of, {word: rare[counts[word]] for word in words})
