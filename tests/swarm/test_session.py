"""Who acts, and what they have read."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import Agent, BadInput, Env, StorageError, Swarm
from swarm.session import Sessions
from swarm_ledger.place import Place
from swarm_ledger.store import BlobId

from .conftest import Clock


def sessions_of(tmp_path: Path, worktree: str) -> Sessions:
    """The sessions of one ledger as one of its worktrees sees them."""
    git_dir = tmp_path / "git" / worktree
    git_dir.mkdir(parents=True, exist_ok=True)
    place = Place(str(tmp_path / "home"), str(tmp_path / "git"), str(git_dir), str(tmp_path))
    return Sessions(place, str(tmp_path), Env(rng=random.Random(worktree)))


def test_joining_again_is_the_same_agent_with_nothing_read(memory_swarm: Callable[[str], Swarm]) -> None:
    """Under the same name in the same worktree a fresh session begins."""
    swarm = memory_swarm("one")
    first = swarm.join("backend", role="owns the\nAPI")
    fact = first.remember("x")
    second = swarm.join("backend")
    assert (first.name, second.name) == ("backend", "backend")
    assert first.session.id != second.session.id
    assert (first.session.role, second.session.role) == ("owns the API", "owns the API")
    assert (first.session.last(fact.path), second.session.last(fact.path)) == (fact.version, None)
    joined = swarm.agent()
    assert joined and joined.session == second.session
    assert swarm.join("backend", role="QA").session.role == "QA"


def test_whoever_joins_in_the_place_of_another_is_told(memory_swarm: Callable[[str], Swarm]) -> None:
    """The other keeps its name and role, and acts by name."""
    swarm = memory_swarm("one")
    assert swarm.join("ada", role="backend").replaced is None
    assert swarm.join("ada").replaced is None
    carol = swarm.join("carol")
    assert (carol.replaced, carol.session.role) == ("ada", None)
    ada = swarm.agent("ada")
    assert ada and (ada.name, ada.session.role) == ("ada", "backend")
    assert [(one.name, one.role, one.joined) for one in swarm.status().agents] == [
        ("ada", "backend", True),
        ("carol", None, True),
    ]


def test_members_are_those_who_joined_and_those_who_act_by_name(memory_swarm: Callable[[str], Swarm]) -> None:
    """Each with its worktree, by name."""
    one, two = memory_swarm("one"), memory_swarm("two")
    one.join("backend")
    for swarm in (one, two):
        swarm.agent("backend")
        swarm.agent("qa")
    assert [(member.name, Path(member.directory).name, member.joined) for member in one.sessions.members()] == [
        ("backend", "one", True),
        ("backend", "two", False),
        ("qa", "one", False),
        ("qa", "two", False),
    ]
    assert all(member.present for member in one.sessions.members())


def test_a_name_that_another_worktree_has_gets_a_suffix(memory_swarm: Callable[[str], Swarm]) -> None:
    """backend, backend-2, backend-3; and each keeps its own when it joins again."""
    names = [memory_swarm(worktree).join("backend").name for worktree in ("a", "b", "c", "b", "a")]
    assert names == ["backend", "backend-2", "backend-3", "backend-2", "backend"]


def test_an_agent_keeps_its_name_where_a_better_one_is_free_again(tmp_path: Path) -> None:
    """backend-2 stays backend-2 when the worktree of backend is gone: its log and its entries bear that name."""
    for worktree in ("a", "b"):
        sessions_of(tmp_path, worktree).join("backend")
    shutil.rmtree(tmp_path / "git" / "a")
    assert sessions_of(tmp_path, "b").join("backend").session.agent == "backend-2"


def test_the_name_of_a_worktree_that_is_gone_is_free(tmp_path: Path) -> None:
    """Neither age nor a process decides: the worktree's own directory does."""
    sessions_of(tmp_path, "a").join("backend")
    linked = tmp_path / "git" / "a" / "gitdir"
    linked.write_text(str(tmp_path / "not-there" / ".git") + "\n")
    assert sessions_of(tmp_path, "b").join("backend").session.agent == "backend"
    shutil.rmtree(tmp_path / "git" / "b")
    assert sessions_of(tmp_path, "c").join("backend").session.agent == "backend"


def test_a_torn_name_file_is_free(tmp_path: Path) -> None:
    """What a power loss left of a name file claims nothing."""
    sessions_of(tmp_path, "a").join("backend")
    (tmp_path / "home" / "names" / "backend").write_bytes(b"")
    assert sessions_of(tmp_path, "b").join("backend").session.agent == "backend"


def _join(tmp_path: Path, worktree: str, queue: multiprocessing.Queue[str]) -> None:
    queue.put(sessions_of(tmp_path, worktree).join("backend").session.agent)


def test_sixteen_processes_that_join_at_once_get_sixteen_names(tmp_path: Path) -> None:
    """Real processes, one name asked for by all, each from a worktree of its own."""
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_join, args=(tmp_path, f"w{number}", queue)) for number in range(16)]
    for process in processes:
        process.start()
    names = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert names == {"backend", *(f"backend-{number}" for number in range(2, 17))}
    assert [member.name for member in sessions_of(tmp_path, "w0").members()] == sorted(names)


