"""What rename(2) alone cannot do: exchange two names, rename without replacing, tell that nobody writes a file.

All take a name and the descriptor of its directory, so that no symbolic link on the way is followed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from typing import Any

__all__ = ["exchange", "is_being_written", "move_new"]

if sys.platform == "darwin":
    _FUNCTION, _SWAP, _KEEP = "renameatx_np", 2, 4
else:
    _FUNCTION, _SWAP, _KEEP = "renameat2", 2, 1

_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@cache
def _rename() -> Any:
    return getattr(ctypes.CDLL(None, use_errno=True), _FUNCTION, None)


def _rename_with(flags: int, source: str, source_dir: int, target: str, target_dir: int) -> bool:
    """Whether the system can do it; raises OSError where it can, but not with these names."""
    function = _rename()
    if function is None:
        return False
    if function(source_dir, os.fsencode(source), target_dir, os.fsencode(target), ctypes.c_uint(flags)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), target)


def exchange(source: str, source_dir: int, target: str, target_dir: int) -> bool:
    """Let two files take each other's name in one step; False where this system cannot, and nothing happened."""
    return _rename_with(_SWAP, source, source_dir, target, target_dir)


def move_new(source: str, source_dir: int, target: str, target_dir: int) -> None:
    """Rename, but replace nothing. Raises FileExistsError where `target` is taken."""
    if not _rename_with(_KEEP, source, source_dir, target, target_dir):
        os.link(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir, follow_symlinks=False)
        os.unlink(source, dir_fd=source_dir)


if sys.platform == "linux":
    import fcntl
    import signal

    def is_being_written(fd: int) -> bool | None:
        """Whether some process has the file open (or mapped) for writing; None where that cannot be told.

        `fd` must be open for reading only. The kernel grants a read lease only on a file that nobody writes.
        """
        try:
            # A lease that is broken sends SIGIO, which would end this process; SIGURG is ignored.
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            return True if error.errno == errno.EAGAIN else None
        return False

else:

    def is_being_written(fd: int) -> bool | None:
        """Whether some process has the file open for writing; None: this system does not tell."""
        return None
