"""What `check` finds, and that it finds nothing where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from swarm import Agent, Conflict, Damaged, Swarm
from swarm.check import check
from swarm_ledger import logbook
from swarm_ledger.coherence import Token
from swarm_ledger.decide import trailers
from swarm_ledger.lines import Line
from swarm_ledger.objects import blob_id
from swarm_ledger.store import BlobId, Commit, CommitId, Delete, Op, Put, Request, Version


def found(agent: Agent) -> list[tuple[str, str, str]]:
    """(severity, rule, message) of each finding."""
    return [(one.severity, one.rule, one.message) for one in check(agent._swarm.store).findings]


def put(agent: Agent, id: str, path: str, text: str) -> None:
    """Write a file as no API would."""
    agent.commit("by hand", [Put(id, path, text.encode(), None)])


def foreign(agent: Agent, path: str, text: bytes | None) -> None:
    """A commit of another git that sets `path`."""
    store = agent._swarm.store
    blob = blob_id(text) if text is not None else None
    if text is not None and blob:
        store._blobs[blob] = text  # type: ignore[attr-defined]
        store._files[path] = Version(path, blob, text)  # type: ignore[attr-defined]
    else:
        del store._files[path]  # type: ignore[attr-defined]
    commits: list[Commit] = store._commits  # type: ignore[attr-defined]
    commits.append(Commit(CommitId("f" * 40), (commits[-1].id,), "someone", 0, "by hand", (), ((path, blob),)))


FACT = "fact-261121-7k3q9m2x"
PATH = f"facts/2026/11/21/7/{FACT}.md"


def text(**fields: str) -> str:
    """A fact's file with other fields."""
    whole = {"id": FACT, "kind": "fact", "title": "T", "by": "ada", "at": "2026-11-21T10:54:03Z", **fields}
    return "---\n" + "".join(f"{name}: {value}\n" for name, value in whole.items()) + "---\n"


def test_what_the_api_writes_is_in_order(ada: Agent, bob: Agent) -> None:
    """Every kind of write, and nothing is found."""
    old = ada.remember("a", entities=["login"])
    new = ada.supersede(old.id, "b", cite=[ada.log("x", entities=["file:auth.py"]).id, old.id])
    plan = ada.remember("Ship", kind="plan")
    task = ada.remember("Test", kind="task", plan=plan.id)
    bob.log("started", task=task.id, to="ada", tags=["handoff"], valid_from="2026-11-20")
    ada.edit(new.id, "c")
    gone = bob.remember("wrong", kind="reflection")
    bob.retract(gone.id, "wrong")
    report = check(ada._swarm.store)
    assert report.findings == ()
    assert (report.entries, report.commits, report.ok) == (9, 9, True)


@pytest.mark.parametrize(
    ("id", "path", "content", "finding"),
    [
        (FACT, PATH, "no front matter", ("error", "parse", "no front matter: the first line must be `---`")),
        (FACT, PATH, text(confidence="2"), ("error", "parse", "confidence: must be less than or equal to 1, not 2")),
        (
            FACT,
            PATH.replace("/7/", "/8/"),
            text(),
            ("error", "place", "no entry can be at this path; move it out of the ledger"),
        ),
        (
            "fact-261121-7aaaaaaa",
            "facts/2026/11/21/7/fact-261121-7aaaaaaa.md",
            text(),
            ("error", "place", f"its id is '{FACT}', its path says fact-261121-7aaaaaaa"),
        ),
        (
            FACT,
            PATH,
            text(entities="[entity-topic-x]"),
            ("error", "link", "entities: there is no entry entity-topic-x"),
        ),
        (
            FACT,
            PATH,
            text(superseded_by="fact-261121-00000000"),
            ("error", "link", "superseded_by: there is no entry fact-261121-00000000"),
        ),
        (
            FACT,
            PATH,
            text(citations=f"[{{entry: {FACT}, version: {'a' * 40}}}]"),
            ("error", "citation", f"cites version {'a' * 40}, which this ledger does not hold"),
        ),
    ],
)
def test_a_file_that_is_wrong(ada: Agent, id: str, path: str, content: str, finding: tuple[str, str, str]) -> None:
    """Each is named with what is wrong."""
    put(ada, id, path, content)
    assert finding in found(ada)
    assert not check(ada._swarm.store).ok


