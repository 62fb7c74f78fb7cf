"""What the ledger takes on disk, and what its size does to the time of a write, a show and a recall."""

from __future__ import annotations

import random
import statistics
import subprocess
import time
from collections.abc import Callable

from swarm.api import Swarm
from swarm.demo.recount import recount

from . import fleet, ledgers, machine, words
from .row import Context, Outcome
from .safety import command, command_environment

__all__ = ["disk", "scale", "start"]

_MB = 1_000_000
_PROCESSES = 16
_COMMONEST = "recall of the four commonest words"


def disk(context: Context) -> Outcome:
    """10,000 facts of 500 bytes, each in a commit of its own, written by sixteen processes; then after `swarm gc`."""
    entries = context.pick(10_000, 1_600)
    repository = f"{context.directory}/repository"
    ledgers.make(repository).close()
    each = entries // _PROCESSES

    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = ledgers.open_with(repository)
        write = ledgers.writer(swarm, number)
        start()
        for _ in range(each):
            did.write(write)
        swarm.close()

    results = fleet.run(f"{entries:,} entries by {_PROCESSES} processes", [work] * _PROCESSES, entries / 500)
    swarm = ledgers.open_with(repository)
    ledgers.warm(swarm)
    texts = [
        len(version.text) for version in swarm.store.read_many([p for p, _ in swarm.store.paths("facts/")]).values()
    ]
    swarm.close()
    home = f"{repository}/.git/swarm"
    counted = recount(f"{home}/ledger.git", f"{context.directory}/clone.git", [a for did in results for a in did.acks])
    steady = _sizes(home)
    subprocess.run(command("gc"), cwd=repository, env=command_environment(), check=True, capture_output=True)
    after = _sizes(home)
    out = Outcome(
        detail={
            "entries": len(texts),
            "commits": counted.commits,
            "mean_bytes": round(statistics.mean(texts), 1),
            "refused": sum(len(did.refused) for did in results),
            "lost": len(counted.lost),
            "steady": steady,
            "after_gc": after,
        }
    )
    limits = {"steady": 60, "after gc": 12}
    for name, sizes in (("steady", steady), ("after gc", after)):
        for part, title in (("total", "everything under .git/swarm"), ("ledger.git", "ledger.git alone")):
            limit = limits[name] if not context.quick else 0
            # `gc` packs the repository; what is derived from it beside it stays as it is.
            judged = (name, part) in (("steady", "total"), ("after gc", "ledger.git"))
            out.add(
                f"{len(texts):,} entries of 500 bytes on disk, {name}, {title}",
                f"under {limits[name]} MB" if judged else "shown",
                f"{sizes[part] / _MB:.2f} MB",
                sizes[part] < limit * _MB if limit and judged else None,
            )
    return out


def _sizes(home: str) -> dict[str, int]:
    parts = {name: ledgers.disk_bytes(f"{home}/{name}") for name in ("ledger.git", "index", "record", "sessions")}
    parts["state.db"] = sum(ledgers.disk_bytes(f"{home}/state.db{suffix}") for suffix in ("", "-wal", "-shm"))
    return {**parts, "total": ledgers.disk_bytes(home)}


def scale(context: Context) -> Outcome:
    """A write, a show, and a recall after the write, at 1,000 entries and at 100,000 over a hundred days."""
    small, large = 1_000, context.pick(100_000, 10_000)
    by_api, by_command = context.pick(40, 15), context.pick(15, 4)
    repositories = {}
    out = Outcome()
    for entries in (small, large):
        repositories[entries] = f"{context.directory}/{entries}"
        swarm = ledgers.make(repositories[entries])
        ledgers.populate(swarm, entries, 100 if entries == large else 1)
        out.detail[f"index_{entries}_s"] = round(ledgers.index_seconds(swarm), 2)
        swarm.close()
    times: dict[str, dict[int, list[float]]] = {}
    swarms = {entries: ledgers.open_with(path) for entries, path in repositories.items()}
    rng = random.Random(3)
    paths = {entries: [path for path, _ in one.store.paths("facts/")] for entries, one in swarms.items()}
    for count in range(by_api + 1):
        for entries, swarm in swarms.items():  # taking turns
            for name, act in _acts(swarm, rng.choice(paths[entries]), rng).items():
                took = _timed(act)
                if count:  # the first warms up
                    times.setdefault(f"{name} by API", {}).setdefault(entries, []).append(took)
    for _ in range(by_command):
        for entries, path in repositories.items():
            for name, arguments in _commands(swarms[entries], rng.choice(paths[entries]), rng).items():
                _, wall = machine.cpu_seconds(command(*arguments), path, command_environment())
                times.setdefault(f"{name} by CLI", {}).setdefault(entries, []).append(wall)
    for swarm in swarms.values():
        swarm.close()
    for name, found in times.items():
        one, other = (statistics.median(found[entries]) * 1e3 for entries in (small, large))
        out.detail[name] = {str(small): one, str(large): other}
        counts = not name.startswith(_COMMONEST)
        out.add(
            f"{name}, {large:,} entries against {small:,}",
            "within 3x" if counts else "shown",
            f"{other:.2f} ms / {one:.2f} ms = {other / one:.2f}x",
            other <= 3 * one if counts else None,
        )
    return out


def _acts(swarm: Swarm, path: str, rng: random.Random) -> dict[str, Callable[[], object]]:
    agent = swarm.agent("measure")
    if agent is None:
        raise LookupError("measure")
    id, query = _chosen(swarm, path, rng)
    title, body = words.title(rng), words.body(rng, 330)
    return {
        "one more write": lambda: agent.remember(title, body, force="the same text again"),
        "show": lambda: agent.show(id),
        "recall after a write": lambda: agent.recall(query),
        _COMMONEST: lambda: agent.recall(words.COMMON),
    }


def _commands(swarm: Swarm, path: str, rng: random.Random) -> dict[str, list[str]]:
    id, query = _chosen(swarm, path, rng)
    return {
        "one more write": ["remember", "--as=measure", f"--body={words.body(rng, 330)}", "--", words.title(rng)],
        "show": ["show", "--as=measure", id],
        "recall after a write": ["recall", "--as=measure", "--", query],
    }


def _chosen(swarm: Swarm, path: str, rng: random.Random) -> tuple[str, str]:
    """The id of the entry at `path`, and a query for it."""
    version = swarm.store.read(path)
    if version is None:
        raise LookupError(path)
    return path.rpartition("/")[2].removesuffix(".md"), words.query(rng, version.text.decode().split("---")[2])


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def start(context: Context) -> Outcome:
    """CPU of `swarm status` and `swarm recall x` against that of `python -c pass`, taking turns."""
    import sys

    repository = f"{context.directory}/repository"
    swarm = ledgers.make(repository)
    ledgers.populate(swarm, 1_000, 1)
    ledgers.warm(swarm)
    swarm.join("measure")
    swarm.close()
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "swarm status": command("status"),
        "swarm recall x": command("recall", "x"),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(context.pick(20, 8)):
        for name, one in commands.items():
            times[name].append(machine.cpu_seconds(one, repository, command_environment())[0])
    middle = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    out = Outcome(detail={"cpu_ms": middle})
    bare = middle["python -c pass"]
    for name in list(commands)[1:]:
        ratio = middle[name] / bare
        out.add(
            f"CPU of `{name}` against `python -c pass`",
            "under 8x",
            f"{middle[name]:.1f} ms / {bare:.1f} ms = {ratio:.1f}x",
            ratio < 8,
        )
    return out
