"""Files put aside: what stood at a path of the view until a newer version took its place.

Such a file stays until nobody can write into it any more, and is then read once more: an editor that had it open may
have saved into it. Its name says which path and version it is of, so it is understood without any other record.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import swap
from .errors import BadInput
from .store import BlobId
from .tree import Found, read

__all__ = ["Aside", "Left"]

_QUIET_S = 5.0
"""Where the system does not tell whether a file is open for writing: it is when it was written this lately."""

_BACK_S = 3.0
_SCRATCH = "new@"


class Left(NamedTuple):
    """A file that was put aside: the content `shown` stood for `version` of what is at `path`."""

    name: str
    path: str
    version: BlobId
    shown: BlobId


class Aside:
    """The directory open at `fd`, used by whoever holds the view's lock."""

    def __init__(self, fd: int, rng: random.Random, now: Callable[[], float]) -> None:
        self.fd, self._rng, self._now = fd, rng, now

    def write(self, name: str, text: bytes) -> int:
        """A new file `name` of `text`; a descriptor of it.

        Its time lies a little back, where no write of another can put it, however coarse the system's clock.
        """
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=self.fd)
        left = memoryview(text)
        while left:
            left = left[os.write(fd, left) :]
        past = int((self._now() - _BACK_S) * 1e9)
        os.utime(fd, ns=(past, past))
        return fd

    def scratch(self) -> str:
        """A name for a text that is to get a path where nothing is."""
        return f"{_SCRATCH}{self._token()}"

    def name(self, path: str, version: BlobId, shown: BlobId) -> str:
        """A name for what stands at `path` now."""
        return f"{path.replace('/', '!')}@{version}@{shown}@{self._token()}"

    def read(self, name: str) -> Found | None:
        """What is in the file; None for what is none, or too long to be ours."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError:  # a symbolic link
            return None
        try:
            return read(fd)
        except (OSError, BadInput):
            return None
        finally:
            os.close(fd)

    def inode(self, name: str) -> int:
        """Which file has the name."""
        return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_ino

    def remove(self, name: str) -> None:
        """Remove it, whatever it holds."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def settle(self, name: str, expected: BlobId) -> Found | None:
        """Remove the file if it holds what is expected; else what a hand has written into it.

        While somebody may still be writing it is left, and None returned.
        """
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError:
            return None
        try:
            if is_being_written(fd, self._now()):
                return None
            found = read(fd)
            if found.blob == expected:
                self.remove(name)
                return None
            return found
        except BadInput:
            return None
        finally:
            os.close(fd)

    def left(self) -> Iterator[Left]:
        """What is here."""
        for name in os.listdir(self.fd):
            parts = name.split("@")
            if len(parts) == 4:
                path, version, shown, _ = parts
                yield Left(name, path.replace("!", "/"), BlobId(version), BlobId(shown))
            elif name.startswith(_SCRATCH):
                self.remove(name)  # whoever made it died: the lock is ours

    def _token(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"


def is_being_written(fd: int, now: float) -> bool:
    """Whether a process may be writing the file; `fd` must be open for reading only."""
    written = swap.is_being_written(fd)
    if written is None:
        return abs(now - os.fstat(fd).st_mtime) < _QUIET_S
    return written
