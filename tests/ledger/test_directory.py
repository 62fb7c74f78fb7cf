"""What every directory of leases promises, held against the one in memory and the one in SQLite alike."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from swarm_ledger.coherence import Holder, Token, check_fences, hand_off, inherit, own, release, renew, steal
from swarm_ledger.directory import Directory, MemoryDirectory
from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput, Expired, Fenced, Owned, Refused, StorageError
from swarm_ledger.leasefile import LeaseFile
from swarm_ledger.lines import Line

ADA, BOB, CARL = Holder("s1", "ada"), Holder("s2", "bob"), Holder("s3", "carl")
TASK, PLAN = Line("task-261121-7k3q9m2x"), Line("plan-api")
AUTH, LOGIN, SRC = Line("path:src/auth"), Line("path:src/auth/login.py"), Line("path:src/**")


class Uptime:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Boot:
    """The name of this boot, as it is until it changes."""

    def __init__(self) -> None:
        self.name = "boot-1"

    def __call__(self) -> str:
        return self.name


class World(NamedTuple):
    directory: Directory
    uptime: Uptime
    lose: Callable[[], None]

    def own(self, who: Holder, *lines: Line, ttl: float = 60) -> list[Token]:
        with self.directory.deciding() as table:
            return own(table, lines, who, ttl, self.directory.now())

    def release(self, who: Holder, *tokens: Token) -> None:
        with self.directory.deciding() as table:
            release(table, [token.line for token in tokens], who, tokens)

    def may_write(self, who: Holder, line: Line, *tokens: Token) -> None:
        with self.directory.deciding() as table:
            check_fences(table, [line], who.session, tokens, self.directory.now())


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An empty directory of each kind, its clock, and a way to lose what it holds."""
    uptime = Uptime()
    if request.param == "memory":
        memory = MemoryDirectory(uptime)
        yield World(memory, uptime, memory.lose)
        return
    file = LeaseFile(str(tmp_path), Env(uptime=uptime))
    yield World(file, uptime, lambda: os.unlink(tmp_path / "leases.db"))
    file.close()


def test_a_line_has_one_owner(world: World) -> None:
    """The second is told who has it, for how long and until when."""
    world.own(ADA, TASK)
    world.uptime.now += 10
    with pytest.raises(Owned) as caught:
        world.own(BOB, TASK)
    denial = caught.value
    assert (denial.line, denial.owner, denial.session, denial.held, denial.left) == (TASK, "ada", "s1", 10.0, 50.0)
    assert [(lease.line, lease.agent) for lease in world.directory.leases()] == [(TASK, "ada")]


def test_lines_are_granted_all_or_none(world: World) -> None:
    """Where one of three is another's, none is granted."""
    world.own(ADA, LOGIN)
    with pytest.raises(Owned):
        world.own(BOB, TASK, SRC, PLAN)
    assert [lease.line for lease in world.directory.leases()] == [LOGIN]


def test_globs_that_meet_are_not_granted_to_two(world: World) -> None:
    """A file under a directory that another owns is his; a sibling is not."""
    world.own(ADA, AUTH)
    with pytest.raises(Owned):
        world.own(BOB, LOGIN)
    with pytest.raises(Owned):
        world.own(BOB, Line("path:**/login.*"))
    assert world.own(BOB, Line("path:src/authority.py"))


def test_owning_again_keeps_the_epoch_and_moves_the_deadline(world: World) -> None:
    """It is a renewal."""
    (first,) = world.own(ADA, TASK)
    world.uptime.now += 30
    assert world.own(ADA, TASK) == [first]
    world.uptime.now += 45
    with pytest.raises(Owned):
        world.own(BOB, TASK)


def test_a_deadline_makes_a_line_claimable_and_nothing_else(world: World) -> None:
    """Its last owner may still write, release or renew it, until somebody takes it; then he is fenced."""
    (token,) = world.own(ADA, TASK)
    world.uptime.now += 61
    assert world.directory.leases() == []
    world.may_write(ADA, TASK, token)
    with world.directory.deciding() as table:
        renew(table, ADA.session, world.directory.now())
    with pytest.raises(Owned):
        world.own(BOB, TASK)
    world.uptime.now += 61
    (taken,) = world.own(BOB, TASK)
    assert taken.epoch > token.epoch
    with pytest.raises(Fenced) as caught:
        world.may_write(ADA, TASK, token)
    assert caught.value.by == "bob"
    with world.directory.deciding() as table:
        renew(table, ADA.session, world.directory.now())
    world.may_write(BOB, TASK, taken)


