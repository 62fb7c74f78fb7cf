"""What is derived from the ledger says what the ledger says: the index for search, and that of facts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from swarm_ledger.errors import SwarmError
from swarm_ledger.ids import path_of

from .finding import Finding
from .subject import Subject

if TYPE_CHECKING:
    from ..api import Swarm

__all__ = ["derived"]


def derived(subject: Subject) -> Iterator[Finding]:
    """Flaws of the indexes, where they are: they come back with `swarm reindex`."""
    swarm = subject.swarm
    if swarm is None:
        return
    if os.path.isfile(f"{swarm.place.home}/index/evidence.db"):
        for id in sorted(_differing(swarm, subject)):
            message = f"does not have {id} as the ledger has it; `swarm reindex` builds it anew"
            yield Finding("error", "derived", "index/evidence.db", message)
    if not os.path.isfile(f"{swarm.place.home}/index/lexical.db"):
        return
    try:
        flaws = swarm.index.check()
    except SwarmError as error:
        flaws = [str(error)]
    for flaw in flaws:
        yield Finding("error", "derived", "index/lexical.db", f"{flaw}; `swarm reindex` builds it anew")


def _differing(swarm: Swarm, subject: Subject) -> Iterator[str]:
    """Ids of active facts and reflections that are not in the index with what they cite, or that it has besides."""
    facts = swarm.facts.facts()
    known: dict[str, list[str]] = {fact.id: [] for fact in facts if fact.active}
    for row in swarm.facts.cited():
        known.setdefault(row.fact, []).append(row.digest)
    now = dict(subject.store.paths())  # others may write meanwhile
    for id, cited in subject.entries.cited.items():
        if known.get(id) != cited and now.get(path_of(id)) == subject.tree.get(path_of(id)):
            yield id
    yield from (fact.id for fact in facts if fact.path not in now and fact.path not in subject.tree)
