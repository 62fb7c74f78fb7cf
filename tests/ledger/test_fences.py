"""Leases at the commit: fence, base and branch are decided in one step, by every store alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_ledger.coherence import Holder, Token, own, release, steal
from swarm_ledger.directory import MemoryDirectory
from swarm_ledger.env import Env
from swarm_ledger.errors import Conflict, Expired, Fenced, Owned
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.lines import Line
from swarm_ledger.memory import MemoryStore
from swarm_ledger.objects import blob_id
from swarm_ledger.store import Append, Delete, Op, Put, Request, Store

LINE = Line("plan-api")
PATH = "plan/api.md"
ADA, BOB = Holder("s1", "ada"), Holder("s2", "bob")


class Uptime:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def uptime() -> Uptime:
    return Uptime()


@pytest.fixture(params=["memory", "git"])
def store(request: pytest.FixtureRequest, tmp_path: Path, uptime: Uptime) -> Iterator[Store]:
    """A store of each kind with one plan in it."""
    if request.param == "memory":
        made: Store = MemoryStore(MemoryDirectory(uptime))
    else:
        create_repository(str(tmp_path / "swarm"), Env())
        made = GitStore(str(tmp_path / "swarm"), Env(uptime=uptime))
    made.submit(write(BOB, None, b"one"))
    yield made
    made.close()


numbers = iter(range(10**6))


def write(who: Holder, base: bytes | None, text: bytes, *fences: Token, by_hand: bool = False) -> Request:
    op = Put(LINE, PATH, text, blob_id(base) if base is not None else None)
    return request(who, op, fences=fences, by_hand=by_hand)


def request(who: Holder, *ops: Op, fences: tuple[Token, ...] = (), by_hand: bool = False) -> Request:
    name = f"request{next(numbers)}"
    return Request(name, who.agent, who.session, 1_795_258_443, "write", ops, fences=fences, by_hand=by_hand)


def take(store: Store, who: Holder, line: Line = LINE) -> Token:
    with store.directory.deciding() as table:
        return own(table, [line], who, 60, store.directory.now())[0]


def test_an_update_of_what_another_owns_is_denied(store: Store) -> None:
    """Nothing of it is written; the owner writes under its token, which history names."""
    token = take(store, ADA)
    with pytest.raises(Owned) as caught:
        store.submit(write(BOB, b"one", b"two"))
    assert (caught.value.owner, caught.value.line, caught.value.left) == ("ada", LINE, 60.0)
    store.submit(write(ADA, b"one", b"three", token))
    newest = next(store.history())
    assert ("Fence", f"plan-api {token.generation}.{token.epoch}") in newest.trailers
    assert store.read(PATH).text == b"three"  # type: ignore[union-attr]


def test_a_removal_of_what_another_owns_is_denied(store: Store) -> None:
    """As an update is."""
    take(store, ADA)
    with pytest.raises(Owned):
        store.submit(request(BOB, Delete(LINE, PATH, blob_id(b"one"))))
    assert store.read(PATH) is not None


def test_appends_and_new_entries_ask_for_no_lease(store: Store) -> None:
    """They cannot harm anybody's work."""
    take(store, ADA)
    store.submit(request(BOB, Append("log-261121-7k3q9m2x", "log/2026/11/21/bob/", b"HEAD\n", b"## x\n\n")))
    store.submit(request(BOB, Put("plan-web", "plan/web.md", b"new", None)))


def test_a_hand_is_not_stopped_by_a_lease(store: Store) -> None:
    """What a person saved is taken in; the owner is told by a conflict at its own write."""
    token = take(store, ADA)
    store.submit(write(BOB, b"one", b"hand", by_hand=True))
    with pytest.raises(Conflict):
        store.submit(write(ADA, b"one", b"mine", token))


def test_a_late_write_lands_if_nobody_took_the_line(store: Store, uptime: Uptime) -> None:
    """A deadline alone refuses nothing."""
    token = take(store, ADA)
    uptime.now += 3600
    store.submit(write(ADA, b"one", b"late", token))
    assert store.read(PATH).text == b"late"  # type: ignore[union-attr]