def test_taking_over_a_part_ends_the_whole(world: World) -> None:
    """A lapsed lease of a directory does not come back beside one of a file in it."""
    (token,) = world.own(ADA, SRC)
    world.uptime.now += 61
    world.own(BOB, LOGIN)
    with world.directory.deciding() as table:
        renew(table, ADA.session, world.directory.now())
    assert [lease.line for lease in world.directory.leases()] == [LOGIN]
    with pytest.raises(Fenced):
        world.release(ADA, token)


def test_a_released_line_is_free_and_its_token_dead(world: World) -> None:
    """Also when nobody else took it."""
    (token,) = world.own(ADA, TASK)
    world.release(ADA, token)
    assert world.directory.leases() == []
    with pytest.raises(Fenced):
        world.may_write(ADA, TASK, token)
    assert world.own(BOB, TASK)[0].epoch > token.epoch


def test_releasing_what_is_not_owned_is_refused(world: World) -> None:
    """Neither what is free nor what is another's; and of two lines neither is released."""
    world.own(ADA, TASK)
    with world.directory.deciding() as table, pytest.raises(Refused, match="nothing to release"):
        release(table, [PLAN], BOB, [])
    with pytest.raises(Refused, match="is ada's, not yours"), world.directory.deciding() as table:
        release(table, [TASK], BOB, [])
    (plan,) = world.own(BOB, PLAN)
    with pytest.raises(Refused), world.directory.deciding() as table:
        release(table, [PLAN, TASK], BOB, [plan])
    assert [lease.line for lease in world.directory.leases()] == [PLAN, TASK]


def test_a_stolen_line_is_its_thiefs(world: World) -> None:
    """Stealing ends every lease that meets it, and tells whose."""
    world.own(ADA, AUTH)
    (token,) = world.own(CARL, Line("path:src/db"))
    with world.directory.deciding() as table:
        tokens, ended = steal(table, [SRC], BOB, 60, world.directory.now())
    assert [lease.agent for lease in ended] == ["ada", "carl"]
    assert [(lease.line, lease.agent) for lease in world.directory.leases()] == [(SRC, "bob")]
    with pytest.raises(Fenced):
        world.release(CARL, token)
    world.release(BOB, *tokens)


def test_a_line_that_is_handed_over_carries_a_note(world: World) -> None:
    """Its new owner has a new epoch and the old lease's length; the old owner's token is dead."""
    (token,) = world.own(ADA, TASK, ttl=90)
    with world.directory.deciding() as table:
        given = hand_off(table, TASK, ADA, BOB, "half done", [token], world.directory.now())
    (lease,) = world.directory.leases()
    assert (lease.agent, lease.note, lease.ttl, lease.epoch) == ("bob", "half done", 90, given.epoch)
    with pytest.raises(Fenced):
        world.may_write(ADA, TASK, token)
    world.may_write(BOB, TASK, given)
    with pytest.raises(Fenced), world.directory.deciding() as table:
        hand_off(table, TASK, ADA, CARL, "", [token], world.directory.now())


def test_a_part_of_what_stays_mine_is_not_handed_over(world: World) -> None:
    """Else two would own what is in both; once the rest is released, the part goes."""
    whole, part = world.own(ADA, SRC, LOGIN)
    with (
        pytest.raises(Refused, match=f"meets {re.escape(SRC)}, which is yours too"),
        world.directory.deciding() as table,
    ):
        hand_off(table, LOGIN, ADA, BOB, "", [part], world.directory.now())
    assert [(lease.line, lease.agent) for lease in world.directory.leases()] == [(SRC, "ada"), (LOGIN, "ada")]
    world.release(ADA, whole)
    with world.directory.deciding() as table:
        hand_off(table, LOGIN, ADA, BOB, "", [part], world.directory.now())
    assert [(lease.line, lease.agent) for lease in world.directory.leases()] == [(LOGIN, "bob")]


