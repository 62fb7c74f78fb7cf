"""Plain git in one worktree, as agents without a ledger use it: `git add && git commit`, again when it is locked."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from typing import TypedDict

from swarm_ledger.git import environment

from . import fleet, words
from .row import Context, Outcome

__all__ = ["Lone", "lone_commits", "make_worktree", "plain_git"]

_FILES, _DIRECTORIES = 5000, 256
_SETTINGS = (
    *("-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync", "-c", "gc.auto=0"),
    *("-c", "user.name=agent", "-c", "user.email=agent@example.invalid"),
)


class Lone(TypedDict):
    """Seconds of lone commits: of `git add && git commit`, and of the `git commit` in it."""

    both: list[float]
    commit: list[float]


def make_worktree(path: str) -> None:
    """A repository of 5,000 files of 500 bytes in 256 directories, all committed."""
    import random

    rng = random.Random(2)
    os.makedirs(path)
    _git(path, "init", "--quiet")
    for number in range(_FILES):
        directory = f"{path}/{number % _DIRECTORIES:02x}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{number}.md", "w", encoding="utf-8") as file:
            file.write(words.body(rng, 500))
    _git(path, "add", ".")
    _git(path, "commit", "--quiet", "-m", "begin")


def lone_commits(path: str, count: int) -> Lone:
    """Commit `count` new files, nobody else being there."""
    out: Lone = {"both": [], "commit": []}
    for number in range(count):
        name = _new_file(path, f"lone-{time.time_ns()}-{number}")
        start = time.monotonic()
        _git(path, "add", "--", name)
        between = time.monotonic()
        _git(path, "commit", "--quiet", "-m", "note")
        end = time.monotonic()
        out["both"].append(end - start)
        out["commit"].append(end - between)
    return out


def plain_git(context: Context) -> Outcome:
    """At 1, 16 and 64 processes in one worktree: how fast, and what is lost."""
    out = Outcome()
    seconds = context.pick(20, 3)
    for processes in (1, 16, 64):
        path = f"{context.directory}/plain-{processes}"
        make_worktree(path)
        results = fleet.run(
            f"{processes} processes, git add && git commit", [_writer(path, seconds)] * processes, seconds
        )
        acks = [ack for did in results for ack in did.extra_names]
        span = max(did.ended for did in results) - min(did.began for did in results)
        there = _files_in_clone(path, f"{context.directory}/plain-clone-{processes}")
        found = {
            "acknowledged": len(acks),
            "lost": len(set(acks) - there),
            "seconds": round(span, 2),
            "writes_per_s": round(len(acks) / span, 2),
            "retries": sum(did.extra["retries"] for did in results),
            "carried_by_another": sum(did.extra["carried"] for did in results),
            **fleet.latencies_ms([one for did in results for one in did.seconds]),
        }
        out.detail[str(processes)] = found
        out.add(
            f"git add && git commit with retry, {processes} processes",
            "shown",
            f"{found['writes_per_s']}/s, p99 {found['p99']} ms, {found['lost']} of {found['acknowledged']} lost",
        )
    return out


def _writer(path: str, seconds: float) -> fleet.Work:
    def work(number: int, start: Callable[[], None], did: fleet.Did) -> None:
        did.extra |= {"retries": 0, "carried": 0}
        start()
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            name = _new_file(path, f"{number}-{count}")
            count += 1
            began = time.monotonic()
            _until_done(path, did, "add", "--", name)
            _until_done(path, did, "commit", "--quiet", "-m", "note")
            did.seconds.append(time.monotonic() - began)
            did.extra_names.append(name)
        did.ended = time.monotonic()

    return work


def _until_done(path: str, did: fleet.Did, *arguments: str) -> None:
    while True:
        done = _run(path, *arguments)
        if done.returncode == 0:
            return
        said = (done.stdout + done.stderr).decode(errors="replace")
        if "nothing to commit" in said or "nothing added to commit" in said:
            did.extra["carried"] += 1  # another's commit took this file with it, as far as git can tell
            return
        did.extra["retries"] += 1
        time.sleep(0.01)


def _new_file(path: str, stem: str) -> str:
    name = f"{hash(stem) % _DIRECTORIES:02x}/{stem}.md"
    with open(f"{path}/{name}", "w", encoding="utf-8") as file:
        file.write(f"{stem}\n".ljust(500, "x"))
    return name


def _files_in_clone(path: str, clone: str) -> set[str]:
    _git(os.path.dirname(clone), "clone", "--quiet", "--bare", "--no-local", "--", path, clone)
    out = _run(clone, "ls-tree", "-r", "-z", "--name-only", "HEAD").stdout
    return set(out.decode().split("\0"))


def _git(path: str, *arguments: str) -> None:
    done = _run(path, *arguments)
    if done.returncode:
        raise RuntimeError(f"git {arguments[0]}: {done.stderr.decode(errors='replace')}")


def _run(path: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", *_SETTINGS, *arguments], cwd=path, env=environment(), capture_output=True, check=False
    )
