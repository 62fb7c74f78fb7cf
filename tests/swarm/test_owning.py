"""Leases, as agents use them: own, wait, write under a lease, release, hand over, steal."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm import Agent, BadInput, Conflict, Env, Expired, Fenced, NotFound, Owned, Refused, Swarm
from swarm.session import Joined, Sessions
from swarm_ledger.directory import MemoryDirectory
from swarm_ledger.memory import MemoryStore
from swarm_ledger.place import Place
from swarm_ledger.store import Receipt, Request

Make = Callable[[str], Agent]


class Time:
    """One time for the clock, the uptime and sleeping."""

    def __init__(self) -> None:
        self.now = 1_795_258_443.0
        self.on_sleep: list[Callable[[], object]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.on_sleep:
            self.on_sleep.pop()()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def make(tmp_path: Path, time: Time) -> Make:
    """Agents of one ledger, each in a worktree of its own."""
    store = MemoryStore(MemoryDirectory(time))
    env = Env(rng=random.Random(42), now=time, monotonic=time, uptime=time, sleep=time.sleep)

    def agent(name: str) -> Agent:
        git_dir = tmp_path / "git" / name
        git_dir.mkdir(parents=True, exist_ok=True)
        place = Place(str(tmp_path / "home"), str(tmp_path / "git"), str(git_dir), str(tmp_path))
        return Swarm(store, place, str(tmp_path), env).join(name)

    return agent


def lose(agent: Agent) -> None:
    directory = agent._swarm.store.directory
    assert isinstance(directory, MemoryDirectory)
    directory.lose()


def test_owning_a_document_is_reading_it(make: Make) -> None:
    """The grant comes with the text, so the owner can edit at once."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    (granted,) = bob.own(task.id)
    assert (granted.line, granted.version) == (task.id, task.version)
    assert granted.text is not None and "title: x" in granted.text
    assert granted.until == 1_795_258_443.0 + 900
    bob.edit(task.id, fields={"status": "done"})
    with pytest.raises(Owned, match=r"is owned by bob, for 0 s so far and 15 min more"):
        ada.edit(task.id, "mine")


def test_an_edit_keeps_the_lease_unless_it_is_to_end(make: Make) -> None:
    """`release` ends it with the edit."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    ada.own(task.id)
    ada.edit(task.id, "one")
    assert [(one.line, one.agent, one.mine) for one in bob.leases()] == [(task.id, "ada", False)]
    ada.edit(task.id, "two", release=True)
    assert bob.leases() == []


def test_an_edit_stands_whose_lease_is_stolen_before_it_is_released(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written under the lease; that the thief has it now is no reason to say that nothing was."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    ada.own(task.id)
    submit = MemoryStore.submit

    def then_stolen(store: MemoryStore, request: Request) -> Receipt:
        monkeypatch.undo()
        receipt = submit(store, request)
        bob.steal(task.id, "it is needed")
        return receipt

    monkeypatch.setattr(MemoryStore, "submit", then_stolen)
    done = ada.edit(task.id, "one", release=True)
    assert ada.store.tip() != done.commit and bob.show(task.id).version == done.version
    assert [lease.agent for lease in bob.leases()] == ["bob"]


def test_each_call_renews_the_leases_of_a_session(make: Make, time: Time) -> None:
    """An agent at work loses nothing; one that is silent for the whole time can be taken over."""
    ada, bob = make("ada"), make("bob")
    ada.own("path:src/auth/**", ttl=60)
    for _ in range(5):
        time.now += 50
        ada.log("still at it")
    with pytest.raises(Owned):
        bob.own("path:src/auth/login.py")
    time.now += 61
    assert bob.own("path:src/auth/login.py")
    with pytest.raises(Fenced, match="bob ended your lease"):
        ada.release("path:src/auth/**")


def test_waiting_ends_when_the_line_is_free(make: Make, time: Time) -> None:
    """Within the time given; else the denial comes at its end."""
    ada, bob = make("ada"), make("bob")
    ada.own("path:src")
    time.on_sleep.append(lambda: ada.release())
    assert bob.own("path:src/a.py", wait=5)
    began = time.now
    with pytest.raises(Owned):
        ada.own("path:src", wait=5)
    assert time.now - began == pytest.approx(5)


def test_a_late_edit_lands_while_nobody_took_the_line(make: Make, time: Time) -> None:
    """The deadline alone refuses nothing; after a takeover the late writer is fenced, and owns again to go on."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    ada.own(task.id, ttl=60)
    time.now += 3600
    ada.edit(task.id, "late")
    time.now += 3600
    bob.own(task.id)
    bob.release()
    with pytest.raises(Fenced, match="Read it again, then `swarm own task-"):
        ada.edit(task.id, "later")
    ada.own(task.id)
    ada.edit(task.id, "later")


