"""Saving files as editors do, and agents that write the same files at the same moment."""

from __future__ import annotations

import contextlib
import os
import random
import re

__all__ = ["HAND", "save", "with_line"]

HAND = re.compile(r"^hand: ([0-9]+)$", re.MULTILINE)


def with_line(text: str, name: str, value: int) -> str:
    """`text` with its line `name: …` set."""
    return re.sub(rf"^{name}: [0-9]+$", f"{name}: {value}", text, flags=re.MULTILINE)


def save(path: str, text: str, rng: random.Random) -> None:
    """Save as one of the ways of editors does: over the file, beside it and renamed, or with the old one moved away."""
    data = text.encode()
    way = rng.randrange(3)
    if way == 0:
        # In place, in two writes, as for a longer file; the file may be exchanged between any two of these calls.
        with open(path, "wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            file.write(data[len(data) // 2 :])
        return
    beside = f"{path}.{rng.getrandbits(32):08x}.tmp"
    with open(beside, "wb") as file:
        file.write(data)
    if way == 2:
        backup = f"{path}~"
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, backup)
    os.rename(beside, path)
