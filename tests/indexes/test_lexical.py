"""Lexical search: what it finds, in which order, and that a query is data."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarm_indexes import within
from swarm_indexes.lexical import TERMS, Filters, Fts5Index
from swarm_ledger.errors import BadInput
from swarm_ledger.memory import MemoryStore


@pytest.fixture
def index(ledger: Any, tmp_path: Path) -> Fts5Index:
    """An index of the ledger."""
    return Fts5Index(str(tmp_path / "indexes" / "lexical.db"), ledger.store)


def ids_of(hits: list[Any]) -> list[str]:
    return [hit.id for hit in hits]


def test_a_write_is_found_by_the_next_search(ledger: Any, index: Fts5Index) -> None:
    """Nothing has to be told to the index: a search takes in what was committed before it."""
    first = ledger.fact("Retries", "The queue retries three times.")
    assert ids_of(index.search("queue")) == [first]
    second = ledger.log("queue drained")
    assert set(ids_of(index.search("queue"))) == {first, second}


def test_a_hit_carries_everything_that_is_shown(ledger: Any, index: Fts5Index) -> None:
    """A hit of a fact has its fields, path and version; nothing has to be read again."""
    identity = ledger.fact(
        "Retry policy", "Backoff doubles.\n", room="backend", entities=["entity-file-queue-py"], valid_from="2026-11-01"
    )
    (hit,) = index.search("backoff")
    path = f"facts/2026/11/21/{identity[12]}/{identity}.md"
    version = ledger.store.read(path).blob
    assert hit[:8] == (identity, "fact", "Retry policy", "ada", "2026-11-21T10:01:00Z", "2026-11-01", path, version)
    assert (hit.snippet, hit.room, hit.entities, hit.ref) == (
        "Backoff doubles.",
        "backend",
        ("entity-file-queue-py",),
        None,
    )
    assert (hit.status, hit.to, hit.superseded_by, hit.whole) == (None, (), (), True)
    assert hit.score > 0


def test_each_entry_of_a_log_is_a_hit_of_its_own(ledger: Any, index: Fts5Index) -> None:
    """A log file holds many entries; each is found by its own text, with the start of it as title."""
    ledger.log("the linter fails", by="bob", ref="D1:1")
    second = ledger.log("the tests pass\nall of them", by="bob", ref="D1:2", room="ci")
    (hit,) = index.search("tests")
    assert (hit.id, hit.kind, hit.by, hit.title, hit.ref, hit.room) == (
        second,
        "log",
        "bob",
        "the tests pass",
        "D1:2",
        "ci",
    )
    assert hit.path == "log/2026/11/21/bob/0000.md"


def test_get_finds_the_place_of_a_log_entry(ledger: Any, index: Fts5Index) -> None:
    """A log entry's path does not follow from its id; the index knows it."""
    identity = ledger.log("hello")
    hit = index.get(identity)
    assert hit is not None
    assert hit.path == "log/2026/11/21/ada/0000.md"
    assert index.get("log-261121-00000000") is None
    assert index.get("\udc80'; DROP TABLE entry; --") is None


def test_a_changed_entry_is_found_by_its_new_words_only(ledger: Any, index: Fts5Index) -> None:
    """An edit replaces what the entry is found by; a removal leaves nothing."""
    identity = ledger.fact("Colour", "The lamp is green.")
    assert ids_of(index.search("green")) == [identity]
    ledger.put("fact", "Colour", "The lamp is violet.", id=identity)
    assert index.search("green") == []
    (hit,) = index.search("violet")
    ledger.delete(hit.path)
    assert index.search("violet") == []
    assert index.get(identity) is None


def test_only_what_changed_is_rewritten(ledger: Any, index: Fts5Index) -> None:
    """One more entry in a log costs one row, not the file's rows again, yet all hits name the new version."""
    for n in range(5):
        ledger.log(f"step {n}")
    assert index.catch_up() == 5
    ledger.log("step 5")
    assert index.catch_up() == 1
    assert index.catch_up() == 0
    versions = {hit.version for hit in index.search("step")}
    assert versions == {ledger.store.read("log/2026/11/21/ada/0000.md").blob}


