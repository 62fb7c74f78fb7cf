"""What size, freshness and company do to recall."""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from swarm_ledger.entry import Document

from . import fleet, ledgers, words
from .peers import fts5
from .row import Context, Outcome

__all__ = ["crowd", "large", "visible"]


def large(context: Context) -> Outcome:
    """100,000 entries: building the index, and a question against raw FTS5 over the same texts."""
    entries = context.pick(100_000, 10_000)
    repository = f"{context.directory}/large"
    swarm = ledgers.make(repository)
    ledgers.populate(swarm, entries, 100)
    took = ledgers.index_seconds(swarm)
    out = Outcome(detail={"entries": entries})
    out.add(f"index of {entries:,} entries", "60 s", f"{took:.1f} s", took <= 60)
    paths = [path for path, _ in swarm.store.paths("facts/")]
    texts: list[tuple[str, str]] = []
    for start in range(0, len(paths), 1000):
        for path, version in swarm.store.read_many(paths[start : start + 1000]).items():
            parsed = Document.parse(version.text)
            texts.append((path, f"{parsed.fields['title']}\n{parsed.body}"))
    answer = fts5(f"{context.directory}/raw", texts)
    rng = random.Random(5)
    queries = [words.query(rng, rng.choice(texts)[1]) for _ in range(context.pick(60, 20))]
    times: dict[str, list[float]] = {"swarm": [], "FTS5": []}
    for query in ["warm", *queries]:
        for name, act in (("swarm", lambda: swarm.index.search(query)), ("FTS5", lambda: answer(query, 10))):  # noqa: B023
            began = time.perf_counter()
            act()
            times[name].append(time.perf_counter() - began)
    ours, theirs = (statistics.median(part[1:]) * 1e3 for part in times.values())
    out.add(
        f"median query, {entries:,} entries, against raw FTS5",
        "2x",
        f"{ours:.2f} ms / {theirs:.2f} ms = {ours / theirs:.2f}x",
        ours <= 2 * theirs,
    )
    swarm.close()
    return out


def visible(context: Context) -> Outcome:
    """From the acknowledgement of a write until another process has found it, which asks at once."""
    repository = f"{context.directory}/visible"
    swarm = ledgers.make(repository)
    ledgers.populate(swarm, 1_000, 1)
    swarm.index.catch_up()
    agent = swarm.join("writer")
    here, there = multiprocessing.Pipe()
    other = multiprocessing.get_context("spawn").Process(target=_find, args=(repository, there))
    other.start()
    here.recv()
    found = []
    for number in range(context.pick(60, 20)):
        agent.remember(f"Quixotic{number} zephyr{number}", "A body of some words.")
        here.send(f"zephyr{number}")
        took, hits = here.recv()
        if number and hits == 1:
            found.append(took)
    here.send("")
    other.join()
    swarm.close()
    middle = statistics.median(found) * 1e3
    out = Outcome(detail={"found": len(found)})
    out.add("an added entry found by another process", "5 ms", f"{middle:.2f} ms", middle <= 5)
    return out


def _find(repository: str, asked: Connection) -> None:
    swarm = ledgers.open_with(repository)
    swarm.index.search("warm")
    asked.send("ready")
    while query := asked.recv():
        began = time.perf_counter()
        hits = swarm.index.search(query)
        asked.send((time.perf_counter() - began, len(hits)))
    swarm.close()


def crowd(context: Context) -> Outcome:
    """Eight writers and eight readers at once; then every acknowledged entry is searched for by its own word."""
    seconds = context.pick(30, 5)
    repository = f"{context.directory}/crowd"
    ledgers.make(repository).close()
    did = fleet.run(
        "8 writers, 8 readers", [_writer(repository, seconds)] * 8 + [_reader(repository, seconds)] * 8, seconds
    )
    swarm = ledgers.open_with(repository)
    missing = 0
    acks = [ack for one in did for ack in one.acks]
    for ack in acks:
        missing += swarm.index.get(ack.id) is None
    errors = sum(len(one.refused) for one in did)
    reads = sum(len(one.seconds) for one in did[8:])
    swarm.close()
    out = Outcome(detail={"acknowledged": len(acks), "recalls": reads})
    out.add(
        f"8 writers and 8 readers for {seconds} s",
        "no error, none missing",
        f"{len(acks):,} written, {reads:,} recalls, {errors} errors, {missing} missing",
        errors == 0 and missing == 0 and reads > 0,
    )
    return out


def _writer(repository: str, seconds: float) -> fleet.Work:
    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = ledgers.open_with(repository)
        write = ledgers.writer(swarm, number)
        start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            did.write(write)
        swarm.close()

    return work


def _reader(repository: str, seconds: float) -> fleet.Work:
    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = ledgers.open_with(repository)
        reader = swarm.reader()
        rng = random.Random(number)

        def recall() -> None:
            reader.recall(f"what is {words.title(rng)}?")

        start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            did.write(recall)
        swarm.close()

    return work
