"""An exclusive lock between processes that the kernel drops when its holder dies, whatever the way.

It only keeps work from being done twice. Safety never rests on it: see refs.move.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .env import Env

__all__ = ["FileLock"]


class FileLock:
    """flock(2) on a file of its own, whose content names the holder to those who wait."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Raises OSError where the file cannot be made."""
        while True:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._is_current():
                    return False
                self.close()
                continue
            # A lock file that was deleted is no lock: others would lock the new one.
            if self._is_current():
                return True
            self.close()

    def acquire(self, env: Env, patience: float, pause: float) -> bool:
        """Take the lock, looking every `pause` seconds; False when others have held it for `patience` seconds."""
        deadline = env.monotonic() + patience
        while not self.try_acquire():
            if env.monotonic() > deadline:
                return False
            env.sleep(pause)
        return True

    def _is_current(self) -> bool:
        try:
            there, ours = os.stat(self._path), os.fstat(self._fd)
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)

    def release(self) -> None:
        """Let the lock go; the file stays."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def note(self) -> str:
        """What the holder, or the last one, wrote; "" in a new lock. Call after `try_acquire`."""
        return os.pread(self._fd, 200, 0).decode(errors="replace")

    def write_note(self, text: str) -> None:
        """Tell those who wait, or the next holder."""
        data = text.encode()
        os.pwrite(self._fd, data, 0)
        os.ftruncate(self._fd, len(data))

    def close(self) -> None:
        """Close the descriptor, which drops the lock if it is held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
