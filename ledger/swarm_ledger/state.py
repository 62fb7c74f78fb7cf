"""The state cache: what the ledger holds at one commit, in SQLite, so that nobody reads packs on the hot path.

It is derived: deleted, damaged or behind, it is brought up to the branch from git, and no acknowledged write
depends on it. Its write transaction also keeps two leaders apart, should somebody delete the commit lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .decide import is_inside
from .env import NO_FILE, Env, inode
from .errors import Busy
from .filelock import FileLock
from .git import cat_blobs, git
from .store import BlobId, Change, Changes, CommitId, Version

__all__ = ["State"]

_SCHEMA_VERSION = 2
_SCHEMA = """
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, blob BLOB NOT NULL, seq INTEGER NOT NULL, text BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS files_by_seq ON files (seq);
CREATE TABLE IF NOT EXISTS gone (path TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS trees (dir TEXT PRIMARY KEY, name BLOB NOT NULL, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS requests (id TEXT PRIMARY KEY, commit_id BLOB, refusal TEXT, seq INTEGER NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('epoch', lower(hex(randomblob(8)))), ('seq', 0), ('format', 1);
INSERT OR IGNORE INTO meta VALUES ('commit', NULL), ('head', NULL);
PRAGMA user_version = 2;
COMMIT;
"""
_REQUESTS_KEPT = 20_000
"""How far back a request is recognised; far more than can be in the spool at once."""

_LOCK_PATIENCE_S = 10.0


class State:
    """The cache in the file `path`. One connection of one process, opened anew where the file was replaced."""

    def __init__(self, path: str, ledger: str, env: Env) -> None:
        self._path, self._ledger, self._env = path, ledger, env
        self._db: sqlite3.Connection | None = None
        self._inode = NO_FILE
        self._pinned: sqlite3.Connection | None = None
        """The connection of the transaction that is open. Were the file replaced meanwhile, what is left of the
        transaction must not go into the new one."""

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, opened or re-opened where the file was replaced; a damaged file is made anew."""
        if self._pinned is not None:
            return self._pinned
        if self._db is not None:
            if inode(self._path) == self._inode != NO_FILE:
                return self._db
            self.close()
        return self._retrying(self._open)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_LOCK_PATIENCE_S, isolation_level=None, check_same_thread=False)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executescript(_SCHEMA)
            elif version != _SCHEMA_VERSION:
                raise sqlite3.DatabaseError(f"schema {version}")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA cache_size = -16000")
            # The rows of a day's directories are written again and again: later checkpoints write them once.
            db.execute("PRAGMA wal_autocheckpoint = 4000")
        except BaseException:
            db.close()
            raise
        self._db, self._inode = db, inode(self._path)  # deleted already: the next access opens another
        return db

    def _retrying(self, action: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
        """`action()`, once more on a fresh file when SQLite finds the old one damaged."""
        try:
            return action()
        except sqlite3.OperationalError:
            raise  # locked, full, denied: the file itself is sound
        except sqlite3.DatabaseError:
            self.discard()
            return action()

    def discard(self) -> None:
        """Delete a damaged cache, once, whoever else finds the same."""
        self.close()
        lock = FileLock(f"{self._path}.lock")
        if not lock.acquire(self._env, _LOCK_PATIENCE_S, 0.01):
            raise Busy(f"another process holds {self._path}.lock; try again.")
        try:
            with contextlib.suppress(sqlite3.DatabaseError):
                db = self._open()
                sound = db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
                self.close()
                if sound:
                    return
            self.remove()
        finally:
            lock.close()

    def remove(self) -> None:
        """Delete the cache's files; whoever has them open notices by the inode and opens new ones."""
        self.close()
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + suffix)

    def close(self) -> None:
        """Close the connection."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextlib.contextmanager
    def writing(self, patience: float = _LOCK_PATIENCE_S) -> Iterator[None]:
        """A write transaction: committed at the end, rolled back on an exception.

        Raises Busy when another process has held it for `patience` seconds.
        """
        db = self.db
        db.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
        try:
            if db.in_transaction:  # left open by an interrupt
                db.execute("ROLLBACK")
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise Busy(f"another process has held {self._path} for over {patience:.1f} s; try again.") from None
        self._pinned = db
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        finally:
            self._pinned = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """A read transaction: everything read inside is as of one commit."""
        db = self.db
        if db.in_transaction:  # left open by an interrupt
            db.execute("ROLLBACK")
        db.execute("BEGIN")
        self._pinned = db
        try:
            yield
        finally:
            self._pinned = None
            db.execute("COMMIT")

    # What it holds

    def meta(self, key: str) -> Any:
        """One value of: commit, epoch, seq, format."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def commit(self) -> CommitId | None:
        """The commit that the cache reflects."""
        value = self.meta("commit")
        return CommitId(value.hex()) if value else None

    def reflects(self) -> tuple[CommitId | None, int]:
        """That commit, and the format of the ledger there."""
        held = dict(self.db.execute("SELECT key, value FROM meta WHERE key IN ('commit', 'format')"))
        return CommitId(held["commit"].hex()) if held.get("commit") else None, held.get("format", 1)

    def head(self) -> bytes:
        """The content of that commit's object."""
        return bytes(self.meta("head") or b"")

    def version(self, path: str) -> BlobId | None:
        """The version at `path`."""
        row = self.db.execute("SELECT blob FROM files WHERE path = ?", (path,)).fetchone()
        return BlobId(row[0].hex()) if row else None

    def read(self, path: str) -> Version | None:
        """The version at `path`, with its text."""
        row = self.db.execute("SELECT blob, text FROM files WHERE path = ?", (path,)).fetchone()
        return Version(path, BlobId(row[0].hex()), row[1]) if row else None

    def differing(self, known: Mapping[str, BlobId]) -> dict[str, BlobId | None]:
        """See Store.differing; compared inside SQLite, because every reply asks for it."""
        rows = self.db.execute(
            "SELECT known.key, hex(files.blob) FROM json_each(?) known LEFT JOIN files ON files.path = known.key "
            "WHERE files.blob IS NULL OR lower(hex(files.blob)) <> known.value",
            (json.dumps(known),),
        )
        return {path: BlobId(version.lower()) if version else None for path, version in rows}

    def paths(self, prefix: str) -> Iterator[tuple[str, BlobId]]:
        """(path, version) under `prefix`, in order."""
        if prefix:
            rows = self.db.execute(
                "SELECT path, blob FROM files WHERE path >= ? AND path < ? ORDER BY path",
                (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)),
            )
        else:
            rows = self.db.execute("SELECT path, blob FROM files ORDER BY path")
        return ((path, BlobId(blob.hex())) for path, blob in rows)

    def tree(self, directory: str) -> tuple[bytes, bytes] | None:
        """(name, content) of the tree object of `directory` ("" is the root)."""
        row = self.db.execute("SELECT name, raw FROM trees WHERE dir = ?", (directory,)).fetchone()
        return (row[0], row[1]) if row else None

    def tree_name(self, directory: str) -> bytes | None:
        """The name alone: 20 bytes."""
        row = self.db.execute("SELECT name FROM trees WHERE dir = ?", (directory,)).fetchone()
        return bytes(row[0]) if row else None

    def request(self, request: str) -> tuple[CommitId | None, str | None] | None:
        """(commit, None) of a request that is in history, (None, refusal as JSON), or None for an unknown one."""
        row = self.db.execute("SELECT commit_id, refusal FROM requests WHERE id = ?", (request,)).fetchone()
        return (CommitId(row[0].hex()) if row[0] else None, row[1]) if row else None

    def changes(self, mark: str | None) -> Changes:
        """See Store.changes; a mark is `epoch:seq`."""
        db = self.db
        with contextlib.nullcontext() if self._pinned else self.reading():
            epoch, seq, commit = self.meta("epoch"), self.meta("seq"), self.commit()
            old_epoch, _, old_seq = (mark or "").partition(":")
            known = old_epoch == epoch and old_seq.isdecimal() and int(old_seq) <= seq
            since = int(old_seq) if known else 0
            # The + makes SQLite take the few new rows by their seq and sort them, not scan all in path order.
            in_order = "SELECT path, blob, text FROM files WHERE seq > ? ORDER BY path"
            few = "SELECT path, blob, text FROM files WHERE seq > ? ORDER BY +path"
            found = [
                Change(path, Version(path, BlobId(blob.hex()), text))
                for path, blob, text in db.execute(few if known else in_order, (since,))
            ]
            if known:
                found += [Change(p, None) for (p,) in db.execute("SELECT path FROM gone WHERE seq > ?", (since,))]
        return Changes(f"{epoch}:{seq}", commit, not known, found)

    # Writing it: call inside `writing`

    def next_seq(self) -> int:
        """Begin a batch: the sequence number of its rows."""
        self.db.execute("UPDATE meta SET value = value + 1 WHERE key = 'seq'")
        return int(self.meta("seq"))

    def put_files(self, seq: int, versions: Iterable[Version], removed: Iterable[str]) -> None:
        """Record new versions and removed paths."""
        db = self.db
        rows = [(v.path, bytes.fromhex(v.blob), seq, v.text) for v in versions]
        db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)
        if db.execute("SELECT 1 FROM gone LIMIT 1").fetchone():
            db.executemany("DELETE FROM gone WHERE path = ?", [(row[0],) for row in rows])
        for path in removed:
            db.execute("DELETE FROM files WHERE path = ?", (path,))
            db.execute("INSERT OR REPLACE INTO gone VALUES (?, ?)", (path, seq))

    def put_trees(self, trees: Iterable[tuple[str, bytes, bytes]]) -> None:
        """Record (directory, name, content); empty content removes the row."""
        for directory, name, raw in trees:
            if raw or not directory:
                self.db.execute("INSERT OR REPLACE INTO trees VALUES (?, ?, ?)", (directory, name, raw))
            else:
                self.db.execute("DELETE FROM trees WHERE dir = ?", (directory,))

    def put_requests(self, seq: int, outcomes: Iterable[tuple[str, str | None, str | None]]) -> None:
        """Record (request, commit in hex or None, refusal as JSON or None)."""
        self.db.executemany(
            "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?)",
            [
                (request, bytes.fromhex(commit) if commit else None, refusal, seq)
                for request, commit, refusal in outcomes
            ],
        )
        if seq % 1000 == 0:
            self.db.execute("DELETE FROM requests WHERE seq < ?", (seq - _REQUESTS_KEPT,))

    def put_commit(self, commit: CommitId, head: bytes) -> None:
        """Record the commit that the cache reflects from now on; `head` is its content."""
        self.db.execute("UPDATE meta SET value = ? WHERE key = 'commit'", (bytes.fromhex(commit),))
        self.db.execute("INSERT OR REPLACE INTO meta VALUES ('head', ?)", (head,))

    def heal(self, error: sqlite3.Error) -> None:
        """After `error`: begin with a new connection, and with a new file where this one is damaged."""
        if not isinstance(error, sqlite3.OperationalError):
            self.discard()
        elif "no such" in str(error) or "disk I/O" in str(error):
            # A table that is not there; or a write-ahead log that belongs to a file that was deleted.
            self.remove()
        else:
            self.close()  # its files may have been deleted under it

    def forget(self) -> None:
        """Have the next `catch_up` build everything anew; call inside `writing`."""
        self.db.execute("UPDATE meta SET value = NULL WHERE key = 'commit'")

    def vacuum(self) -> None:
        """Give back what deleted rows and the write-ahead log hold."""
        self.db.execute("VACUUM")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # Catching up with a branch that somebody else moved, or from nothing

    def catch_up(self, tip: CommitId) -> None:
        """Bring the cache from its commit to `tip` by what git says; call inside `writing`."""
        old = self.commit()
        if old is not None and not self._knows(old):
            old = None  # the old commit is gone from the repository: begin from nothing
        if old is None:
            for table in ("files", "gone", "trees", "requests"):
                self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from this line
            self.db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (os.urandom(8).hex(),))
            self.db.execute("UPDATE meta SET value = 0 WHERE key = 'seq'")
        else:
            # A power loss may have taken the cache back to an older commit, while the search index noted numbers
            # from after it: no number is ever used for two batches.
            self.db.execute("UPDATE meta SET value = value + 1048576 WHERE key = 'seq'")
        seq = self.next_seq()
        blobs: list[tuple[str, str]] = []
        trees: list[tuple[str, str]] = []
        removed = []
        for kind, name, path in self._listing(old, tip):
            if not is_inside(path):
                continue  # what no request may write is nobody's entry: `check` names it
            if kind == "tree":
                trees.append((path, name))
            elif kind == "blob":
                blobs.append((path, name))
            elif kind == "gone-tree":
                self.db.execute("DELETE FROM trees WHERE dir = ?", (path,))
            elif kind == "gone-blob":
                removed.append(path)
        texts = cat_blobs(self._ledger, [name for _, name in blobs])
        versions = (Version(path, BlobId(name), text) for (path, name), text in zip(blobs, texts, strict=True))
        self.put_files(seq, versions, removed)
        (head,) = cat_blobs(self._ledger, [tip])
        trees.append(("", head[5:45].decode()))
        contents = cat_blobs(self._ledger, [name for _, name in trees])
        self.put_trees((p, bytes.fromhex(n), raw) for (p, n), raw in zip(trees, contents, strict=True))
        self.put_requests(seq, self._requests_in_history(old, tip))
        self._put_format()
        self.put_commit(tip, head)

    def _knows(self, commit: CommitId) -> bool:
        out = git(self._ledger, "cat-file", "--batch-check", stdin=f"{commit}\n".encode())
        return b" commit " in out

    def _listing(self, old: CommitId | None, tip: CommitId) -> Iterator[tuple[str, str, str]]:
        if old is None:
            for line in git(self._ledger, "ls-tree", "-r", "-t", "-z", tip).split(b"\0")[:-1]:
                meta, _, path = line.partition(b"\t")
                _, kind, name = meta.decode().split()
                yield kind, name, path.decode(errors="backslashreplace")
            return
        fields = git(self._ledger, "diff-tree", "-r", "-t", "-z", "--no-renames", old, tip).split(b"\0")[:-1]
        for meta, path in zip(fields[::2], fields[1::2], strict=True):
            old_mode, new_mode, _, name, _ = meta[1:].decode().split()
            text = path.decode(errors="backslashreplace")
            if "160000" in (old_mode, new_mode):
                continue  # a submodule is no file of ours
            if new_mode == "000000":
                yield ("gone-tree" if old_mode == "040000" else "gone-blob"), name, text
            else:
                yield ("tree" if new_mode == "040000" else "blob"), name, text

    def _requests_in_history(self, old: CommitId | None, tip: CommitId) -> Iterator[tuple[str, str, None]]:
        span = [tip, f"^{old}"] if old else [tip]
        out = git(
            self._ledger,
            "log",
            f"-n{_REQUESTS_KEPT}",
            "--format=%H %(trailers:key=Request,valueonly,separator=%x20)",
            *span,
        ).decode(errors="replace")
        for line in out.split("\n"):
            commit, *requests = line.split(" ")
            yield from ((request, commit, None) for request in requests if request)

    def _put_format(self) -> None:
        settings = self.read("swarm.yaml")
        found = re.search(rb"^format:[ \t]*([0-9]{1,9})", settings.text, re.MULTILINE) if settings else None
        self.db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (int(found.group(1)) if found else 1,))
