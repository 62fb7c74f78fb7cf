"""The vectors of what entries say, and how near each is to a question. Loaded only where there is an embedder.

They are kept by the digest of the text, in a file of the embedder's beside the index: it can be thrown away, an index
that is built anew finds its vectors there, and another embedder has another file. The search is exact: every entry's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput

from .embedder import Embedder
from .indexfile import IndexFile
from .tables import RANKED, meta
from .terms import clean

try:
    import numpy as np
except ImportError:
    raise BadInput("an embedder needs numpy: pip install 'swarm-ledger[meaning]'") from None

__all__ = ["Meanings", "Near"]

_APPLICATION, _VERSION = 0x53574D56, 1
_SCHEMA = "CREATE TABLE vector (digest INTEGER PRIMARY KEY, vector BLOB NOT NULL);"
_BATCH = 64
"""So many texts are embedded in one transaction; a process that is killed loses no more."""
_CHARACTERS = 4000
"""How much of a text is embedded; models take less."""
_STEPS = 127
"""A vector is kept as bytes from -127 to 127: its length does not matter, and recall is the same to three digits."""
_FIRST, _MORE = 64, 8
"""How many of the nearest are looked at first, and how many times more where they were too few."""
_DIGITS = 6
"""To so many digits a cosine is the same wherever among the others a text stands: equal ones tie."""


class Near:
    """How near each entry is to one question."""

    def __init__(self, at: Mapping[int, int], rows: Any, vectors: Any, order: Any, asked: Any) -> None:
        """`at` has where in `rows` each is, `order` where in `vectors`; `asked` is the question's."""
        self._at, self._rows, self._vectors, self._order, self._asked = at, rows, vectors, order, asked

    def of(self, rows: Sequence[int]) -> list[float]:
        """For each of `rows` the cosine of it and the question; 0 where that is negative, or not known."""
        known = [n for n in rows if n in self._at]
        places = self._order[np.array([self._at[n] for n in known], dtype=np.int64)]
        found = dict(zip(known, self._cosines(self._vectors[places]).tolist(), strict=True))
        return [max(0.0, found.get(n, 0.0)) for n in rows]

    def nearest(self) -> Iterator[list[int]]:
        """All rows, the nearest first, in parts that grow; equal ones in the order of their numbers."""
        found = self._cosines(self._vectors)[self._order]
        size, done = _FIRST, 0
        while done < len(found):
            size = min(size, len(found))
            part = np.flatnonzero(found >= np.partition(found, -size)[-size])
            part = part[np.argsort(-found[part], kind="stable")]
            yield self._rows[part[done:]].tolist()
            done = len(part)
            size *= _MORE

    def _cosines(self, vectors: Any) -> Any:
        return np.round(vectors @ self._asked, _DIGITS)


