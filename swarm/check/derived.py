"""What is derived from the ledger says what the ledger says: the search index."""

from __future__ import annotations

import os
from collections.abc import Iterator

from swarm_ledger.errors import SwarmError

from .finding import Finding
from .subject import Subject

__all__ = ["derived"]


def derived(subject: Subject) -> Iterator[Finding]:
    """Flaws of the search index, where there is one: it comes back with `swarm reindex`."""
    swarm = subject.swarm
    if swarm is None or not os.path.isfile(f"{swarm.place.home}/index/lexical.db"):
        return
    try:
        flaws = swarm.index.check()
    except SwarmError as error:
        flaws = [str(error)]
    for flaw in flaws:
        yield Finding("error", "derived", "index/lexical.db", f"{flaw}; `swarm reindex` builds it anew")
