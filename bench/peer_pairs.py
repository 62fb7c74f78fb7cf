"""agent-coherence at work: processes that each write a file of their own under its single-writer guard.

Run by the peer's own interpreter. `CoherentVolume.write` is its documented way to own and give back across processes:
it asks the coordinator for EXCLUSIVE, writes, and commits. Answers with a rate.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
import warnings
from typing import Any

from ccs.adapters.coherent_volume import CoherentVolume
from ccs.core.exceptions import CoherenceError

MANAGED = ("plans/**",)


def main() -> None:
    """Read {directory, processes, seconds}; print {pairs, refused, seconds, p50, p99}."""
    warnings.simplefilter("ignore")
    given = json.load(sys.stdin)
    root, processes, seconds = given["directory"], given["processes"], given["seconds"]
    os.makedirs(f"{root}/plans")
    for number in range(processes):
        with open(f"{root}/plans/{number}.md", "w", encoding="utf-8") as file:
            file.write("begin\n")
    CoherentVolume(root, managed=MANAGED)  # starts the coordinator, in this process
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(processes + 1), context.Queue()
    children = [
        context.Process(target=work, args=(root, number, seconds, barrier, results)) for number in range(processes)
    ]
    for child in children:
        child.start()
    barrier.wait(120)
    began = time.monotonic()
    took: list[float] = []
    refused = 0
    for _ in children:
        times, failed = results.get(timeout=seconds + 120)
        took += times
        refused += failed
    span = time.monotonic() - began
    for child in children:
        child.join()
    took.sort()
    print(
        json.dumps(
            {
                "pairs": len(took),
                "refused": refused,
                "seconds": span,
                "pairs_per_s": len(took) / span,
                "p50": took[len(took) // 2] * 1e3,
                "p99": took[int(len(took) * 0.99)] * 1e3,
            }
        )
    )


def work(root: str, number: int, seconds: float, barrier: Any, results: Any) -> None:
    """One process: writes alternating text to its file until the time is over."""
    volume = CoherentVolume(root, managed=MANAGED)
    path, took, refused = f"plans/{number}.md", [], 0
    volume.read(path)
    barrier.wait(120)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            volume.write(path, b"%d\n" % len(took))
            took.append(time.monotonic() - began)
        except CoherenceError:  # the coordinator is overloaded, or gave the grant up meanwhile
            refused += 1
            try:
                volume.reacquire(path)
            except CoherenceError:
                time.sleep(0.01)
    results.put((took, refused))


if __name__ == "__main__":
    main()
