"""The query language: which queries are in it, what each form finds, what is refused."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarm_indexes import matches
from swarm_indexes.filters import Filters
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.syntax import is_formal, unknown_fields
from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def index(ledger: Any, tmp_path: Path) -> Fts5Index:
    """An index of six entries, asked on Saturday, 21 November 2026 at noon."""
    for kind, title, body, at, more in (
        ("fact", "Retry policy", "The client retries ten times.", (2026, 11, 17), {"room": "backend/auth"}),
        ("fact", "Session cache", "The policy of retry is elsewhere: src/auth/session.py", (2026, 11, 19), {}),
        ("fact", "Migration", "All migrations of the billing database", (2026, 10, 2), {"entities": ["Web App"]}),
        ("reflection", "Caches", "A cache hides a bug.", (2026, 11, 20), {}),
    ):
        ledger.put(kind, title, body, at=datetime(*at, 10, tzinfo=UTC), **more)
    ledger.log("the cache was cleared", by="bob", at=datetime(2026, 11, 20, 15, tzinfo=UTC))
    ledger.log("migrated the retry test", by="eve", at=datetime(2026, 11, 21, 9, tzinfo=UTC))
    return Fts5Index(str(tmp_path / "lexical.db"), ledger.store, Env(now=lambda: NOW))


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ('"retry policy"', ["Retry policy"]),
        ("title:cache", ["Caches", "Session cache"]),
        ("title:cache kind:fact", ["Session cache"]),
        ("cache kind:log", ["the cache was cleared"]),
        ("kind:log by:eve", ["migrated the retry test"]),
        ("retry room:auth", ["Retry policy"]),
        ("entity:'Web App'", ["Migration"]),
        ('entity:"Web App"', ["Migration"]),
        ("what did by:eve say of the retry?", ["migrated the retry test"]),
        ("kind:log cache?", ["the cache was cleared"]),
        ("path:session.py", []),
        ("body:session.py", ["Session cache"]),
        ("migrat*", ["Migration", "migrated the retry test"]),
        ("m?grat*", ["Migration", "migrated the retry test"]),
        ("cache NOT cleared", ["Caches", "Session cache"]),
        ("retry AND policy", ["Retry policy", "Session cache"]),
        ("(billing OR cleared) AND NOT kind:log", ["Migration"]),
        ("kind:reflection OR kind:log", ["Caches", "migrated the retry test", "the cache was cleared"]),
        ("NOT kind:fact", ["Caches", "migrated the retry test", "the cache was cleared"]),
        ("at:'last tuesday'", ["Retry policy"]),
        ("at:yesterday", ["Caches", "the cache was cleared"]),
        ("cache at:yesterday", ["Caches", "the cache was cleared"]),
        ("at:2026-10", ["Migration"]),
        ("at:[2026-11-18 TO 2026-11-20] cache", ["Caches", "Session cache", "the cache was cleared"]),
        ("at:[yesterday TO now]", ["Caches", "migrated the retry test", "the cache was cleared"]),
        ("at:[TO 2026-10-31]", ["Migration"]),
        ("at:['2 days ago' TO] title:cache", ["Caches", "Session cache"]),
    ],
)
def test_each_form_is_a_condition_of_every_hit(index: Fts5Index, query: str, titles: list[str]) -> None:
    """Phrases, fields, wildcards, operators and times leave out what does not meet them."""
    assert is_formal(query)
    assert sorted(hit.title for hit in index.search(query)) == titles


def test_bare_words_rank_beside_conditions(index: Fts5Index) -> None:
    """The best match comes first; filters of the call hold too; the words of a condition rank as well."""
    assert index.search("ten retries kind:fact")[0].title == "Retry policy"
    assert [hit.title for hit in index.search("title:cache", Filters(kind="reflection"))] == ["Caches"]
    assert index.search("title:cache")[0].score is not None
    assert index.search("kind:fact")[0].score is None


@pytest.mark.parametrize(
    "query",
    [
        "retry policy",
        'what is the "retry policy"?',
        "did READ OR WRITE fail?",
        "why does foo:bar fail",
        "http://example.org/kind:",
        "12:30 at: noon",
        "retry * policy",
        'an "unbalanced quote',
        '""',
        "AND",
        "kind: fact",
        f'"{"x " * 600}"',
    ],
)
def test_plain_text_is_not_in_the_language(query: str) -> None:
    """A question with quotes, a colon in a text, a lone operator, a long text: words."""
    assert not is_formal(query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("at:2026-02-31", "is not a time; write it like"),
        ("at:[2026-13-01 TO now]", "is not a time"),
        ("at:someday", "Today is 2026-11-21"),
        ("title:[a TO b]", "only times have ranges"),
        ("by:ad*", "only words have wildcards"),
        ("x kind:facts", "is no kind of entry"),
        ('title:"*x"* kind:fact', "a wildcard needs a letter"),
    ],
)
def test_what_has_no_meaning_is_refused(index: Fts5Index, query: str, said: str) -> None:
    """With what to write instead."""
    with pytest.raises(BadInput, match=said):
        index.search(query)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("retry_poli*", ["adds retry_policy()", "see src/retry/policy_test.py", "src for retry_polish"]),
        ("retry_policy_*", ["adds retry_policy()", "see src/retry/policy_test.py"]),
        ("src/retry/*", ["see src/retry/policy_test.py"]),
        ("text:src/ret*", ["see src/retry/policy_test.py"]),
        ("retry_pol* NOT src", ["adds retry_policy()", "retry_pol is a name"]),
        ("(src/ret* OR at:yesterday)", ["see src/retry/policy_test.py", "the cache was cleared"]),
    ],
)
def test_an_identifier_or_path_may_end_in_a_star(ledger: Any, index: Fts5Index, query: str, titles: list[str]) -> None:
    """Its words are found one after the other, the last one begun."""
    for text in ("adds retry_policy()", "retry_pol is a name", "see src/retry/policy_test.py", "src for retry_polish"):
        ledger.log(text)
    assert is_formal(query)
    assert sorted(hit.title for hit in index.search(query, Filters(kind="log"))) == titles


def test_a_wildcard_for_too_many_words_is_refused(ledger: Any, index: Fts5Index) -> None:
    """It is not cut silently."""
    ledger.log(" ".join(f"q{n}x" for n in range(300)))
    with pytest.raises(BadInput, match="stands for 300 words; give more letters"):
        index.search("q*")


def test_what_looks_like_a_field_is_told() -> None:
    """So that a caller can say that it was searched for as a word."""
    assert unknown_fields("titel:retry kind:fact TODO:fix") == ["titel", "TODO"]
    assert unknown_fields("see http://x.org and 12:30 or a/b:c") == []


def test_nothing_that_is_typed_breaks_it(index: Fts5Index) -> None:
    """Random pieces of the language in any order end in hits or in BadInput."""
    rng = random.Random(3)
    pieces = [
        '"',
        "'",
        "(",
        ")",
        "[",
        "]",
        " TO ",
        "AND",
        "OR",
        "NOT",
        "kind:",
        "at:",
        "title:",
        "by:",
        "cache",
        "retr*",
    ]
    pieces += [
        "?",
        "*",
        "c?che",
        " ",
        " ",
        ":",
        "^2",
        "~3",
        "\x00",
        "\x1b[31m",
        "🎉",
        "東京",
        "\udc80",
        "yesterday",
        "-",
        "{",
        "<",
    ]
    formal = 0
    for _ in range(1500):
        query = "".join(rng.choices(pieces, k=rng.randint(1, 14)))
        formal += is_formal(query)
        try:
            index.search(query)
        except BadInput:
            continue
    assert formal > 300


@pytest.mark.parametrize("opening", ["(", "title:(", "NOT ", '"a b" (', "at:[ TO "])
def test_deep_queries_have_an_end(index: Fts5Index, opening: str) -> None:
    """As many as fit are answered or refused, soon."""
    query = (opening * 1000)[:980] + " cache kind:log"
    assert is_formal(query)
    with contextlib.suppress(BadInput):
        index.search(query)


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("the polciy of retires", "the policy of retries"),
        ("migratoins", "migrations"),
        ("kind:fact sesion", "kind:fact session"),
        ("databse of the biling", "database of the billing"),
        ("retry policy", None),
        ("xqzjwv", None),
        ("", None),
        ("🎉 \x00", None),
        ("x" * 100_000, None),
        ("kind:fact migartion", "kind:fact migration"),
        ("by:boby at:'last mondey' cahce", "by:boby at:'last mondey' cache"),
        ("title:cahce", "title:cache"),
    ],
)
def test_a_word_that_no_entry_holds_may_be_another(index: Fts5Index, query: str, meant: str | None) -> None:
    """The nearest one that some entry holds, in full; the rest of the query as it was."""
    assert index.did_you_mean(query) == meant


Tree = Any
"""A word, ("kind", kind), ("title", word), or (AND, OR or NOT, trees)."""


def drawn(rng: random.Random, depth: int) -> Tree:
    form = rng.choice(["word", "word", "kind", "title"] + ["AND", "OR", "NOT"] * depth)
    if form == "word" or form == "title":
        word = rng.choice(["red", "blue", "green", "plan"])
        return (form, word)
    if form == "kind":
        return (form, rng.choice(["fact", "log"]))
    return (form, [drawn(rng, depth - 1) for _ in range(1 if form == "NOT" else rng.randint(2, 3))])


def said(tree: Tree) -> str:
    form, of = tree
    if form == "NOT":
        return f"NOT ({said(of[0])})"
    if form in ("AND", "OR"):
        return "(" + f" {form} ".join(map(said, of)) + ")"
    return of if form == "word" else f"{form}:{of}"


def holds(tree: Tree, kind: str, title: str, body: str) -> bool:
    form, of = tree
    if form == "NOT":
        return not holds(of[0], kind, title, body)
    if form in ("AND", "OR"):
        return (all if form == "AND" else any)(holds(one, kind, title, body) for one in of)
    return of == kind if form == "kind" else of in (title if form == "title" else f"{title} {body}").split()


@pytest.mark.parametrize("few", [300, 0])
def test_conditions_hold_for_every_hit_and_leave_none_out(
    ledger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Random trees of AND, OR and NOT find what they say, in few matches and in many."""
    rng = random.Random(17)
    entries = {}
    for _ in range(60):
        title, body = (" ".join(rng.sample(["red", "blue", "green", "plan"], rng.randint(1, 2))) for _ in range(2))
        if rng.random() < 0.5:
            entries[ledger.log(f"{title} {body}")] = ("log", "", f"{title} {body}")
        else:
            entries[ledger.fact(title, body)] = ("fact", title, body)
    index = Fts5Index(str(tmp_path / "more.db"), ledger.store)
    monkeypatch.setattr(matches, "_FEW_FOR_WORDS", few)
    for _ in range(150):
        tree = drawn(rng, 3)
        query = f"plan AND ({said(tree)})" if rng.random() < 0.5 else f"kind:{rng.choice(['log', 'fact'])} {said(tree)}"
        wanted = {id for id, entry in entries.items() if holds(tree, *entry)}
        wanted &= {id for id, (kind, *texts) in entries.items() if (kind in query[:9]) or query.startswith("plan")}
        if query.startswith("plan"):
            wanted &= {id for id, (_, *texts) in entries.items() if "plan" in " ".join(texts).split()}
        if is_formal(query):
            assert {hit.id for hit in index.search(query, k=100)} == wanted, query


def test_a_plain_query_does_not_load_the_language(tmp_path: Path) -> None:
    """Whoosh is imported by a query that needs it, and by no other."""
    code = """
import sys
from swarm_indexes.lexical import Fts5Index
from swarm_ledger.memory import MemoryStore
index = Fts5Index(sys.argv[1], MemoryStore())
index.search("what is the retry policy of the client?")
print("whoosh" in sys.modules)
index.search("title:retry")
print("whoosh" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
