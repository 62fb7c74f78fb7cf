"""What the ledger would have answered at a past moment: the versions of then, with their text of then.

Log entries never change, and what nobody wrote since is as it was: for those the index of now answers, without what was
recorded later. What was changed or removed since is read from history in its version of then, and searched beside.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from swarm_indexes.filters import Filters
from swarm_indexes.hits import successors_first
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.moments import moment_of
from swarm_ledger.errors import NotFound
from swarm_ledger.ids import new_request
from swarm_ledger.memory import MemoryStore
from swarm_ledger.store import BlobId, Put, Request, Store
from swarm_ledger.times import format_time

if TYPE_CHECKING:
    from swarm_indexes.hits import Hit
    from swarm_indexes.protocol import LexicalIndex
    from swarm_ledger.env import Env

__all__ = ["recall_as_of"]

_DAY = re.compile(r"/([0-9]{4})/([0-9]{2})/([0-9]{2})/")


class _Then(NamedTuple):
    """A path that changed after the moment: its version of then (None: it was not there), and until when it held."""

    version: BlobId | None
    until: int


def recall_as_of(
    store: Store, index: LexicalIndex, env: Env, query: str, filters: Filters, moment: float, k: int
) -> list[Hit]:
    """The `k` entries that matched `query` best at `moment`, as they were; `until` says when a version was replaced."""
    then = _changed_since(store, moment)
    hits = _unchanged(index, query, filters, moment, k, then.keys())
    hits += _replaced(store, env, query, filters, k, then)
    if all(hit.score is None for hit in hits):
        hits.sort(key=lambda hit: -(moment_of(hit.valid_from or "", hit.at) or 0.0))
    else:
        hits.sort(key=lambda hit: -(hit.score or 0.0))
    return successors_first(hits)[:k]


def _changed_since(store: Store, moment: float) -> dict[str, _Then]:
    """Of each document that was written after `moment`, what it was then."""
    until: dict[str, int] = {}
    wanted: set[str] = set()
    found: dict[str, BlobId | None] = {}
    begun = False
    for commit in store.history():
        begun = begun or commit.at <= moment
        for path, version in commit.changed:
            if path.startswith("log/"):
                continue
            if not begun:
                until[path] = commit.at  # the first after the moment is the last that is seen
                if not _born_later(path, moment):
                    wanted.add(path)
            elif path in wanted:
                wanted.remove(path)
                found[path] = version
        if begun and not wanted:
            break
    return {path: _Then(found.get(path), at) for path, at in until.items()}


def _born_later(path: str, moment: float) -> bool:
    """Whether the entry at `path` has a date after the moment: then it was not there, and history need not be asked."""
    day = _DAY.search(path)
    return day is not None and (moment_of("-".join(day.groups())) or 0.0) > moment


def _unchanged(
    index: LexicalIndex, query: str, filters: Filters, moment: float, k: int, changed: Collection[str]
) -> list[Hit]:
    asked = k
    while True:
        found = index.search(query, filters, k=asked)
        kept = [hit for hit in found if hit.path not in changed and (moment_of(hit.at) or 0.0) <= moment]
        if len(kept) >= k or len(found) < asked:
            return kept[:k]
        asked *= 4


def _replaced(store: Store, env: Env, query: str, filters: Filters, k: int, then: dict[str, _Then]) -> list[Hit]:
    puts = []
    for path, one in then.items():
        if one.version is not None:
            try:
                puts.append(Put(path, path, store.blob(one.version), None))
            except NotFound:
                continue  # erased: nobody is to read it again
    if not puts:
        return []
    past = MemoryStore()
    past.submit(Request(new_request(env.rng), "past", "past", 0, "past", tuple(puts)))
    with tempfile.TemporaryDirectory(prefix="swarm-past-") as directory:
        index = Fts5Index(f"{directory}/past.db", past, env)
        hits = index.search(query, filters, k=k)
        index.close()
    return [hit._replace(until=format_time(datetime.fromtimestamp(then[hit.path].until, UTC))) for hit in hits]
