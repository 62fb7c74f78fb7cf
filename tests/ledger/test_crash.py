"""Real processes are killed and stopped at any moment and at each named point; nothing acknowledged is lost."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_ledger.env import Env
from swarm_ledger.errors import Busy, Unconfirmed
from swarm_ledger.git import environment, git
from swarm_ledger.gitstore import GitStore
from swarm_ledger.store import Append, Put, Request
from tests.children import exiting

HAMMER = str(Path(__file__).with_name("hammer.py"))
INSIDE = {
    "leading",
    "taken",
    "pack-written",
    "pack-renamed",
    "pack-durable",
    "ref-locked",
    "ref-moved",
    "before-state-commit",
    "answered",
}
"""Every named point of the critical section."""


def writer(home: str, name: str, seconds: float, odds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, HAMMER, home, name, str(seconds), str(odds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run_git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, env=environment(), check=True)
    return done.stdout.decode()


def crash_run(home: str, seconds: float, writers: int, odds: float) -> dict[str, object]:
    """Let `writers` processes write and die for `seconds` beside `git repack` and `git gc`; the recount.

    The recount is made from a fresh clone: it holds what git says, not what our caches say.
    """
    base = os.path.dirname(home)
    ledger = f"{home}/ledger.git"
    rng = random.Random(5)
    names = [f"w{i}" for i in range(writers)]
    running = {name: writer(home, name, seconds * 2, odds) for name in names}
    commands = (["repack", "-adq"], ["gc", "--prune=now", "--quiet"])
    maintenance: subprocess.Popen[bytes] | None = None
    rounds = killed = 0
    errors: list[str] = []

    def points() -> set[str]:
        path = Path(base, "points")
        return set(path.read_text().split()) if path.exists() else set()

    end = time.monotonic() + seconds
    while time.monotonic() < end or (not points() >= INSIDE and time.monotonic() < end + 60):
        time.sleep(0.075)
        victim = rng.choice(names)
        running[victim].kill()
        killed += 1
        for name, process in running.items():
            if process.poll() is not None:
                message = process.communicate()[1].decode()
                if process.returncode != -signal.SIGKILL:
                    errors.append(message)
                running[name] = writer(home, name, seconds * 2, odds)
        if maintenance is None or maintenance.poll() is not None:
            command = ["git", f"--git-dir={ledger}", *commands[rounds % 2]]
            maintenance = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
            rounds += 1
    for process in running.values():
        process.kill()
        process.communicate()
    if maintenance:
        maintenance.wait()

    started = time.monotonic()
    store = GitStore(home)
    section = b"## 10:54:03 log-261121-aaaaaaaa\n\nafter\n\n"
    append = Append("log-261121-aaaaaaaa", "log/2026/11/21/last/", b"---\nkind: log\n---\n\n", section)
    store.submit(Request("afterall", "last", "s", int(time.time()), "the next write", (append,)))
    wedged = time.monotonic() - started
    store.close()

    clone = f"{base}/clone"
    shutil.rmtree(clone, ignore_errors=True)
    run_git("clone", "--quiet", "--no-local", "--branch", "swarm-ledger", ledger, clone)
    listing = {
        line.split("\t")[1]: line.split()[2] for line in run_git("-C", clone, "ls-tree", "-r", "HEAD").splitlines()
    }
    logged = collections.Counter(
        found
        for path in Path(clone, "log").rglob("*.md")
        for found in re.findall(r"^## 10:54:03 (\S+)", path.read_text(), re.MULTILINE)
    )
    requests = collections.Counter(run_git("-C", clone, "log", "--format=%(trailers:key=Request,valueonly)").split())
    acks = [line.split() for path in Path(base, "acks").iterdir() for line in path.read_text().splitlines()]
    lost = [a for a in acks if len(a) == 4 and (listing.get(a[1]) != a[2] or not requests[a[0]] or not logged[a[3]])]
    killed_inside = collections.Counter(Path(base, "points").read_text().split())
    return {
        "acknowledged": len(acks),
        "lost": len(lost),
        "twice": sum(n > 1 for n in requests.values()) + sum(n > 1 for n in logged.values()),
        "killed": killed,
        "killed_inside": dict(killed_inside),
        "maintenance": rounds,
        "errors": errors,
        "next_write_s": round(wedged, 3),
        "fsck": run_git("-C", ledger, "fsck", "--full", "--strict", "--no-dangling"),
    }


def check(result: dict[str, object]) -> None:
    assert result["errors"] == []
    assert result["lost"] == 0
    assert result["twice"] == 0
    assert result["fsck"] == ""
    assert int(str(result["acknowledged"])) > 200
    assert float(str(result["next_write_s"])) < 1.0
    inside = result["killed_inside"]
    assert isinstance(inside, dict)
    assert set(inside) >= INSIDE, f"no leader was killed at {INSIDE - set(inside)}: the run proves nothing there"


def test_writers_killed_anywhere_lose_nothing(home: str) -> None:
    """Eight writers, killed at random and at each named point, beside git's own repack and gc: 0 lost, 0 twice."""
    check(crash_run(home, seconds=12, writers=8, odds=0.01))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_minute_of_killing_loses_nothing(home: str) -> None:
    """The same for 60 seconds; the figures go to .bench/crash.json."""
    result = crash_run(home, seconds=60, writers=8, odds=0.004)
    report = Path(__file__).parents[2] / ".bench" / "crash.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(result, indent=2))
    check(result)


