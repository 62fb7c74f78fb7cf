"""The second hop: from the best matches to what they mention, and from there to entries that mention it too."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from typing import Any

import pytest

from swarm_indexes import hop
from swarm_indexes.filters import Filters
from swarm_indexes.lexical import Fts5Index


@pytest.fixture
def index(ledger: Any, tmp_path: Path) -> Fts5Index:
    """The index of that ledger."""
    return Fts5Index(str(tmp_path / "lexical.db"), ledger.store)


def test_what_shares_no_word_but_a_file_is_found(ledger: Any, index: Fts5Index) -> None:
    """It comes behind the match that leads to it, and --explain has what it is found by; the rest stays out."""
    match = ledger.log("The retry policy doubles its delay: src/http/client.py", room="a")
    beside = ledger.log("src/http/client.py closes its sockets late", room="b")
    ledger.log("src/other.py is slow", room="c")
    for query in ("retry policy", "what is the retry policy?"):
        hits = index.search(query)
        assert [hit.id for hit in hits] == [match, beside]
        # One match of weight 1, beside one that is not known: 1/2, of which 0.8; the reason is -log(1 - 0.4).
        assert hits[1].shares == {"hop src-http-client-py": 0.5108}
        # The first of those that hold the words has a chance of 0.6, and all of the words are worth 0.8.
        assert {name: hits[0].shares[name] for name in ("place", "cover", "hop src-http-client-py")} == {
            "place": 0.9163,
            "cover": 1.6094,
            "hop src-http-client-py": 0.5108,
        }


def test_what_holds_all_words_comes_before_what_shares_most(ledger: Any, index: Fts5Index) -> None:
    """A commit that touched every file of the best matches is no better answer than the one that was named."""
    files = [f"src/{name}.py" for name in ("auth", "cache", "queue", "store", "web", "wire")]
    ledger.log(f"A new licence header in all files {' '.join(files)}", room="z")
    for number, file in enumerate(files):
        ledger.log(f"Retry of part {number} in {file} is slow", room=f"r{number}")
    named = ledger.log("Retry with jitter: src/queue.py", room="a")
    ledger.log(f"Move slow retry out of {' '.join(files)}", room="b")
    assert index.search("retry with jitter")[0].id == named
    assert index.search("is the retry with jitter slow?")[0].id == named


def test_an_entity_is_followed_by_all_its_names(ledger: Any, index: Fts5Index) -> None:
    """Listed by id, cited, mentioned as a path or an issue, by the names that its page has; that page is no mention."""
    ledger.put("entity", "src/net.py", id="entity-file-src-net-py", aliases=["src/http.py"])
    match = ledger.log("jitter was added to retries in src/http.py", room="a")
    listed = ledger.log("sockets stay open", room="b", entities=["entity-file-src-net-py"])
    named = ledger.log("see src/net.py", room="c")
    assert {hit.id for hit in index.search("jitter retries")} == {match, listed, named}
    cites = ledger.fact("Sockets", "They are closed late.", citations=[{"path": "src/net.py", "lines": "1-2"}])
    assert {hit.id for hit in index.search("jitter retries")} == {match, listed, named, cites}
    first = ledger.log("the build is red, #12", room="d")
    second = ledger.fact("Flaky clock", "closes #12")
    assert [hit.id for hit in index.search("build red")] == [first, second]


def test_pages_of_one_name_are_followed_by_the_names_of_both(ledger: Any, index: Fts5Index) -> None:
    """A mere name in a text does not tell which of them it means."""
    ledger.put("entity", "auth", id="entity-file-auth", aliases=["src/login.py"])
    ledger.put("entity", "auth", id="entity-service-auth", aliases=["gatekeeper"])
    match = ledger.log("jitter in retries", entities=["entity-service-auth"])
    one = ledger.log("see src/login.py", room="b")
    two = ledger.log("down for an hour", room="c", entities=["entity-service-gatekeeper"])
    assert {hit.id for hit in index.search("jitter")} == {match, one, two}


def test_a_page_leads_to_what_mentions_its_entity(ledger: Any, index: Fts5Index) -> None:
    """And is not reached from there: a page made on a first mention says nothing."""
    page = ledger.put("entity", "Checkout", "Takes the money.", id="entity-service-checkout")
    one = ledger.log("down for an hour", entities=["entity-service-checkout"])
    assert [hit.id for hit in index.search("money")] == [page, one]
    assert [hit.id for hit in index.search("hour")] == [one]


def test_what_many_of_the_best_matches_mention_leads_further(ledger: Any, index: Fts5Index) -> None:
    """The file of three matches before the file of one of them, however new the entries are."""
    for number in range(3):
        other = "lib/rare.py" if number == 2 else f"lib/part{number}.py"
        ledger.log(f"retry storm {number} in src/queue.py and {other}", room=f"r{number}")
    often = ledger.log("src/queue.py has a new owner", room="s")
    once = ledger.log("lib/rare.py has a new owner", room="t")
    found = [hit.id for hit in index.search("retry storm")]
    assert found.index(often) < found.index(once)


def test_filters_hold_behind_a_hop(ledger: Any, index: Fts5Index) -> None:
    """Of another agent, room, kind or time nothing is reached, nor through a match that the filter leaves out."""
    at = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3)]
    ledger.log("retry policy in src/a.py", by="ada", room="x", at=at[0])
    near = ledger.log("src/a.py is slow", by="ada", room="y", at=at[1])
    ledger.log("src/a.py is fast", by="bob", room="z", at=at[2])
    assert near in [hit.id for hit in index.search("retry policy", Filters(by="ada"))]
    for filters in (Filters(by="ada"), Filters(until="2026-11-02"), Filters(since="2026-11-01", until="2026-11-02")):
        assert len(index.search("retry policy", filters)) == 2
    assert index.search("retry policy", Filters(by="bob")) == []
    assert index.search("retry policy", Filters(room="y")) == []
    assert len(index.search("retry policy", Filters(kind="fact"))) == 0


def test_without_what_is_shared_nothing_changes(ledger: Any, index: Fts5Index) -> None:
    """A file that one entry alone mentions leads nowhere, and is no reason to prefer that entry."""
    ledger.fact("Retry policy", "ten times")
    ledger.fact("Elsewhere", "the retry of src/auth/session.py")
    hits = index.search("retry policy")
    assert [hit.title for hit in hits] == ["Retry policy", "Elsewhere"]
    assert not any(name.startswith(("hop", "place")) for hit in hits for name in hit.shares)


def test_a_match_of_few_words_leads_to_less(ledger: Any, index: Fts5Index) -> None:
    """Where the best entry holds one term of five, what it leads to scores less than where it holds all."""
    ledger.log("the cache of the session store is warmed in src/store.py", room="a")
    ledger.log("src/store.py leaks", room="b")
    for number in range(20):
        ledger.log(f"note {number} about the weather", by="eve", room=f"r{number}")
    good = index.search("cache session store warmed")
    poor = index.search("zebra crossing airport closed cache")
    assert len(good) == len(poor) == 2
    for one, other in zip(good, poor, strict=True):
        assert one.score is not None and other.score is not None
        assert one.score > 2 * other.score > 0
    assert good[0].score is not None and good[0].score < 1


def test_an_edit_and_a_removal_count(ledger: Any, index: Fts5Index) -> None:
    """What no longer mentions the file, or is gone, is no longer reached; the index stays sound."""
    ledger.log("retry policy in src/a.py", room="x")
    one = ledger.fact("One", "about src/a.py")
    two = ledger.fact("Two", "about src/a.py")
    assert {hit.id for hit in index.search("retry policy")} > {one, two}
    ledger.put("fact", "One", "about src/b.py", id=one)
    hit = index.get(two)
    assert hit is not None
    ledger.delete(hit.path)
    assert len(index.search("retry policy")) == 1
    assert index.check() == []


def test_of_an_entity_that_all_mention_the_newest_are_reached(
    ledger: Any, index: Fts5Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No entry makes a query long; the same ones are reached after the index was built anew."""
    monkeypatch.setattr(hop, "_NEWEST", 5)
    match = ledger.log("retry policy in README.md", room="x")
    ids = [ledger.log(f"note {number} on README.md", room=f"r{number}") for number in range(9)]
    before = [hit.id for hit in index.search("retry policy", k=20)]
    assert set(before) == {match, *ids[-5:]}
    index.reindex()
    assert [hit.id for hit in index.search("retry policy", k=20)] == before


