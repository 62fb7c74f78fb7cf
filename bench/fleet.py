"""Real processes that begin at the same moment and report what they did."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from swarm.demo.recount import Ack
from swarm.progress import Progress
from swarm_ledger.errors import SwarmError

__all__ = ["Did", "latencies_ms", "run"]


@dataclass
class Did:
    """What one process did. `seconds` are those of each write, whether it was acknowledged or not."""

    acks: list[Ack] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    extra: dict[str, float] = field(default_factory=dict)
    extra_names: list[str] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0

    def write(self, act: Callable[[], Ack | None]) -> None:
        """Do one write and note it."""
        start = time.monotonic()
        try:
            ack = act()
        except SwarmError as error:
            self.refused.append(f"{type(error).__name__}: {error}")
            ack = None
        self.seconds.append(time.monotonic() - start)
        if ack:
            self.acks.append(ack)


Work = Callable[[int, Callable[[], None], Did], None]
"""(number, wait for the start, what to fill in): the life of one process. It sets up, waits, works, returns."""


def run(label: str, works: list[Work], seconds: float, *, grace: float = 600.0) -> list[Did]:
    """Run each of `works` in a forked process, all starting at once; `seconds` is only for the progress display."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(works) + 1)
    children = []
    for number, work in enumerate(works):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_live, args=(work, number, barrier, theirs), daemon=True)
        process.start()
        theirs.close()
        children.append((process, ours))
    progress = Progress(sys.stderr, label, seconds)
    try:
        barrier.wait(120)
        began = time.monotonic()
        results: dict[int, Did] = {}
        while len(results) < len(children):
            waiting = {pipe: number for number, (_, pipe) in enumerate(children) if number not in results}
            for pipe in multiprocessing.connection.wait(list(waiting), 0.1):
                number = waiting[pipe]  # type: ignore[index]
                got = children[number][1].recv()
                if isinstance(got, str):
                    raise RuntimeError(f"{label}: process {number} failed:\n{got}")
                results[number] = got
            progress.update(time.monotonic() - began, f"{len(results)} of {len(children)} done")
            if time.monotonic() - began > seconds + grace:
                raise TimeoutError(f"{label}: {len(children) - len(results)} processes did not end")
        for process, _ in children:
            process.join(10)
        return [results[number] for number in range(len(children))]
    finally:
        progress.close()
        for process, pipe in children:
            if process.is_alive():
                process.kill()
                process.join(5)
            pipe.close()


def _live(
    work: Work,
    number: int,
    barrier: multiprocessing.synchronize.Barrier,
    pipe: multiprocessing.connection.Connection,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its children
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    random.seed(os.getpid())
    did = Did()

    def start() -> None:
        barrier.wait(120)
        did.began = time.monotonic()

    try:
        work(number, start, did)
        did.ended = time.monotonic()
        pipe.send(did)
    except BaseException:
        barrier.abort()
        pipe.send(traceback.format_exc())


def latencies_ms(seconds: list[float]) -> dict[str, float]:
    """p50, p99 and the longest."""
    known = sorted(seconds) or [0.0]
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(known[min(len(known) - 1, int(len(known) * q))] * 1e3, 2) for name, q in at.items()}