def test_another_name_in_a_joined_worktree_has_a_session_of_its_own(memory_swarm: Callable[[str], Swarm]) -> None:
    """Made once for agent and worktree; the joined agent's own name is the joined session."""
    one, two = memory_swarm("one"), memory_swarm("two")
    backend = one.join("backend")
    same, other, again, elsewhere = one.agent("backend"), one.agent("qa"), one.agent("qa"), two.agent("qa")
    assert same and other and again and elsewhere
    assert same.session == backend.session
    assert other.session.id == again.session.id
    assert len({backend.session.id, other.session.id, elsewhere.session.id}) == 3


def test_without_a_repository_a_session_holds_for_the_directory_and_below(tmp_path: Path) -> None:
    """The agent that joined is found from a directory below, and not from beside."""
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    place = Place(str(tmp_path / "home"))
    joined = Sessions(place, str(tmp_path / "a"), Env()).join("ada").session
    assert Sessions(place, str(below), Env()).joined() == joined
    assert Sessions(place, str(tmp_path), Env()).joined() is None


@pytest.mark.parametrize("name", ["../x", "-x", "a\nb", "a\x1b[2J", "🦀", "", "A B", "x.lock", "a..b", "x" * 64])
def test_bad_agent_names_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing is made for them."""
    sessions = sessions_of(tmp_path, "a")
    for call in (sessions.join, sessions.acting_as):
        with pytest.raises(BadInput) as error:
            call(name)
        assert "\x1b" not in str(error.value)
    assert not (tmp_path / "home").exists()


def test_a_reading_is_noted_before_it_is_answered(ada: Agent, tmp_path: Path) -> None:
    """Where the seen-file cannot be written the reading fails; nobody ever holds a version unknown to it."""
    fact = ada.remember("x")
    seen = tmp_path / "home" / "sessions" / f"{ada.session.id}.seen"
    assert seen.read_text() == f"\n{fact.path} {fact.version} 1795258443"
    seen.unlink()
    seen.mkdir()
    with pytest.raises(StorageError, match="noting what was read"):
        ada.show(fact.id)


def test_the_last_reading_counts(ada: Agent, bob: Agent) -> None:
    """seen holds one version for each entry, the last; a removed one is in it no more."""
    one, two = ada.remember("one"), ada.remember("two")
    ada.edit(one.id, "more")
    bob.show(two.id)
    ada.retract(two.id, "wrong")
    now = ada.show(one.id)
    assert ada.session.seen()[one.path] == now.version
    assert two.path not in ada.session.seen()
    assert bob.session.seen() == {two.path: two.version}
    assert bob.stale() == {two.id: None}


def test_a_torn_line_of_the_seen_file_is_no_reading(ada: Agent, tmp_path: Path) -> None:
    """What a power loss left half written is skipped, and spoils nothing that is noted after it."""
    one, two = ada.remember("one"), ada.remember("two")
    seen = tmp_path / "home" / "sessions" / f"{ada.session.id}.seen"
    whole = seen.read_bytes()
    for cut in range(whole.rindex(b"\n"), len(whole)):
        seen.write_bytes(whole[:cut])
        ada.show(two.id)
        assert ada.session.seen() == {one.path: one.version, two.path: two.version}
        assert ada.session.last(one.path) == one.version


def test_stale_is_what_changed_since_it_was_read(ada: Agent, bob: Agent) -> None:
    """An entry is in it until it is read again; log entries never are."""
    fact, line = ada.remember("x"), ada.log("y")
    bob.show(fact.id)
    bob.show(line.id)
    assert bob.stale() == {}
    changed = ada.edit(fact.id, "more")
    ada.log("z")
    assert bob.stale() == {fact.id: changed.version}
    bob.show(fact.id)
    assert bob.stale() == {}


def test_reset_forgets_what_was_read(ada: Agent) -> None:
    """After it an edit asks to read first, and nothing is stale."""
    fact = ada.remember("x")
    ada.session.reset()
    assert ada.session.last(fact.path) is None
    ada.session.saw([(fact.path, BlobId("0" * 40))], 0)
    assert ada.session.seen() == {fact.path: "0" * 40}


def test_what_another_process_made_it_forget_is_not_the_latest(ada: Agent) -> None:
    """Also where it has read more since than there was before, so that the file is longer."""
    session = ada.session
    session.reset()
    session.saw([("a", BlobId("1" * 40))], 0)
    assert session.latest(9) == {"a": "1" * 40}
    session.saw([("b", BlobId("2" * 40))], 0)
    assert session.latest(9) == {"a": "1" * 40, "b": "2" * 40}
    assert session.latest(1) == {"b": "2" * 40}
    os.truncate(f"{session.home}/sessions/{session.id}.seen", 0)
    session.saw([(f"c{n}", BlobId("3" * 40)) for n in range(5)], 0)
    assert session.latest(9) == {f"c{n}": "3" * 40 for n in range(5)}


def test_old_readings_can_be_forgotten_alone(ada: Agent, clock: Clock) -> None:
    """What was read before a moment goes; what was read again since stays."""
    old, both = ada.remember("old"), ada.remember("both")
    clock.now += 100
    ada.show(both.id)
    new = ada.remember("new")
    ada.session.reset(since=clock.now)
    assert ada.session.seen() == {both.path: both.version, new.path: new.version}
    assert ada.session.last(old.path) is None
