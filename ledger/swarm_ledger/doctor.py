"""Looks a store over, and mends what is derived, left behind, or to be had elsewhere; what is lost it names."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from dataclasses import dataclass

from . import refs
from .env import Env
from .errors import SwarmError
from .filelock import FileLock
from .git import asks, git
from .gitstore import lay_out
from .place import network_filesystem
from .remotes import Remote
from .salvage import fsck, salvage
from .state import State
from .store import CommitId

__all__ = ["Finding", "examine"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `mended` says that it was put right just now."""

    what: str
    advice: str
    mended: bool = False


def examine(home: str, env: Env, fix: bool, remote: Remote | None = None) -> list[Finding]:
    """Everything that is wrong with the ledger in `home`; with `fix`, what can be mended is, also from `remote`.

    Safe beside writers: what a living leader works on is left alone.
    """
    found = [*_layout(home, env, fix), *_cache(home, env, fix)]
    if found and not fix:
        return found  # the rest could not be looked at
    found += _packs(home, fix)
    found += _repository(home, env, fix, remote)
    found += [*_state(home, env, fix), *_queue(home, fix)]
    lock = FileLock(f"{home}/commit.lock")
    if lock.try_acquire():
        try:
            found += _leftovers(home, env, fix)
        finally:
            lock.close()
    return found


_BY_DOCTOR = "`swarm doctor` mends it"
_NEEDED = ("HEAD", "config", "objects/pack")
_FROM_A_CLONE = "name a clone that has it: `swarm doctor --remote URL`"


def _layout(home: str, env: Env, fix: bool) -> list[Finding]:
    """What git wants to find in a repository beside objects and refs."""
    ledger = f"{home}/ledger.git"
    config, wrong = f"{ledger}/config", []
    if os.path.exists(config):
        try:
            git(ledger, "config", "--file", config, "--list")
        except SwarmError:
            wrong.append(f"{config} cannot be read")
            if fix:
                os.makedirs(f"{home}/damaged", exist_ok=True)
                env.disk.rename(config, f"{home}/damaged/config")
    for name in lay_out(ledger, env, make=fix):
        if name in _NEEDED and not (wrong and name == "config"):
            wrong.append(f"{ledger}/{name} is gone")
    return [Finding(what, _BY_DOCTOR, mended=fix) for what in wrong]


def _cache(home: str, env: Env, fix: bool) -> list[Finding]:
    """A state cache that SQLite cannot read; see `_state` for one that says what is wrong."""
    state = State(f"{home}/state.db", f"{home}/ledger.git", env)
    try:
        state.commit()
        state.db.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        if fix:
            state.remove()
        return [Finding(f"the state cache: {error}", _BY_DOCTOR, mended=fix)]
    finally:
        state.close()
    return []


def _packs(home: str, fix: bool) -> list[Finding]:
    """Packs whose index is gone: it can be made from the pack."""
    packs = f"{home}/ledger.git/objects/pack"
    found = []
    for name in sorted(os.listdir(packs)):
        index = name.removesuffix(".pack") + ".idx"
        if name.endswith(".pack") and not os.path.exists(f"{packs}/{index}"):
            mended, advice = False, _BY_DOCTOR
            if fix:
                try:
                    git(f"{home}/ledger.git", "index-pack", f"{packs}/{name}")
                    mended = True
                except SwarmError as error:
                    advice = f"the pack is damaged too; {_FROM_A_CLONE} ({error})"
            found.append(Finding(f"{packs}/{name} has no index", advice, mended))
    return found


def _branch(home: str, env: Env, fix: bool) -> list[Finding]:
    """A branch that is gone or torn, though there is history: the cache or the longest history tells where it was."""
    ledger = f"{home}/ledger.git"
    state = State(f"{home}/state.db", ledger, env)
    try:
        try:
            refs.require(ledger, state.commit())
            return []
        except SwarmError as error:
            what = str(error).partition(";")[0]
        try:
            heads = _heads(ledger, state.commit())
        except SwarmError as error:
            return [Finding(what, f"mend the packs first ({error})")]
        if len(heads) != 1:
            names = ", ".join(heads) or "none is left"
            return [Finding(what, f"set it to the right one of these commits by `swarm git update-ref`: {names}")]
        if fix:
            refs.restore(ledger, CommitId(heads[0]), env)
        return [Finding(f"{what} (it was at {heads[0]})", _BY_DOCTOR, mended=fix)]
    finally:
        state.close()


