"""Keeping the number of packs small: a leader that is done merges small packs; `gc` repacks all of it."""

from __future__ import annotations

import contextlib
import os
import struct

from .env import Env
from .errors import Busy, Damaged, SwarmError
from .filelock import FileLock
from .git import git

__all__ = ["compact_if_due", "gc"]

_TIERS = (4_000, 120_000)
"""Objects: a pack smaller than the first is of tier 0, smaller than the second of tier 1, else of tier 2."""

_DUE = (48, 24, 24)
"""So many packs of one tier are merged into one of the next."""

_MERGING = b"swarm-ledger: merging\n"


def _count(index: str) -> int:
    """The number of objects in a version 2 pack index; 0 where it cannot be told."""
    try:
        with open(index, "rb") as file:
            file.seek(8 + 255 * 4)
            return int(struct.unpack(">I", file.read(4))[0])
    except (OSError, struct.error):
        return 0


_counts: dict[str, int] = {}
"""Pack's name → number of objects. A pack's name says what is in it, so this is always true."""


def _counted(packs: str, name: str) -> int:
    if name not in _counts:
        if len(_counts) > 4096:
            _counts.clear()
        _counts[name] = _count(f"{packs}/{name}.idx")
    return _counts[name]


def _names(index: str) -> set[bytes]:
    with open(index, "rb") as file:
        file.seek(8 + 255 * 4)
        number = struct.unpack(">I", file.read(4))[0]
        names = file.read(20 * number)
    return {names[i : i + 20] for i in range(0, len(names), 20)}


def compact_if_due(home: str, env: Env) -> None:
    """Merge packs of one tier when there are many. Failing costs nothing: the packs stay as they are."""
    packs = f"{home}/ledger.git/objects/pack"
    lock = FileLock(f"{home}/compact.lock")
    try:
        names = [name[:-4] for name in os.listdir(packs) if name.endswith(".idx")]
        if len(names) < min(_DUE):
            return
        if not lock.try_acquire():
            return
        _remove_leftovers(home)
        for tier, due in enumerate(_DUE):
            chosen = [n for n in names if _tier(_counted(packs, n)) == tier and _settled(packs, n)]
            if len(chosen) >= due:
                merge(home, chosen, env)
                return
    except (SwarmError, OSError, struct.error):
        return  # a `git repack` may have taken the packs meanwhile; a full disk leaves them too
    finally:
        lock.close()


def _remove_leftovers(home: str) -> None:
    """Remove what a merge that died left. Only with the compaction lock held."""
    scratch, packs = f"{home}/tmp", f"{home}/ledger.git/objects/pack"
    for name in os.listdir(scratch):
        if name.startswith("merge-"):
            os.unlink(f"{scratch}/{name}")
    for name in os.listdir(packs):
        if name.endswith(".keep"):
            with contextlib.suppress(FileNotFoundError), open(f"{packs}/{name}", "rb") as file:
                if file.read(64) == _MERGING:
                    os.unlink(f"{packs}/{name}")


def _tier(count: int) -> int:
    return sum(count >= limit for limit in _TIERS)


def _settled(packs: str, name: str) -> bool:
    return os.path.exists(f"{packs}/{name}.pack") and not os.path.exists(f"{packs}/{name}.keep")


def merge(home: str, names: list[str], env: Env) -> None:
    """Replace the packs `names` by one, on disk before any of them goes."""
    ledger, scratch = f"{home}/ledger.git", f"{home}/tmp"
    packs = f"{ledger}/objects/pack"
    wanted = set[bytes]().union(*(_names(f"{packs}/{name}.idx") for name in names))
    before = f"{scratch}/merge-{env.rng.getrandbits(48):012x}"
    listing = "".join(f"{name}.pack\n" for name in names).encode()
    options = (
        "--stdin-packs",
        "--threads=1",
        "--window=4",
        "--depth=50",
        "--quiet",
        "--no-write-bitmap-index",
    )
    settings = ("-c", "pack.writeReverseIndex=false", "-c", "core.fsync=all")
    made = git(ledger, *settings, "pack-objects", *options, before, stdin=listing, nice=10).decode().split()
    if len(made) != 1:
        raise Damaged(f"merging {len(names)} packs gave {len(made)}; run `swarm doctor`.")
    new, target = f"{before}-{made[0]}", f"{packs}/pack-{made[0]}"
    try:
        if not wanted <= _names(f"{new}.idx"):
            raise Damaged("a merged pack lacks objects; the old packs stay. Run `swarm doctor`.")
        if os.path.exists(f"{target}.pack"):
            return
        with contextlib.suppress(FileExistsError):
            env.disk.create(f"{target}.keep", _MERGING, sync=False)
        for suffix in (".pack", ".idx"):
            env.disk.rename(new + suffix, target + suffix)
        env.disk.sync_directory(packs)
        env.point("merged")
        for name in names:
            for suffix in (".idx", ".pack", ".rev"):  # the index first: no git then looks for the pack
                with contextlib.suppress(FileNotFoundError):
                    env.disk.unlink(f"{packs}/{name}{suffix}")
        env.disk.unlink(f"{target}.keep")
    finally:
        for name in os.listdir(scratch):
            if name.startswith(os.path.basename(before)):
                with contextlib.suppress(OSError):
                    os.unlink(f"{scratch}/{name}")


def gc(home: str, env: Env) -> None:
    """Repack everything as small as git can, and index history by path. Safe beside writers."""
    ledger = f"{home}/ledger.git"
    lock = FileLock(f"{home}/compact.lock")
    deadline = env.monotonic() + 60
    while not lock.try_acquire():
        if env.monotonic() > deadline:
            raise Busy(
                f"another process has been packing this ledger for over a minute ({home}/compact.lock); try again."
            )
        env.sleep(0.05)
    try:
        _remove_leftovers(home)
        # Bitmaps would cost 4 % for the few who clone; chains of deltas may be long, for trees differ by one line each.
        settings = ("-c", "repack.writeBitmaps=false", "-c", "pack.compression=9")
        git(ledger, *settings, "repack", "-adFq", "--window=50", "--depth=250", "--threads=0")
        git(ledger, "commit-graph", "write", "--reachable", "--changed-paths")
    finally:
        lock.close()
