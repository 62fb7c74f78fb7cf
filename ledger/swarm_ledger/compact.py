"""Keeping the number of packs small: a leader that is done merges small packs; `gc` repacks all of it."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from hashlib import sha1

from .env import Env
from .errors import Busy, Damaged, SwarmError
from .filelock import FileLock
from .git import git
from .objects import seal_pack

__all__ = ["alone", "compact_if_due", "gc"]

_TIERS = (4_000, 120_000)
"""Objects: a pack smaller than the first is of tier 0, smaller than the second of tier 1, else of tier 2."""

_DUE = (48, 24, 24)
"""So many packs of one tier are merged into one of the next."""

_JOINED_BYTES = 24 << 20
"""Packs that are larger together are not just joined."""

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
"""Pack's name → number of objects. No name is used for two packs, so this is always true."""


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
        tiers = [_tier(_counted(packs, name)) for name in names]
        for tier, due in enumerate(_DUE):
            if tiers.count(tier) < due:
                continue
            chosen = [name for name, its in zip(names, tiers, strict=True) if its == tier and _settled(packs, name)]
            if len(chosen) >= due:
                merge(home, chosen[:due], env)  # no more, though leaders that died have left many: a writer waits
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
    before = f"{scratch}/merge-{env.rng.getrandbits(48):012x}"
    checksum = _join(packs, names, before, env) or _repack(ledger, names, before)
    new, target = f"{before}-{checksum}", f"{packs}/pack-{checksum}"
    try:
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


def _join(packs: str, names: list[str], before: str, env: Env) -> str | None:
    """The records of packs one behind the other, as they are, in the files `before`-CHECKSUM: that checksum.

    None where an object is in two packs, and where they are large: then git makes deltas across them. Deltas name
    their base by its distance, so they stay true.
    """
    size = sum(os.path.getsize(f"{packs}/{name}.pack") for name in names)
    if size > min(_JOINED_BYTES, 512 * sum(_counted(packs, name) for name in names)):
        return None
    offset, bodies = 12, [b""]
    placed: list[tuple[bytes, int, int]] = []
    for name in names:
        with open(f"{packs}/{name}.pack", "rb") as file, open(f"{packs}/{name}.idx", "rb") as beside:
            body, listing = file.read(), beside.read()
        number = int.from_bytes(listing[1028:1032], "big")
        if sha1(body[:-20], usedforsecurity=False).digest() != body[-20:] or body[-20:] != listing[-40:-20]:
            raise Damaged(f"{packs}/{name}.pack is not what was written; run `swarm doctor`.")
        crcs, offsets = (struct.unpack_from(f">{number}I", listing, 1032 + width * number) for width in (20, 24))
        starts = range(1032, 1032 + 20 * number, 20)
        placed += [
            (listing[start : start + 20], crc, at - 12 + offset)
            for start, crc, at in zip(starts, crcs, offsets, strict=True)
        ]
        bodies.append(body[12:-20])
        offset += len(body) - 32
    if len({name for name, _, _ in placed}) < len(placed):
        return None
    bodies[0] = b"PACK" + struct.pack(">II", 2, len(placed))
    checksum, pack, index = seal_pack(b"".join(bodies), placed)
    env.disk.create(f"{before}-{checksum}.pack", pack)
    env.disk.create(f"{before}-{checksum}.idx", index)
    return checksum


def _repack(ledger: str, names: list[str], before: str) -> str:
    """The objects of packs as git packs them, in the files `before`-CHECKSUM: that checksum."""
    packs = f"{ledger}/objects/pack"
    wanted = set[bytes]().union(*(_names(f"{packs}/{name}.idx") for name in names))
    beside = [name[:-4] for name in os.listdir(packs) if name.endswith(".idx") and name[:-4] not in names]
    options = ("--stdin-packs", "--threads=1", "--window=4", "--depth=50", "--quiet", "--no-write-bitmap-index")
    settings = ("-c", "pack.writeReverseIndex=false", "-c", "core.fsync=all")
    # Git walks from the commits of the packs through all of history, unless it is told where to stop; but then it
    # leaves out what the packs beside hold too, and these may go at any time.
    for stops in (beside, []):
        listing = "".join([*(f"{name}.pack\n" for name in names), *(f"^{name}.pack\n" for name in stops)]).encode()
        made = git(ledger, *settings, "pack-objects", *options, before, stdin=listing, nice=10).decode().split()
        if len(made) == 1 and wanted <= _names(f"{before}-{made[0]}.idx"):
            return made[0]
    raise Damaged("a merged pack lacks objects; the old packs stay. Run `swarm doctor`.")


@contextlib.contextmanager
def alone(home: str, env: Env) -> Iterator[None]:
    """Nobody merges packs meanwhile. Raises Busy when another process does so for a minute."""
    lock = FileLock(f"{home}/compact.lock")
    try:
        if not lock.acquire(env, 60.0, 0.05):
            raise Busy(
                f"another process has been packing this ledger for over a minute ({home}/compact.lock); try again."
            )
        yield
    finally:
        lock.close()


def gc(home: str, env: Env) -> None:
    """Repack everything as small as git can, and index history by path. Safe beside writers."""
    ledger = f"{home}/ledger.git"
    with alone(home, env):
        _remove_leftovers(home)
        # Bitmaps would cost 4 % for the few who clone; chains of deltas may be long, for trees differ by one line each.
        settings = ("-c", "repack.writeBitmaps=false", "-c", "pack.compression=9")
        git(ledger, *settings, "repack", "-adFq", "--window=50", "--depth=250", "--threads=0")
        git(ledger, "commit-graph", "write", "--reachable", "--changed-paths")
