"""Merging packs: what is merged holds all that the packs held, whatever is beside them."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable

from swarm_ledger.compact import merge
from swarm_ledger.env import Env
from swarm_ledger.git import git
from swarm_ledger.gitstore import GitStore
from swarm_ledger.store import Put, Request


def test_objects_that_a_pack_beside_holds_too_are_in_the_merged_one(
    home: str, make_request: Callable[..., Request]
) -> None:
    """That pack may go at any time: another git may find it redundant."""
    ledger, packs = f"{home}/ledger.git", f"{home}/ledger.git/objects/pack"
    with contextlib.closing(GitStore(home)) as store:
        for number in range(4):
            text = random.Random(number).randbytes(20_000).hex().encode()  # too large to be just joined
            store.submit(make_request(Put(f"p{number}", f"facts/p{number}.md", text, None), id=f"r{number}"))
    names = [name[:-5] for name in os.listdir(packs) if name.endswith(".pack")]
    assert len(names) == 5
    listed = git(ledger, "rev-list", "--objects", "--all").decode().split("\n")
    some = "".join(f"{line[:40]}\n" for line in listed[::3] if line)
    beside = git(ledger, "pack-objects", "-q", f"{packs}/pack", stdin=some.encode()).decode().strip()
    merge(home, names, Env())
    for suffix in (".pack", ".idx"):
        os.unlink(f"{packs}/pack-{beside}{suffix}")
    assert len([name for name in os.listdir(packs) if name.endswith(".pack")]) == 1
    assert git(ledger, "fsck", "--full", "--strict", "--no-dangling") == b""
    with contextlib.closing(GitStore(home)) as store:
        assert len(list(store.history())) == 5