def _heads(ledger: str, cached: CommitId | None) -> list[CommitId]:
    """Where the branch may have been: the cache's commit, else the commits with the longest history."""
    known = dict(refs.commits(ledger))
    if cached in known:
        return [cached]
    inner = {parent for parents in known.values() for parent in parents}
    heads = [commit for commit in known if commit not in inner]
    length = {head: int(git(ledger, "rev-list", "--count", head)) for head in heads}
    return [head for head in heads if length[head] == max(length.values())]


def _repository(home: str, env: Env, fix: bool, remote: Remote | None) -> list[Finding]:
    """Objects and the branch. Objects first: what is brought back may tell where the branch was."""
    ledger = f"{home}/ledger.git"
    found = []
    kind = network_filesystem(home)
    if kind:
        found.append(Finding(f"{home} is on a network file system ({kind})", "move it: set SWARM_HOME to a local one"))
    if git(ledger, "config", "--get", "--default", "1", "gc.auto").strip() != b"0":
        found.append(Finding("gc.auto is not 0", "swarm git config gc.auto 0"))
    lines, branch = fsck(ledger), _branch(home, env, fix=False)
    if not lines and not branch:
        return found
    what = f"git fsck: {lines[0]}" if lines else "the newest commits may be lost with the branch"
    what += f" and {len(lines) - 1} lines more (swarm git fsck)" if len(lines) > 1 else ""
    advice, left = _BY_DOCTOR, list[str]()
    if fix:
        try:
            done = salvage(home, remote, env)
            what += f" ({'; '.join(done)})" if done else ""
        except SwarmError as error:
            advice = str(error)
        branch = _branch(home, env, fix=True)
        left = fsck(ledger)
    found += branch
    if lines or remote is not None:
        found.append(Finding(what, advice, mended=fix and not left))
    found += [Finding(f"still wrong: {line}", _FROM_A_CLONE) for line in left]
    found += _lost_tip(home, env)
    return found


def _lost_tip(home: str, env: Env) -> list[Finding]:
    """A branch whose last commit is nowhere: from where one could go on without it."""
    ledger = f"{home}/ledger.git"
    state = State(f"{home}/state.db", ledger, env)
    try:
        tip = refs.read(ledger)
        if tip is None or asks(ledger, "cat-file", "-e", tip):
            return []
        heads = _heads(ledger, state.commit())
    except SwarmError:
        return []  # what is wrong with the branch, or with git, has been said
    finally:
        state.close()
    names = " or ".join(heads) or "a commit of it"
    advice = f"{_FROM_A_CLONE}; to go on without it: `swarm git update-ref refs/heads/{refs.BRANCH} {names}`"
    return [Finding(f"the branch's last commit {tip} is lost", advice)]


def _state(home: str, env: Env, fix: bool) -> list[Finding]:
    """The cache against the branch: what it says of every path must be what git says."""
    ledger = f"{home}/ledger.git"
    state = State(f"{home}/state.db", ledger, env)
    try:
        if refs.read(ledger) is None:
            return []  # nothing yet, or `_branch` has said what is wrong
        wrong = _state_is_wrong(state, ledger)
        if wrong is None:
            return []
        if fix:
            state.remove()
            tip = refs.read(ledger)
            if tip:
                with state.writing():
                    state.catch_up(tip)
        return [Finding(f"the state cache: {wrong}", _BY_DOCTOR, mended=fix)]
    except SwarmError as error:
        return [Finding("the state cache cannot be held against the branch", f"mend the packs first ({error})")]
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
                advice = "any write has it served; a request of a newer format needs a newer swarm-ledger"
                found.append(Finding(f"a request nobody serves: {queue}/new/{name}", advice))
        dead = [name for name in os.listdir(f"{queue}/post") if _nobody_reads(f"{queue}/post/{name}")]
        if dead:
            for name in dead if fix else ():
                for path in (f"{queue}/post/{name}", f"{queue}/new/.{name}"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
            found.append(Finding(f"{len(dead)} mailboxes of writers that died", _BY_DOCTOR, mended=fix))
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
            refs.remove_leftovers(f"{home}/ledger.git", env)
            for name in scratch:
                os.unlink(f"{home}/tmp/{name}")
        what = f"{len(keeps) + len(scratch)} files of leaders that died"
        found.append(Finding(what, "the next write removes them, or `swarm doctor`", mended=fix))
    lock = f"{home}/ledger.git/refs/heads/{refs.BRANCH}.lock"
    if os.path.exists(lock) and not any(os.path.samefile(lock, keep) for keep in keeps if os.path.exists(keep)):
        found.append(Finding(f"{lock} is there, and not ours", "if no git command is running on the ledger, remove it"))
    return found
