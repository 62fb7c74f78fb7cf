"""One process of the demonstration, run as `python -m swarm.demo.process FILE`: FILE says what to do, in JSON.

It says that it is ready, waits for the start, works until it is told to stop, and fsyncs each acknowledgement to a
file of its own, outside every repository, before it goes on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from swarm_ledger.errors import Conflict, SwarmError

from .recount import Ack

__all__ = ["Worker", "main"]


class Worker:
    """What a process is told, and what it has done."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.conflicts = 0
        self.did: dict[str, int] = {}
        """Verb → how often it was done, reads included."""
        self._seconds: list[float] = []
        self._refused: list[str] = []
        self._stop = False
        self._parent = os.getppid()
        self._base = f"{orders['directory']}/{orders['number']}"
        self._acks = os.open(f"{self._base}.acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_: object) -> None:
        self._stop = True

    @property
    def stopped(self) -> bool:
        """Whether to end: told to, or nobody is there to tell."""
        return self._stop or os.getppid() != self._parent

    def wait_for_start(self) -> None:
        """Say that it is ready, and wait until all are. What the first write would import is imported before."""
        import swarm_ledger.schema  # noqa: F401

        with open(f"{self._base}.ready", "x"):
            pass
        while not os.path.exists(f"{self.orders['directory']}/go") and not self.stopped:
            time.sleep(0.01)
        self._began = time.monotonic()

    def write(self, verb: str, act: Callable[[], Ack | None]) -> bool:
        """Do one write: time it, and keep its acknowledgement. False where it came too late and is to be done anew."""
        start = time.monotonic()
        try:
            ack = act()
        except Conflict:
            self.conflicts += 1
            return False
        except SwarmError as error:
            self._refused.append(f"{verb}: {type(error).__name__}: {error}")
            return True
        self._seconds.append(time.monotonic() - start)
        self.count(verb)
        if ack:
            os.write(self._acks, json.dumps(astuple(ack)).encode() + b"\n")
            os.fsync(self._acks)
        return True

    def count(self, verb: str) -> None:
        """Note that `verb` was done."""
        self.did[verb] = self.did.get(verb, 0) + 1

    def finish(self) -> None:
        """Leave what it did for whoever started it."""
        said = {
            "seconds": self._seconds,
            "refused": self._refused,
            "conflicts": self.conflicts,
            "did": self.did,
            "began": self._began,
            "ended": time.monotonic(),
        }
        with open(f"{self._base}.new", "w", encoding="utf-8") as file:
            json.dump(said, file)
        os.rename(f"{self._base}.new", f"{self._base}.done")


def main(path: str) -> None:
    """Do what the file at `path` says."""
    with open(path, encoding="utf-8") as file:
        worker = Worker(json.load(file))
    if worker.orders["role"] == "load":
        from .loading import load as live
    else:
        from .working import work as live
    live(worker)
    worker.finish()


if __name__ == "__main__":
    main(sys.argv[1])