def test_a_conflict_comes_with_both_texts_and_their_merge(make: Make) -> None:
    """Where the changes do not touch each other there is one text of both."""
    ada, bob = make("ada"), make("bob")
    plan = ada.remember("Plan", "one\n\ntwo\n\nthree\n", kind="plan")
    bob.show(plan.id)
    ada.edit(plan.id, "ONE\n\ntwo\n\nthree\n")
    with pytest.raises(Conflict) as caught:
        bob.edit(plan.id, "one\n\ntwo\n\nTHREE\n")
    found = caught.value
    assert found.theirs is not None and "ONE" in found.theirs
    assert found.mine is not None and "THREE" in found.mine
    assert found.merged is not None and "ONE\n\ntwo\n\nTHREE\n" in found.merged
    ada.edit(plan.id, "ONE\n\ntwo\n\n3\n")
    with pytest.raises(Conflict) as caught:
        bob.edit(plan.id, "one\n\ntwo\n\nTHREE\n")
    assert caught.value.merged is None


def test_what_a_lease_denies_is_kept_as_a_draft(make: Make, time: Time) -> None:
    """In one file, however often it is tried; a removal has no text to keep."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    bob.show(task.id)
    ada.own(task.id, ttl=60)
    drafts = set()
    for _ in range(2):
        with pytest.raises(Owned) as denied:
            bob.edit(task.id, "mine")
        assert denied.value.draft and str(denied.value).endswith(f" Your text is kept in {denied.value.draft}.")
        drafts.add(denied.value.draft)
    (draft,) = drafts
    assert Path(draft).read_text().endswith("---\n\nmine\n")
    with pytest.raises(Owned) as denied:
        bob.retract(task.id, "not mine")
    assert denied.value.draft is None
    time.now += 61
    bob.own(task.id)
    with pytest.raises(Fenced) as fenced:
        ada.edit(task.id, "late")
    assert Path(fenced.value.draft or "").read_text().endswith("---\n\nlate\n")
    lose(bob)
    with pytest.raises(Expired) as expired:
        bob.edit(task.id, "mine")
    assert expired.value.draft == draft


def test_releasing_without_a_name_frees_all_of_mine(make: Make) -> None:
    """And nothing of others."""
    ada, bob = make("ada"), make("bob")
    bob.own("path:docs")
    ada.own("path:src", "path:tests")
    assert ada.release() == ["path:src", "path:tests"]
    assert ada.release() == []
    assert [one.line for one in ada.leases()] == ["path:docs"]


def test_tokens_of_leases_that_ended_do_not_pile_up(make: Make) -> None:
    """Owning and giving back a thousand times leaves a small file, and the token of what is held."""
    ada = make("ada")
    (held,) = ada.own("path:docs")
    for _ in range(1000):
        ada.own("path:src")
        ada.release("path:src")
    session = ada.session
    assert {line: str(token) for line, token in session.tokens().items()} == {"path:docs": held.token}
    assert os.path.getsize(f"{session.home}/sessions/{session.id}.tokens") < 1200
    assert ada.release() == ["path:docs"]


def test_releasing_what_is_not_owned_is_refused(make: Make) -> None:
    """Free lines, lines of others, and lines that were lost, each with its reason; a second release is just refused."""
    ada, bob = make("ada"), make("bob")
    ada.own("path:src")
    with pytest.raises(Refused, match="is ada's"):
        bob.release("path:src")
    with pytest.raises(Refused, match="nothing to release"):
        bob.release("path:docs")
    lose(ada)
    with pytest.raises(Expired, match="before this machine restarted or its leases were lost"):
        ada.release("path:src")
    with pytest.raises(Refused):
        ada.release("path:src")


def test_a_line_that_is_handed_over_is_the_others(make: Make) -> None:
    """He is told so in the log, and writes under his own token."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    ada.own(task.id)
    assert ada.handoff(task.id, "bob", "the form\nis missing") == "bob"
    (lease,) = bob.leases()
    assert (lease.agent, lease.mine, lease.note) == ("bob", True, "the form is missing")
    (line,) = bob.recall("form missing")
    assert (line.by, line.to) == ("ada", ("bob",))
    with pytest.raises(Owned):
        ada.edit(task.id, "mine")
    bob.show(task.id)
    bob.edit(task.id, "done")
    with pytest.raises(Refused):
        ada.handoff(task.id, "bob")
    with pytest.raises(BadInput, match="is yours already"):
        bob.handoff(task.id, "bob")
    with pytest.raises(NotFound, match="no agent carl"):
        bob.handoff(task.id, "carl")