def test_a_later_session_inherits_all_leases_of_the_one_before(world: World) -> None:
    """Lines that meet too; each has a new epoch, so the earlier session is fenced."""
    old = world.own(ADA, SRC, LOGIN, ttl=90)
    with world.directory.deciding() as table:
        new = inherit(table, ADA, Holder("a2", "ada"), world.directory.now())
    assert [(lease.line, lease.session, lease.ttl) for lease in world.directory.leases()] == [
        (SRC, "a2", 90),
        (LOGIN, "a2", 90),
    ]
    assert min(token.epoch for token in new) > max(token.epoch for token in old)


def test_nobody_writes_what_another_owns(world: World) -> None:
    """By a live lease; a line that is free or has run out is anybody's to write."""
    world.may_write(BOB, TASK)
    world.own(ADA, TASK)
    with pytest.raises(Owned):
        world.may_write(BOB, TASK)
    world.uptime.now += 61
    world.may_write(BOB, TASK)


@pytest.mark.parametrize("ttl", [0, 0.5, -1, 86_401, 31_536_000, float("nan"), float("inf")])
def test_a_lease_of_no_time_or_a_year_is_refused(world: World, ttl: float) -> None:
    """A lease lasts from one second to a day."""
    with pytest.raises(BadInput):
        world.own(ADA, TASK, ttl=ttl)


def test_a_token_of_an_earlier_generation_is_expired(world: World) -> None:
    """When the directory is lost, all leases end, and no later token equals one from before."""
    (token,) = world.own(ADA, TASK)
    world.lose()
    assert world.directory.leases() == []
    with pytest.raises(Expired):
        world.may_write(ADA, TASK, token)
    with pytest.raises(Expired):
        world.release(ADA, token)
    (again,) = world.own(BOB, TASK)
    assert again.generation > token.generation


def test_what_fails_changes_nothing(world: World) -> None:
    """An exception inside a decision undoes all of it."""
    with pytest.raises(ZeroDivisionError), world.directory.deciding() as table:
        own(table, [TASK], ADA, 60, world.directory.now())
        raise ZeroDivisionError
    assert world.directory.leases() == []


def test_random_decisions_keep_one_owner_and_rising_epochs(world: World) -> None:
    """500 steps of four sessions over lines that meet: held against a plain list of who was granted what."""
    rng = random.Random(11)
    lines = [TASK, PLAN, AUTH, LOGIN, SRC, Line("path:docs/**")]
    meets = {(a, b) for a in (AUTH, LOGIN, SRC) for b in (AUTH, LOGIN, SRC)} | {(a, a) for a in lines}
    held: dict[Line, tuple[str, float]] = {}
    last = 0
    for _ in range(500):
        who, line = Holder(f"s{rng.randrange(4)}", "x"), rng.choice(lines)
        world.uptime.now += rng.choice((0, 1, 20))
        now = world.uptime.now
        free = all(s == who.session or end <= now for other, (s, end) in held.items() if (other, line) in meets)
        try:
            (token,) = world.own(who, line)
        except Owned:
            assert not free
            continue
        assert free
        for other in [one for one, (s, _) in held.items() if (one, line) in meets and s != who.session]:
            del held[other]
        if line not in held:
            assert token.epoch > last
            last = token.epoch
        held[line] = (who.session, now + 60)
        if rng.random() < 0.3:
            world.release(who, token)
            del held[line]


# The file alone


def leasefile(home: Path, boot: Boot, uptime: Uptime) -> LeaseFile:
    return LeaseFile(str(home), Env(uptime=uptime, boot=boot, now=lambda: 5.0))


def test_a_boot_raises_the_generation_and_ends_all_leases(tmp_path: Path) -> None:
    """Uptime begins anew at a boot, so no deadline from before means anything."""
    boot, uptime = Boot(), Uptime()
    before = World(leasefile(tmp_path, boot, uptime), uptime, lambda: None)
    (token,) = before.own(ADA, TASK)
    before.directory.close()
    boot.name, uptime.now = "boot-2", 1.0
    after = World(leasefile(tmp_path, boot, uptime), uptime, lambda: None)
    assert after.directory.leases() == []
    with pytest.raises(Expired):
        after.may_write(ADA, TASK, token)
    assert after.own(ADA, TASK)[0].generation == token.generation + 1