def test_words_are_stemmed_and_stop_words_do_not_count(ledger: Any, index: Fts5Index) -> None:
    """`retried` finds `retries`; `the` finds nothing when another word is asked for too."""
    identity = ledger.fact("One", "it retries uploads")
    ledger.fact("Two", "the the the")
    assert ids_of(index.search("what was retried by the uploader of the thing")) == [identity]


def test_a_title_weighs_more_than_a_body(ledger: Any, index: Fts5Index) -> None:
    """The same word ranks higher in a title."""
    body = ledger.fact("Notes on timing", "mostly about caching in general")
    title = ledger.fact("Notes on caching", "mostly about timing in general")
    assert ids_of(index.search("caching")) == [title, body]


@pytest.mark.parametrize("query", ["retry policy", "retry_policy", "RetryPolicy", "retryPolicy", "retry-policy"])
def test_identifiers_are_found_however_they_are_spelt(ledger: Any, index: Fts5Index, query: str) -> None:
    """Any spelling of an identifier finds any other."""
    written = [ledger.log(f"see {name} there") for name in ("retry_policy", "RetryPolicy", "HTTPRetryPolicy2")]
    ledger.log("see nothing there")
    assert sorted(ids_of(index.search(query))) == sorted(written)


def test_a_path_is_found_by_its_parts(ledger: Any, index: Fts5Index) -> None:
    """A cited path is searched for like text."""
    cite = {"path": "src/auth/sessionStore.py", "lines": [1, 2], "commit": "0" * 40, "sha256": "0" * 64}
    identity = ledger.fact("Tokens expire", "After an hour.", citations=[cite])
    for query in ("src/auth/sessionStore.py", "auth", "session store"):
        assert ids_of(index.search(query)) == [identity]


def test_scripts_without_spaces_are_found_by_part_of_a_sentence(ledger: Any, index: Fts5Index) -> None:
    """A word inside a run of Chinese or Japanese text finds it."""
    identity = ledger.log("昨日東京都庁で会議")
    ledger.log("大阪の天気")
    assert ids_of(index.search("東京")) == [identity]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("使用Redis缓存", "redis"),
        ("使用Redis缓存", "缓存"),
        ("我们的数据库连接失败了", "数据库"),
        ("データベースの接続", "接続"),
        ("데이터베이스에 연결", "데이터베이스"),
        ("三毛猫", "猫"),
        ("猫が好き", "猫"),
        ("𠮷野家で会議", "𠮷野家"),
        ("ใช้ฐานข้อมูลใหม่", "ฐานข้อมูล"),
        ("हिन्दी में लेख", "हिन्दी"),
        ("قاعدة البيانات", "البيانات"),
        ("étude", "e\u0301tude"),
        ("e\u0301tude", "étude"),
        ("ﬁle ｗｉｄｅ ｶﾀｶﾅ", "file"),
        ("ﬁle ｗｉｄｅ ｶﾀｶﾅ", "wide"),
        ("ﬁle ｗｉｄｅ ｶﾀｶﾅ", "カタカナ"),
        ("wide", "ｗｉｄｅ"),
        ("İstanbul", "istanbul"),
        ("我们的数据库连接失败了", '"数据库"'),
        ("我们的数据库连接失败了", "数据库 AND kind:log"),
    ],
)
def test_words_of_other_scripts_are_found(ledger: Any, index: Fts5Index, text: str, query: str) -> None:
    """Inside what has no spaces, by its first character and by its last, composed or not, narrow or wide."""
    identity = ledger.log(text)
    ledger.log("水 기 ह न द ฐ 的 数 e tude")
    assert ids_of(index.search(query)) == [identity]


def test_filters_hold_for_every_hit(ledger: Any, index: Fts5Index) -> None:
    """kind, by, room and entity each leave out what does not have that value exactly."""
    a = ledger.log("deploy done", by="ada", room="ops", entities=["entity-service-web-app"])
    b = ledger.log("deploy done", by="bob", room="dev")
    c = ledger.fact("deploy", "done", entities=["Web App", "entity-service-db"])
    assert set(ids_of(index.search("deploy"))) == {a, b, c}
    assert ids_of(index.search("deploy", Filters(kind="fact"))) == [c]
    assert ids_of(index.search("deploy", Filters(by="bob"))) == [b]
    assert ids_of(index.search("deploy", Filters(room="ops"))) == [a]
    assert ids_of(index.search("deploy", Filters(entity="entity-service-web-app"))) == [a]
    assert set(ids_of(index.search("deploy", Filters(entity="web-app")))) == {a, c}
    assert ids_of(index.search("deploy", Filters(entity="WEB APP"))) == [c]
    assert index.search("deploy", Filters(kind="log", by="bob", room="ops")) == []
    assert index.search("deploy", Filters(by="b")) == []