def test_who_is_robbed_is_told_why(make: Make) -> None:
    """In the log, and by the refusal of the next write."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    ada.own(task.id)
    with pytest.raises(BadInput, match="say why"):
        bob.steal(task.id, "  ")
    assert bob.steal(task.id, "ada is away").version == task.version
    (line,) = ada.recall("ada is away")
    assert (line.by, line.to) == ("bob", ("ada",))
    with pytest.raises(Fenced, match="bob ended your lease"):
        ada.edit(task.id, "mine")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("path:**", BadInput),
        ("log-261121-7k3q9m2x", BadInput),
        ("task-261121-7k3q9m2x", NotFound),
        ("src/auth", BadInput),
        ("--all", BadInput),
    ],
)
def test_what_cannot_be_owned_is_refused(make: Make, line: str, error: type[Exception]) -> None:
    """The whole repository, a log, a document that does not exist, what is no line."""
    with pytest.raises(error):
        make("ada").own("path:src", line)
    assert make("ada").leases() == []


@pytest.mark.parametrize(("ttl", "wait"), [(0, 0), (31_536_000, 0), (60, -1), (60, float("nan")), (60, 1e9)])
def test_times_out_of_bounds_are_refused(make: Make, ttl: float, wait: float) -> None:
    """A lease of nothing or a year, waiting for longer than a day."""
    with pytest.raises(BadInput):
        make("ada").own("path:src", ttl=ttl, wait=wait)


def test_one_name_in_two_worktrees_is_two_owners(make: Make, tmp_path: Path, time: Time) -> None:
    """The second is ada-2, and has no part in what ada owns."""
    ada = make("ada")
    swarm = ada._swarm
    (tmp_path / "git" / "other").mkdir()
    place = Place(str(tmp_path / "home"), str(tmp_path / "git"), str(tmp_path / "git" / "other"), str(tmp_path))
    other = Swarm(swarm.store, place, str(tmp_path), swarm.env).join("ada")
    assert other.name == "ada-2"
    ada.own("path:src")
    with pytest.raises(Owned, match="owned by ada,"):
        other.own("path:src")
    with pytest.raises(Refused):
        other.release("path:src")


def test_an_agent_that_joins_again_keeps_its_leases(make: Make) -> None:
    """Else it would be shut out by itself; what still runs in its session before is fenced."""
    before = make("ada")
    plan = before.remember("work", kind="plan").id
    before.own(plan, "path:src/auth")
    after, bob = make("ada"), make("bob")
    assert [(lease.line, lease.mine) for lease in after.leases()] == [("path:src/auth", True), (plan, True)]
    with pytest.raises(Owned):
        bob.own("path:src/auth/login.py")
    with pytest.raises(Fenced):
        before.edit(plan, "from the session before")
    assert sorted(after.release()) == ["path:src/auth", plan]


def test_no_lease_is_left_behind_by_joins_that_overtake_each_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of an agent's two sessions is the later has them, and so has one after a call that died joining."""
    ada = make("ada")
    ada.own("path:src")
    join, later = Sessions.join, list[Agent]()

    def overtaken(sessions: Sessions, name: str, role: str | None = None) -> Joined:
        monkeypatch.undo()
        found = join(sessions, name, role)
        later.append(make("ada"))
        return found

    monkeypatch.setattr(Sessions, "join", overtaken)
    make("ada")
    assert [(lease.session, lease.mine) for lease in later[0].leases()] == [(later[0].session.id, True)]
    ada._swarm.sessions.join("ada")  # and is killed
    last = make("ada")
    assert [(lease.session, lease.mine) for lease in last.leases()] == [(last.session.id, True)]
    assert last.release() == ["path:src"]


def test_who_is_replaced_in_its_worktree_keeps_its_session(make: Make) -> None:
    """By its name it goes on with what it read and owns, and so it does when it joins again."""
    ada = make("ada")
    ada.own("path:src/auth")
    assert ada._swarm.join("carl").replaced == "ada"
    by_name = ada._swarm.agent("ada")
    assert by_name and by_name.session == ada.session
    assert ada._swarm.join("ada").release() == ["path:src/auth"]


