"""Durable writes a second by many processes, through the public API with everything on, against the baselines."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping

from swarm.demo.recount import recount
from swarm_ledger.env import Disk, Env
from swarm_ledger.git import environment
from swarm_ledger.gitstore import GitStore

from . import fleet, ledgers, words
from .baselines import LooseStore, OneAtATime, OneAtATimeUncompacted
from .row import Context, Outcome

__all__ = ["GROUP", "measure", "slow_disk", "throughput"]

GROUP = "group commit"
_SERIAL = "packs, one commit at a time"
_UNCOMPACTED = "the same, packs never merged"
_LOOSE = "loose objects, one commit at a time"
_STORES: dict[str, Callable[[str, Env], GitStore]] = {
    GROUP: GitStore,
    _SERIAL: OneAtATime,
    _UNCOMPACTED: OneAtATimeUncompacted,
}
_TARGETS = {1: None, 16: 8.0, 64: 15.0}
_SLOW_FSYNC_S = 0.004
"""What is added to each fsync for a slow disk: about that of a usual consumer SSD."""

_FILES = 5000
_DAYS = 8
"""With 32 directories a day: 256 directories."""

_READS_A_SECOND = 4


def throughput(context: Context) -> Outcome:
    """At 1, 16 and 64 processes; the cases take turns, and the median of the rounds counts."""
    return _compared(context, Disk(), _TARGETS, context.pick(3, 1))


def slow_disk(context: Context) -> Outcome:
    """The same at 16 and 64 on a disk whose fsync is simulated to take longer, for ours and the others alike."""
    return _compared(context, SlowDisk(_SLOW_FSYNC_S), {16: None, 64: None}, 1)


class SlowDisk(Disk):
    """Does everything, and lets each fsync of the library's own files take `seconds` more; not those of SQLite."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def create(self, path: str, data: bytes, *, sync: bool = True) -> None:
        """See Disk.create."""
        super().create(path, data, sync=sync)
        if sync:
            time.sleep(self.seconds)

    def sync_directory(self, path: str) -> None:
        """See Disk.sync_directory."""
        super().sync_directory(path)
        time.sleep(self.seconds)


def _compared(context: Context, disk: Disk, targets: Mapping[int, float | None], rounds: int) -> Outcome:
    """Group commit against the others on `disk`; `targets`: number of processes → the ratio that is wanted."""
    seconds = context.pick(6, 2)
    added = f", {disk.seconds * 1e3:g} ms added to each fsync (simulated)" if isinstance(disk, SlowDisk) else ""
    origin = f"{context.directory}/throughput"
    swarm = ledgers.make(origin)
    ledgers.populate(swarm, _FILES, _DAYS)
    ledgers.warm(swarm)
    swarm.close()
    out = Outcome()
    cases: dict[str, dict[str, object]] = {}
    for processes, target in targets.items():
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in [*_STORES, _LOOSE]}
        for round in range(rounds):
            for name in runs:
                copy = ledgers.copy(origin, f"{context.directory}/run")
                label = f"{processes} processes, {name}, round {round + 1} of {rounds}"
                try:
                    if name == _LOOSE:
                        runs[name].append(_measure_loose(copy, processes, seconds, label, disk))
                    else:
                        runs[name].append(measure(copy, processes, seconds, label, _STORES[name], disk))
                finally:
                    shutil.rmtree(copy)
        middle = {name: _median(found) for name, found in runs.items()}
        cases[str(processes)] = {"median": middle, "runs": runs}
        group = middle[GROUP]
        for name, found in middle.items():
            if name == GROUP:
                continue
            ratio = group["writes_per_s"] / max(found["writes_per_s"], 0.01)
            counts = target is not None and name in (_SERIAL, _LOOSE)
            out.add(
                f"writes/s, {processes} processes, group commit against {name}{added}",
                f"{target:g}x" if counts else "shown",
                f"{group['writes_per_s']:,.0f} / {found['writes_per_s']:,.0f} = {ratio:.1f}x",
                ratio >= target if counts and target else None,
            )
        lost = sum(run["lost"] + run["duplicated"] + run["refused"] for name in _STORES for run in runs[name])
        out.add(f"lost, twice or refused, {processes} processes{added}", "0", f"{lost:.0f}", lost == 0)
    out.detail["cases"] = cases
    return out


