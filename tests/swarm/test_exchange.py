"""Out of one ledger and into another."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm import Agent, BadInput, Env, Filters, NotFound, Swarm
from swarm.check import check
from swarm.exchange import copy_files, export, import_entries
from swarm.talks import import_conversations
from swarm_ledger.memory import MemoryStore
from swarm_ledger.place import Place
from swarm_ledger.store import Put


@pytest.fixture
def eve(tmp_path: Path) -> Agent:
    """An agent of another, empty ledger."""
    place = Place(str(tmp_path / "other"), None, str(tmp_path), str(tmp_path))
    return Swarm(MemoryStore(), place, str(tmp_path), Env(rng=random.Random(2))).join("eve")


def fill(ada: Agent, bob: Agent) -> None:
    """Some of everything."""
    fact = ada.remember("Login is slow", "Two seconds.\r\n", entities=["login"], confidence=0.5)
    bob.log("x\r\n## y", task=None, tags=["error"], valid_from="2026-01-01")
    ada.log("z")
    ada.supersede(fact.id, "Login is fast")
    bob.retract(bob.remember("wrong").id, "wrong")
    text = "---\n# a comment\nid: plan-ship\nkind: plan\ntitle: 'Ship'\nby: ada\nat: 2026-11-21T10:54:03Z\n---\nGo\n"
    ada.commit("by hand", [Put("plan-ship", "plan/ship.md", text.encode(), None)])


def lines(agent: Agent) -> list[bytes]:
    """The export of an agent's ledger."""
    return [json.dumps(entry).encode() for entry in export(agent._swarm.store)]


def test_an_import_gives_every_file_back_byte_for_byte(ada: Agent, bob: Agent, eve: Agent) -> None:
    """Ids, authors, times, comments and line ends are those of the export; repeating it changes nothing."""
    fill(ada, bob)
    out = lines(ada)
    first = import_entries(eve, eve._swarm.store, out)
    assert (first.written, first.skipped, first.differing) == (len(out), 0, ())
    there, here = ada._swarm.store, eve._swarm.store
    assert dict(here.paths()) == dict(there.paths())
    assert check(here).ok
    again = import_entries(eve, here, out)
    assert (again.written, again.skipped, again.differing) == (0, len(out), ())


def test_the_settings_of_a_new_ledger_give_way_once(repository: Path, run: Callable[..., Any]) -> None:
    """What `swarm init` made is replaced; where it says the same already, nothing is written."""
    with Swarm.open(str(repository)) as swarm:
        made = json.dumps(next(one for one in export(swarm.store) if one["path"] == "swarm.yaml"))
    other = json.dumps({"id": None, "path": "swarm.yaml", "text": "format: 1\ncheck: {expired: off}\n"})
    for text, said in (
        (made, "0 entries written, 1 there already.\n"),
        (other, "1 entry written, 0 there already.\n"),
        (other, "0 entries written, 1 there already.\n"),
    ):
        (repository / "export.jsonl").write_text(text)
        assert run("--as", "eve", "import", "jsonl", "export.jsonl").out == said
    checked = run("check")
    assert (checked.code, checked.out) == (0, "0 entries, 2 commits: 0 errors, 0 warnings.\n")


def test_an_entry_is_exported_with_its_fields(ada: Agent) -> None:
    """A text is added only where fields and body do not give the file back."""
    fact, line = ada.remember("T", "B"), ada.log("hello", room="r")
    assert list(export(ada._swarm.store)) == [
        {
            "id": fact.id,
            "path": fact.path,
            "fields": {
                "id": fact.id,
                "kind": "fact",
                "title": "T",
                "by": "ada",
                "at": "2026-11-21T10:54:03Z",
                "rev": 1,
            },
            "body": "B\n",
        },
        {
            "id": line.id,
            "path": line.path,
            "fields": {"id": line.id, "kind": "log", "by": "ada", "at": "2026-11-21T10:54:03Z", "room": "r"},
            "body": "hello",
        },
    ]
    ada.commit("by hand", [Put("plan-x", "plan/x.md", b"broken", None)])
    assert {"id": "plan-x", "path": "plan/x.md", "text": "broken"} in list(export(ada._swarm.store))


def test_what_differs_is_named_and_left(ada: Agent, bob: Agent, eve: Agent) -> None:
    """Neither a fact nor a log entry is written over."""
    fact, line = ada.remember("T", "B"), ada.log("hello")
    out = lines(ada)
    import_entries(eve, eve._swarm.store, out)
    changed = [row.replace(b"hello", b"goodbye").replace(b'"B', b'"C') for row in out]
    done = import_entries(eve, eve._swarm.store, changed)
    assert (done.written, set(done.differing)) == (0, {fact.id, line.id})
    assert eve.show(line.id).body == "hello"


