"""The view: the ledger's files in a worktree, for people and tools that only read and write files.

    <worktree>/.swarm/ledger/      the files, each at its path in the ledger
    <worktree>/.swarm/aside/       texts on their way in, and files just put aside
    <worktree>/.swarm/shown        which ledger's they are
    <home>/views/<key>/            the worktree's registration, its lock and manifest

A file is brought up to date in one exchange of names: the new text goes in and what was there comes aside in one
step, so that nothing that a hand saves is ever between the two. What came aside is then read. If it is not what we
had put there, a hand was quicker: the names are exchanged back, and the file waits to be taken in. What was ours is
kept aside until nobody has it open for writing, and read once more (see aside.py).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from . import swap
from .aside import Aside, Left, is_being_written
from .decide import is_log_file
from .env import Env, storage_error
from .errors import BadInput, Busy
from .filelock import FileLock
from .ids import id_of
from .looking import SETTINGS, Look, Scan, is_untouched, may_be_entry, reason
from .manifest import DIRECTORY, Manifest, Row, as_text
from .store import BlobId, Changes, Store, Version
from .tree import Found, Tree, read, signature

__all__ = ["SETTINGS", "Files", "Scan", "View", "ViewStatus", "is_shown", "versions_of"]

_SLICE = 256
_LATELY = 200
"""Commits of one path: a file that shows an older version is none that a refresh has left behind."""
_LOG_DIRECTORY = re.compile(r"log/[0-9]{4}/[0-9]{2}/[0-9]{2}/[a-z0-9][a-z0-9._-]{0,62}/")
_PATIENCE_S = 30.0
_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EINVAL)
"""Of one path: something else stands there. Anything else ends the refresh."""


class ViewStatus(NamedTuple):
    """How many files there are, and how many wait to be taken in."""

    files: int
    edited: int
    new: int
    missing: int
    problems: dict[str, str]


class Files(NamedTuple):
    """A view's directories, opened."""

    tree: Tree
    aside: Aside