def measure(
    repository: str,
    processes: int,
    seconds: float,
    label: str,
    store: Callable[[str, Env], GitStore] = GitStore,
    disk: Disk | None = None,
) -> dict[str, float]:
    """`processes` agents remember facts for `seconds`, on `disk`, and a reader recalls some times a second.

    `writes_per_s` includes the time that the index needs to catch up at the end.
    """

    def made(home: str, env: Env) -> GitStore:
        return store(home, env._replace(disk=disk or env.disk))

    results = fleet.run(
        label, [ledgers.writing(repository, seconds, made)] * processes + [_reader(repository, seconds)], seconds
    )
    writers, reader = results[:-1], results[-1]
    swarm = ledgers.open_with(repository)
    catch_up = ledgers.index_seconds(swarm)
    swarm.close()
    acks = [ack for did in writers for ack in did.acks]
    counted = recount(f"{repository}/.git/swarm/ledger.git", f"{repository}/clone.git", acks)
    span = max(did.ended for did in writers) - min(did.began for did in writers)
    latencies = fleet.latencies_ms([one for did in writers for one in did.seconds])
    return {
        "acknowledged": len(acks),
        "refused": sum(len(did.refused) for did in writers),
        "lost": len(counted.lost),
        "duplicated": len(counted.duplicated),
        "seconds": round(span, 3),
        "catch_up_s": round(catch_up, 3),
        "writes_per_s": round(len(acks) / (span + catch_up), 1),
        "writes_per_s_without_catch_up": round(len(acks) / span, 1),
        **latencies,
        "recalls": len(reader.seconds),
        "recall_p50": fleet.latencies_ms(reader.seconds)["p50"],
    }


def _reader(repository: str, seconds: float) -> fleet.Work:
    def work(_: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = ledgers.open_with(repository)
        reader = swarm.reader()
        rng = random.Random(5)
        start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            reader.recall(words.query(rng, words.body(rng, 200)), k=5)
            did.seconds.append(time.monotonic() - began)
            time.sleep(1 / _READS_A_SECOND)
        swarm.close()

    return work


def _measure_loose(repository: str, processes: int, seconds: float, label: str, disk: Disk) -> dict[str, float]:
    home = f"{repository}/.git/swarm"
    _unpack(f"{home}/ledger.git")

    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        from datetime import UTC, datetime

        from swarm_ledger.ids import new_id, path_of

        env = Env(disk=disk)
        store = LooseStore(home, env)
        text = b"x" * (ledgers.ENTRY_BYTES - 40)

        def write() -> None:
            id = new_id("fact", datetime.now(UTC), env.rng)
            store.put(path_of(id), f"{id} {number}\n".encode() + text, f"agent-{number}", int(time.time()))

        start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            did.write(write)
        did.ended = time.monotonic()

    results = fleet.run(label, [work] * processes, seconds)
    span = max(did.ended for did in results) - min(did.began for did in results)
    done = [one for did in results for one in did.seconds]
    commits = subprocess.run(
        ["git", f"--git-dir={home}/ledger.git", "rev-list", "--count", "swarm-ledger"],
        env=environment(),
        capture_output=True,
        check=True,
    )
    return {
        "acknowledged": len(done),
        "commits": int(commits.stdout),
        "seconds": round(span, 3),
        "writes_per_s": round(len(done) / span, 1),
        **fleet.latencies_ms(done),
    }


def _unpack(ledger: str) -> None:
    packs = f"{ledger}/objects/pack"
    for name in os.listdir(packs):
        os.rename(f"{packs}/{name}", f"{ledger}/{name}")
        if name.endswith(".pack"):
            with open(f"{ledger}/{name}", "rb") as file:
                subprocess.run(
                    ["git", f"--git-dir={ledger}", "unpack-objects", "-q"], stdin=file, env=environment(), check=True
                )


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