@pytest.mark.parametrize("kind", ["facts", "fact,log", "*", "\x1b[2J"])
def test_what_is_no_kind_is_refused(index: Fts5Index, kind: str) -> None:
    """The kinds that there are are named."""
    with pytest.raises(BadInput, match="is no kind of entry; one of plan, task, log, fact, ") as error:
        index.search("deploy", Filters(kind=kind))
    assert "\x1b" not in str(error.value)


def test_messages_to_an_agent_are_found(ledger: Any, index: Fts5Index) -> None:
    """`to` may be one agent or several; a mention in the text is none."""
    one, both = ledger.log("the build is red", to="bob"), ledger.log("the build is green", to=["ada", "bob"])
    ledger.log("tell bob about the build")
    assert ids_of(index.search("", Filters(to="bob"))) == [both, one]
    assert ids_of(index.search("red", Filters(to="bob"))) == [one]
    assert index.search("", Filters(to="bob"))[0].to == ("ada", "bob")


def test_what_was_superseded_comes_behind_its_successor(ledger: Any, index: Fts5Index) -> None:
    """It is marked with what took its place, however much better its words match; without that it stays."""
    old = ledger.fact("session ttl", "session ttl ttl", superseded_by=["fact-261121-00000001"])
    middle = ledger.put("fact", "session ttl", id="fact-261121-00000001", superseded_by="fact-261121-00000002")
    other = ledger.fact("session session", "of another kind")
    assert ids_of(index.search("session ttl")) == [middle, old, other]
    new = ledger.put("fact", "it lives longer", "session", id="fact-261121-00000002")
    assert ids_of(index.search("session ttl")) == [other, new, middle, old]
    assert [hit.superseded_by for hit in index.search("session ttl")] == [(), (), (new,), (middle,)]


def test_a_circle_of_successors_loses_no_hit(ledger: Any, index: Fts5Index) -> None:
    """Only hands write such; each is still found once."""
    a, b = "fact-261121-00000001", "fact-261121-00000002"
    ledger.put("fact", "session", id=a, superseded_by=b)
    ledger.put("fact", "session", id=b, superseded_by=[a])
    own = ledger.put("fact", "session", id="fact-261121-00000003", superseded_by=["fact-261121-00000003"])
    assert sorted(ids_of(index.search("session"))) == [a, b, own]


def test_a_tombstone_says_why(ledger: Any, index: Fts5Index) -> None:
    """It is found by the title of what it buried and by the reason."""
    stone = ledger.put("tombstone", "Retries", of="fact-261121-7k3q9m2x", version="0" * 40, why="wrong branch")
    for query in ("retries", "branch"):
        (hit,) = index.search(query)
        assert (hit.id, hit.snippet) == (stone, "retracted: wrong branch")


def test_a_hit_says_whether_it_shows_all_of_the_body(ledger: Any, index: Fts5Index) -> None:
    """A body that was clipped, or lost its line breaks, was not shown as it stands."""
    bodies = {"one": "one line\n", "two": "two\nlines", "three": "three " + "words " * 100, "four": ""}
    for title, body in bodies.items():
        ledger.fact(title, body)
    assert {title: index.search(title)[0].whole for title in bodies} == {
        "one": True,
        "two": False,
        "three": False,
        "four": True,
    }


def test_an_entity_page_belongs_to_its_entity(ledger: Any, index: Fts5Index) -> None:
    """Asking for an entity gives its page too, which is found by its aliases."""
    page = ledger.put("entity", "Sessions", "", id="entity-file-session-py", type="file", aliases=["login cookies"])
    assert ids_of(index.search("", Filters(entity="entity-file-session-py"))) == [page]
    assert ids_of(index.search("cookies")) == [page]