class View:
    """The view of one worktree. What reads or changes it wants `alone`."""

    def __init__(self, registration: str, worktree: str, env: Env) -> None:
        """For `views`, which registers them; `registration` is a directory under the ledger's home."""
        self.registration, self.worktree, self._env = registration, worktree, env
        self.lock = FileLock(f"{registration}/lock")
        self._manifest: Manifest | None = None

    @property
    def root(self) -> str:
        """The directory with the files."""
        return f"{self.worktree}/{DIRECTORY}"

    @property
    def manifest(self) -> Manifest:
        """What the view holds."""
        if self._manifest is None or not self._manifest.usable():
            self._manifest = Manifest(f"{self.registration}/manifest.db")
        return self._manifest

    @contextlib.contextmanager
    def alone(self, patience: float = _PATIENCE_S) -> Iterator[None]:
        """Hold the view's lock. Raises Busy when another process has held it for `patience` seconds.

        What SQLite says of the manifest inside becomes an OSError; a damaged one is deleted, to be made anew.
        """
        if not self.lock.acquire(self._env, patience, 0.002):
            raise Busy(f"another process has held {self.registration}/lock for {patience:.0f} s; try again.")
        try:
            yield
        except sqlite3.DatabaseError as error:
            if self._manifest is not None and not isinstance(error, sqlite3.OperationalError):
                self._manifest.close()
                self._manifest.discard()
            code = errno.ENOSPC if "full" in str(error) else errno.EIO
            raise OSError(code, f"the view's manifest: {error}", f"{self.registration}/manifest.db") from error
        finally:
            self.lock.release()

    @contextlib.contextmanager
    def opened(self) -> Iterator[Files]:
        """The view's directories; they are made where they are missing. Raises OSError."""
        with contextlib.ExitStack() as stack:
            top = stack.enter_context(Tree(self.worktree))
            try:
                top.directory(DIRECTORY, make=True)
                aside = os.dup(top.directory(".swarm/aside", make=True))
            except NotADirectoryError as error:
                where = f"{self.worktree}/.swarm: {error.filename}"
                raise OSError(errno.ENOTDIR, "a file or a symbolic link is in the way; move it away", where) from None
            stack.callback(os.close, aside)
            tree = stack.enter_context(Tree(self.root))
            yield Files(tree, Aside(aside, self._env.rng, self._env.now))

    def close(self) -> None:
        """Release descriptors."""
        self.lock.close()
        if self._manifest is not None:
            self._manifest.close()
            self._manifest = None

    # Out of the ledger into the view

    def refresh(
        self, store: Store, limit: int | None = None, progress: Callable[[int], None] = lambda done: None
    ) -> int:
        """Bring the files up to date; how many were written or removed.

        With `limit` at most so many: the rest is noted as owed, for the next. A file that a hand changed, made or
        removed is left as it is until it is taken in. Raises OSError where the view cannot be written.
        """
        manifest = self.manifest
        done = 0
        with self.opened() as files:
            if self.lock.note():
                self._heal(files, store)
            self.lock.write_note("at work")
            if self.is_gone(files):
                manifest.clear()  # deleted as a whole, which costs nothing: it comes back
            changes = store.changes(manifest.mark)
            now = self._wanted(changes)
            first = list(now)[:limit]
            waiting = [path for path in manifest.owed(limit) if path not in now]
            with manifest.writing():
                manifest.owe(now)
                manifest.mark = changes.mark
                done += self._show(files, {path: now[path] for path in first[:_SLICE]}, store)
            rest = [*first[_SLICE:], *waiting[: None if limit is None else limit - len(first)]]
            for start in range(0, len(rest), _SLICE):
                progress(start)
                part = rest[start : start + _SLICE]
                versions = store.read_many(part)
                with manifest.writing():
                    done += self._show(files, {path: versions.get(path) for path in part}, store)
            for left in files.aside.left():
                found = files.aside.settle(left.name, left.shown)
                current = store.read(left.path) if found else None
                if found and current and found.blob == current.blob:
                    files.aside.remove(left.name)  # of a process that died before the exchange
            self.lock.write_note("")
        return done

    def _heal(self, files: Files, store: Store) -> None:
        """After a process that died at work: texts of the ledger that it put in place are known for what they are."""
        with self.manifest.writing():
            for path, row in self.manifest.rows().items():
                with contextlib.suppress(OSError, BadInput):
                    if self.is_edited(files.tree, row):
                        found = files.tree.read(path)
                        if found.blob in versions_of(store, path):
                            self.know(path, found.blob, found)

    def show(self, store: Store) -> int:
        """`refresh`, alone, for whoever has nothing else to do here. Raises Busy, StorageError."""
        try:
            with self.alone():
                return self.refresh(store)
        except OSError as error:
            raise storage_error(error, "showing the ledger") from None

    def is_gone(self, files: Files) -> bool:
        """Whether there is not a single file, where there were some."""
        return self.manifest.count() > 0 and next(files.tree.walk(), None) is None

    def _wanted(self, changes: Changes) -> dict[str, Version | None]:
        now = {change.path: change.version for change in changes.changes if is_shown(change.path)}
        if changes.complete:
            now |= {path: None for path in self.manifest.rows() if path not in now}
        return now

    def _show(self, files: Files, versions: dict[str, Version | None], store: Store) -> int:
        """Write or remove files; those that a hand is at stay owed. How many were written or removed."""
        manifest = self.manifest
        done = 0
        for path, version in versions.items():
            row = manifest.row(path)
            try:
                if version is None:
                    shown = row is None or self._take_out(files, row)
                elif row is None:
                    shown = self._put_in(files, version) or self.adopt(files, version, store)
                else:
                    shown = row.version == version.blob or self._replace(files, row, version)
            except OSError as error:
                if error.errno not in _IN_THE_WAY or not os.access(".", os.W_OK, dir_fd=files.aside.fd):
                    raise
                manifest.set_problem(path, f"{os.strerror(error.errno)}: a file of the ledger belongs here")
                continue
            if shown:
                manifest.settle(path)
                done += 1
            else:
                manifest.postpone(path)
        return done

    def adopt(self, files: Files, version: Version, store: Store) -> bool:
        """Know a file that stands in the place of `version` and that the manifest does not name.

        False where it holds a text of a hand, which waits to be taken in.
        """
        try:
            found = files.tree.read(version.path)
        except BadInput:
            found = None
        if found and found.blob == version.blob:
            self.know(version.path, version.blob, found)
            return True
        if found and found.blob in versions_of(store, version.path):
            self.know(version.path, found.blob, found)
            row = self.manifest.row(version.path)
            return row is not None and self._replace(files, row, version)
        self.manifest.put(Row(version.path, version.blob, version.blob, None, 0))
        return False

    def know(self, path: str, version: BlobId, found: Found) -> None:
        """Note that the file at `path` holds `found`, and that this is `version` in the ledger."""
        self.manifest.put(Row(path, version, found.blob, found.signature, self._now_ns()))

    def _written(self, path: str, version: BlobId, fd: int, made: os.stat_result) -> None:
        """Note a file of ours, just put in place; `made` was taken before: a hand may have been at it since."""
        info = os.fstat(fd)
        known = signature(info) if info.st_mtime_ns == made.st_mtime_ns else None
        self.manifest.put(Row(path, version, version, known, self._now_ns()))

    def _now_ns(self) -> int:
        return int(self._env.now() * 1e9)

    def _put_in(self, files: Files, version: Version) -> bool:
        """A file where none is; False where there is one."""
        name, directory = files.tree.at(version.path, make=True)
        scratch = files.aside.scratch()
        fd = files.aside.write(scratch, version.text)
        try:
            made = os.fstat(fd)
            swap.move_new(scratch, files.aside.fd, name, directory)
            self._env.point("view-put")
            self._written(version.path, version.blob, fd, made)
        except FileExistsError:
            files.aside.remove(scratch)
            return False
        finally:
            os.close(fd)
        return True

    def _replace(self, files: Files, row: Row, version: Version) -> bool:
        """The new version in the place of the old; False where a hand changed or removed the file."""
        tree, aside = files
        try:
            if self.is_edited(tree, row):
                return False
            name, directory = tree.at(row.path)
        except FileNotFoundError:
            return False
        put = aside.name(row.path, row.version, row.shown)
        fd = aside.write(put, version.text)
        try:
            made = os.fstat(fd)
            self._env.point("view-written")
            try:
                exchanged = swap.exchange(put, aside.fd, name, directory)
            except FileNotFoundError:
                exchanged = None
            if not exchanged:
                aside.remove(put)
                return exchanged is False and self._replace_in_steps(files, row, version)
            self._env.point("view-exchanged")
            came = aside.read(put)
            if came is None or came.blob != row.shown:
                self._give_back(aside, put, name, directory, made.st_ino, version)
                return False
            self._written(row.path, version.blob, fd, made)
        finally:
            os.close(fd)
        aside.settle(put, row.shown)
        return True

    def _give_back(self, aside: Aside, put: str, name: str, directory: int, ours: int, version: Version) -> None:
        """A hand was quicker: its file gets the place back. `ours` is the inode that we had put there.

        Where the hand saves again in between, what comes aside is newer than what goes in, and is exchanged again.
        """
        placed = ours
        while True:
            going = aside.inode(put)
            try:
                swap.exchange(put, aside.fd, name, directory)
            except FileNotFoundError:  # removed in between; an editor that does so makes it anew, and that stands
                with contextlib.suppress(FileExistsError):
                    swap.move_new(put, aside.fd, name, directory)
                return
            came = aside.inode(put)
            if came == placed:
                break
            placed = going
        if came == ours:
            mine = aside.name(version.path, version.blob, version.blob)
            os.rename(put, mine, src_dir_fd=aside.fd, dst_dir_fd=aside.fd)
            aside.settle(mine, version.blob)

    def _replace_in_steps(self, files: Files, row: Row, version: Version) -> bool:
        """As `_replace`, where names cannot be exchanged: for a moment nothing is at the path."""
        return self.set_aside(files, row.path, row) and self._put_in(files, version)

    def _take_out(self, files: Files, row: Row) -> bool:
        """Remove a file; False where a hand changed it."""
        try:
            if self.is_edited(files.tree, row):
                return False
            gone = self.set_aside(files, row.path, row)
        except FileNotFoundError:
            gone = True
        if gone:
            self.manifest.drop(row.path)
            with contextlib.suppress(FileNotFoundError):
                files.tree.prune(row.path)
        return gone

    def set_aside(self, files: Files, name: str, row: Row) -> bool:
        """Take the file `name` away if it holds what `row` shows; else False. Raises FileNotFoundError."""
        last, directory = files.tree.at(name)
        aside = files.aside
        put = aside.name(row.path, row.version, row.shown)
        os.rename(last, put, src_dir_fd=directory, dst_dir_fd=aside.fd)
        came = aside.read(put)
        if came is None or came.blob != row.shown:
            # Where the hand has saved once more meanwhile, that stands, and this waits to be taken in.
            with contextlib.suppress(FileExistsError):
                swap.move_new(put, aside.fd, last, directory)
            return False
        aside.settle(put, row.shown)
        return True

    def is_edited(self, tree: Tree, row: Row) -> bool:
        """Whether the file is not as we left it. Raises FileNotFoundError where it is gone."""
        name, directory = tree.at(row.path)
        info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISREG(info.st_mode):
            return True
        if is_untouched(row, info):
            return False
        try:
            return tree.read(row.path).blob != row.shown
        except BadInput:
            return True

    def restore(self, store: Store, progress: Callable[[int], None] = lambda done: None) -> int:
        """As `refresh`, and every file is written anew that a hand deleted."""
        with self.opened() as files:
            missing = self.scan(files).missing
            with self.manifest.writing():
                for path in missing:
                    self.manifest.drop(path)
                    self.manifest.owe([path])
        return self.refresh(store, progress=progress)

    # What hands did

    def status(self) -> ViewStatus:
        """What waits to be taken in; a problem that is none any more is forgotten. No files where all are gone."""
        with self.opened() as files:
            scan = self.scan(files)
            gone = self.is_gone(files)
        edited, new, missing = ({as_text(path) for path in found} for found in scan[:3])
        if gone:
            missing.clear()
        waiting = {*edited, *new, *missing, *self.manifest.owed()}
        for path in missing:  # of many that are gone at once, their directory is named
            waiting |= {".", *itertools.accumulate(path.split("/")[:-1], "{}/{}".format)}
        with self.manifest.writing():
            for name in self.manifest.problems():
                if name not in waiting and not name.startswith("../"):
                    self.manifest.set_problem(name, None)
        problems = {**self.manifest.problems(), **{as_text(name): why for name, why in scan.problems.items()}}
        edited, new, missing = (paths - problems.keys() for paths in (edited, new, missing))
        return ViewStatus(0 if gone else self.manifest.count(), len(edited), len(new), len(missing), problems)

    def scan(self, files: Files, directories: Iterable[str] = ("",), names: Iterable[str] = ()) -> Scan:
        """Look at every file under `directories` by stat, and by content where that is not enough.

        At the files `names`, in which something has just happened, by stat alone unless that shows a change.
        """
        manifest, tree = self.manifest, files.tree
        look = Look(self, tree)
        rows: dict[str, Row] = {}
        with manifest.writing():
            for directory in directories:
                rows |= manifest.rows(directory)
                for path, entry in tree.walk(directory):
                    if path not in look.seen and may_be_entry(path, entry.name):
                        look.at(path, rows.get(path), lambda entry=entry: entry.stat(follow_symlinks=False))  # type: ignore[misc]
            for path in names:
                if path not in look.seen and may_be_entry(path, path.rpartition("/")[2]):
                    row = manifest.row(path)
                    if row:
                        rows[path] = row
                    look.at(path, row, lambda path=path: tree.lstat(path), trust=True)  # type: ignore[misc]
        for path in rows.keys() - look.seen:
            look.for_missing(path)
        edited, new, missing = (tuple(sorted(found)) for found in (look.edited, look.new, look.missing))
        return Scan(edited, new, missing, look.problems)

    def is_changed(self, tree: Tree, row: Row) -> bool:
        """Whether the content is not as we left it; if it is, that is noted."""
        found = tree.read(row.path)
        if found.blob != row.shown:
            return True
        self.manifest.put(row._replace(signature=found.signature, looked=self._now_ns()))
        return False

    def take(self, tree: Tree, path: str) -> Found | None:
        """The file at `path` as a hand left it; None while it may still be written, or is gone.

        Raises BadInput for what cannot be read, or is far too long.
        """
        try:
            fd = tree.open(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadInput(reason(error)) from None
        try:
            if is_being_written(fd, self._env.now()):
                return None
            return read(fd)
        finally:
            os.close(fd)

    def written_aside(self, files: Files) -> list[tuple[Left, Found]]:
        """Files put aside into which a hand wrote, and that nobody writes any more."""
        out = []
        for left in files.aside.left():
            found = files.aside.settle(left.name, left.shown)
            if found:
                out.append((left, found))
        return out


def is_shown(path: str) -> bool:
    """Whether a path of the ledger is one that the view shows: entries, logs and the settings."""
    if path == SETTINGS or id_of(path):
        return True
    directory = path[: path.rfind("/") + 1]
    return _LOG_DIRECTORY.fullmatch(directory) is not None and is_log_file(path, directory)


def versions_of(store: Store, path: str) -> set[str]:
    """The versions that `path` had lately. Looks through history: not for what is done often."""
    found = store.history(path, limit=_LATELY)
    return {version for commit in found for name, version in commit.changed if name == path and version}