def test_when_the_directory_is_lost_its_owners_are_told_at_their_next_write(make: Make) -> None:
    """All lines are free, and no write passes for one under a lease that is gone."""
    ada, bob = make("ada"), make("bob")
    task = ada.remember("x", kind="task")
    ada.own(task.id)
    lose(ada)
    bob.own(task.id)
    with pytest.raises(Expired):
        ada.edit(task.id, "mine")
    assert bob.edit(task.id, "his")


# The command


def said(out: str) -> dict[str, Any]:
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_the_verbs_of_owning_speak_json(repository: Path, run: Callable[..., Any]) -> None:
    """Grants, denials and releases are typed; each reply carries the count of what changed."""
    task = run("--as", "ada", "remember", "x", "--kind", "task").id
    grant = said(run("--as", "ada", "own", task, "--json").out)
    assert (grant["outcome"], grant["line"], grant["changed"]) == ("GRANT", task, 0)
    denied = run("--as", "bob", "own", task, "path:src", "--json")
    assert denied.code == 3
    error = said(denied.err)
    assert (error["error"], error["owner"], error["line"]) == ("Owned", "ada", task)
    listed = said(run("--as", "bob", "leases", "--json").out)
    assert (listed["line"], listed["agent"], listed["mine"]) == (task, "ada", False)
    assert said(run("--as", "ada", "release", "--json").out)["outcome"] == "RELEASED"
    assert run("--as", "ada", "release", task).code == 4
    assert run("--as", "ada", "leases").out == "nobody owns anything.\n"
    assert run("--as", "bob", "steal", task, "--why", "it is free").code == 0
    run("--as", "carl", "log", "here")
    assert run("--as", "bob", "handoff", task, "--to", "carl").out == f"{task} is carl's\n"
    assert run("--as", "bob", "own", "path:**").code == 2


def test_the_verbs_of_owning_say_lines_so_that_they_can_be_copied(repository: Path, run: Callable[..., Any]) -> None:
    """A glob is quoted for the shell; a line has one spelling; a lease that ends on another day says on which."""
    run("--as", "bob", "log", "here")
    run("--as", "ada", "own", "path:it's/**")
    denied = run("--as", "bob", "own", "path:it's/x").err
    assert denied.endswith(
        "\nWait (`swarm own --wait S`), ask (`swarm log --to ada TEXT`), "
        """or `swarm steal 'path:it'"'"'s/**' --why TEXT`.\n"""
    )
    run("--as", "ada", "release")
    assert run("--as", "ada", "own", "path:./a//b", "--ttl", "86400").out.startswith("path:a/b is yours for 86400 s")
    assert re.fullmatch(
        r"path:a/b  ada \(you\), (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) to (?!\1)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n",
        run("--as", "ada", "leases").out,
    )
    assert run("--as", "ada", "handoff", "path:a/./b", "--to", "bob").out == "path:a/b is bob's\n"
    assert run("--as", "bob", "release", "path:a/b", "path:a/b").out == "path:a/b is free\n"
    assert "not 31536000;" in run("--as", "bob", "own", "path:a", "--ttl", "31536000").err


def test_every_reply_says_how_much_of_what_was_read_changed(repository: Path, run: Callable[..., Any]) -> None:
    """In JSON as a number, else, or where a list is empty, in a line on standard error; `changes` tells what."""
    fact = run("--as", "ada", "remember", "x", "--body", "one").id
    run("--as", "bob", "show", fact)
    run("--as", "ada", "edit", fact, "--body", "two")
    assert said(run("--as", "bob", "log", "hello", "--json").out)["changed"] == 1
    notice = "swarm: 1 entry that you read has changed: `swarm changes`\n"
    assert run("--as", "bob", "log", "hello").err == notice
    assert run("--as", "bob", "recall", "nothing", "--json").err == notice
    assert said(run("--as", "bob", "check", "--json").out)["changed"] == 1
    for silent in (("status",), ("--json", "status"), ("--json", "log", "hello")):
        assert run("--as", "bob", *silent).err == ""
    told = said(run("--as", "bob", "changes", "--json").out)
    assert (told["id"], told["whole"]) == (fact, True)
    assert "-one" in told["delta"] and "+two" in told["delta"]
    assert said(run("--as", "bob", "log", "hello", "--json").out)["changed"] == 0
    assert run("--as", "bob", "changes").out == "nothing of what you read has changed.\n"
