"""Facts that say what a text says: found by what they share of their sketches, told by their words.

All writers ask for this at each write, so it is a file that is looked into with a few small reads: buckets of slots
(number of a sketch, fact), a full bucket going on in the next. A slot of a fact that says something else by now, or is
gone, costs a look at that fact; so does one that a crash left. What a power loss may have lost nobody could tell, so
after a boot the file is made anew; it can be deleted at any moment too.

No write fails for want of this file, and none goes unasked: what the file lacks while another process is at it is
looked at without it, and so is all where it cannot be used.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

from swarm_ledger.env import NO_FILE, Env, inode, storage_error
from swarm_ledger.errors import BadInput
from swarm_ledger.filelock import FileLock
from swarm_ledger.ids import ALPHABET, EntryId, id_of, path_of
from swarm_ledger.store import Change, Store

from .saying import SHARED, alike, said_in, sketch, words

__all__ = ["Sketches"]

_HEAD = struct.Struct("<8sII40s40s64s")
_MAGIC = b"sketch 1"
_START = 256
_SLOTS = 5
_BUCKET = struct.Struct("<" + "IQ" * _SLOTS + "4x")
_SLOT = struct.Struct("<IQ")
_FULL = 3
"""With more slots taken than this a bucket, the file is made anew with twice the buckets."""

_LEAST = 1 << 10
_COMMON = 100
"""What more facts than this share tells little of them: so many are kept, the latest among them."""

_LIKE = 40
"""So many facts at most are held against a text that is like them, those not counted that say it but do not stand."""

_PATIENCE_S = 5.0
"""For so long a writer waits for a file that another process makes: to look at every fact costs what making does."""

_TELLING = re.compile(rb"^[ \t]*[\"']?(?:superseded_by|status)\b", re.MULTILINE)
"""A fact that has neither stands, and its YAML is not read."""

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TO_DIGITS = str.maketrans(ALPHABET, _DIGITS)

Slot = tuple[int, int]


class _Head(NamedTuple):
    """What the file says of itself: it holds the facts up to `mark`, which is of the commit `tip`."""

    buckets: int
    kept: int
    boot: str
    tip: str
    mark: str


class Sketches:
    """The sketches of the facts of `store`, in the file `path`; brought up to the ledger by whoever asks."""

    def __init__(self, path: str, store: Store, env: Env) -> None:
        self._path, self._store, self._env = path, store, env
        self._mutex = threading.Lock()
        self._pid, self._fd, self._inode = os.getpid(), -1, NO_FILE
        self._lock = FileLock(f"{path}.lock")
        self._boot = ""

    def like(self, text: str, said: frozenset[str]) -> list[str]:
        """Ids of facts that stand and say what `text` says, whose words are `said`, as far as words tell."""
        few = sketch(text)
        paths = self._sharing(few) if few else []
        found: list[str] = []
        room = _LIKE
        while paths and room > 0:
            part, paths = paths[:room], paths[room:]
            for path, version in self._store.read_many(part).items():
                says_that = alike(said, words(said_in(version.text)))
                stands = not says_that or _stands(version.text)
                room -= stands
                if says_that and stands:
                    found.append(str(id_of(path)))
        return found

    def catch_up(self) -> None:
        """Bring the file up to the ledger, unless another process is at it."""
        with self._alone():
            try:
                self._catch_up()
            except OSError as error:
                raise storage_error(error, "opening the sketches of facts") from None

    def forget(self) -> None:
        """Begin anew: all of it comes back from the ledger."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise storage_error(error, "removing the sketches of facts") from None

    def close(self) -> None:
        """Release the descriptors."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._lock.close()

    def _alone(self) -> threading.Lock:
        """What one thread holds at a time; in a forked child a new one, and descriptors of its own."""
        if self._pid != os.getpid():
            # A thread that is not here may have held the one, and the file lock is the parent's.
            self._mutex = threading.Lock()
            self.close()
            self._lock = FileLock(f"{self._path}.lock")
            self._pid = os.getpid()
        return self._mutex

    def _sharing(self, few: Sequence[int]) -> list[str]:
        """Paths of facts that share enough of the numbers `few`: most of them first, then the newest."""
        with self._alone():
            try:
                head, lacking = self._catch_up()
                found = (
                    {(number, fact) for number in few for fact in self._facts(head.buckets, number)} if head else set()
                )
            except (OSError, struct.error):  # whoever asks next makes it anew, if that can be done
                if self._fd >= 0:
                    with contextlib.suppress(OSError):
                        if inode(self._path) == self._inode:
                            os.unlink(self._path)
                found, lacking = set(), self._since(None)
        found.update(slot for slot in lacking if slot[0] in few)
        least = min(SHARED, len(few))
        times = Counter(fact for _, fact in found)
        best = sorted(((shared, fact) for fact, shared in times.items() if shared >= least), reverse=True)
        return [path for _, fact in best if (path := _path(fact))]

    def _facts(self, buckets: int, number: int) -> list[int]:
        found: list[int] = []
        for at in _buckets(buckets, number):
            slots = self._bucket(at)
            if number in slots:
                found += [slots[i + 1] for i in range(0, len(slots), 2) if slots[i] == number and slots[i + 1]]
            if not slots[-1]:
                break
        return found

    def _bucket(self, at: int) -> tuple[int, ...]:
        return _BUCKET.unpack(os.pread(self._fd, _BUCKET.size, _START + at * _BUCKET.size))

    def _catch_up(self) -> tuple[_Head | None, list[Slot]]:
        """Take in what the ledger has and the file has not; (the file's head, what the file still lacks).

        Another process may be at it: then the file stays as it is. The head is None where there is no file.
        """
        tip = self._store.tip() or ""
        head = self._head()
        if head and head.tip == tip:
            return head, []
        if not self._acquire(0 if head else _PATIENCE_S):
            head = self._head()
            return head, self._since(head)
        try:
            head = self._head()
            changes = self._store.changes(head.mark if head else None)
            new = [slot for change in changes.changes for slot in _slots_of(change)]
            until = str(changes.commit or ""), changes.mark
            if head is None or changes.complete:
                return self._make(new, *until), []
            if head.kept + len(new) > _FULL * head.buckets:
                return self._make([*self._all(head.buckets), *new], *until), []
            for slot in new:
                self._put(head.buckets, *slot)
            head = _Head(head.buckets, head.kept + len(new), self._boot, *until)
            os.pwrite(self._fd, _encoded(head), 0)
            return head, []
        finally:
            self._lock.release()

    def _acquire(self, patience: float) -> bool:
        """Take the file lock; False where another process keeps it for `patience` seconds."""
        try:
            return self._lock.acquire(self._env, patience, 0.01) if patience else self._lock.try_acquire()
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            return self._lock.try_acquire()

    def _since(self, head: _Head | None) -> list[Slot]:
        """What a file with that `head` lacks, from the ledger itself."""
        changes = self._store.changes(head.mark if head else None)
        return [slot for change in changes.changes for slot in _slots_of(change)]

    def _head(self) -> _Head | None:
        """The head of the file that is at the path now; None where there is none that can be believed."""
        if self._fd < 0 or inode(self._path) != self._inode:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            try:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            self._inode = os.fstat(self._fd).st_ino
            self._boot = self._boot or self._env.boot()[:40]
        data = os.pread(self._fd, _HEAD.size + 4, 0)
        if len(data) < _HEAD.size + 4 or data[:8] != _MAGIC or crc32(data[:-4]).to_bytes(4, "big") != data[-4:]:
            return None
        _, buckets, kept, *texts = _HEAD.unpack(data[:-4])
        head = _Head(buckets, kept, *(text.rstrip(b"\0").decode(errors="replace") for text in texts))
        return head if head.boot == self._boot else None

    def _put(self, buckets: int, number: int, fact: int) -> None:
        same: list[int] = []
        for at in _buckets(buckets, number):
            slots = self._bucket(at)
            for i in range(0, len(slots), 2):
                offset = _START + at * _BUCKET.size + i // 2 * _SLOT.size
                if not slots[i + 1]:
                    os.pwrite(self._fd, _SLOT.pack(number, fact), offset)
                    return
                if slots[i] != number:
                    continue
                same.append(offset)
                if slots[i + 1] == fact:
                    return
                if len(same) == _COMMON:  # any but the newest gives way: those before may no longer stand
                    os.pwrite(self._fd, _SLOT.pack(number, fact), same[fact % _COMMON])
                    return

    def _all(self, buckets: int) -> list[Slot]:
        rows = (self._bucket(at) for at in range(buckets))
        return [slot for row in rows for slot in zip(row[::2], row[1::2], strict=True) if slot[1]]

    def _make(self, slots: Iterable[Slot], tip: str, mark: str) -> _Head:
        """A new file of `slots` at the path, the lock being held."""
        unique = set(slots)
        times = Counter(number for number, _ in unique)
        crowded = {number for number, shared in times.items() if shared > _COMMON}
        if crowded:
            facts: dict[int, list[int]] = {number: [] for number in crowded}
            for number, fact in unique:
                if number in crowded:
                    facts[number].append(fact)
            unique.difference_update((number, fact) for number in crowded for fact in sorted(facts[number])[:-_COMMON])
        size = _LEAST
        while _FULL * size < 2 * len(unique):
            size *= 2
        body, taken = bytearray(size * _BUCKET.size), bytearray(size)
        for number, fact in unique:
            at = next(at for at in _buckets(size, number) if taken[at] < _SLOTS)
            _SLOT.pack_into(body, at * _BUCKET.size + taken[at] * _SLOT.size, number, fact)
            taken[at] += 1
        self._boot = self._boot or self._env.boot()[:40]
        head = _Head(size, len(unique), self._boot, tip, mark)
        fresh = f"{self._path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        self._env.disk.create(fresh, _encoded(head).ljust(_START, b"\0") + body, sync=False)
        self._env.disk.rename(fresh, self._path)
        self._head()
        return head


def _buckets(buckets: int, number: int) -> Iterable[int]:
    """Where `number` may be, the likeliest first."""
    return ((number + step) % buckets for step in range(buckets))


def _encoded(head: _Head) -> bytes:
    data = _HEAD.pack(_MAGIC, head.buckets, head.kept, *(text.encode() for text in head[2:]))
    return data + crc32(data).to_bytes(4, "big")


def _slots_of(change: Change) -> list[Slot]:
    id = id_of(change.path) if change.version and change.path.startswith("facts/") else None
    if change.version is None or id is None or not _stands(change.version.text):
        return []
    fact = _number(id)
    return [(number, fact) for number in sketch(said_in(change.version.text))]


def _number(id: EntryId) -> int:
    """The id of a fact as a number: its day and the 40 bits that were drawn for it."""
    _, day, drawn = id.split("-")
    return int(day) << 40 | int(drawn.translate(_TO_DIGITS), 32)


def _path(fact: int) -> str | None:
    """Where the fact of that number is; None for what a crash made of one."""
    drawn = "".join(ALPHABET[fact >> shift & 31] for shift in range(35, -1, -5))
    with contextlib.suppress(BadInput):
        return path_of(f"fact-{fact >> 40:06d}-{drawn}")
    return None


def _stands(text: bytes) -> bool:
    if not _TELLING.search(text):
        return True
    from swarm_ledger.entry import Document

    from .factindex import is_active

    try:
        return is_active(Document.parse(text).fields)
    except BadInput:
        return False  # `check` names it