def test_a_late_write_is_fenced_once_somebody_took_the_line(store: Store, uptime: Uptime) -> None:
    """Although its base is still current: the other is at work on it, or was."""
    token = take(store, ADA)
    uptime.now += 3600
    taken = take(store, BOB)
    with pytest.raises(Fenced) as caught:
        store.submit(write(ADA, b"one", b"late", token))
    assert (caught.value.by, caught.value.line) == ("bob", LINE)
    with store.directory.deciding() as table:
        release(table, [LINE], BOB, [taken])
    with pytest.raises(Fenced):
        store.submit(write(ADA, b"one", b"late", token))


def test_a_token_from_before_the_directory_was_lost_is_expired(store: Store, tmp_path: Path) -> None:
    """The write is refused, not taken for one under a later lease."""
    token = take(store, ADA)
    if isinstance(store, MemoryStore) and isinstance(store.directory, MemoryDirectory):
        store.directory.lose()
    else:
        (tmp_path / "swarm" / "leases.db").unlink()
    with pytest.raises(Expired):
        store.submit(write(ADA, b"one", b"two", token))
    store.submit(write(ADA, b"one", b"two", take(store, ADA)))


def test_a_request_of_several_lines_is_denied_as_one(store: Store) -> None:
    """One of two is another's: neither is written."""
    store.submit(request(BOB, Put("plan-web", "plan/web.md", b"web", None)))
    take(store, ADA)
    ops = (Put("plan-web", "plan/web.md", b"changed", blob_id(b"web")), Put(LINE, PATH, b"two", blob_id(b"one")))
    with pytest.raises(Owned):
        store.submit(request(BOB, *ops))
    assert store.read("plan/web.md").text == b"web"  # type: ignore[union-attr]


# Between the decision and the ref


def racing(home: str, at: str, act: Callable[[GitStore], None]) -> GitStore:
    """A store in which `act` happens once when the leader comes by `at`."""
    todo = [act]

    def point(name: str) -> None:
        if name == at and todo:
            todo.pop()(other)

    other = GitStore(home)
    return GitStore(home, Env(point=point))


def test_a_line_that_is_claimed_while_a_write_is_on_its_way_is_not_written(home: str) -> None:
    """The write was decided when the line was free; the claim came before the branch moved: the claim holds."""
    store = racing(home, "pack-durable", lambda other: take(other, ADA) and None)
    store.submit(write(BOB, None, b"one"))
    store = racing(home, "pack-durable", lambda other: take(other, ADA) and None)
    with pytest.raises(Owned):
        store.submit(write(BOB, b"one", b"two"))
    assert store.read(PATH).text == b"one"  # type: ignore[union-attr]


def test_a_lease_that_is_stolen_while_its_owner_writes_fences_the_write(home: str) -> None:
    """The thief reads what was there, and that stays."""

    def rob(other: GitStore) -> None:
        with other.directory.deciding() as table:
            steal(table, [LINE], BOB, 60, other.directory.now())

    store = racing(home, "pack-durable", rob)
    store.submit(write(ADA, None, b"one"))
    store = racing(home, "pack-durable", rob)
    with store.directory.deciding() as table:
        (token,), _ = steal(table, [LINE], ADA, 60, store.directory.now())
    with pytest.raises(Fenced):
        store.submit(write(ADA, b"one", b"two", token))


def test_the_others_of_a_batch_land_when_a_lease_changes_hands(home: str) -> None:
    """The batch is decided anew without the one that lost its line."""
    store = GitStore(home)
    store.submit(write(BOB, None, b"one"))
    store.close()
    store = racing(home, "pack-durable", lambda other: take(other, ADA) and None)
    log = Append("log-261121-7k3q9m2x", "log/2026/11/21/carl/", b"HEAD\n", b"## 10:54:03 log-261121-7k3q9m2x\n\nx\n\n")
    store._spool.put(request(Holder("s3", "carl"), log), "0" * 16)
    with pytest.raises(Owned):
        store.submit(write(BOB, b"one", b"two"))
    assert store.read("log/2026/11/21/carl/0000.md") is not None
    assert store.read(PATH).text == b"one"  # type: ignore[union-attr]
