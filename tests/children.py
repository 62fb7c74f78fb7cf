"""Forked children of tests."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator

__all__ = ["exiting"]


@contextlib.contextmanager
def exiting() -> Iterator[None]:
    """End this process, a forked child, with the block: 0, or 1 and a traceback. It never becomes a test runner."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
