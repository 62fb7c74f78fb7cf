"""What every search index does: LexicalIndex, held for the one of SQLite and for the obvious one in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarm_indexes.filters import Filters
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.protocol import LexicalIndex
from swarm_ledger.errors import BadInput

from .memoryindex import MemoryIndex


@pytest.fixture(params=["sqlite", "memory"])
def index(request: pytest.FixtureRequest, ledger: Any, tmp_path: Path) -> LexicalIndex:
    """Each implementation, over the ledger."""
    if request.param == "memory":
        return MemoryIndex(ledger.store)
    return Fts5Index(str(tmp_path / "lexical.db"), ledger.store)


def found(index: LexicalIndex, query: str, *filters: Any, **more: Any) -> list[str]:
    return [hit.id for hit in index.search(query, *filters, **more)]


def test_what_was_committed_is_found(ledger: Any, index: LexicalIndex) -> None:
    """A write, an edit and a removal count for the next question."""
    one = ledger.fact("Retries", "The queue retries three times.")
    assert found(index, "queue") == [one]
    two = ledger.log("queue drained")
    assert set(found(index, "queue")) == {one, two}
    ledger.put("fact", "Retries", "The stack retries.", id=one)
    assert found(index, "queue") == [two]
    hit = index.get(one)
    assert hit is not None
    ledger.delete(hit.path)
    assert found(index, "stack") == []
    assert index.get(one) is None


def test_another_form_of_a_word_finds_it(ledger: Any, index: LexicalIndex) -> None:
    """Endings, and the parts of identifiers and paths."""
    one = ledger.fact("Uploads", "it retries uploads with RetryPolicy in src/auth/session.py")
    for query in ("uploading", "retried", "policy", "sessions", "auth"):
        assert found(index, query) == [one]


def test_more_of_the_words_rank_higher_and_titles_most(ledger: Any, index: LexicalIndex) -> None:
    """The whole question before half of it; a title before a text."""
    half = ledger.log("cache of another kind entirely")
    text = ledger.fact("Notes on timing", "mostly about session cache")
    title = ledger.fact("Session cache", "mostly about timing")
    assert found(index, "session cache") == [title, text, half]
    assert found(index, "session cache", k=2) == [title, text]


def test_filters_hold_for_every_hit(ledger: Any, index: LexicalIndex) -> None:
    """Alone they list the newest first, without a score."""
    one = ledger.log("deploy done", by="ada", room="ops", to="bob", at=datetime(2026, 11, 1, tzinfo=UTC))
    two = ledger.log("deploy done", by="bob", room="backend/ops", at=datetime(2026, 11, 2, tzinfo=UTC))
    three = ledger.fact("deploy", "done", entities=["Web App"], at=datetime(2026, 11, 3, tzinfo=UTC))
    for filters, expected in (
        (Filters(kind="fact"), [three]),
        (Filters(by="bob"), [two]),
        (Filters(to="bob"), [one]),
        (Filters(room="ops"), [two, one]),
        (Filters(room="backend/"), [two]),
        (Filters(entity="web app"), [three]),
        (Filters(since="2026-11-02", until="2026-11-02"), [two]),
        (Filters(kind="log", by="eve"), []),
        (Filters(kind=["fact", "log"]), [three, two, one]),
        (Filters(kind=["fact", "plan"], by=["ada", "bob"]), [three]),
        (Filters(by=("bob", "eve", "bob")), [two]),
        (Filters(to=["eve", "bob"], room=["ops", "dev"]), [one]),
        (Filters(entity=["db", "web app"]), [three]),
        (Filters(room=["backend/", "ops"], kind=["log", "fact"], by=["bob"]), [two]),
    ):
        assert found(index, "", filters) == expected
        assert set(found(index, "deploy", filters)) == set(expected)
    assert index.search("", Filters(kind="fact"))[0].score is None


def test_a_successor_comes_first(ledger: Any, index: LexicalIndex) -> None:
    """However much better the words of the old one match."""
    old = ledger.fact("session ttl", "session ttl", superseded_by=["fact-261121-00000001"])
    new = ledger.put("fact", "session", id="fact-261121-00000001")
    assert found(index, "session ttl") == [new, old]


def test_an_entry_is_known_by_id(ledger: Any, index: LexicalIndex) -> None:
    """With its path and version, and by whom; kinds are counted, what cannot be read is named."""
    id = ledger.log("hello", by="bob")
    ledger.fact("Title")
    hit = index.get(id)
    assert hit is not None
    assert (hit.path, hit.by, hit.kind, hit.snippet, hit.whole) == (
        "log/2026/11/21/bob/0000.md",
        "bob",
        "log",
        "hello",
        True,
    )
    assert hit.version == ledger.store.read(hit.path).blob
    assert index.get("log-261121-00000000") is None
    assert index.counts() == {"fact": 1, "log": 1}
    ledger.write("facts/2026/11/21/0/fact-261121-00000000.md", b"no front matter")
    assert [path for path, _ in index.flaws()] == ["facts/2026/11/21/0/fact-261121-00000000.md"]


def test_what_is_mentioned_together_is_counted(ledger: Any, index: LexicalIndex) -> None:
    """Listed or in a text, by whatever name, once an entry; the most first."""
    ledger.log("src/auth.py breaks #12", entities=["entity-service-auth"])
    ledger.log("see src/auth.py, and src/auth.py again, with @bob", entities=["entity-service-auth"])
    ledger.fact("Auth", "is the service of #12", entities=["entity-service-auth", "entity-topic-login"])
    ledger.log("src/other.py and #12")
    expected = [("#12", 2), ("src/auth.py", 2), ("@bob", 1), ("entity-topic-login", 1)]
    assert index.beside("entity-service-auth") == expected
    assert index.beside("nothing") == []


def test_building_anew_changes_no_answer(ledger: Any, index: LexicalIndex) -> None:
    """Nor is anything wrong with it."""
    for number in range(20):
        ledger.log(f"step {number} of the cache", by=f"agent-{number % 3}")
    before = [(hit.id, hit.title, hit.path) for hit in index.search("cache step", k=20)]
    assert index.reindex() == 20
    assert [(hit.id, hit.title, hit.path) for hit in index.search("cache step", k=20)] == before
    assert len(before) == 20
    assert index.check() == []
    assert index.catch_up() == 0


def test_bad_questions_are_refused(index: LexicalIndex) -> None:
    """Nothing to search for, no number of hits, no kind, no time."""
    for query, filters, k in (
        ("", Filters(), 10),
        ("the of", Filters(), 10),
        ("x", Filters(), 0),
        ("x", Filters(kind="facts"), 10),
        ("x", Filters(kind=["fact", "facts"]), 10),
        ("x", Filters(since="someday"), 10),
    ):
        with pytest.raises(BadInput):
            index.search(query, filters, k=k)


def test_a_long_query_says_what_was_left_out(ledger: Any, index: LexicalIndex) -> None:
    """Nothing is cut silently."""
    id = ledger.log("word3 and more")
    assert found(index, " ".join(f"word{n}" for n in range(15_000))) == [id]
    assert index.terms_left_out == 15_000 - 64
    assert found(index, "word3") == [id]
    assert index.terms_left_out == 0


def test_letters_that_changed_places_are_guessed(ledger: Any, index: LexicalIndex) -> None:
    """Where a word is known, there is nothing to guess."""
    ledger.fact("The cache of sessions")
    assert index.did_you_mean("cahce") == "cache"
    assert index.did_you_mean("cache") is None
