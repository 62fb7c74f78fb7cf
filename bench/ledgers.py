"""Ledgers to measure on: populated once, copied for each case, so that every case begins with the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from swarm.agent import Agent
from swarm.api import Swarm
from swarm.demo.recount import Ack
from swarm.progress import Progress
from swarm_ledger.entry import Document
from swarm_ledger.env import Env
from swarm_ledger.git import environment
from swarm_ledger.gitstore import GitStore
from swarm_ledger.ids import new_id, new_request, path_of
from swarm_ledger.place import Place, find
from swarm_ledger.schema import validate
from swarm_ledger.store import Put, Request
from swarm_ledger.times import format_time

from . import fleet, words

__all__ = [
    "ENTRY_BYTES",
    "agent",
    "copy",
    "disk_bytes",
    "fact_text",
    "index_seconds",
    "make",
    "open_with",
    "populate",
    "warm",
    "writer",
    "writing",
]

ENTRY_BYTES = 500
_PER_REQUEST = 1000
_AHEAD = 1000
"""So many texts a writer makes at once, so that most runs measure none of the making."""


def make(repository: str) -> Swarm:
    """A fresh repository with an empty ledger."""
    os.makedirs(repository)
    subprocess.run(["git", "init", "--quiet", "--", repository], env=environment(), check=True)
    return Swarm.init(repository)


def populate(swarm: Swarm, entries: int, days: int, seed: int = 1, size: int = ENTRY_BYTES) -> None:
    """Write `entries` valid facts of `size` bytes, spread over the last `days` days, in requests of a thousand."""
    rng = random.Random(seed)
    now = datetime.fromtimestamp(int(time.time()), UTC)
    progress = Progress(sys.stderr, f"populating {entries:,} entries", entries)
    try:
        for start in range(0, entries, _PER_REQUEST):
            ops = []
            for number in range(start, min(start + _PER_REQUEST, entries)):
                at = now - timedelta(days=days - 1 - number * days // entries)
                id = new_id("fact", at, rng)
                agent = f"agent-{number % 16}"
                ops.append(Put(id, path_of(id), fact_text(id, agent, at, rng, size), None))
            request = Request(new_request(rng), "populate", "populate", int(now.timestamp()), "populate", tuple(ops))
            swarm.store.submit(request)
            progress.update(start + len(ops))
    finally:
        progress.close()


def fact_text(id: str, agent: str, at: datetime, rng: random.Random, size: int = ENTRY_BYTES) -> bytes:
    """A valid fact of `size` bytes, front matter included."""
    title = words.title(rng)
    fields = {"id": id, "kind": "fact", "title": title, "by": agent, "at": format_time(at), "rev": 1}
    text = words.body(rng, size - len(Document.create(fields, "\n").data) + 1)
    validate(fields, text)
    return Document.create(fields, text).data


def copy(repository: str, target: str) -> str:
    """A copy of a repository with its ledger, nobody using it meanwhile; its path."""
    shutil.copytree(repository, target, symlinks=True)
    return target


def open_with(repository: str, store: Callable[[str, Env], GitStore] = GitStore) -> Swarm:
    """The ledger of `repository`, written through `store`."""
    env = Env()
    place = find(repository)
    if not isinstance(place, Place):
        raise FileNotFoundError(f"no repository at {repository}")
    return Swarm(store(place.home, env), place, repository, env)


def agent(swarm: Swarm, name: str) -> Agent:
    """The agent `name` of the ledger, who need not join."""
    found = swarm.agent(name)
    if found is None:
        raise RuntimeError(f"no session for {name}")
    return found


def writer(swarm: Swarm, number: int) -> Callable[[], Ack]:
    """Each call has agent `number` remember one more fact of 500 bytes, none twice."""
    agent = swarm.agent(f"agent-{number}")
    if agent is None:
        raise LookupError(number)
    rng = random.Random(time.time_ns() ^ os.getpid())
    at = datetime.now(UTC).replace(microsecond=0)
    sample = {"id": new_id("fact", at, rng), "kind": "fact", "by": agent.name, "at": format_time(at), "rev": 1}
    overhead = len(Document.create({**sample, "title": "x"}, "\n").data) - len("x\n")

    def texts() -> Iterator[tuple[str, str]]:
        while True:
            titles = [words.title(rng) for _ in range(_AHEAD)]
            yield from [(title, words.body(rng, ENTRY_BYTES - overhead - len(title))) for title in titles]

    made = texts()

    def write() -> Ack:
        written = agent.remember(*next(made))
        return Ack(written.id, written.path, written.version, str(written.commit))

    return write


def warm(swarm: Swarm) -> None:
    """Bring what is derived from the ledger up to it, so that no writer has to."""
    swarm.index.catch_up()
    swarm.facts.facts([])
    swarm.sketches.catch_up()


def writing(repository: str, seconds: float, store: Callable[[str, Env], GitStore] = GitStore) -> fleet.Work:
    """The life of an agent that remembers facts for `seconds`, one after the other."""

    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = open_with(repository, store)
        write = writer(swarm, number)
        write()  # what is loaded at the first one is no part of what a write takes
        start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            did.write(write)
        did.ended = time.monotonic()
        swarm.close()

    return work


def index_seconds(swarm: Swarm) -> float:
    """How long it takes to bring the index up to the last write."""
    progress = Progress(sys.stderr, "indexing", 1.0)
    swarm.index.progress = lambda done, total: progress.update(done / total)
    start = time.monotonic()
    swarm.index.catch_up()
    took = time.monotonic() - start
    progress.close()
    return took


def disk_bytes(path: str) -> int:
    """Bytes on disk (blocks, not lengths) of a file or of everything in a directory."""
    if not os.path.isdir(path):
        return os.stat(path).st_blocks * 512 if os.path.exists(path) else 0
    total = os.stat(path).st_blocks * 512
    for directory, directories, files in os.walk(path):
        total += sum(os.lstat(f"{directory}/{name}").st_blocks * 512 for name in [*directories, *files])
    return total