def test_an_entry_that_is_twice_in_an_import_is_written_once(ada: Agent, eve: Agent) -> None:
    """The second is skipped, or named where it differs."""
    ada.remember("T", "B")
    (row,) = lines(ada)
    done = import_entries(eve, eve._swarm.store, [row, row, row.replace(b'"B', b'"C')])
    assert (done.written, done.skipped, len(done.differing)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"not json", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not an entry of an export"),
        (b'{"id": "../x"}', "is no entry id"),
        (b'{"id": "plan-x"}', "neither fields and body nor a text"),
        (b'{"id": "plan-x", "text": "---\\nid: plan-y\\nkind: plan\\n---\\n"}', "title: it is missing"),
        (b'{"id": "plan-x", "text": "\\ud800"}', "half of a surrogate pair"),
        (b'{"id": "log-261121-00000000", "fields": {"by": "../x", "at": ""}, "body": ""}', "no agent name"),
    ],
)
def test_a_broken_import_writes_nothing(ada: Agent, eve: Agent, row: bytes, message: str) -> None:
    """The line is named; lines before it are not written either."""
    ada.remember("T")
    with pytest.raises(BadInput, match="line 2: ") as error:
        import_entries(eve, eve._swarm.store, [*lines(ada), row])
    assert message in str(error.value)
    assert eve._swarm.store.tip() is None


def test_many_entries_are_several_commits(ada: Agent, eve: Agent) -> None:
    """A commit stays of a bearable size."""
    from swarm import Note

    ada.log_many([Note(f"turn {number}") for number in range(1100)])
    import_entries(eve, eve._swarm.store, lines(ada))
    assert [commit.subject for commit in eve._swarm.store.history()] == [
        "import 100 entries",
        "import 500 entries",
        "import 500 entries",
    ]


def test_a_copy_of_the_files(ada: Agent, tmp_path: Path) -> None:
    """Every file under its path; a directory that holds something is left alone."""
    fact = ada.remember("T", "B")
    assert copy_files(ada._swarm.store, str(tmp_path / "copy")) == 1
    version = ada._swarm.store.read(fact.path)
    assert version and (tmp_path / "copy" / fact.path).read_bytes() == version.text
    with pytest.raises(BadInput, match="is not empty"):
        copy_files(ada._swarm.store, str(tmp_path / "copy"))


def test_what_was_retracted_elsewhere_says_so(ada: Agent, eve: Agent) -> None:
    """A tombstone that was imported tells by whom and why, of a dated entry and of a page."""
    fact, page = ada.remember("TTL is 15"), ada.remember("Login", kind="entity", type="topic")
    ada.retract(fact.id, "wrong branch")
    ada.retract(page.id, "renamed")
    import_entries(eve, eve._swarm.store, lines(ada))
    for id, why in ((fact.id, "wrong branch"), (page.id, "renamed")):
        shown = eve.show(id)
        assert shown.retracted and (shown.retracted.by, shown.retracted.why) == ("ada", why)
        assert (shown.text, shown.body) == ("", "")
        with pytest.raises(NotFound, match=f"was retracted by ada: {why}"):
            eve.edit(id, "x")


def test_a_conversation_becomes_log_entries_of_its_speakers(
    memory_swarm: Callable[[str], Swarm], tmp_path: Path
) -> None:
    """Each turn with its reference and the time it was said; importing again writes nothing."""
    turns = [
        {"speaker": speaker, "dia_id": f"D1:{number}", "text": f"turn {number}"}
        for number, speaker in enumerate(("Ann Lee", "Bo", "Ann Lee"), 1)
    ]
    talk = {"session_1": turns, "session_1_date_time": "1:56 pm on 8 May, 2023"}
    path = tmp_path / "talk.json"
    path.write_text(json.dumps({"sample_id": "c1", "conversation": talk}))
    swarm = memory_swarm("one")
    done = import_conversations(swarm, str(path))
    assert (done.written, done.skipped) == (3, 0)
    hits = swarm.reader().recall("turn", Filters(by="ann-lee"))
    assert {(hit.ref, hit.valid_from, hit.room) for hit in hits} == {
        ("D1:1", "2023-05-08T13:56:00Z", "c1/session-1"),
        ("D1:3", "2023-05-08T13:56:00Z", "c1/session-1"),
    }
    again = import_conversations(swarm, str(path))
    assert (again.written, again.skipped) == (0, 3)