class Meanings:
    """The vectors of `embedder` for the entries of one index."""

    def __init__(self, directory: str, embedder: Embedder, env: Env) -> None:
        """The file is in `directory`."""
        self._embedder = embedder
        name = blake2b(embedder.name.encode("utf-8", "replace"), digest_size=4).hexdigest()
        self._file = IndexFile(f"{directory}/vectors-{name}.db", _SCHEMA, _APPLICATION, _VERSION, env)
        self.progress: Callable[[int, int], None] = lambda done, total: None
        """Told (texts embedded, of how many) now and then while there are many."""
        self._place: dict[int, int] = {}
        """Digest → its row in `_vectors`."""
        self._vectors: Any = np.zeros((0, 0), dtype=np.float32)
        """Unit vectors, `len(_place)` of them; the rows beyond are room."""
        self._taken: tuple[sqlite3.Connection, str | None] | None = None
        """The index and its commit that the rest is of."""
        self._removed: str | None = None
        """Its count of removals: where that is the same, entries were only added, under higher numbers."""
        self._at: dict[int, int] = {}
        self._rows: Any = np.zeros(0, dtype=np.int64)
        """The rows of the index, and where in this each is; `_order` has their rows in `_vectors`."""
        self._order: Any = np.zeros(0, dtype=np.int64)
        self._last = -1
        """The highest of them."""

    def take_in(self, db: sqlite3.Connection) -> None:
        """Have the vectors of all entries of the index `db`; those that nobody has made yet are made.

        One process at a time makes them. Raises Busy, StorageError, BadInput, and what the embedder raises.
        """
        taken, removed = (db, meta(db, "commit")), meta(db, "removed")
        if self._taken == taken:
            return
        anew = self._taken is None or self._taken[0] is not db or self._removed != removed
        listed: list[tuple[int, int]] = db.execute(
            f"SELECT n, digest FROM {RANKED} WHERE n > ? ORDER BY n",  # noqa: S608 (text of ours)
            (-1 if anew else self._last,),
        ).fetchall()
        digests = {digest: n for n, digest in listed}
        if anew and self._place.keys() - digests.keys():
            self._place = {}  # what was taken out is not kept, neither here nor in the file
        if not self._place or digests.keys() - self._place.keys():
            self._file.run(lambda vectors: self._complete(vectors, db, digests))
        if anew:
            self._rows, self._order, self._at = self._rows[:0], self._order[:0], {}
            self._last = -1
        if listed:
            self._last = listed[-1][0]
        # One that was taken out while vectors were made has none; it is not among those of the next question.
        listed = [(n, digest) for n, digest in listed if digest in self._place]
        self._at |= {n: place for place, (n, _) in enumerate(listed, len(self._at))}
        self._rows = np.append(self._rows, np.array([n for n, _ in listed], dtype=np.int64))
        self._order = np.append(self._order, np.array([self._place[digest] for _, digest in listed], dtype=np.int64))
        self._taken, self._removed = taken, removed

    def near(self, question: str) -> Near:
        """How near the entries that were taken in are to `question`."""
        asked = self._embedded([clean(question[:_CHARACTERS])])[0]
        if len(self._place) and len(asked) != self._vectors.shape[1]:
            raise self._changed(self._vectors.shape[1], len(asked))
        vectors = self._vectors[: len(self._place)].reshape(-1, len(asked))  # none have no length yet
        return Near(self._at, self._rows, vectors, self._order, asked)

    def close(self) -> None:
        """Release the descriptors."""
        self._file.close()

    def _complete(self, vectors: sqlite3.Connection, db: sqlite3.Connection, digests: Mapping[int, int]) -> None:
        """Have the vectors of `digests` (digest → a row of `db` with that text), from the file or the embedder."""
        self._read(vectors, digests)
        missing = [digest for digest in digests if digest not in self._place]
        if not missing:
            return
        with self._file.writing() as alone:
            alone()
            self._read(vectors, digests)  # what whoever was alone before has made
            missing = [digest for digest in missing if digest not in self._place]
            for start in range(0, len(missing), _BATCH):
                self._make(vectors, db, {digest: digests[digest] for digest in missing[start : start + _BATCH]})
                if len(missing) > _BATCH:
                    self.progress(min(start + _BATCH, len(missing)), len(missing))

    def _make(self, vectors: sqlite3.Connection, db: sqlite3.Connection, wanted: Mapping[int, int]) -> None:
        said = "SELECT digest, title, body FROM entry WHERE n IN (SELECT value FROM json_each(?))"
        texts = {
            digest: (f"{title}\n{body}" if title else body)[:_CHARACTERS]
            for digest, title, body in db.execute(said, (str(list(wanted.values())),))
            if digest in wanted  # another process may have put something else into the row since it was listed
        }
        if not texts:
            return
        made = self._embedded(list(texts.values()))
        most = np.abs(made).max(axis=1, keepdims=True)
        kept = np.round(made / np.where(most > 0, most, 1) * _STEPS).astype(np.int8)
        blobs = [(digest, row.tobytes()) for digest, row in zip(texts, kept, strict=True)]
        vectors.execute("BEGIN IMMEDIATE")
        vectors.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", blobs)
        vectors.execute("COMMIT")
        self._keep(blobs)

    def _read(self, vectors: sqlite3.Connection, digests: Mapping[int, int]) -> None:
        """Keep what the file has of `digests`, and take out of it what is not among them."""
        if self._place:
            missing = [digest for digest in digests if digest not in self._place]
            listed = "SELECT digest, vector FROM vector WHERE digest IN (SELECT value FROM json_each(?))"
            self._keep(vectors.execute(listed, (str(missing),)).fetchall())
            return
        found = vectors.execute("SELECT digest, vector FROM vector").fetchall()
        self._keep([row for row in found if row[0] in digests])
        gone = [(digest,) for digest, _ in found if digest not in digests]
        if gone:
            vectors.execute("BEGIN IMMEDIATE")
            vectors.executemany("DELETE FROM vector WHERE digest = ?", gone)
            vectors.execute("COMMIT")

    def _keep(self, blobs: list[tuple[int, bytes]]) -> None:
        if not blobs:
            return
        used, size = len(self._place), len(blobs[0][1])
        if used == 0:
            self._vectors = np.zeros((len(blobs), size), dtype=np.float32)
        for _, blob in blobs:
            if len(blob) != self._vectors.shape[1]:
                raise self._changed(self._vectors.shape[1], len(blob))
        if used + len(blobs) > len(self._vectors):
            room = np.zeros((max(used + len(blobs), 2 * used), size), dtype=np.float32)
            room[:used] = self._vectors[:used]
            self._vectors = room
        new = np.frombuffer(b"".join(blob for _, blob in blobs), dtype=np.int8).reshape(len(blobs), size)
        self._vectors[used : used + len(blobs)] = _units(new.astype(np.float32))
        for place, (digest, _) in enumerate(blobs, used):
            self._place[digest] = place

    def _embedded(self, texts: list[str]) -> Any:
        made = np.asarray(self._embedder.embed(texts), dtype=np.float32)
        if made.ndim != 2 or len(made) != len(texts) or not np.isfinite(made).all():
            raise BadInput(
                f"the embedder {self._embedder.name} gave {made.shape} numbers for {len(texts)} texts, or some that "
                "are none; it has to give one vector of finite numbers for each."
            )
        return _units(made)

    def _changed(self, was: int, now: int) -> BadInput:
        return BadInput(
            f"the embedder {self._embedder.name} gives vectors of {now} numbers and gave {was}: "
            "a model that is changed needs a new name."
        )


def _units(rows: Any) -> Any:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