@pytest.mark.parametrize("lost", [("leases.db",), ("leases.db", "generation"), ("generation",)])
def test_whatever_is_deleted_no_token_is_issued_twice(tmp_path: Path, lost: tuple[str, ...]) -> None:
    """The file keeps generations apart where the table is lost, the clock where both are."""
    tokens = []
    for second in range(10, 14):
        file = LeaseFile(str(tmp_path), Env(now=lambda at=second: float(at)))  # type: ignore[misc]
        with file.deciding() as table:
            tokens += own(table, [TASK], ADA, 60, file.now())
        file.close()
        for name in lost:
            os.unlink(tmp_path / name)
    assert len(set(tokens)) == 4 and tokens == sorted(tokens)


def test_a_damaged_table_is_replaced_under_its_users(tmp_path: Path) -> None:
    """Rubbish in the file costs the leases; both of its users go on with one new table."""
    boot, uptime = Boot(), Uptime()
    one, two = (World(leasefile(tmp_path, boot, uptime), uptime, lambda: None) for _ in range(2))
    (token,) = one.own(ADA, TASK)
    one.directory.close()
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"leases.db{suffix}").unlink(missing_ok=True)
    (tmp_path / "leases.db").write_bytes(b"rubbish" * 1000)
    assert two.own(BOB, TASK)[0].generation > token.generation
    with pytest.raises(Owned):
        one.own(ADA, TASK)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_page_that_is_damaged_costs_at_most_one_try(tmp_path: Path, page: int) -> None:
    """Rubbish inside the file, whichever part it hits, is found where it is read; the next try finds a new table."""
    world = World(leasefile(tmp_path, Boot(), Uptime()), Uptime(), lambda: None)
    (token,) = world.own(ADA, TASK)
    world.directory.close()
    with open(tmp_path / "leases.db", "r+b") as file:
        file.seek(4096 * page)
        file.write(b"rubbish!" * 512)
    try:
        granted = world.own(BOB, PLAN)
    except StorageError:
        granted = world.own(BOB, PLAN)
    assert granted[0].generation > token.generation
    world.release(BOB, *granted)


@pytest.mark.parametrize("rubbish", ["9" * 39, str(2**63 - 1)])
def test_a_counter_that_no_machine_reaches_is_damage(tmp_path: Path, rubbish: str) -> None:
    """A generation file with a number out of all bounds costs the leases, and nobody's next grant."""
    one = World(leasefile(tmp_path, Boot(), Uptime()), Uptime(), lambda: None)
    (token,) = one.own(ADA, TASK)
    one.directory.close()
    (tmp_path / "generation").write_text(rubbish)
    (granted,) = one.own(BOB, TASK)
    assert token.generation < granted.generation < 2**53


def test_a_file_that_is_replaced_while_it_is_opened_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opened the one that was deleted grants nothing by it."""
    boot, uptime = Boot(), Uptime()
    slow, quick = (World(leasefile(tmp_path, boot, uptime), uptime, lambda: None) for _ in range(2))
    slow.own(ADA, PLAN)
    slow.directory.close()
    connect = sqlite3.connect

    def overtaken(path: str, **options: object) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(path, **options)  # type: ignore[call-overload]
        db.execute("SELECT * FROM meta")
        monkeypatch.setattr(sqlite3, "connect", connect)
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"leases.db{suffix}").unlink(missing_ok=True)
        quick.own(BOB, TASK)
        return db

    monkeypatch.setattr(sqlite3, "connect", overtaken)
    with pytest.raises(Owned):
        slow.own(ADA, TASK)


def test_setting_the_clock_back_a_day_moves_no_deadline(tmp_path: Path) -> None:
    """Leases run on uptime."""
    clock = [1_795_258_443.0]
    file = LeaseFile(str(tmp_path), Env(now=lambda: clock[0]))
    with file.deciding() as table:
        own(table, [TASK], ADA, 60, file.now())
    clock[0] -= 86_400
    (lease,) = file.leases()
    assert 59 < lease.deadline - file.now() <= 60