def test_random_ledgers_lead_where_the_obvious_way_does(ledger: Any, index: Fts5Index, tmp_path: Path) -> None:
    """Each entity of the seeds, all entries that hold it, the chances multiplied out."""
    rng = random.Random(3)
    listed = [_some(rng) for _ in range(80)]
    files = {ledger.log("word", room=f"r{n}", entities=some): some for n, some in enumerate(listed)}
    index.catch_up()
    db = sqlite3.connect(tmp_path / "lexical.db")
    rows = dict(db.execute("SELECT id, n FROM entry"))
    for _ in range(20):
        seeds = rng.sample(list(files), rng.randrange(1, 16))
        found = hop.hops(db, [rows[id] for id in seeds], None, set)
        weights = {id: 1 / (place + 1) for place, id in enumerate(seeds)}
        expected = {}
        for id, own in files.items():
            unlikely = 1.0
            for entity in own:
                if sum(entity in other for other in files.values()) > 1:
                    mine = sum(weights[seed] for seed in seeds if entity in files[seed])
                    unlikely *= 1 - mine / (1 + sum(weights.values()))
            if unlikely < 1 and (id in seeds or 0.8 * (1 - unlikely) >= 0.1):
                expected[rows[id]] = round(-log(1 - 0.8 * (1 - unlikely)), 9)
        assert {n: round(sum(parts.values()), 9) for n, parts in found.rows.items()} == expected
        assert all(1 - exp(-sum(parts.values())) < 0.8 for parts in found.rows.values())
        led = sum(weights[id] for id in seeds if rows[id] in expected)
        assert found.weight == pytest.approx(led / sum(weights.values()))
    db.close()


def _some(rng: random.Random) -> list[str]:
    return [f"entity-file-f{number}" for number in rng.sample(range(20), rng.choice((0, 0, 1, 2, 3)))]