@pytest.mark.parametrize("point", sorted(INSIDE))
def test_a_leader_killed_at_a_point_leaves_all_or_nothing(
    home: str, make_request: Callable[..., Request], point: str
) -> None:
    """One leader dies at the point; the next writer finishes what it had taken, and the write is there once."""
    child = os.fork()
    if child == 0:
        with exiting():
            dying = GitStore(home, Env(point=lambda at: os.kill(os.getpid(), signal.SIGKILL) if at == point else None))
            dying.submit(make_request(Put("a", "facts/a.md", b"a", None), id="dying"))
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    with contextlib.closing(GitStore(home)) as store:
        started = time.monotonic()
        store.submit(make_request(Put("b", "facts/b.md", b"b", None), id="next"))
        assert time.monotonic() - started < 1.0
        requests = [dict(commit.trailers)["Request"] for commit in store.history()]
        # Whatever a leader had taken is finished by its successor.
        assert sorted(requests) == ["begin", "dying", "next"]
        assert store.read("facts/a.md") is not None
        assert not [name for name in os.listdir(f"{home}/ledger.git/objects/pack") if name.endswith(".keep")]
        assert not os.path.exists(f"{home}/ledger.git/refs/heads/swarm-ledger.lock")
        assert os.listdir(f"{home}/tmp") == []


@pytest.mark.parametrize("point", ["leading", "taken", "pack-durable", "ref-locked", "ref-moved"])
def test_a_stopped_leader_is_named_and_costs_nothing(
    home: str, make_request: Callable[..., Request], point: str
) -> None:
    """A writer behind a stopped leader says who holds the ledger, and ends; nothing is lost or doubled by it."""
    child = os.fork()
    if child == 0:
        with exiting():
            stopping = GitStore(
                home, Env(point=lambda at: os.kill(os.getpid(), signal.SIGSTOP) if at == point else None)
            )
            stopping.submit(make_request(Put("a", "facts/a.md", b"a", None), id="stopped"))
    os.waitpid(child, os.WUNTRACED)
    try:
        with contextlib.closing(GitStore(home, patience=0.3)) as store:
            started = time.monotonic()
            with pytest.raises((Busy, Unconfirmed), match=f"process {child} has held the ledger"):
                store.submit(make_request(Put("b", "facts/b.md", b"b", None), id="waiting"))
            assert time.monotonic() - started < 3.0
            assert store.read("swarm.yaml") is not None  # readers go on
            os.kill(child, signal.SIGCONT)
            assert os.waitpid(child, 0)[1] == 0
            store.submit(make_request(Put("c", "facts/c.md", b"c", None), id="later"))
            requests = collections.Counter(dict(commit.trailers)["Request"] for commit in store.history())
            assert requests == {"begin": 1, "stopped": 1, "later": 1}
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_a_pack_that_is_made_again_is_not_the_one_that_a_repack_is_about_to_remove(
    home: str, make_request: Callable[..., Request]
) -> None:
    """A leader died with its pack in place, a repack saw that nothing refers to it, and ends after the next leader."""
    packs, queue = f"{home}/ledger.git/objects/pack", f"{home}/queue/new"

    def wait_then_die(at: str) -> None:
        if at == "leading":
            Path(home, "is-leading").touch()
            while len([name for name in os.listdir(queue) if name[0] != "."]) < 2:
                time.sleep(0.001)
        elif at == "pack-durable":
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        with exiting():
            dying = GitStore(home, Env(point=wait_then_die))
            dying.submit(make_request(Put("a", "facts/a.md", b"a", None), id="dying"))
    redundant: set[str] = set()

    def repack(at: str) -> None:
        """As `git repack -ad` begins: it notes the packs that no `.keep` guards, and packs what is reachable."""
        if at == "taken":
            redundant.update(name for name in os.listdir(packs) if not os.path.exists(f"{packs}/{name[:45]}.keep"))
            git(f"{home}/ledger.git", "repack", "-a", "-q")

    while not Path(home, "is-leading").exists():
        time.sleep(0.001)
    with contextlib.closing(GitStore(home, Env(point=repack))) as store:
        store.submit(make_request(Put("b", "facts/b.md", b"b", None), id="waiting"))
        for name in redundant:
            os.unlink(f"{packs}/{name}")
        requests = [dict(commit.trailers)["Request"] for commit in store.history()]
    os.waitpid(child, 0)
    assert sorted(requests) == ["begin", "dying", "waiting"]
