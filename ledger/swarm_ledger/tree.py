"""Directories of files that hands and other programs change too: reached without ever following a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple, Self

from .errors import BadInput
from .objects import blob_id
from .store import BlobId

__all__ = ["MAX_READ", "Found", "Signature", "Tree", "read", "signature"]

MAX_READ = 4 << 20
"""No file of the ledger is near as long."""

_OPEN_DIRECTORIES = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a fifo must not stop us


class Signature(NamedTuple):
    """What stat says of a file's content: another one means, look again. `changed` moves also when mtime is set."""

    size: int
    modified: int
    inode: int
    changed: int


def signature(info: os.stat_result) -> Signature:
    """The signature in `info`."""
    return Signature(info.st_size, info.st_mtime_ns, info.st_ino, info.st_ctime_ns)


class Found(NamedTuple):
    """A file as it was read: `signature` was taken first, so a later write shows."""

    text: bytes
    blob: BlobId
    signature: Signature


def read(fd: int) -> Found:
    """The file open at `fd`. Raises BadInput for one of over MAX_READ bytes."""
    sig = signature(os.fstat(fd))
    parts = []
    left = MAX_READ + 1
    while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise BadInput(f"over {MAX_READ >> 20} MiB, far too long for an entry; put it elsewhere and cite it")
    text = b"".join(parts)
    return Found(text, blob_id(text), sig)


class Tree:
    """The directory `root` and what is below. Paths are relative to it, with `/`; a context manager.

    Methods raise OSError as the calls do; a symbolic link on the way is a NotADirectoryError, at the end of a
    path to be read ELOOP.
    """

    def __init__(self, root: str) -> None:
        self._fds: dict[str, int] = {}
        self.root = os.open(root, _DIRECTORY)

    def directory(self, path: str, *, make: bool = False) -> int:
        """A descriptor of the directory `path` ("" is the root), valid until the next call; `make` creates it."""
        if not path:
            return self.root
        known = self._fds.get(path)
        if known is not None:
            if os.fstat(known).st_nlink:
                return known
            self._forget()  # somebody removed it, and perhaps made it anew
        if len(self._fds) >= _OPEN_DIRECTORIES:
            self._forget()
        parent, _, name = path.rpartition("/")
        above = self.directory(parent, make=make)
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            if not make:
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=above)
            fd = os.open(name, _DIRECTORY, dir_fd=above)
        self._fds[path] = fd
        return fd

    def at(self, path: str, *, make: bool = False) -> tuple[str, int]:
        """(name, descriptor of its directory) of `path`."""
        parent, _, name = path.rpartition("/")
        return name, self.directory(parent, make=make)

    def stat(self, path: str) -> os.stat_result | None:
        """Of the file itself, a link included; None where nothing is there."""
        try:
            return self.lstat(path)
        except FileNotFoundError:
            return None

    def lstat(self, path: str) -> os.stat_result:
        """As `stat`, but raises FileNotFoundError where nothing is there."""
        name, fd = self.at(path)
        return os.stat(name, dir_fd=fd, follow_symlinks=False)

    def open(self, path: str) -> int:
        """A descriptor to read a regular file. Raises OSError for anything else."""
        name, directory = self.at(path)
        fd = os.open(name, _FILE, dir_fd=directory)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", path)
        return fd

    def read(self, path: str) -> Found:
        """The file at `path`. Raises OSError, BadInput for one that is far too long."""
        fd = self.open(path)
        try:
            return read(fd)
        finally:
            os.close(fd)

    def remove(self, path: str) -> None:
        """Remove the file `path`, and the directories that are then empty."""
        name, fd = self.at(path)
        os.unlink(name, dir_fd=fd)
        self.prune(path)

    def prune(self, path: str) -> None:
        """Remove the directories above `path` that are empty."""
        parent = path.rpartition("/")[0]
        while parent:
            name, fd = self.at(parent)
            self._close(parent)
            try:
                os.rmdir(name, dir_fd=fd)
            except OSError:
                return
            parent = parent.rpartition("/")[0]

    def walk(self, path: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
        """(path, entry) of everything below the directory `path` that is no directory, links not followed."""
        waiting = [path]
        while waiting:
            directory = waiting.pop()
            try:
                with os.scandir(self.directory(directory)) as found:
                    entries = list(found)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone meanwhile
            for entry in entries:
                inside = f"{directory}/{entry.name}" if directory else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(inside)
                else:
                    yield inside, entry

    def close(self) -> None:
        """Close all descriptors."""
        self._forget()
        os.close(self.root)

    def _close(self, path: str) -> None:
        fd = self._fds.pop(path, None)
        if fd is not None:
            os.close(fd)

    def _forget(self) -> None:
        for path in list(self._fds):
            self._close(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
