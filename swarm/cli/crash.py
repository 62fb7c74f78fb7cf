"""A fault of this program: one line for the user, the traceback in a file for whoever mends it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from argparse import Namespace
from collections.abc import Sequence

from swarm_ledger.errors import SwarmError
from swarm_ledger.place import find

from .call import Call
from .output import visible

__all__ = ["keep"]


def keep(error: BaseException, arguments: Sequence[str]) -> int:
    """Report `error` in one line and keep its traceback; the exit code."""
    trace = "".join(traceback.format_exception(error))
    verb = next((word for word in arguments if not word.startswith("-")), "")
    where = _store(f"swarm {verb}\n{trace}")
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    kept = f"the traceback is in {where}" if where else "its traceback could not be kept"
    sys.stderr.write(visible(f"swarm: unexpected {what[:300]}; {kept}. Please report it.") + "\n")
    return 70


def _store(text: str) -> str | None:
    """Write `text` below the ledger's home, else among the temporary files; where, or None."""
    home = _home()
    for directory in (f"{home}/crash" if home else None, tempfile.gettempdir()):
        if directory is None:
            continue
        try:
            if home:
                os.makedirs(directory, exist_ok=True)
            fd, path = tempfile.mkstemp(".txt", time.strftime("swarm-%Y-%m-%d-%H%M%S-"), directory)
            with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return path
        except OSError:
            continue
    return None


def _home() -> str | None:
    try:
        call = Call(Namespace())
        place = find(call.cwd, call.home)
    except (OSError, SwarmError):
        return None
    return place.home if place and os.path.isdir(place.home) else None
