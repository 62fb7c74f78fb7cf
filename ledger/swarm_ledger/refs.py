"""The ledger's branch: read it, and move it by compare-and-swap under git's own lock.

The lock is `<ref>.lock`, as for every git, so a `git gc` or `git push` beside us is safe. It is made by link(2)
from the new pack's `.keep`, whose content is the new tip: a lock therefore always has content and is on disk,
and one that has the same inode as a `.keep` of ours is provably ours. A successor that holds the commit lock
removes only such a lock; nothing is ever judged by age or pid.
"""

from __future__ import annotations

import contextlib
import os
import re

from .env import Env, read_file
from .errors import Busy, Damaged
from .git import git
from .objects import new_pack
from .store import CommitId

__all__ = ["BRANCH", "commits", "leftovers", "move", "read", "remove_leftovers", "require", "restore", "unlock"]

BRANCH = "swarm-ledger"
_REF = f"refs/heads/{BRANCH}"
_TIP = re.compile(rb"[0-9a-f]{40}\n")
_PATIENCE_S = 5.0
"""How long a lock of another git may stand in the way."""


def read(ledger: str) -> CommitId | None:
    """The tip, loose or packed; None before the first commit."""
    try:
        content = read_file(f"{ledger}/{_REF}", 41)
    except FileNotFoundError:
        return _packed(ledger)
    except NotADirectoryError as error:
        raise Damaged(f"{error.filename} is in the way of the ledger; run `swarm doctor`.") from None
    if not _TIP.fullmatch(content):
        raise Damaged(f"{ledger}/{_REF} does not hold a commit; run `swarm doctor`.")
    return CommitId(content[:40].decode())


def require(ledger: str, cached: CommitId | None) -> CommitId | None:
    """The tip, as `read`; Damaged where there is none although there was: `cached`, or commits in the repository.

    Else the next write would begin a new history, and a gc would drop the old one.
    """
    tip = read(ledger)
    if tip is None and (cached is not None or _has_history(ledger)):
        raise Damaged(f"the ledger's branch {BRANCH} is gone from {ledger}; `swarm doctor` puts it back.")
    return tip


def _has_history(ledger: str) -> bool:
    """Whether a commit with a parent is there. Packs alone prove nothing: the first leader may have died."""
    if not any(name.endswith(".pack") for name in os.listdir(f"{ledger}/objects/pack")):
        return False
    return any(parents for _, parents in commits(ledger))


def commits(ledger: str) -> list[tuple[CommitId, list[CommitId]]]:
    """Every commit in the repository, reachable or not, with its parents."""
    names = git(ledger, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)").split(b"\n")
    wanted = b"".join(name.removeprefix(b"commit ") + b"\n" for name in names if name.startswith(b"commit "))
    lines = git(ledger, "rev-list", "--no-walk=unsorted", "--parents", "--stdin", stdin=wanted).decode().splitlines()
    return [(CommitId(name), [CommitId(p) for p in parents]) for name, *parents in map(str.split, lines)]


def _packed(ledger: str) -> CommitId | None:
    try:
        with open(f"{ledger}/packed-refs", "rb") as file:
            for line in file:
                if line.rstrip(b"\n").endswith(b" " + _REF.encode()):
                    return CommitId(line[:40].decode())
    except FileNotFoundError:
        pass
    if not os.path.isdir(ledger):
        raise Damaged(f"{ledger} is gone; put it back from a copy, or run `swarm init` to begin a new ledger.")
    return None


def move(ledger: str, keep: str, old: CommitId | None, env: Env) -> bool:
    """Move the branch from `old` to the tip that the file `keep` holds; False where it is not at `old` any more.

    On True the move is on disk. An OSError from the directory's fsync means moved, but perhaps not on disk; any
    other means not moved. Raises Busy when another git holds the ref's lock.
    """
    path = f"{ledger}/{_REF}"
    lock = f"{path}.lock"
    try:
        _link_lock(keep, lock, env)
        env.point("ref-locked")
        if read(ledger) != old:
            _remove(lock, env)
            return False
        env.disk.rename(lock, path)
    except BaseException:
        unlock(ledger, keep, env)
        raise
    env.point("ref-moved")
    # Had somebody deleted the commit lock, two leaders could be here; then only the inode tells whose link the
    # rename moved.
    if not os.path.samefile(path, keep):
        return False
    env.disk.sync_directory(os.path.dirname(path))
    return True


def unlock(ledger: str, keep: str, env: Env) -> None:
    """Remove the ref's lock if it was made from `keep`. Without its `.keep` it could not be told from another's."""
    lock = f"{ledger}/{_REF}.lock"
    with contextlib.suppress(OSError):
        if os.path.samefile(keep, lock):
            _remove(lock, env)


def _remove(lock: str, env: Env) -> None:
    # The `.keep` goes next. A power loss that kept its removal and not this one would leave a lock which nobody
    # could tell from another git's.
    env.disk.unlink(lock)
    env.disk.sync_directory(os.path.dirname(lock))


def restore(ledger: str, tip: CommitId, env: Env) -> None:
    """Set a branch that is gone or torn to `tip`. Raises Busy where another git holds its lock."""
    with contextlib.suppress(FileNotFoundError, Damaged):
        if read(ledger) is not None:
            return
    keep = f"{new_pack(ledger, env.rng)}.keep"
    env.disk.create(keep, f"{tip}\n".encode())
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{ledger}/{_REF}")  # torn
        move(ledger, keep, None, env)
    finally:
        env.disk.unlink(keep)


def _link_lock(keep: str, lock: str, env: Env) -> None:
    deadline = env.monotonic() + _PATIENCE_S
    while True:
        try:
            return env.disk.link(keep, lock)
        except FileExistsError:
            if env.monotonic() > deadline:
                raise Busy(f"{lock} is held by another git command; if none is running, remove that file.") from None
            env.sleep(0.002)
        except FileNotFoundError:
            # `git pack-refs` may have removed the emptied directory.
            if not os.path.isdir(os.path.dirname(os.path.dirname(lock))):
                raise
            os.makedirs(os.path.dirname(lock), exist_ok=True)
            if not os.path.exists(keep):
                raise


def remove_leftovers(ledger: str, env: Env) -> None:
    """Remove what a leader that died left in the repository: its ref lock and its `.keep` files.

    Call with the commit lock held and inside the state cache's write transaction.
    """
    keeps = leftovers(ledger)
    for keep in keeps:
        unlock(ledger, keep, env)
    for keep in keeps:
        with contextlib.suppress(FileNotFoundError):
            env.disk.unlink(keep)


def leftovers(ledger: str) -> list[str]:
    """Paths of the `.keep` files that leaders made."""
    packs = f"{ledger}/objects/pack"
    keeps = []
    for name in os.listdir(packs):
        if name.endswith(".keep"):
            with contextlib.suppress(FileNotFoundError), open(f"{packs}/{name}", "rb") as file:
                if _TIP.fullmatch(file.read(64)):
                    keeps.append(f"{packs}/{name}")
    return keeps
