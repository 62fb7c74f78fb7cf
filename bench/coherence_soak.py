"""Sixteen processes that own, pause past their time, edit, steal, are stopped and die; then everything is recounted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from swarm.check import check
from swarm_ledger.errors import Conflict, Expired, Fenced, Owned, SwarmError
from swarm_ledger.git import environment, git
from swarm_ledger.gitstore import GitStore

from . import ledgers
from .row import Context, Outcome

__all__ = ["soak"]

PROCESSES = 16
DOCUMENTS = 12
TTL = 1.0


def soak(context: Context) -> Outcome:
    """A minute of it. Who loses a line before its time is robbed, unless somebody says to have stolen it."""
    seconds = context.pick(60, 8)
    repository, notes = f"{context.directory}/repository", f"{context.directory}/notes"
    os.makedirs(notes)
    swarm = ledgers.make(repository)
    setup = ledgers.agent(swarm, "setup")
    ids = [setup.remember(f"page {n}", kind="plan").id for n in range(DOCUMENTS)]
    end = time.monotonic() + seconds
    rng = random.Random(1)
    children = {_begin(repository, notes, number, ids, end): number for number in range(PROCESSES)}
    deaths = stops = 0
    asleep: dict[int, float] = {}
    while children:
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                number = children.pop(pid)
                asleep.pop(pid, None)
                if os.WIFSIGNALED(status):
                    deaths += 1
                elif status:
                    raise RuntimeError(f"process {number} failed")
                if time.monotonic() < end:
                    children[_begin(repository, notes, number, ids, end)] = number
        for pid, until in list(asleep.items()):
            if time.monotonic() > until:
                os.kill(pid, signal.SIGCONT)
                del asleep[pid]
        if len(asleep) < 2 and rng.random() < 0.02 and time.monotonic() < end:
            pid = rng.choice(list(children))
            os.kill(pid, signal.SIGSTOP)
            asleep[pid] = time.monotonic() + rng.choice((0.2, TTL * 1.5))
            stops += 1
        time.sleep(0.01)
    began = time.monotonic()
    setup.own(*ids, ttl=60, wait=30)
    claimed = time.monotonic() - began
    found = [finding for finding in check(swarm.store).findings if finding.severity == "error"]
    swarm.close()
    lines = [json.loads(line) for path in Path(notes).iterdir() for line in path.read_text().splitlines()]
    acknowledged = [str(line["commit"]) for line in lines if "commit" in line]
    lost = set(acknowledged) - _cloned(swarm.place.ledger, f"{context.directory}/clone")
    robbed = [line for line in lines if "robbed" in line and not _stolen(line, lines)]
    slowest = max((float(line["took"]) for line in lines if "took" in line), default=0.0)
    said = {name: sum(name in line for line in lines) for name in ("commit", "own", "stolen", "denied")}
    out = Outcome(detail={**said, "killed": deaths, "stopped": stops, "robbed": robbed})
    out.detail |= {"errors": [str(one) for one in found], "slowest call s": slowest, "claimed after s": claimed}
    did = f"{said['own']:,} grants, {said['commit']:,} edits, {said['stolen']} thefts, {deaths} killed, {stops} stopped"
    wrong = f"{len(lost)}, {len(found)} findings of swarm check"
    out.add(f"{seconds} s, {PROCESSES} processes: {did}: lost", "0", wrong, not lost and not found)
    out.add("robbed of a live lease", "0", str(len(robbed)), not robbed)
    wedged = claimed >= TTL + 1
    out.add("lines that nobody can claim a second after its time, all others gone", "0", f"{wedged:d}", not wedged)
    return out


def _cloned(ledger: str, clone: str) -> set[str]:
    """The commits of a fresh clone."""
    subprocess.run(["git", "clone", "--quiet", "--bare", "--", ledger, clone], env=environment(), check=True)
    return set(git(clone, "rev-list", "swarm-ledger").decode().split())


def _stolen(robbed: dict[str, object], lines: list[dict[str, object]]) -> bool:
    """Whether somebody was stealing that line in the time in which it was owned; who died at it never said when."""
    line, since, until = robbed["robbed"], float(str(robbed["since"])), float(str(robbed["at"]))
    done = {(one["by"], one["began"]) for one in lines if one.get("stolen") == line and float(str(one["at"])) < since}
    tried = [one for one in lines if one.get("stealing") == line and float(str(one["at"])) <= until]
    return any((one["by"], one["began"]) not in done for one in tried)


def _begin(repository: str, notes: str, number: int, ids: list[str], end: float) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        _work(repository, f"{notes}/{number}-{os.getpid()}", number, ids, end)
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"process {number}: {type(error).__name__}: {error}\n")
        os._exit(1)


def _work(repository: str, notes: str, number: int, ids: list[str], end: float) -> None:
    """The life of one process, until the end or a point at which it dies."""
    rng = random.Random(os.urandom(8))
    file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(**line: object) -> None:
        os.write(file, json.dumps({"by": os.getpid(), "at": time.monotonic(), **line}).encode() + b"\n")
        os.fsync(file)

    def point(_: str) -> None:
        if rng.random() < 0.002:
            os.kill(os.getpid(), signal.SIGKILL)

    swarm = ledgers.open_with(repository, lambda home, env: GitStore(home, env._replace(point=point)))
    agent = swarm.join(f"agent-{number}")
    while time.monotonic() < end:
        id = rng.choice(ids)
        began = time.monotonic()
        try:
            if rng.random() < 0.03:
                note(stealing=id, began=began)
                agent.steal(id, "it is needed", ttl=TTL)
                note(stolen=id, began=began)
            else:
                agent.own(id, ttl=TTL, wait=rng.choice((0.0, 0.5)))
        except Owned:
            note(denied=id)
            continue
        sure = began + TTL  # it was granted later than it was asked for
        note(own=id, took=time.monotonic() - began - 0.5)
        time.sleep(rng.choice((0.0, 0.0, 0.01, 0.02, 0.05, 0.1, TTL * 1.2)))
        for _ in range(rng.randrange(3)):
            asked = time.monotonic()
            try:
                written = agent.edit(id, f"{number} {rng.random()}\n")
                note(commit=written.commit, took=time.monotonic() - asked)
                sure = max(sure, asked + TTL * 0.75)  # a lease is renewed once some of its time is over
            except (Owned, Fenced, Expired, Conflict) as denial:
                note(denied=id)
                if time.monotonic() < sure:
                    note(robbed=id, since=began, why=str(denial))
                break
        if rng.random() < 0.7:
            with contextlib.suppress(SwarmError):
                agent.release(id)
    swarm.close()
