"""What an agent can write, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import Agent, BadInput, Conflict, Filters, Note, NotFound, Refused, StorageError, Swarm
from swarm.check import check
from swarm_ledger.objects import blob_id
from swarm_ledger.store import CommitId, Receipt, Request


def entry_of(agent: Agent, path: str) -> str:
    """The text at `path`."""
    version = agent._swarm.store.read(path)
    return version.text.decode() if version else ""


def test_a_log_entry_reads_back_as_written(ada: Agent) -> None:
    """Text, time, author and metadata come back; the text byte for byte."""
    done = ada.log("line one\r\n## not a heading\n", to="bob", tags=["error"], room="login", ref="D1:3")
    shown = ada.show(done.id)
    assert shown.body == "line one\r\n## not a heading\n"
    assert shown.fields == {
        "id": done.id,
        "kind": "log",
        "by": "ada",
        "at": "2026-11-21T10:54:03Z",
        "to": "bob",
        "tags": ["error"],
        "room": "login",
        "ref": "D1:3",
    }
    assert done.path == "log/2026/11/21/ada/0000.md"


def test_many_log_entries_are_one_commit(ada: Agent) -> None:
    """log_many lands all entries in one commit, in their order."""
    done = ada.log_many([Note(f"turn {number}") for number in range(40)])
    assert len({one.commit for one in done}) == 1
    assert [one.path[-7:-3] for one in done] == ["0000"] * 32 + ["0001"] * 8
    assert [ada.show(one.id).body for one in done[30:34]] == ["turn 30", "turn 31", "turn 32", "turn 33"]


def test_no_log_entries_are_no_commit(ada: Agent) -> None:
    """An empty list writes nothing."""
    assert ada.log_many([]) == []
    assert ada._swarm.store.tip() is None


def test_a_fact_is_a_file_with_its_fields_in_order(ada: Agent) -> None:
    """The whole text of a fact is what the format says."""
    done = ada.remember(
        "Sessions expire", "After 15 minutes.", key="session.ttl", confidence=0.5, valid_from="2026-01-02"
    )
    assert entry_of(ada, done.path) == (
        f"---\nid: {done.id}\nkind: fact\ntitle: Sessions expire\nby: ada\nat: 2026-11-21T10:54:03Z\nrev: 1\n"
        "valid_from: 2026-01-02T00:00:00Z\nkey: session.ttl\nconfidence: 0.5\n---\n\nAfter 15 minutes.\n"
    )
    assert done.version == blob_id(entry_of(ada, done.path).encode())


def test_an_entity_gets_a_page_at_its_first_mention(ada: Agent, bob: Agent) -> None:
    """A mention makes the page in the same commit, once; later mentions find it."""
    first = ada.remember("Auth keeps sessions", entities=["service:Auth Server", "login"])
    second = bob.log("restarted it", entities=["entity-service-auth-server"])
    assert first.created == ("entity-service-auth-server", "entity-topic-login")
    assert second.created == ()
    assert ada.show("entity-service-auth-server").fields["title"] == "Auth Server"
    assert ada.show(first.id).fields["entities"] == ["entity-service-auth-server", "entity-topic-login"]


def test_an_edit_changes_only_what_it_changes(ada: Agent) -> None:
    """Fields that are not edited stay byte for byte, and rev counts up."""
    done = ada.remember("Sessions expire", "After 15 minutes.", tags=["auth"])
    edited = ada.edit(done.id, "After 30 minutes.", {"title": "Sessions end", "tags": None})
    assert entry_of(ada, done.path) == (
        f"---\nid: {done.id}\nkind: fact\ntitle: Sessions end\nby: ada\nat: 2026-11-21T10:54:03Z\nrev: 2\n"
        "---\n\nAfter 30 minutes.\n"
    )
    assert edited.commit is not None


def test_an_edit_that_changes_nothing_writes_nothing(ada: Agent) -> None:
    """The same text and fields again are no commit."""
    done = ada.remember("Sessions expire", "After 15 minutes.")
    tip = ada._swarm.store.tip()
    again = ada.edit(done.id, "After 15 minutes.\n", {"title": "Sessions expire"})
    assert (again.commit, again.version) == (None, done.version)
    assert ada._swarm.store.tip() == tip


def test_what_was_never_read_is_not_edited(ada: Agent, bob: Agent) -> None:
    """A session that did not read an entry is told to read it first; after that it may."""
    done = ada.remember("Sessions expire")
    for write in (
        lambda: bob.edit(done.id, "x"),
        lambda: bob.supersede(done.id, "x"),
        lambda: bob.retract(done.id, "x"),
    ):
        with pytest.raises(Refused, match=f"`swarm show {done.id}` first") as refusal:
            write()
        assert refusal.value.rule == "read-first"
    bob.show(done.id)
    assert bob.edit(done.id, "x").commit


def test_what_recall_showed_whole_may_be_edited(ada: Agent, bob: Agent) -> None:
    """A snippet that is the whole body was read."""
    done = ada.remember("Sessions expire", "After a while.")
    bob.recall("sessions")
    assert bob.edit(done.id, "x").commit


@pytest.mark.parametrize("body", ["sessions " + "word " * 100, "sessions\n\nexpire\n"])
def test_what_recall_clipped_was_not_read(ada: Agent, bob: Agent, body: str) -> None:
    """Nobody writes over text that was left out of a snippet, or that lost its lines in it."""
    done = ada.remember("Sessions expire", body)
    bob.recall("sessions")
    with pytest.raises(Refused, match=f"`swarm show {done.id}` first"):
        bob.edit(done.id, "x")


def test_recall_does_not_move_the_mark_of_what_was_read(ada: Agent, bob: Agent) -> None:
    """An edit that came in between is not written over because a snippet of it was seen."""
    done = ada.remember("Sessions expire", "sessions " + "word " * 100)
    bob.show(done.id)
    changed = ada.edit(done.id, "sessions " + "other words " * 100)
    bob.recall("sessions")
    assert bob.stale() == {done.id: changed.version}
    with pytest.raises(Conflict):
        bob.edit(done.id, "x")


def test_recall_takes_filters(ada: Agent, bob: Agent) -> None:
    """An entity may be written as in a mention; `to` finds messages."""
    fact = ada.remember("Sessions expire", entities=["service:Auth Server"])
    line = ada.log("look at sessions", to="bob")
    for entity in ("service:Auth Server", "entity-service-auth-server", "auth-server", "Auth Server"):
        assert [hit.id for hit in bob.recall("sessions", Filters(entity=entity))] == [fact.id]
    assert bob.recall("sessions", Filters(entity="topic:Auth Server")) == []
    assert [hit.id for hit in bob.recall("", Filters(to="bob"))] == [line.id]
    with pytest.raises(BadInput, match="is no entry id"):
        bob.recall("sessions", Filters(entity="entity-x"))


@pytest.mark.parametrize(
    "write",
    [
        lambda agent: agent.remember("x", kind="task", plan="plan-nope"),
        lambda agent: agent.remember("x", kind="task", fields={"depends_on": ["task-261121-aaaaaaaa"]}),
        lambda agent: agent.remember("x", fields={"supersedes": ["fact-261121-aaaaaaaa"]}),
        lambda agent: agent.remember("x", cite=[{"entry": "fact-261121-aaaaaaaa", "version": "0" * 40}]),
        lambda agent: agent.remember("x", cite=["log-261121-aaaaaaaa"]),
        lambda agent: agent.log("x", task="task-261121-aaaaaaaa"),
    ],
)
def test_a_link_that_leads_nowhere_is_not_written(ada: Agent, write: Callable[[Agent], object]) -> None:
    """What `swarm check` would name is refused before."""
    with pytest.raises(NotFound, match=r"^\w+: there is no entry (plan-nope|\w+-261121-aaaaaaaa) in this ledger; "):
        write(ada)
    assert ada._swarm.store.tip() is None


def test_links_to_what_is_there_are_written(ada: Agent) -> None:
    """Plans, tasks, log entries, and entities that the fields name."""
    plan, line = ada.remember("Ship", kind="plan"), ada.log("x")
    task = ada.remember("Build", kind="task", plan=plan.id, cite=[], fields={"entities": ["entity-topic-build"]})
    assert task.created == ("entity-topic-build",)
    ada.log("begun", task=task.id)
    ada.remember("It builds", cite=[line.id])
    with pytest.raises(NotFound, match="plan: there is no entry plan-nope"):
        ada.edit(task.id, None, {"plan": "plan-nope"})
    assert check(ada._swarm.store).findings == ()


def test_an_argument_that_there_is_not_is_refused(ada: Agent) -> None:
    """A misspelt one is not passed over."""
    with pytest.raises(TypeError, match="no such argument: entites"):
        ada.remember("x", entites=["a"])  # type: ignore[call-arg]


def test_a_version_may_be_named_by_its_first_digits(ada: Agent, bob: Agent) -> None:
    """As acknowledgements print it; what names none or several is not found."""
    done = ada.remember("Sessions expire")
    assert done.version and bob.edit(done.id, "one", base=done.version[:12]).commit
    for base in ("0" * 12, "x", ""):
        with pytest.raises(NotFound, match="is no version of this entry; `swarm history"):
            bob.edit(done.id, "two", base=base)


def test_writing_to_what_was_retracted_says_so(ada: Agent, bob: Agent) -> None:
    """By whom and why, and how it comes back."""
    done = ada.remember("TTL is 15")
    ada.retract(done.id, "measured on\nthe wrong branch")
    with pytest.raises(NotFound) as error:
        bob.edit(done.id, "x")
    assert str(error.value) == (
        f"{done.id} was retracted by ada: measured on the wrong branch\n"
        f"`swarm show {done.id}` shows what it said, `swarm restore {done.id}` brings it back."
    )
    assert bob.restore(done.id).version == done.version
    with pytest.raises(Refused):
        bob.restore(done.id)
    with pytest.raises(NotFound, match="no entry fact-261121-00000000 in this ledger"):
        bob.restore("fact-261121-00000000")


def test_two_edits_of_one_version_conflict(ada: Agent, bob: Agent) -> None:
    """The second writer gets all three texts, and the draft is kept in the file that the message names."""
    done = ada.remember("Sessions expire", "After 15 minutes.")
    bob.show(done.id)
    ada.edit(done.id, "After 20 minutes.")
    with pytest.raises(Conflict) as conflict:
        bob.edit(done.id, "After 30 minutes.")
    error = conflict.value
    assert error.base_text and error.base_text.endswith("rev: 1\n---\n\nAfter 15 minutes.\n")
    assert error.mine and error.mine.endswith("rev: 2\n---\n\nAfter 30 minutes.\n")
    assert error.theirs == entry_of(ada, done.path)
    assert error.draft and Path(error.draft).read_text() == error.mine
    first, second = str(error).split("\n")
    assert first.startswith(f"{done.id} was changed by ada since this session read it")
    assert error.draft in second and f"`swarm show {done.id}`" in second
    bob.show(done.id)
    assert bob.edit(done.id, "After 30 minutes.").commit


def test_an_edit_of_what_was_retracted_conflicts(ada: Agent, bob: Agent) -> None:
    """The draft of an edit is kept also where the entry is gone."""
    done = ada.remember("Sessions expire")
    bob.show(done.id)
    ada.retract(done.id, "wrong")
    with pytest.raises(Conflict, match="was retracted by ada") as conflict:
        bob.edit(done.id, "x")
    assert conflict.value.theirs is None
    assert conflict.value.draft and Path(conflict.value.draft).read_text().endswith("x\n")


def test_an_explicit_base_is_checked_too(ada: Agent, bob: Agent) -> None:
    """`base` stands for what was read elsewhere; an old one conflicts, an unknown one is not found."""
    done = ada.remember("Sessions expire")
    ada.edit(done.id, "one")
    with pytest.raises(Conflict):
        bob.edit(done.id, "two", base=done.version)
    with pytest.raises(NotFound):
        bob.edit(done.id, "two", base="0" * 40)


def test_where_an_entry_comes_from_is_not_edited(ada: Agent) -> None:
    """id, kind, by, at and rev are refused as fields."""
    done = ada.remember("Sessions expire")
    for field in ("id", "kind", "by", "at", "rev"):
        with pytest.raises(BadInput, match=f"^{field}: "):
            ada.edit(done.id, None, {field: "x"})
    with pytest.raises(BadInput, match=r"^by: "):
        ada.remember("x", fields={"by": "bob"})


def test_log_entries_and_tombstones_are_never_changed(ada: Agent) -> None:
    """They are append-only."""
    line, fact = ada.log("hello"), ada.remember("Sessions expire")
    ada.retract(fact.id, "wrong")
    stone = ada.show(fact.id).retracted
    assert stone
    for id in (line.id, stone.tombstone):
        ada.show(id)
        with pytest.raises(Refused) as refusal:
            ada.edit(id, "x")
        assert refusal.value.rule == "append-only"


def test_supersede_ends_the_old_where_the_new_begins(ada: Agent) -> None:
    """Both change in one commit; what the new one does not say it takes over."""
    old = ada.remember("TTL is 15", key="session.ttl", room="auth", entities=["login"])
    new = ada.supersede(old.id, "TTL is 30", valid_from="2026-11-20T00:00:00Z")
    before, after = ada.show(old.id).fields, ada.show(new.id).fields
    assert (before["superseded_by"], before["valid_to"], before["rev"]) == (new.id, "2026-11-20T00:00:00Z", 2)
    assert after["supersedes"] == [old.id]
    assert (after["key"], after["room"], after["entities"]) == ("session.ttl", "auth", ["entity-topic-login"])
    assert {one.commit for one in ada.history(old.id)} >= {new.commit}
    with pytest.raises(Refused, match=f"was superseded by {new.id}"):
        ada.supersede(old.id, "TTL is 45")


def test_a_retracted_entry_says_so(ada: Agent, bob: Agent) -> None:
    """show answers by whom and why, with the old text; the file is gone."""
    done = ada.remember("TTL is 15", "See auth.")
    text = entry_of(ada, done.path)
    bob.show(done.id)
    bob.retract(done.id, "measured on the wrong branch")
    shown = ada.show(done.id)
    assert shown.retracted and shown.retracted._asdict() == {
        "by": "bob",
        "at": "2026-11-21T10:54:03Z",
        "why": "measured on the wrong branch",
        "tombstone": done.id.replace("fact", "tombstone"),
    }
    assert (shown.text, shown.body, shown.version) == (text, "See auth.\n", done.version)
    assert entry_of(ada, done.path) == ""
    with pytest.raises(BadInput, match="say why"):
        bob.retract(done.id, " ")


def test_a_page_can_be_retracted_made_again_and_retracted(ada: Agent) -> None:
    """Entities and plans have names of their own: each retraction has a tombstone, and show gives the last."""
    for why in ("first", "second"):
        page = ada.remember("Login", kind="entity", type="topic")
        ada.retract(page.id, why)
        retracted = ada.show(page.id).retracted
        assert retracted and retracted.why == why


def test_a_plan_or_entity_that_is_there_is_not_written_over(ada: Agent, bob: Agent) -> None:
    """The second of the same name is told to show and edit it."""
    ada.remember("Ship it", kind="plan")
    with pytest.raises(Refused, match="plan-ship-it is there already") as refusal:
        bob.remember("ship it!", kind="plan")
    assert refusal.value.rule == "exists"


def test_an_id_that_is_taken_is_drawn_again(memory_swarm: Callable[[str], Swarm]) -> None:
    """Two writers who draw the same id both get an entry."""
    swarm = memory_swarm("one")
    ada, bob = swarm.join("ada"), swarm.join("bob")
    drawn = [7, 7, 9]
    real = swarm.env.rng.getrandbits
    swarm.env.rng.getrandbits = lambda bits: drawn.pop(0) if bits == 40 else real(bits)  # type: ignore[method-assign]
    first, second = ada.remember("a"), bob.remember("b")
    assert (first.id, second.id) == ("fact-261121-70000000", "fact-261121-90000000")
    assert ada.show(first.id).fields["title"] == "a"


def test_history_names_versions_and_who(ada: Agent, bob: Agent, clock: Callable[[], float]) -> None:
    """Newest first, a removal without a version."""
    done = ada.remember("TTL is 15")
    bob.show(done.id)
    edited = bob.edit(done.id, "See auth.")
    removed = bob.retract(done.id, "wrong")
    assert [(one.by, one.version, one.commit) for one in ada.history(done.id)] == [
        ("bob", None, removed.commit),
        ("bob", edited.version, edited.commit),
        ("ada", done.version, done.commit),
    ]
    line = ada.log("one")
    ada.log("two")
    assert [one.commit for one in ada.history(line.id)] == [line.commit]
    with pytest.raises(NotFound):
        ada.history("fact-261121-00000000")


@pytest.mark.parametrize(
    "bad", ["../etc/passwd", "-rf", "fact-261121-7k3q9m2x\n", "fact-\x1b[2J", "🦀", "", "fact-261332-7k3q9m2x"]
)
def test_what_is_no_id_is_refused_without_harm(ada: Agent, bad: str) -> None:
    """No text of an agent becomes a path, an option or a control sequence."""
    for call in (ada.show, ada.history, lambda id: ada.edit(id, "x"), lambda id: ada.retract(id, "x")):
        with pytest.raises(BadInput) as error:
            call(bad)
        assert "\x1b" not in str(error.value)
    assert ada._swarm.store.tip() is None


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"to": "../bob"}, "no agent name"),
        ({"task": "fact-261121-7k3q9m2x"}, "is no task"),
        ({"tags": "error"}, "tags: give a list"),
        ({"tags": ["a\nb"]}, "tags: 'a\\\\nb' is not one line"),
        ({"room": ""}, "room: '' is not one line"),
        ({"valid_from": "yesterday"}, "is no time"),
        ({"entities": ["🦀"]}, "no letter a-z or digit"),
        ({"entities": ["service:a\x1b[2J"]}, "is no name of an entity"),
    ],
)
def test_bad_metadata_of_a_log_entry_is_refused(ada: Agent, kwargs: dict[str, object], message: str) -> None:
    """Each names the field and what is wrong; nothing is written."""
    with pytest.raises(BadInput, match=message):
        ada.log("hello", **kwargs)  # type: ignore[arg-type]
    assert ada._swarm.store.tip() is None


@pytest.mark.parametrize("text", ["", " \n", "a\x00b", "a\x1b[2Jb", "\ud800"])
def test_bad_text_of_a_log_entry_is_refused(ada: Agent, text: str) -> None:
    """Empty texts and control characters are refused, not dropped."""
    with pytest.raises(BadInput):
        ada.log(text)


@pytest.mark.parametrize(
    ("title", "kwargs"),
    [
        (" ", {}),
        ("a\nb", {}),
        ("x" * 201, {}),
        ("a", {"kind": "log"}),
        ("a", {"kind": "entity"}),
        ("a", {"kind": "entity", "type": "../x"}),
        ("🦀", {"kind": "plan"}),
        ("a", {"confidence": 1.5}),
        ("a", {"cite": [{"path": "../x", "lines": [1, 2], "sha256": "0" * 64}]}),
        ("a", {"cite": [{}]}),
        ("a", {"cite": "auth.py:1-2"}),
        ("a", {"body": "x\x00y"}),
    ],
)
def test_bad_entries_are_refused(ada: Agent, title: str, kwargs: dict[str, object]) -> None:
    """What the schema does not allow is not written."""
    with pytest.raises(BadInput):
        ada.remember(title, **kwargs)  # type: ignore[arg-type]
    assert ada._swarm.store.tip() is None


def test_subjects_of_commits_are_one_clean_line(ada: Agent) -> None:
    """A commit's first line holds no control characters, and says where it was cut."""
    ada.log("one\ntwo\tthree " + "x" * 100)
    commit = next(iter(ada._swarm.store.history()))
    assert commit.subject == "log: one two three " + "x" * 52 + "…"


