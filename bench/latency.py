"""The slowest writes of sixteen processes against one lone commit of plain git, taking turns."""

from __future__ import annotations

import shutil
import statistics

from . import ledgers, plaingit
from .row import Context, Outcome
from .throughput import measure

__all__ = ["latency"]


def latency(context: Context) -> Outcome:
    """p99 of a write at 16 processes; p50 of a lone `git add && git commit` and of the `git commit` alone."""
    rounds, seconds, count = context.pick(3, 1), context.pick(6, 2), context.pick(20, 8)
    worktree, origin = f"{context.directory}/lone", f"{context.directory}/latency"
    plaingit.make_worktree(worktree)
    swarm = ledgers.make(origin)
    ledgers.populate(swarm, 5000, 8)
    ledgers.warm(swarm)
    swarm.close()
    both: list[float] = []
    commit: list[float] = []
    runs = []
    for round in range(rounds):
        lone = plaingit.lone_commits(worktree, count)
        both += lone["both"]
        commit += lone["commit"]
        copy = ledgers.copy(origin, f"{context.directory}/run")
        runs.append(measure(copy, 16, seconds, f"16 processes, round {round + 1} of {rounds}"))
        shutil.rmtree(copy)
    p99 = statistics.median(run["p99"] for run in runs)
    lone_both, lone_commit = statistics.median(both) * 1e3, statistics.median(commit) * 1e3
    out = Outcome(detail={"runs": runs, "lone_both_ms": lone_both, "lone_commit_ms": lone_commit, "p99_ms": p99})
    for name, one in (("`git add && git commit`", lone_both), ("`git commit`", lone_commit)):
        ratio = p99 / one
        out.add(
            f"p99 of a write at 16 processes against the p50 of a lone {name}",
            "at most 2x",
            f"{p99:.1f} ms / {one:.1f} ms = {ratio:.2f}x",
            ratio <= 2,
        )
    return out
