"""Recall on a history, beside raw FTS5: a commit's first line asks for what was said of its files before."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Sequence

from swarm.githistory import Commit, import_git_history, read_commits
from swarm_indexes.filters import Filters
from swarm_indexes.lexical import Fts5Index

from . import ledgers
from .peers import fts5
from .row import Context, Outcome

__all__ = ["history"]

_QUESTIONS = 300
_K = 10
_AHEAD = 0.10
_RESAMPLES = 1000


def history(context: Context) -> Outcome:
    """Each of the last 300 commits of this project whose files earlier commits touched; those are the evidence."""
    repository = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    commits = read_commits(repository)  # oldest first
    swarm = ledgers.make(f"{context.directory}/history")
    import_git_history(swarm, repository)
    index = Fts5Index(f"{swarm.place.home}/index/lexical.db", swarm.store, swarm.env)
    asked = [(n, evidence) for n, one in enumerate(commits) if (evidence := _evidence(commits[:n], one))][-_QUESTIONS:]
    # The peer has no filter by time: it is given what the entries say, paths too, and what is later is struck out.
    peer = fts5(f"{context.directory}/peer", [(one.id, f"{one.message}\n{' '.join(one.files)}") for one in commits])
    ours, theirs = [], []
    for n, evidence in asked:
        one = commits[n]
        words = one.message.split("\n")[0]
        earlier = {other.id for other in commits[:n]}
        hits = index.search(words, Filters(kind="log", until=one.at), k=_K + 64)
        ours.append(_share([hit.ref or "" for hit in hits], earlier, evidence))
        theirs.append(_share(peer(words, len(commits)), earlier, evidence))
    swarm.close()
    rng = random.Random(1)
    ahead = [mine - other for mine, other in zip(ours, theirs, strict=True)]
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


def _evidence(before: Sequence[Commit], one: Commit) -> set[str]:
    files = set(one.files)
    return {other.id for other in before if files.intersection(other.files)}


def _share(found: Sequence[str], earlier: set[str], evidence: set[str]) -> float:
    """The share of the evidence among the first hits, of as much as there is room for."""
    first = [id for id in found if id in earlier][:_K]
    return len(evidence.intersection(first)) / min(_K, len(evidence))
