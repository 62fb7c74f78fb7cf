"""Eight processes of two hundred writes each, through the API and through the command: none refused, none lost.

Each writer fsyncs its acknowledgements to a file outside the repository before it goes on; they are recounted from
a fresh clone.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from swarm.demo.recount import Ack, fsck, recount

from . import fleet, ledgers, words
from .row import Context, Outcome

__all__ = ["command", "command_environment", "safety"]

_PROCESSES = 8


def safety(context: Context) -> Outcome:
    """Half of the writes are facts, half are log entries."""
    out = Outcome()
    for name, make_work, writes in (
        ("API", _by_api, context.pick(200, 25)),
        ("CLI", _by_command, context.pick(200, 5)),
    ):
        base = f"{context.directory}/{name}"
        repository = f"{base}/repository"
        ledgers.make(repository).close()
        os.makedirs(f"{base}/acks")
        began = time.monotonic()
        works = [make_work(repository, f"{base}/acks", writes)] * _PROCESSES
        results = fleet.run(f"{_PROCESSES} x {writes} writes by {name}", works, 0.2 * writes * _PROCESSES)
        seconds = time.monotonic() - began
        acks = list(_read_acks(f"{base}/acks"))
        ledger = f"{repository}/.git/swarm/ledger.git"
        counted = recount(ledger, f"{base}/clone.git", acks)
        refused = [text for did in results for text in did.refused]
        said = fsck(ledger)
        latencies = fleet.latencies_ms([one for did in results for one in did.seconds])
        out.detail[name] = {
            "acknowledged": counted.acknowledged,
            "refused": refused,
            "lost": counted.lost,
            "duplicated": counted.duplicated,
            "fsck": said,
            "seconds": round(seconds, 2),
            **latencies,
        }
        out.add(
            f"{_PROCESSES} processes x {writes} writes by {name}",
            f"{_PROCESSES * writes} acknowledged",
            f"{counted.acknowledged} acknowledged, {len(refused)} refused, {len(counted.lost)} lost, "
            f"{len(counted.duplicated)} twice, fsck {said}, {counted.acknowledged / seconds:.0f}/s",
            counted.acknowledged == _PROCESSES * writes and not (refused or counted.lost or counted.duplicated)
            and said == "clean",
        )  # fmt: skip
    return out


def command(*arguments: str) -> list[str]:
    """The command `swarm` of this interpreter's environment."""
    script = os.path.join(os.path.dirname(sys.executable), "swarm")
    return [script, *arguments] if os.path.exists(script) else [sys.executable, "-m", "swarm", *arguments]


def command_environment() -> dict[str, str]:
    """The environment without what would make the command act otherwise, or compile its modules at every start."""
    dropped = ("SWARM_", "GIT_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def _by_api(repository: str, acks: str, writes: int) -> fleet.Work:
    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        rng = random.Random(number)
        swarm = ledgers.open_with(repository)
        remember = ledgers.writer(swarm, number)
        agent = swarm.agent(f"agent-{number}")
        if agent is None:
            raise LookupError(number)

        def note() -> Ack:
            written = agent.log(words.body(rng, 300))
            return Ack(written.id, written.path, None, str(written.commit))

        with open(f"{acks}/{number}", "ab", buffering=0) as file:
            start()
            for count in range(writes):
                one = note if count % 2 else remember
                did.write(partial(_written, file.fileno(), one))
        swarm.close()

    return work


def _by_command(repository: str, acks: str, writes: int) -> fleet.Work:
    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        rng = random.Random(number)
        environment = command_environment()

        def write(count: int) -> Ack | None:
            if count % 2:
                words_of_verb = ["log", f"--as=agent-{number}", "--json", "--", words.body(rng, 300)]
            else:
                body = f"--body={words.body(rng, 330)}"
                words_of_verb = ["remember", f"--as=agent-{number}", "--json", body, "--", words.title(rng)]
            done = subprocess.run(
                command(*words_of_verb), cwd=repository, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                did.refused.append(f"exit {done.returncode}: {done.stderr.strip()}")
                return None
            said = json.loads(done.stdout)
            return _noted(file.fileno(), Ack(said["id"], said["path"], said.get("version"), said["commit"]))

        with open(f"{acks}/{number}", "ab", buffering=0) as file:
            start()
            for count in range(writes):
                did.write(partial(write, count))

    return work


def _written(fd: int, write: Callable[[], Ack]) -> Ack:
    return _noted(fd, write())


def _noted(fd: int, ack: Ack) -> Ack:
    os.write(fd, json.dumps([ack.id, ack.path, ack.version, ack.commit]).encode() + b"\n")
    os.fsync(fd)
    return ack


def _read_acks(directory: str) -> list[Ack]:
    out = []
    for name in sorted(os.listdir(directory)):
        with open(f"{directory}/{name}", encoding="utf-8") as file:
            out += [Ack(*json.loads(line)) for line in file]
    return out
