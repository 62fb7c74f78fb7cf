"""What size, freshness and company do to recall."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy

from swarm.api import Swarm
from swarm_indexes.filters import Filters
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.sentences import SentenceModel
from swarm_ledger.entry import Document

from . import fleet, ledgers, words
from .peers import fts5, fts5_tagged, tantivy
from .row import Context, Outcome

__all__ = ["crowd", "large", "visible"]


_WORDS_BYTES = 810
"""Of an entry of 120 words."""
_TAG = "agent-3"


def large(context: Context) -> Outcome:
    """100,000 entries: building the index, also after kill -9, and questions against raw engines over the same texts.

    The same questions to a tenth of the entries, for information.
    """
    entries = context.pick(100_000, 10_000)
    repository = f"{context.directory}/large"
    swarm = ledgers.make(repository)
    ledgers.populate(swarm, entries, 100, size=_WORDS_BYTES)
    took = ledgers.index_seconds(swarm)
    out = Outcome(detail={"entries": entries})
    out.add(f"index of {entries:,} entries of 120 words", "60 s", f"{took:.1f} s", took <= 60)
    killed = multiprocessing.get_context("spawn").Process(target=_build_half, args=(repository,))
    killed.start()
    killed.join()
    began = time.monotonic()
    there = swarm.index.reindex()
    again = time.monotonic() - began
    out.add(
        "the same built anew and killed at half, gone on with",
        "all there, less time",
        f"{there:,} entries, {again:.1f} s",
        killed.exitcode == -signal.SIGKILL and there == entries and again < took,
    )
    _questions(context, out, swarm, judged=True)
    swarm.close()
    fewer = ledgers.make(f"{repository}-tenth")
    ledgers.populate(fewer, entries // 10, 100, size=_WORDS_BYTES)
    fewer.index.catch_up()
    _questions(context, out, fewer, judged=False)
    fewer.close()
    return out


def _build_half(repository: str) -> None:
    swarm = ledgers.open_with(repository)
    swarm.progress = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if 2 * done >= total else None
    swarm.index.reindex()


def _questions(context: Context, out: Outcome, swarm: Swarm, *, judged: bool) -> None:
    """Medians of words, of questions, and of both by one agent of sixteen, each against raw FTS5, taking turns."""
    directory = f"{swarm.place.home}/peers"
    texts: list[tuple[str, str]] = []
    tags: list[str] = []
    paths = [path for path, _ in swarm.store.paths("facts/")]
    for start in range(0, len(paths), 1000):
        for path, version in swarm.store.read_many(paths[start : start + 1000]).items():
            parsed = Document.parse(version.text)
            texts.append((path, f"{parsed.fields['title']}\n{parsed.body}"))
            tags.append(str(parsed.fields["by"]))
    answer = fts5(f"{directory}/raw", texts)
    tagged = fts5_tagged(f"{directory}/tagged", zip(texts, tags, strict=True))
    other = tantivy(directory, texts)
    rng = random.Random(5)
    acts: dict[str, Callable[[str], object]] = {
        "tantivy": lambda query: other(query, 10),
        "FTS5": lambda query: answer(query, 10),
        "FTS5, filtered": lambda query: tagged(query, _TAG, 10),
        "words": swarm.index.search,
        "a question": lambda query: swarm.index.search(f"what is {query}?"),
        "words by one agent of 16": lambda query: swarm.index.search(query, Filters(by=_TAG)),
        "a question by one agent of 16": lambda query: swarm.index.search(f"what is {query}?", Filters(by=_TAG)),
    }
    if context.embedder:
        index = Fts5Index(
            f"{swarm.place.home}/index/lexical.db", swarm.store, swarm.env, embedder=_Drawn(context.embedder)
        )
        acts |= {
            "words, with meaning": index.search,
            "a question, with meaning": lambda query: index.search(f"what is {query}?"),
            "a question by one agent of 16, with meaning": lambda query: index.search(
                f"what is {query}?", Filters(by=_TAG)
            ),
        }
    times: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(context.pick(100, 20) + 1):
        query = words.query(rng, rng.choice(texts)[1])
        for name, act in acts.items():
            began = time.perf_counter()
            act(query)
            if number:  # the first warms up
                times[name].append(time.perf_counter() - began)
    middle = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    for name in list(acts)[3:]:
        peer = "FTS5, filtered" if "one agent" in name else "FTS5"
        ratio = middle[name] / middle[peer]
        # By one agent, words are compared like for like; a question is looked at more closely than raw FTS5 looks.
        held = judged and "meaning" not in name and name != "a question by one agent of 16"
        out.add(
            f"median of {name}, {len(texts):,} entries, against raw {peer}",
            "2x" if held else "shown",
            f"{middle[name]:.2f} ms / {middle[peer]:.2f} ms = {ratio:.2f}x; tantivy {middle['tantivy']:.2f} ms",
            ratio <= 2 if held else None,
        )


class _Drawn:
    """A model's vectors for questions; those of entries are drawn: here it matters how many they are."""

    def __init__(self, path: str) -> None:
        self._model = SentenceModel(path)
        self.name = f"drawn beside {self._model.name}"
        self._rng = numpy.random.default_rng(1)

    def embed(self, texts: Sequence[str]) -> Any:
        found = self._model.embed(texts[:1])
        return found if len(texts) == 1 else self._rng.standard_normal((len(texts), len(found[0])))


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
    for number in range(context.pick(300, 20)):
        agent.remember(f"Quixotic{number} zephyr{number}", "A body of some words.")
        here.send(f"zephyr{number}")
        took, hits = here.recv()
        if number and hits == 1:
            found.append(took)
    here.send("")
    other.join()
    swarm.close()
    at = fleet.latencies_ms(found)
    out = Outcome(detail={"found": len(found), **at})
    out.add(
        "an added entry found by another process", "5 ms", f"{at['p50']:.2f} ms (p99 {at['p99']:.2f})", at["p50"] <= 5
    )
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
        "8 writers, 8 readers",
        [*[ledgers.writing(repository, seconds)] * 8, *[_reader(repository, seconds)] * 8],
        seconds,
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
