"""Recall on a history, beside raw FTS5: a commit's first line asks for what was said of its files before."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from swarm.githistory import Commit, log_commits, read_commits
from swarm_indexes.filters import Filters
from swarm_indexes.lexical import Fts5Index

from . import ledgers
from .peers import fts5_growing
from .row import Context, Outcome

__all__ = ["Asked", "ask_all", "evidence", "history", "share"]

_QUESTIONS = 300
_K = 10
_AHEAD = 0.10
_RESAMPLES = 1000


class Asked(NamedTuple):
    """What both engines found of the evidence for one commit, as `share` has it."""

    commit: str
    ours: float
    peer: float


def history(context: Context) -> Outcome:
    """Each of the last 300 commits of this project whose files earlier commits touched; those are the evidence."""
    commits = read_commits(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    asked = ask_all(context.directory, commits)[-_QUESTIONS:]
    ours, theirs = [one.ours for one in asked], [one.peer for one in asked]
    rng = random.Random(1)
    ahead = [one.ours - one.peer for one in asked]
    drawn = sorted(statistics.fmean(rng.choices(ahead, k=len(ahead))) for _ in range(_RESAMPLES))
    mean = statistics.fmean(ahead)
    out = Outcome(detail={"questions": len(asked), "commits": len(commits)})
    out.add(
        "recall@10 on this project's history, against SQLite FTS5",
        f"+{_AHEAD:.2f}",
        f"{statistics.fmean(ours):.3f} against {statistics.fmean(theirs):.3f}: {mean:+.3f} "
        f"({drawn[_RESAMPLES // 40]:+.3f} to {drawn[-1 - _RESAMPLES // 40]:+.3f}), {len(asked)} questions",
        mean >= _AHEAD,
    )
    return out


def ask_all(directory: str, commits: Sequence[Commit]) -> list[Asked]:
    """Each of `commits`, oldest first, for which there is evidence, asked of stores that hold only those before it.

    The peer is given what the entries say: messages and paths.
    """
    swarm = ledgers.make(f"{directory}/history")
    index = Fts5Index(f"{swarm.place.home}/index/lexical.db", swarm.store, swarm.env)
    add, peer = fts5_growing(f"{directory}/peer")
    out = []
    for n, one in enumerate(commits):
        wanted = evidence(commits[:n], one)
        if wanted:
            words = one.message.split("\n")[0]
            found = [hit.ref or "" for hit in index.search(words, Filters(kind="log"), k=_K)]
            out.append(Asked(one.id, share(found, wanted), share(peer(words, _K), wanted)))
        log_commits(swarm, [one])
        add([(one.id, f"{one.message}\n{' '.join(one.files)}")])
    index.close()
    swarm.close()
    return out


def evidence(before: Sequence[Commit], one: Commit) -> set[str]:
    """Those of `before` that touched a file which `one` touches."""
    files = set(one.files)
    return {other.id for other in before if files.intersection(other.files)}


def share(found: Sequence[str], wanted: set[str]) -> float:
    """The share of `wanted` among the first ten of `found`, of as many as there is room for."""
    return len(wanted.intersection(found[:_K])) / min(_K, len(wanted))
