"""Real processes that are killed or stopped while they hold the leases' transaction, or a lease itself."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

import pytest

from swarm_ledger.coherence import Holder, own
from swarm_ledger.env import Env
from swarm_ledger.errors import Busy, Owned
from swarm_ledger.gitstore import GitStore
from swarm_ledger.leasefile import LeaseFile
from swarm_ledger.lines import Line
from swarm_ledger.objects import blob_id
from swarm_ledger.store import Put, Request
from tests.children import exiting

LINE = Line("plan-api")
PATH = "plan/api.md"
ADA, BOB = Holder("s1", "ada"), Holder("s2", "bob")
POINTS = ("pack-durable", "leases-held", "ref-locked", "ref-moved", "before-state-commit")


def write(who: Holder, base: bytes | None, text: bytes) -> Request:
    op = Put(LINE, PATH, text, blob_id(base) if base is not None else None)
    name = f"r{blob_id(text)[:12]}{who.session}"
    return Request(name, who.agent, who.session, 1_795_258_443, "write", (op,))


def take(store: GitStore, who: Holder, ttl: float = 60) -> None:
    with store.directory.deciding() as table:
        own(table, [LINE], who, ttl, store.directory.now())


def owner(home: str, signal_at: str, number: signal.Signals) -> int:
    """A process that owns the line and sends itself a signal in the middle of writing to it."""
    pid = os.fork()
    if pid:
        return pid
    with exiting():
        store = GitStore(home, Env(point=lambda at: os.kill(os.getpid(), number) if at == signal_at else None))
        take(store, ADA, ttl=1)
        store.submit(write(ADA, b"one", b"two"))
    raise AssertionError


@pytest.fixture
def written(home: str, make_request: Callable[..., Request]) -> str:
    """A ledger with the document in it."""
    store = GitStore(home)
    store.submit(write(BOB, None, b"one"))
    store.close()
    return home


@pytest.mark.parametrize("point", POINTS)
def test_an_owner_that_is_killed_in_the_middle_of_its_write_holds_nobody_up(written: str, point: str) -> None:
    """Its line is claimed within its time, and the write is there whole or not at all."""
    began = time.monotonic()
    _, status = os.waitpid(owner(written, point, signal.SIGKILL), 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    store = GitStore(written)
    while True:
        try:
            take(store, BOB)
            break
        except Owned:
            assert time.monotonic() - began < 5
            time.sleep(0.05)
    store.submit(write(BOB, store.read(PATH).text, b"three"))  # type: ignore[union-attr]
    moved = point in ("ref-moved", "before-state-commit")
    versions = [dict(commit.changed)[PATH] for commit in store.history(PATH)]
    assert versions == [blob_id(b"three"), *([blob_id(b"two")] if moved else []), blob_id(b"one")]
    store.close()


def test_one_that_is_stopped_with_the_leases_in_hand_is_waited_for_and_no_longer(written: str) -> None:
    """Who wants to own is told to resume or end it; once it goes on, so does everybody."""
    pid = owner(written, "leases-held", signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    file = LeaseFile(written, Env(), patience=0.3)
    with pytest.raises(Busy, match="Resume or end it"), file.deciding():
        pass
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    with pytest.raises(Owned), file.deciding() as table:
        own(table, [LINE], BOB, 60, file.now())
    file.close()
    with contextlib.closing(GitStore(written)) as store:
        assert store.read(PATH).text == b"two"  # type: ignore[union-attr]