def test_a_secret_that_passed_no_gate_is_an_error(ada: Agent) -> None:
    """In a fact or a log, whoever brought it; not one that was forced in with a reason, and no mark of a citation."""
    token = "ghp_" + "a1B2" * 9
    ada.remember("Forced", f"It was {token}", force="expired long ago")
    ada.log(f"it was {token}", force="expired long ago")
    marks = f"{'M1' * 12}.abcdef.{'x' * 27}.."
    ada.remember("Cited", cite=[{"path": "a.py", "lines": [1, 1], "sha256": "0" * 64, "marks": marks}])
    assert check(ada.store).findings == ()
    foreign(ada, PATH, text(title=token).encode())
    log = "log/2026/11/21/bob/0001.md"
    head = b'---\nkind: log\nby: "bob"\nday: "2026-11-21"\n---\n\n'
    foreign(ada, log, head + f"## 10:54:03 log-261121-00000000\n\n{token}\n\n".encode())
    found = [(one.severity, one.where) for one in check(ada.store).findings if one.rule == "secret"]
    assert found == [("error", PATH), ("error", log)]


@pytest.mark.parametrize("name", ["tip", "paths", "read_many", "history"])
def test_a_check_beside_writers_looks_at_one_moment(
    ada: Agent, bob: Agent, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What is written, changed and retracted meanwhile is no finding."""
    ids = [ada.remember(f"Fact {number}", f"It is {number}").id for number in range(6)]
    ada.remember("Seventh", cite=ids[-2:])
    really = getattr(ada.store, name)
    left = [1, 1, 1]

    def meanwhile(*args: Any) -> Any:
        found = [*really(*args)] if name in ("paths", "history") else really(*args)
        if left:
            left.pop()
            later = left[:]
            left.clear()  # what is written here reads the store too
            bob.show(ids[0])
            bob.edit(ids[0], f"It is {len(later)} now")
            bob.show(ids[-1])
            bob.retract(ids.pop(), "wrong")
            bob.remember(f"New {len(later)}", cite=[ids[0]])
            left.extend(later)
        return found

    monkeypatch.setattr(ada.store, name, meanwhile)
    report = check(ada.store, None, ada._swarm, code=False)
    assert [one for one in report.findings if one.severity == "error"] == []
    assert len(left) < 3


def test_facts_that_say_the_same_are_named(ada: Agent, bob: Agent) -> None:
    """Two who wrote them at once both passed the gate. Not what was forced, has another number, or was superseded."""
    said = "Sessions of the mobile client expire after 15 minutes without any use"
    ids = [f"fact-261121-0000000{number}" for number in range(4)]
    for id, title in zip(ids, (said, said.upper(), said.replace("15", "20"), "Cookies are renewed"), strict=True):
        put(ada, id, f"facts/2026/11/21/0/{id}.md", text(id=id, title=title))
    bob.remember(said, force="of another client")
    way = f"{ids[1]} says what {ids[0]} says; swarm supersede {ids[1]} --by {ids[0]}"
    assert found(ada) == [("warn", "duplicate", way)]
    ada.show(ids[1])
    ada.supersede(ids[1], by=ids[0])
    assert found(ada) == []


def test_a_link_to_what_was_retracted_is_a_warning(ada: Agent) -> None:
    """The tombstone is there to explain."""
    cited = ada.remember("a")
    ada.remember("b", cite=[cited.id])
    ada.retract(cited.id, "wrong")
    assert found(ada) == [("warn", "link", f"citations: {cited.id} was retracted")]
    assert check(ada._swarm.store).ok


def test_a_log_entry_in_the_wrong_place(ada: Agent) -> None:
    """The directory says whose log of which day it is; an id is there once."""
    line = ada.log("x")
    version = ada._swarm.store.read(line.path)
    assert version
    put(ada, line.id, line.path.replace("/ada/", "/bob/"), version.text.decode())
    assert found(ada)[:2] == [
        ("error", "place", f"{line.id} of ada belongs in log/2026/11/21/ada/"),
        ("error", "unique", "there are 2 entries with this id"),
    ]


def test_a_foreign_commit_that_only_adds_is_a_warning(ada: Agent) -> None:
    """It is named, no more."""
    ada.log("x")
    foreign(ada, PATH, text().encode())
    assert found(ada) == [("warn", "foreign", "was made by another git (someone: by hand)")]


def test_a_foreign_commit_that_removes_an_entry_is_an_error(ada: Agent) -> None:
    """A plain commit in a stale checkout does that; what the message says mends it."""
    done = ada.remember("a")
    foreign(ada, done.path, None)
    assert ("error", "foreign", f"removed {done.path}; `swarm restore {done.id}` brings it back") in found(ada)
    assert ada.restore(done.id).version == done.version
    assert [one[0] for one in found(ada)] == ["warn"]


def test_a_foreign_commit_that_sets_an_entry_back_is_an_error(ada: Agent) -> None:
    """An older version is not an edit."""
    done = ada.remember("a")
    version = ada._swarm.store.read(done.path)
    edited = ada.edit(done.id, "b")
    assert version
    foreign(ada, done.path, version.text)
    newer = f"set {done.path} back to an older version; `swarm git show {edited.version}` shows the newer one"
    assert ("error", "foreign", newer) in found(ada)
    ada.show(done.id)
    ada.edit(done.id, "b")
    assert [one[0] for one in found(ada)] == ["warn"]


def test_a_foreign_commit_that_takes_a_log_entry_out_is_an_error(ada: Agent) -> None:
    """A log file may grow, and no section may go."""
    first, second = ada.log("x"), ada.log("y")
    version = ada._swarm.store.read(first.path)
    assert version
    kept = logbook.parse(version.text)[0]
    header = logbook.header("ada", kept.at.date())
    other = logbook.LogEntry(second.id, kept.by, kept.at, "changed", {})
    foreign(ada, first.path, header + logbook.section(other))
    removed = f"removed {first.id} from {first.path}; `swarm restore {first.id}` brings it back"
    assert ("error", "foreign", removed) in found(ada)
    ada.restore(first.id)
    assert [one[:2] for one in found(ada)] == [("warn", "foreign")]
    assert ada.show(first.id).body == "x"


def test_a_foreign_commit_that_removes_a_log_file_is_an_error_for_each_entry(ada: Agent) -> None:
    """Each comes back by its id."""
    lines = [ada.log("x", to="bob"), ada.log("y")]
    foreign(ada, lines[0].path, None)
    assert sum(one[0] == "error" for one in found(ada)) == 2
    for line in lines:
        ada.restore(line.id)
    assert [one[:2] for one in found(ada)] == [("warn", "foreign")]
    assert (ada.show(lines[0].id).fields["to"], ada.show(lines[1].id).body) == ("bob", "y")


def history(*commits: Commit) -> list[tuple[str, str]]:
    """(rule, message) of what is found in a history of those commits."""
    from swarm.check.history import Replay
    from swarm_ledger.memory import MemoryStore

    tree: dict[str, BlobId] = {}
    for commit in commits:
        tree |= {path: blob for path, blob in commit.changed if blob}
    return [(one.rule, one.message) for one in Replay(MemoryStore()).walk(commits, tree)]


def commit(*trailers: tuple[str, str], author: str = "ada", changed: dict[str, str] | None = None) -> Commit:
    """A commit of ours with those trailers."""
    whole = (("Agent", "ada"), ("Session", "s"), ("Request", "r"), *trailers)
    return Commit(
        CommitId("c" * 40), (), author, 0, "s", whole, tuple((k, BlobId(v)) for k, v in (changed or {}).items())
    )


def test_trailers_that_do_not_say_what_was_done() -> None:
    """Author, entries, bases and requests are held against the change itself."""
    one, two = "1" * 40, "2" * 40
    named = (("Entry", FACT), ("Base", "none"))
    assert history(commit(*named, changed={PATH: one})) == []
    assert history(commit(*named, author="eve", changed={PATH: one})) == [
        ("author", "authored by eve, but its trailer says ada")
    ]
    assert history(commit(*named)) == [("trailers", f"says that it writes {FACT}, but does not change it")]
    assert history(commit(("Entry", FACT), ("Base", two), changed={PATH: one})) == [
        ("base", f"says that it replaces {two} at {PATH}, where none was")
    ]
    assert history(commit(changed={PATH: one})) == [("trailers", f"changes {PATH}, which it does not name")]
    line = "log-261121-7k3q9m2x"
    assert history(commit(("Entry", line), ("Base", "append"))) == [
        ("trailers", f"says that it appends {line}, but changes no log")
    ]
    again = commit(*named, changed={PATH: one})
    assert history(again, Commit(CommitId("d" * 40), (), "ada", 0, "s", again.trailers, ((PATH, BlobId(two)),)))[0] == (
        "once",
        f"request r is in history twice, first in {'c' * 40}",
    )


def test_a_tree_that_history_does_not_lead_to(memory_swarm: Callable[[str], Swarm]) -> None:
    """What the store says is there must be what the commits left there."""
    swarm = memory_swarm("one")
    ada = swarm.join("ada")
    done = ada.remember("a")
    ops: list[Op] = [Delete(done.id, done.path, done.version or BlobId(""))]
    ada.commit("remove", ops)
    swarm.store._files[done.path] = Version(done.path, BlobId("0" * 40), text().encode())  # type: ignore[attr-defined]
    assert ("error", "state", "is not what history says it is; run `swarm doctor`") in found(ada)


def shown(ada: Agent, session: str, line: str, token: tuple[int, int], base: BlobId, text: bytes) -> BlobId:
    """A commit as no store of ours lets through: under a token that no directory gave out."""
    store = ada._swarm.store
    path = "plan/p.md"
    fences = (Token(Line(line), *token),)
    at = 1_795_258_443
    op = Put("plan-p", path, text, base)
    commits: list[Commit] = store._commits  # type: ignore[attr-defined]
    request = Request(f"r{len(commits)}", "ada", session, at, "write", (op,), fences=fences)
    blob = blob_id(text)
    store._blobs[blob] = text  # type: ignore[attr-defined]
    store._files[path] = Version(path, blob, text)  # type: ignore[attr-defined]
    id = CommitId(f"{len(commits):040x}")
    commits.append(Commit(id, (commits[-1].id,), "ada", at, "write", tuple(trailers(request)), ((path, blob),)))
    return blob


def test_leases_that_were_kept_leave_nothing_to_find(ada: Agent, bob: Agent) -> None:
    """Owned, edited, handed over, edited."""
    plan = ada.remember("P", kind="plan")
    ada.own(plan.id)
    ada.edit(plan.id, "one")
    ada.handoff(plan.id, "bob")
    bob.show(plan.id)
    bob.edit(plan.id, "two")
    assert found(ada) == []


def test_tokens_that_two_had_or_that_go_back_are_found(ada: Agent) -> None:
    """And one for a line that the commit does not write."""
    plan = ada.remember("P", kind="plan")
    assert plan.version
    text = b"---\nid: plan-p\nkind: plan\ntitle: P\nby: ada\nat: 2026-11-21T10:54:03Z\nrev: %d\n---\n"
    base = shown(ada, "s1", "plan-p", (7, 2), plan.version, text % 2)
    assert found(ada) == []
    base = shown(ada, "s2", "plan-p", (7, 2), base, text % 3)
    base = shown(ada, "s1", "plan-p", (7, 1), base, text % 4)
    shown(ada, "s1", "plan-q", (7, 3), base, text % 5)
    assert [message for _, rule, message in found(ada) if rule == "fence"] == [
        "shows token 7.2, which session s1 had",
        "writes plan-p under 7.1, after 7.2",
        "shows a token for plan-q, which it does not write",
    ]


def test_what_is_no_text_any_more_is_told_and_not_written_over(ada: Agent) -> None:
    """Another git may have put anything there; whoever reads it is told that it is damaged."""
    task = ada.remember("x", "one", kind="task")
    foreign(ada, task.path, b"\xff\xfe")
    (changed,) = ada.changes()
    assert (changed.id, changed.whole, changed.delta) == (task.id, False, "")
    with pytest.raises(Conflict) as conflict:
        ada.edit(task.id, "two")
    assert conflict.value.theirs == "\ufffd\ufffd" and conflict.value.merged is None
    (granted,) = ada.own(task.id)
    assert granted.text == "\ufffd\ufffd"
    with pytest.raises(Damaged, match="is not a readable entry"):
        ada.edit(task.id, "two")