def test_every_use_is_recorded_and_no_more(ada: Agent, tmp_path: Path) -> None:
    """One line for each read, write and refusal, with its reason, beside the ledger."""
    done = ada.remember("TTL is 15")
    ada.recall("ttl")
    with pytest.raises(BadInput):
        ada.show("../x")
    lines = [json.loads(line) for line in (tmp_path / "home/record/2026-11-21.jsonl").read_text().splitlines()]
    kept = [(line["verb"], line.get("agent"), line["ids"], line["outcome"]) for line in lines]
    assert kept == [
        ("join", "ada", [], "done"),
        ("remember", "ada", [done.id], "done"),
        ("recall", "ada", [done.id], "done"),
        ("show", "ada", ["../x"], "BadInput"),
    ]
    assert lines[2]["query"] == "ttl"
    assert "is no entry id" in lines[3]["reason"]


def test_a_write_that_landed_is_acknowledged_though_nothing_else_can_be_noted(ada: Agent, tmp_path: Path) -> None:
    """The seen-file and the record are no reason to deny a write that is on disk."""
    for name in ("sessions", "record"):
        moved = tmp_path / "home" / name
        if moved.exists():
            moved.rename(tmp_path / name)
        moved.write_text("in the way")
    done = ada.remember("TTL is 15")
    assert isinstance(done.commit, str) and CommitId(done.commit) == ada._swarm.store.tip()


def test_the_clash_of_entity_pages_is_no_refusal(memory_swarm: Callable[[str], Swarm]) -> None:
    """An entity that another agent makes in the moment between look and write is simply there."""
    one, two = memory_swarm("one"), memory_swarm("two")
    ada, bob = one.join("ada"), two.join("bob")
    real = one.store.read_many
    looked = []

    def look(paths: list[str]) -> object:
        found = real(paths)
        if not looked:
            looked.append(True)
            bob.log("hi", entities=["login"])
        return found

    one.store.read_many = look  # type: ignore[method-assign, assignment]
    done = ada.log("hello", entities=["login"])
    assert done.created == () and looked == [True]


def test_an_unlucky_write_ends(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each attempt finds its page made and gone again, it says so instead of going on for ever."""

    def taken(request: Request) -> Receipt:
        raise Conflict(request.ops[-1].path, None, "0" * 40)  # type: ignore[union-attr]

    monkeypatch.setattr(ada._swarm.store, "submit", taken)
    with pytest.raises(StorageError, match=r"nothing was written\. Try again"):
        ada.log("hello", entities=["login"])
