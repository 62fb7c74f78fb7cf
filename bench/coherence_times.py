"""How long owning takes while others write, and what the notice on a reply costs."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import time
from collections.abc import Callable

from swarm_ledger.ids import kind_of
from swarm_ledger.store import Put

from . import fleet, ledgers
from .row import Context, Outcome

__all__ = ["beside_writers", "notice"]

PROCESSES = 16
READ = 1000


def beside_writers(context: Context) -> Outcome:
    """The p99 of `own` at sixteen processes while sixteen others write as fast as they can."""
    seconds = context.pick(10, 3)
    repository = f"{context.directory}/repository"
    ledgers.make(repository).close()

    def owner(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = ledgers.open_with(repository)
        agent = ledgers.agent(swarm, f"owner-{number}")
        start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            did.write(lambda: agent.own(f"path:src/{number}/**") and None)
            agent.release()
            time.sleep(0.01)  # an agent does something with what it owns
        swarm.close()

    def writer(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = ledgers.open_with(repository)
        agent = ledgers.agent(swarm, f"writer-{number}")
        page = agent.remember(f"page {number}", kind="plan")
        start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            did.write(lambda: agent.edit(page.id, f"{time.monotonic_ns()}\n") and None)
        swarm.close()

    results = fleet.run("own beside writers", [owner] * PROCESSES + [writer] * PROCESSES, seconds)
    owned = [one for did in results[:PROCESSES] for one in did.seconds]
    written = sum(len(did.seconds) for did in results[PROCESSES:])
    refused = [text for did in results for text in did.refused]
    times = fleet.latencies_ms(owned)
    out = Outcome(detail={"own": times, "owned": len(owned), "edits": written, "refused": refused[:10]})
    p99 = times["p99"]
    out.add(
        f"p99 of own, {PROCESSES} processes, while {PROCESSES} others edit ({written / seconds:,.0f} edits/s)",
        "under 60 ms",
        f"{p99:.1f} ms of {len(owned):,}; {len(refused)} refused",
        p99 < 60 and not refused,
    )
    return out


def notice(context: Context) -> Outcome:
    """What it costs a reply to say how much of a thousand entries that were read has changed."""
    repository = f"{context.directory}/repository"
    swarm = ledgers.make(repository)
    ledgers.populate(swarm, 5000, 8)
    with contextlib.closing(swarm):
        reader = swarm.join("reader")
        paths = [path for path, _ in swarm.store.paths("facts/")]
        chosen = random.Random(3).sample(paths, READ)
        reader.session.saw([(path, one.blob) for path, one in swarm.store.read_many(chosen).items()], time.time())
        other = swarm.join("other")
        for path in chosen[:10]:
            one = swarm.store.read(path)
            assert one is not None
            entry = os.path.basename(path).removesuffix(".md")
            assert kind_of(entry) == "fact"
            other.commit("change", [Put(entry, path, one.text + b"more\n", one.blob)])
        taken = []
        for _ in range(context.pick(200, 20)):
            began = time.perf_counter()
            changed = len(reader.stale())
            taken.append(1000 * (time.perf_counter() - began))
            if changed != 10:
                raise RuntimeError(f"{changed} changed, not 10")
        middle = statistics.median(taken)
    out = Outcome(detail={"median_ms": middle, "p99_ms": sorted(taken)[int(len(taken) * 0.99)], "read": READ})
    out.add(f"notice on a reply with {READ:,} entries read, median", "under 2 ms", f"{middle:.2f} ms", middle < 2)
    return out
