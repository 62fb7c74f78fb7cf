"""Owning and giving back at sixteen processes: our directory, a JSON file behind flock, agent-coherence."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator

from . import fleet, ledgers, venvs
from .row import Context, Outcome

__all__ = ["pairs"]

PROCESSES = 16
_HELD = 200
"""Leases of others that are there all the time."""
_OURS, _FLOCK, _FLOCK_SYNCED, _PEER = "ours", "JSON behind flock", "JSON behind flock, fsynced", "agent-coherence"


class JsonFile:
    """What one would write in an afternoon: leases in a JSON file that is rewritten under an exclusive lock."""

    def __init__(self, directory: str, *, synced: bool) -> None:
        self._path, self._synced = f"{directory}/leases.json", synced
        self._lock = os.open(f"{directory}/leases.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)

    def own(self, line: str, owner: str, ttl: float) -> bool:
        """Take `line` unless another has it."""
        with self._changing() as leases:
            now, held = time.time(), leases.get(line)
            if held and held["owner"] not in (owner, None) and now < held["deadline"]:
                return False
            epoch = held["epoch"] + 1 if held else 1
            leases[line] = {"owner": owner, "since": now, "deadline": now + ttl, "epoch": epoch}
        return True

    def release(self, line: str, owner: str) -> None:
        """Give `line` back."""
        with self._changing() as leases:
            if leases[line]["owner"] == owner:
                leases[line]["owner"] = None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, dict[str, object]]]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            try:
                with open(self._path, encoding="utf-8") as file:
                    leases = json.load(file)
            except FileNotFoundError:
                leases = {}
            yield leases
            with open(f"{self._path}.new", "w", encoding="utf-8") as file:
                json.dump(leases, file)
                if self._synced:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(f"{self._path}.new", self._path)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def pairs(context: Context) -> Outcome:
    """Pairs of `own` and `release` a second, each process on a line of its own, beside leases of others."""
    seconds, rounds = context.pick(5, 1), context.pick(3, 1)
    measures: dict[str, Callable[[str], dict[str, float]]] = {
        _OURS: lambda directory: _ours(directory, seconds),
        _FLOCK: lambda directory: _flock(directory, seconds, synced=False),
        _FLOCK_SYNCED: lambda directory: _flock(directory, seconds, synced=True),
        _PEER: lambda directory: _peer(directory, seconds),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in measures}
    for number in range(rounds):
        for name, measure in measures.items():
            directory = f"{context.directory}/{number}-{len(runs[name])}-{name.replace(' ', '-')}"
            os.makedirs(directory)
            runs[name].append(measure(directory))
    rates = {name: statistics.median(run["pairs_per_s"] for run in found) for name, found in runs.items()}
    out = Outcome(detail={"processes": PROCESSES, "leases of others": _HELD, "rates": rates, "runs": runs})
    for name, least in ((_FLOCK, 10.0), (_FLOCK_SYNCED, None), (_PEER, 1.0)):
        ratio = rates[_OURS] / rates[name]
        out.add(
            f"own + release pairs/s, {PROCESSES} processes, ours against {name}",
            f"{least:g}x" if least else "shown",
            f"{rates[_OURS]:,.0f} / {rates[name]:,.0f} = {ratio:.1f}x",
            None if least is None else ratio >= least,
        )
    refused = sum(run.get("refused", 0) for run in runs[_PEER])
    out.add("of these refused by an overloaded coordinator, agent-coherence", "shown", f"{refused:,.0f}")
    return out


def _ours(directory: str, seconds: float) -> dict[str, float]:
    repository = f"{directory}/repository"
    swarm = ledgers.make(repository)
    ledgers.agent(swarm, "others").own(*(f"path:held/{number}/**" for number in range(_HELD)), ttl=86_400)
    swarm.close()

    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        swarm = ledgers.open_with(repository)
        agent = ledgers.agent(swarm, f"agent-{number}")
        line = f"path:src/{number}/**"

        def pair() -> None:
            agent.own(line)
            agent.release(line)

        _until(seconds, start, did, pair)
        swarm.close()

    return _rate("ours", work, seconds)


def _flock(directory: str, seconds: float, *, synced: bool) -> dict[str, float]:
    file = JsonFile(directory, synced=synced)
    for number in range(_HELD):
        file.own(f"path:held/{number}/**", "others", 86_400)

    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        mine, line, owner = JsonFile(directory, synced=synced), f"path:src/{number}/**", f"agent-{number}"

        def pair() -> None:
            mine.own(line, owner, 900)
            mine.release(line, owner)

        _until(seconds, start, did, pair)

    return _rate(f"JSON{', fsynced' if synced else ''}", work, seconds)


def _peer(directory: str, seconds: float) -> dict[str, float]:
    given = {"directory": directory, "processes": PROCESSES, "seconds": seconds}
    answer = venvs.run("peer_pairs.py", given)
    return {name: float(value) for name, value in answer.items() if isinstance(value, int | float)}


def _until(seconds: float, start: Callable[[], None], did: fleet.Did, pair: Callable[[], None]) -> None:
    start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        did.write(pair)


def _rate(label: str, work: fleet.Work, seconds: float) -> dict[str, float]:
    results = fleet.run(label, [work] * PROCESSES, seconds)
    refused = [text for did in results for text in did.refused]
    if refused:
        raise RuntimeError(f"{label}: {len(refused)} refused: {refused[0]}")
    done = [one for did in results for one in did.seconds]
    span = max(did.ended for did in results) - min(did.began for did in results)
    return {"pairs": len(done), "seconds": span, "pairs_per_s": len(done) / span, **fleet.latencies_ms(done)}
