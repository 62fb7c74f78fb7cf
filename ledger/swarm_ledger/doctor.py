"""Looks a store over, and mends what is derived or left behind. What git itself has lost it only names."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import time
from dataclasses import dataclass

from . import refs
from .env import Env
from .errors import SwarmError
from .filelock import FileLock
from .git import environment, git
from .place import network_filesystem
from .state import State

__all__ = ["Finding", "examine"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `mended` says that it was put right just now."""

    what: str
    advice: str
    mended: bool = False


def examine(home: str, env: Env, fix: bool) -> list[Finding]:
    """Everything that is wrong with the ledger in `home`; with `fix`, what can be mended is.

    Safe beside writers: what a living leader works on is left alone.
    """
    found = [*_repository(home), *_state(home, env, fix), *_queue(home, fix)]
    lock = FileLock(f"{home}/commit.lock")
    if lock.try_acquire():
        try:
            found += _leftovers(home, env, fix)
        finally:
            lock.close()
    return found


def _repository(home: str) -> list[Finding]:
    ledger = f"{home}/ledger.git"
    found = []
    kind = network_filesystem(home)
    if kind:
        found.append(Finding(f"{home} is on a network file system ({kind})", "move it: set SWARM_HOME to a local one"))
    if git(ledger, "config", "--get", "--default", "1", "gc.auto").strip() != b"0":
        found.append(Finding("gc.auto is not 0", f"git --git-dir={ledger} config gc.auto 0"))
    command = ["git", f"--git-dir={ledger}", "fsck", "--full", "--strict", "--no-dangling", "--no-progress"]
    fsck = subprocess.run(command, capture_output=True, env=environment(), check=False)
    lines = (fsck.stdout + fsck.stderr).decode(errors="replace").splitlines()
    found += [
        Finding(f"git fsck: {line}", "restore the object from another clone: copy its pack here") for line in lines
    ]
    return found


def _state(home: str, env: Env, fix: bool) -> list[Finding]:
    """The cache against the branch: what it says of every path must be what git says."""
    ledger = f"{home}/ledger.git"
    state = State(f"{home}/state.db", ledger, env)
    try:
        try:
            wrong = _state_is_wrong(state, ledger)
        except SwarmError as error:
            wrong = str(error)
        if wrong is None:
            return []
        if fix:
            state.remove()
            tip = refs.read(ledger)
            if tip:
                with state.writing():
                    state.catch_up(tip)
        return [Finding(f"the state cache: {wrong}", "swarm doctor --fix builds it anew", mended=fix)]
    finally:
        state.close()


def _state_is_wrong(state: State, ledger: str) -> str | None:
    sound = state.db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if sound != "ok":
        return str(sound)
    with state.reading():
        commit = state.commit()
        if commit is None:
            return None if refs.read(ledger) is None else "it is empty; the next call fills it"
        held: dict[str, str] = dict(state.paths(""))
    listed = {}
    for line in git(ledger, "ls-tree", "-r", "-z", commit).split(b"\0")[:-1]:
        meta, _, path = line.partition(b"\t")
        _, kind, name = meta.decode().split()
        if kind == "blob":
            listed[path.decode(errors="backslashreplace")] = name
    if held != listed:
        different = sorted(set(held.items()) ^ set(listed.items()))
        return f"it differs from the branch at {different[0][0]} and {len(different) - 1} more"
    return None


def _queue(home: str, fix: bool) -> list[Finding]:
    found = []
    queue = f"{home}/queue"
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(f"{queue}/bad")):
            found.append(Finding(f"a torn request: {queue}/bad/{name}", "it was never acknowledged; delete the file"))
        for name in sorted(os.listdir(f"{queue}/new")):
            old = time.time() - os.stat(f"{queue}/new/{name}").st_mtime > 60
            if name[0] != "." and old:
                advice = "run any writing command to have it served; one of a newer format needs a newer swarm-ledger"
                found.append(Finding(f"a request nobody serves: {queue}/new/{name}", advice))
        dead = [name for name in os.listdir(f"{queue}/post") if _nobody_reads(f"{queue}/post/{name}")]
        if dead:
            for name in dead if fix else ():
                for path in (f"{queue}/post/{name}", f"{queue}/new/.{name}"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
            found.append(Finding(f"{len(dead)} mailboxes of writers that died", "swarm doctor --fix", mended=fix))
    return found


def _nobody_reads(fifo: str) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.ENXIO
    return False


def _leftovers(home: str, env: Env, fix: bool) -> list[Finding]:
    """What dead leaders left. With the commit lock held, nothing of it can be at work."""
    found = []
    scratch = [name for name in os.listdir(f"{home}/tmp") if name.endswith((".pack", ".idx"))]
    scratch = [name for name in scratch if not name.startswith("merge-")]
    keeps = refs.leftovers(f"{home}/ledger.git")
    if keeps or scratch:
        if fix:
            refs.remove_leftovers(f"{home}/ledger.git")
            for name in scratch:
                os.unlink(f"{home}/tmp/{name}")
        what = f"{len(keeps) + len(scratch)} files of leaders that died"
        found.append(Finding(what, "the next write removes them, or swarm doctor --fix", mended=fix))
    lock = f"{home}/ledger.git/refs/heads/{refs.BRANCH}.lock"
    if os.path.exists(lock) and not any(os.path.samefile(lock, keep) for keep in keeps if os.path.exists(keep)):
        found.append(Finding(f"{lock} is there, and not ours", "if no git command is running on the ledger, remove it"))
    return found
