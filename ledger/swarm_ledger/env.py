"""The outside world as arguments: clock, randomness, disk, and named points in the commit path.

The commit path makes every file-system call that safety rests on through `Disk`, so that a test can record the
calls, fail the k-th, or replay a prefix of them as a power loss would leave it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from .errors import StorageError

__all__ = ["NO_FILE", "Disk", "Env", "inode", "read_file", "storage_error"]

if sys.platform == "darwin":
    import fcntl

    def _fsync(fd: int) -> None:
        # fsync on macOS leaves data in the drive's cache; F_FULLFSYNC does not.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

    _UPTIME = time.CLOCK_MONOTONIC  # goes on while the machine sleeps, unlike Python's time.monotonic there

    def _boot() -> str:
        import ctypes

        name, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
        ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", name, ctypes.byref(size), None, 0)
        return name.value.decode()
else:
    _fsync = os.fsync
    _UPTIME = time.CLOCK_BOOTTIME

    def _boot() -> str:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()


class Disk:
    """File-system calls whose order and durability the commit path depends on. Raises OSError as the calls do."""

    def create(self, path: str, data: bytes, *, sync: bool = True) -> None:
        """Make a new file of `data`; with `sync` it is on disk on return (its name is not: `sync_directory`).

        After any failure the file is gone: a file whose fsync failed is never used.
        """
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._fill(fd, path, data, _fsync if sync else None)

    def overwrite(self, path: str, data: bytes) -> None:
        """Put `data` into a file that may exist already, not on disk yet. After a failure the file is gone."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Not O_TRUNC: ext4 starts I/O for a file emptied and written again.
        self._fill(fd, path, data, lambda fd: os.ftruncate(fd, len(data)))

    @staticmethod
    def _fill(fd: int, path: str, data: bytes, finish: Callable[[int], None] | None) -> None:
        """Write `data` to `fd`, which is `path`, then `finish` and close it; after a failure the file is gone."""
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                if finish:
                    finish(fd)
            finally:
                os.close(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise

    def rename(self, source: str, target: str) -> None:
        """Rename atomically, replacing `target`."""
        os.rename(source, target)

    def link(self, source: str, target: str) -> None:
        """Give `source` a second name; FileExistsError where `target` is taken."""
        os.link(source, target)

    def unlink(self, path: str) -> None:
        """Remove a name."""
        os.unlink(path)

    def sync_directory(self, path: str) -> None:
        """Put the names in a directory on disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _fsync(fd)
        finally:
            os.close(fd)


def _no_point(name: str) -> None:
    """Nothing happens at a named point unless a test asks for it."""


class Env(NamedTuple):
    """Everything that the ledger takes from the outside. The defaults are the real world."""

    disk: Disk = Disk()
    rng: random.Random = random.SystemRandom()
    now: Callable[[], float] = time.time
    """POSIX seconds."""
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uptime: Callable[[], float] = lambda: time.clock_gettime(_UPTIME)
    """Seconds since this boot, time asleep included; setting the clock does not move it."""
    boot: Callable[[], str] = _boot
    """Names this boot."""
    point: Callable[[str], None] = _no_point
    """Called with a name at each step of the commit path; tests kill or stop the process there."""


NO_FILE = -1
"""The inode of no file."""


def inode(path: str) -> int:
    """The inode of the file at `path`, by which one that was replaced is told from one that is open; NO_FILE."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return NO_FILE


def read_file(path: str, limit: int | None = None) -> bytes:
    """The content of a file, or its first `limit` bytes. Raises OSError; `open` takes three times as many calls."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        wanted = limit or 1 << 16
        parts = [os.read(fd, wanted)]
        while limit is None and len(parts[-1]) == wanted:
            parts.append(os.read(fd, wanted))
        return b"".join(parts)
    finally:
        os.close(fd)


def storage_error(error: OSError, doing: str) -> StorageError:
    """The disk's refusal as an error that says what to do. `doing` is like "writing the ledger"."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = f"the disk is full{where}; nothing was written. Free some space and try again."
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        what = (
            f"{os.strerror(error.errno)}{where}; nothing was written. "
            "Set SWARM_HOME to a directory that may be written to keep the ledger there."
        )
    else:
        what = f"{error.strerror or error}{where}; nothing was written. Try again; if it stays, run `swarm doctor`."
    return StorageError(f"{doing}: {what}")