def test_time_filters_use_valid_from_before_at(ledger: Any, index: Fts5Index) -> None:
    """An entry about last year is found last year; both limits are included; a date is a whole day."""
    old = ledger.log("build broke", valid_from="2025-03-04T12:00:00Z")
    new = ledger.log("build broke", at=datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC))
    assert ids_of(index.search("build", Filters(since="2026-01-01"))) == [new]
    assert ids_of(index.search("build", Filters(until="2026-01-01"))) == [old]
    assert ids_of(index.search("build", Filters(since="2025-03-04T13:00:00+01:00", until="2025-03-04"))) == [old]
    assert ids_of(index.search("build", Filters(since="2025-03-04T12:00:01Z", until="2025-03-04"))) == []
    assert ids_of(index.search("build", Filters(since="2026-11-21T23:59:59Z", until="2026-11-21"))) == [new]
    assert ids_of(index.search("", Filters(until="2025-12-31"))) == [old]


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "0000", "2026-11-21T25:00:00Z", "'; --"])
def test_a_time_that_is_none_is_refused(index: Fts5Index, text: str) -> None:
    """The message shows a time as it is written."""
    with pytest.raises(BadInput, match="2026-11-21" if text else "nothing to search for"):
        index.search("", Filters(since=text))


def test_a_wide_span_and_a_narrow_one_hold_alike(
    ledger: Any, index: Fts5Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the entries of a time are told, in few matches or in many, with other conditions or without."""
    for n in range(400):
        ledger.log(f"step {n} of the {'red' if n % 3 else 'blue'} plan", by=f"agent-{n % 4}")
    asked = [
        (query, Filters(by=by, since=since, until="2026-11-21T14:30:00Z"))
        for query in ("red plan", "what is step 12?", "step title:nothing", "blue NOT by:agent-1", "step at:2026-11")
        for by in (None, "agent-2")
        for since in ("2026-11-21T11:00:00Z", "2026-11-21T14:00:00Z")
    ]
    listed = [index.search(query, filters, k=30) for query, filters in asked]
    monkeypatch.setattr(within, "_LISTED", 1)
    assert [index.search(query, filters, k=30) for query, filters in asked] == listed
    assert sum(map(len, listed)) > 200


def test_filters_alone_give_the_newest_first(ledger: Any, index: Fts5Index) -> None:
    """With no word to rank by, time does; a stop word is no word."""
    written = [ledger.log(f"note {n}", by="bob") for n in range(4)]
    ledger.log("note of another", by="ada")
    for query in ("", "the of", "  ?! 🎉", "\x00\x1b["):
        assert ids_of(index.search(query, Filters(by="bob"))) == written[::-1]
    assert ids_of(index.search("", Filters(by="bob"), k=2)) == [written[3], written[2]]
    assert index.search("", Filters(by="bob"))[0].score is None


@pytest.mark.parametrize("query", ["", "the of and", "🎉🎉", '" * ( ) : ^ - +', "\x00\x01"])
def test_neither_word_nor_filter_is_refused(index: Fts5Index, query: str) -> None:
    """There is nothing that could be meant."""
    with pytest.raises(BadInput, match="nothing to search for"):
        index.search(query)


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_hit_is_refused(index: Fts5Index, k: int) -> None:
    """k is a number of hits."""
    with pytest.raises(BadInput, match="1 or more"):
        index.search("x", k=k)


def test_equal_scores_are_ordered_newest_first_then_by_id(ledger: Any, index: Fts5Index) -> None:
    """The order is decided also where many entries tie across the last place asked for."""
    same = datetime(2026, 11, 20, 8, 0, 0, tzinfo=UTC)
    tied = sorted(ledger.put("fact", "ping", at=same) for _ in range(30))
    newest = ledger.put("fact", "ping", at=datetime(2026, 11, 20, 9, 0, 0, tzinfo=UTC))
    assert ids_of(index.search("ping", k=3)) == [newest, *tied[:2]]
    assert ids_of(index.search("ping", k=10**12)) == [newest, *tied]


HOSTILE = [
    'zebra" OR "x',
    "zebra*",
    "zebra NOT",
    "zebra AND",
    "NEAR(zebra zebra, 1)",
    "column:zebra",
    "-zebra",
    "^zebra",
    "{facets}: zebra",
    "zebra; DROP TABLE entry",
    "(zebra",
    "'zebra'--",
    "zebra\x00\x1b[31m",
    "zebra\udc80",
    "zebra 🦓",
    "ＺＥＢＲＡ zebra",
    "zebra\ue000kind666163740",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_no_query_is_interpreted(ledger: Any, index: Fts5Index, query: str) -> None:
    """Operators, quotes, columns, control characters and half characters are text around a word."""
    identity = ledger.log("a zebra crossed")
    ledger.log("nothing here")
    assert identity in ids_of(index.search(query))
    assert index.search(query, Filters(by=query, to=query, room=query, entity=query)) == []
    assert index.search("", Filters(by=query, to=query, room=query, entity=query)) == []


def test_an_operator_word_is_searched_for(ledger: Any, index: Fts5Index) -> None:
    """NEAR is a word like any other."""
    identity = ledger.log("the near miss")
    ledger.log("the zebra")
    assert ids_of(index.search("NEAR")) == [identity]


def test_a_filter_is_not_reached_by_a_query(ledger: Any, index: Fts5Index) -> None:
    """The token behind a filter is no word, so a query or a text that holds it finds nothing by it."""
    ledger.fact("Title", "body")
    assert index.search("kind666163740 \ue000kind666163740") == []


def test_a_long_query_is_bounded_and_says_so(ledger: Any, index: Fts5Index) -> None:
    """100 kB of distinct words are searched for by the first ones; how many were left out is told."""
    identity = ledger.log("word3 and more")
    assert ids_of(index.search(" ".join(f"word{n}" for n in range(15_000)))) == [identity]
    assert index.terms_left_out == 15_000 - TERMS
    assert index.search("a" * 100_000) == []
    assert index.terms_left_out == 0


def test_a_long_text_is_cut_visibly(ledger: Any, index: Fts5Index) -> None:
    """A snippet shows where the words are and marks what it leaves out; so does the title of a log entry."""
    text = " ".join(["filler"] * 300 + ["needle"] + ["filler"] * 300)
    ledger.log(text)
    (hit,) = index.search("needle")
    assert hit.snippet.startswith("…") and hit.snippet.endswith("…") and "needle" in hit.snippet
    assert len(hit.snippet) < 240
    assert hit.title.endswith("…") and len(hit.title) <= 80


def test_a_word_repeated_over_half_a_megabyte_is_shown_at_once(ledger: Any, index: Fts5Index) -> None:
    """The time for a hit grows with its text, not with the square of it."""
    ledger.log("word " * 100_000)
    index.catch_up()
    started = time.process_time()
    (hit,) = index.search("word")
    assert time.process_time() - started < 2
    assert hit.snippet == " ".join(["word"] * 40) + "…"


def test_a_broken_file_is_found_by_its_text_and_named(ledger: Any, index: Fts5Index) -> None:
    """One file that no longer parses costs no other its place; `flaws` names it."""
    good = ledger.log("walrus seen")
    broken = "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"
    ledger.write(broken, b"---\ntitle: [\n---\n\nwalrus here\x00\n")
    ledger.write("log/2026/11/21/eve/0000.md", b"no header at all")
    ledger.write("README.md", b"walrus in a file that is no entry")
    assert set(ids_of(index.search("walrus"))) == {good, "fact-261121-7k3q9m2x"}
    assert [path for path, _ in index.flaws()] == [broken, "log/2026/11/21/eve/0000.md"]


def test_hits_agree_with_a_naive_search(ledger: Any, index: Fts5Index) -> None:
    """Over random entries, words and filters, the hits are exactly the entries that a plain scan finds."""
    rng = random.Random(3)
    vocabulary = [f"w{n}x" for n in range(40)]
    entries = []
    for _ in range(150):
        text = " ".join(rng.choices(vocabulary, k=rng.randint(1, 8)))
        by, room = rng.choice(["ada", "bob", "eve"]), rng.choice(["r1", "r2"])
        if rng.random() < 0.5:
            entries.append((ledger.log(text, by=by, room=room), "log", by, room, text))
        else:
            entries.append((ledger.fact(text, "", room=room), "fact", "ada", room, text))
    for _ in range(200):
        words = rng.sample(vocabulary, k=rng.randint(1, 4))
        by, room = rng.choice([None, "ada", "bob"]), rng.choice([None, "r1"])
        kind = rng.choice([None, "log", "fact", ["fact", "log"], ["fact", "plan"]])
        expected = {
            identity
            for identity, its_kind, its_by, its_room, text in entries
            if set(words) & set(text.split())
            and (kind is None or its_kind in (kind if isinstance(kind, list) else [kind]))
            and by in (None, its_by)
            and room in (None, its_room)
        }
        hits = index.search(" ".join(words), Filters(kind=kind, by=by, room=room), k=1000)
        assert set(ids_of(hits)) == expected
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        best = index.search(" ".join(words), Filters(kind=kind, by=by, room=room), k=5)
        assert best == hits[:5]


def test_the_newest_of_several_kinds_and_agents_are_those_that_a_look_at_all_gives(
    ledger: Any, index: Fts5Index
) -> None:
    """However many of each there are, and whatever else is asked for."""
    rng = random.Random(4)
    written = []
    for n in range(60):
        by, at = rng.choice(["ada", "bob", "eve"]), datetime(2026, 11, 1 + n % 7, tzinfo=UTC)
        room = rng.choice(["r1", "r2"])
        add = ledger.log if rng.random() < 0.5 else ledger.fact
        written.append((-at.timestamp(), add(f"entry {n}", by=by, room=room, at=at), add == ledger.log, by, room))
    for by, room in ((["ada", "eve"], None), (["eve", "bob"], "r1"), (["ada"], ["r1", "r2"])):
        expected = [
            id
            for _, id, is_log, its_by, its_room in sorted(written)
            if its_by in by and (room is None or its_room in room)
        ]
        assert ids_of(index.search("", Filters(kind=["fact", "log"], by=by, room=room), k=1000)) == expected
        assert ids_of(index.search("", Filters(kind=["fact", "log"], by=by, room=room), k=5)) == expected[:5]
    assert len(index.search("", Filters(by=[f"nobody{n}" for n in range(2_000)] + ["ada"]), k=1000)) == sum(
        one[3] == "ada" for one in written
    )
    assert index.search("entry", Filters(entity=[f"nothing{n}" for n in range(2_000)])) == []


def test_an_index_grown_bit_by_bit_answers_like_one_built_at_once(ledger: Any, tmp_path: Path) -> None:
    """After any mix of writes, edits and removals a rebuild gives the same hits with the same scores."""
    rng = random.Random(11)
    vocabulary = [f"w{n}x" for n in range(30)]
    grown = Fts5Index(str(tmp_path / "grown.db"), ledger.store)
    facts: list[str] = []
    for step in range(120):
        text = " ".join(rng.choices(vocabulary, k=6))
        roll = rng.random()
        if roll < 0.4 or not facts:
            facts.append(ledger.fact(text, text))
        elif roll < 0.7:
            ledger.log(text)
        elif roll < 0.9:
            ledger.put("fact", text, "edited", id=rng.choice(facts))
        else:
            gone = facts.pop(rng.randrange(len(facts)))
            ledger.delete(f"facts/2026/11/21/{gone[12]}/{gone}.md")
        if step % 3 == 0:
            grown.catch_up()
    built = Fts5Index(str(tmp_path / "built.db"), ledger.store)
    for _ in range(50):
        query = " ".join(rng.sample(vocabulary, k=3))
        assert grown.search(query) == built.search(query)
    assert grown.reindex() == sum(1 for _ in built.search("", Filters(since="0001-01-02"), k=1000))
    assert grown.search("w1x w2x") == built.search("w1x w2x")


def test_another_ledger_at_the_same_place_replaces_what_was_indexed(ledger: Any, tmp_path: Path) -> None:
    """A mark of an unknown history means to compare everything: what is not there any more goes."""
    path = str(tmp_path / "lexical.db")
    for n in range(3):
        ledger.log(f"first {n}")
    assert len(Fts5Index(path, ledger.store).search("first")) == 3
    other = type(ledger)(MemoryStore(), seed=8)
    identity = other.log("second")
    index = Fts5Index(path, other.store)
    assert index.search("first") == []
    assert ids_of(index.search("second")) == [identity]


def test_a_query_imports_light_modules_only() -> None:
    """Importing the index loads neither YAML nor models nor git: it is on the path of every recall."""
    code = "import swarm_indexes.lexical, sys; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = re.findall(r"\b(?:yaml|pydantic\w*|git|gitdb|asyncio|http|urllib|subprocess|logging)\b", done.stdout)
    assert heavy == []
