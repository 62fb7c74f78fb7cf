"""What the record of use says was of use: shown, edited, or cited by a new entry, by any agent of this machine.

Being found does not count: what is found would be found ever more. The record is read once and its sum kept beside the
search index; what little was added since is read by each question, so that nobody writes to read.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from swarm_indexes.indexfile import IndexFile
from swarm_indexes.priors import HALF_LIFE_DAYS, Uses
from swarm_ledger.env import Env
from swarm_ledger.errors import Busy, StorageError

__all__ = ["UseIndex"]

_APPLICATION, _VERSION = 0x53575553, 1
_SCHEMA = """
CREATE TABLE day (day TEXT PRIMARY KEY, size INTEGER, mark BLOB, over INTEGER) WITHOUT ROWID;
CREATE TABLE used (id TEXT, day TEXT, agent TEXT, at REAL, PRIMARY KEY (id, day, agent)) WITHOUT ROWID;
CREATE INDEX used_day ON used (day);
"""
_DAY_S = 86_400.0
_DAYS = 10 * HALF_LIFE_DAYS
"""What is older is worth less than a thousandth of what it was, and is not looked at."""
_UNKEPT = 16 * 1024
"""So many bytes of the record are read again by each question, before their sum is kept."""
_PART = 1 << 20
_MARK = 64

_FILE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.jsonl")
_BEGIN = b'{"at": "'
"""Of a line. In a text of one the quotes are escaped, so a line that was torn is told from the next."""
_USES = re.compile(rb'\{"at": "[^"]*", "verb": "(?:show|edit)"|.*"cited": \[')


class _Tail(NamedTuple):
    """What the file of a day says from where it was read last."""

    day: str
    size: int
    """Up to where it was read now."""
    mark: bytes
    """The last bytes before that, by which the file is known again."""
    read: int
    over: bool
    """Whether nothing more is added to it."""
    anew: bool
    """Whether it is another file than before, read from its beginning."""
    bad: int
    """How many of its lines are damaged."""
    used: dict[tuple[str, str], float]
    """(id, agent) → when last."""


class UseIndex:
    """The sum of the record in the directory `record`, kept in the file `path`. Both can be deleted."""

    def __init__(self, path: str, record: str, env: Env) -> None:
        self._record, self._env = record, env
        self._file = IndexFile(path, _SCHEMA, _APPLICATION, _VERSION, env)
        self._flaw = ""

    @property
    def flaw(self) -> str:
        """What of the record could not be read or used, since this object was made; "" if nothing."""
        if not self._flaw and self._file.rebuilt in ("foreign", "damaged"):
            return "the sum of the record of use was damaged or of another version; it has been made anew."
        return self._flaw

    def of(self, ids: Collection[str]) -> dict[str, Uses]:
        """Of those of `ids` that were of use, how often and when. Where nothing can be read, `flaw` says why."""
        try:
            return self._file.run(lambda db: self._of(db, frozenset(ids)))
        except (OSError, Busy, StorageError) as error:
            self._flaw = f"the record of use does not count, for it cannot be read: {error}"
            return {}

    def close(self) -> None:
        """Release the descriptors."""
        self._file.close()

    def _of(self, db: sqlite3.Connection, ids: frozenset[str]) -> dict[str, Uses]:
        tails = self._taken_in(db)
        listed = "SELECT id, day, agent, at FROM used WHERE id IN (SELECT value FROM json_each(?))"
        found = {row[:3]: row[3] for row in db.execute(listed, (json.dumps([*ids]),))}
        for tail in tails:
            found |= {(id, tail.day, agent): at for (id, agent), at in tail.used.items() if id in ids}
        out: dict[str, Uses] = {}
        for (id, _, _), at in found.items():
            number, last = out.get(id, (0, at))
            out[id] = Uses(number + 1, max(last, at))
        return out

    def _taken_in(self, db: sqlite3.Connection) -> list[_Tail]:
        """What was added to the record since its sum was kept; much of it is kept first, unless others write."""
        now = self._env.now()
        first, settled = _day(now - _DAYS * _DAY_S), _day(now - 2 * _DAY_S)
        days = {found[1] for name in self._files() if (found := _FILE.fullmatch(name)) and found[1] >= first}
        known = {day: (size, mark, over) for day, size, mark, over in db.execute("SELECT * FROM day")}
        tails = []
        for day in sorted(days):
            size, mark, over = known.get(day, (0, b"", 0))
            if not over:
                with contextlib.suppress(FileNotFoundError):  # deleted in this moment
                    tails.append(_tail(f"{self._record}/{day}.jsonl", day, size, mark, day <= settled))
        gone = known.keys() - days
        if bad := {tail.day: tail.bad for tail in tails if tail.bad}:
            lines = ", ".join(f"{number} of {self._record}/{day}.jsonl" for day, number in bad.items())
            self._flaw = f"damaged lines of the record of use are left out: {lines}."
        if gone or sum(tail.read for tail in tails) >= _UNKEPT or any(one.over or one.anew or one.bad for one in tails):
            _keep(db, tails, gone)
        return tails

    def _files(self) -> list[str]:
        try:
            return os.listdir(self._record)
        except FileNotFoundError:
            return []


def _tail(path: str, day: str, start: int, mark: bytes, over: bool) -> _Tail:
    """What the file says from `start` on, if `mark` is still before that; else all of it. Raises OSError."""
    used: dict[tuple[str, str], float] = {}
    bad = 0
    with open(path, "rb") as file:
        file.seek(start - len(mark))
        anew = file.read(len(mark)) != mark
        size = begin = file.seek(0 if anew else start)
        rest = b""
        while part := file.read(_PART):
            *lines, rest = (rest + part).split(b"\n")
            bad += sum(not _take_in(line, used) for line in lines)
            size += sum(map(len, lines)) + len(lines)
        file.seek(max(0, size - _MARK))
        mark = file.read(min(size, _MARK))
    return _Tail(day, size, mark, size - begin, over, anew, bad, used)


def _take_in(line: bytes, used: dict[tuple[str, str], float]) -> bool:
    """Add what a line says; whether it is one."""
    if not line:
        return True
    begin = line.rfind(_BEGIN)
    if begin < 0 or not line.endswith(b"}"):
        return False
    if _USES.match(line, begin):
        try:
            said = json.loads(line[begin:])
            at = datetime.fromisoformat(said["at"]).timestamp()
            ids = [*(said["ids"] if said["verb"] in ("show", "edit") else ()), *said.get("cited", ())]
            if said["outcome"] == "done":
                used.update({(str(id), str(said.get("agent", ""))): at for id in ids})
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
    return begin == 0


def _keep(db: sqlite3.Connection, tails: list[_Tail], gone: Collection[str]) -> None:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return  # who asks next keeps it
    for day in [*gone, *(tail.day for tail in tails if tail.anew)]:
        db.execute("DELETE FROM used WHERE day = ?", (day,))
        db.execute("DELETE FROM day WHERE day = ?", (day,))
    for tail in tails:
        rows = [(id, tail.day, agent, at) for (id, agent), at in tail.used.items()]
        db.executemany("INSERT OR REPLACE INTO used VALUES (?, ?, ?, ?)", rows)
        db.execute("INSERT OR REPLACE INTO day VALUES (?, ?, ?, ?)", (tail.day, tail.size, tail.mark, tail.over))
    db.execute("COMMIT")


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
