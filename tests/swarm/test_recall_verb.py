"""`swarm recall` with what it may be given, and with an index that is not as it should be."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm import BadInput, Filters, Swarm
from swarm_indexes import intake, sentences
from swarm_indexes.sentences import SentenceModel
from swarm_ledger.contested import Side, contested, contested_path
from swarm_ledger.ids import id_of, new_request, path_of
from swarm_ledger.store import Put, Request

from .conftest import Ran, git

Run = Callable[..., Ran]


def damage(index: Path, how: str) -> None:
    """What a crash of the machine or a hand leaves."""
    data = index.read_bytes()
    index.write_bytes({"damaged": data[:4096] + bytes(len(data) - 4096), "half": data[: len(data) // 2], "": b""}[how])


@pytest.mark.parametrize("how", ["damaged", "half", ""])
def test_a_damaged_index_is_rebuilt_and_said_so(repository: Path, run: Run, how: str) -> None:
    """The answer is as before, exit code 0, and one line on standard error says what happened, once."""
    run("remember", "--as=ada", "Retry policy of the client", "--body", "It tries ten times. " * 200)
    before = run("recall", "retry policy")
    damage(repository / ".git/swarm/index/lexical.db", how)
    after = run("recall", "retry policy")
    assert (after.code, after.out) == (0, before.out)
    assert after.err.splitlines()[0] == (
        "swarm: the search index was damaged or of another version; it has been built anew, and nothing is missing."
    )
    assert run("recall", "retry policy").err == ""


def test_a_long_build_is_shown_on_a_terminal(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar on standard error while many files are taken in, gone at the end; elsewhere nothing."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for number in range(7):
        run("remember", "--as=ada", f"Fact {number} of its own kind", "--force", "--why=a test")
    monkeypatch.setattr(intake, "BULK", 2)
    assert run("reindex").err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("reindex").out == "7 entries indexed.\n"
    assert "indexing [" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_the_query_language_is_for_the_command_too(repository: Path, run: Run) -> None:
    """Conditions leave out what does not meet them; what is no field is searched for as a word, and said so."""
    run("remember", "--as=ada", "Retry policy of the client")
    run("log", "--as=bob", "the retry of the policy failed")
    assert len(run("recall", "retry policy", "--json").out.splitlines()) == 2
    assert len(run("recall", 'title:"retry policy"', "--json").out.splitlines()) == 1
    assert len(run("recall", "retry NOT by:ada", "--json").out.splitlines()) == 1
    odd = run("recall", "autor:ada")
    assert (odd.code, odd.err.splitlines()[0][:61]) == (
        0,
        "swarm: autor: no such field, searched for as a word. Fields a",
    )
    refused = run("recall", "retry at:2026-02-31")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)


def test_limits_in_time_are_given_as_people_say_them(repository: Path, run: Run) -> None:
    """From then on, up to then, and as of then; what is no time, and a filter that says nothing, are refused."""
    run("remember", "--as=ada", "Retry policy of the client")
    found = [
        run("recall", "retry", option, said, "--json").out != ""
        for option, said in [("--since", "today"), ("--since", "5 minutes ago"), ("--until", "now"), ("--as-of", "now")]
    ]
    assert found == [True] * 4
    for option in ("--until", "--as-of"):
        assert run("recall", "retry", option, "2 hours ago").out == "nothing found.\n"
    for option in ("--since", "--until", "--as-of"):
        done = run("recall", "retry", option, "soon")
        assert (done.code, done.err.split(" is not")[0]) == (2, f"swarm: {option[2:].replace('-', ' ')}: 'soon'")
    done = run("recall", "retry", "--since", "2026-11-02", "--until", "2026-11-01")
    assert (done.code, done.err) == (2, "swarm: since 2026-11-02 is after until 2026-11-01: no entry is of both.\n")
    for option in ("--kind", "--by", "--to", "--entity", "--room", "--since", "--until"):
        done = run("recall", "retry", option, "")
        assert done.code == 2
        assert done.err == f"swarm: {option[2:]}: nothing is given; leave it out, or say which.\n"


def test_a_filter_that_is_given_several_times_holds_for_any_of_its_values(repository: Path, run: Run) -> None:
    """Different filters hold all; one of several values that says nothing is refused as one alone is."""
    fact = run("remember", "--as=ada", "Retry policy", "--entity", "topic:retry").id
    note = run("log", "--as=bob", "retry failed", "--to", "eve").id
    page = "entity-topic-retry"

    def found(*options: str) -> set[str]:
        return {json.loads(line)["id"] for line in run("recall", *options, "--json").out.splitlines()}

    assert found("retry", "--kind", "fact", "--kind", "log") == {fact, note}
    assert found("retry", "--kind=fact", "--kind=log", "--by=bob") == {note}
    assert found("--by=bob", "--by=ada", "--kind=fact", "--kind=entity") == {fact, page}
    assert found("retry", "--to=eve", "--to=bob") == {note}
    assert found("--entity=topic:retry", "--entity=other", "--kind=fact") == {fact}
    assert found("retry", "--kind=fact", "--kind=log", "--as-of=now") == {fact, note}
    with Swarm.open(str(repository)) as swarm:
        assert {hit.id for hit in swarm.reader().recall("retry", Filters(kind=["fact", "log"]))} == {fact, note}
        with pytest.raises(BadInput, match="kind: nothing is given; leave it out, or say which"):
            swarm.reader().recall("retry", Filters(kind=[]))
    done = run("recall", "retry", "--kind", "fact", "--kind", " ")
    assert (done.code, done.err) == (2, "swarm: kind: nothing is given; leave it out, or say which.\n")


@pytest.mark.parametrize(
    "words",
    [
        ("recall", "x", "--since", "today", "--since", "yesterday"),
        ("recall", "x", "-k", "1", "-k", "2"),
        ("recall", "x", "--as-of=now", "--as-of=now"),
        ("remember", "A title", "--body", "one", "--body", "two"),
        ("log", "x", "--as", "ada", "--as", "bob"),
        ("--as", "ada", "--as=bob", "status"),
    ],
)
def test_an_option_of_one_value_that_is_given_twice_is_refused(repository: Path, run: Run, words: list[str]) -> None:
    """In one line; which of two was meant, nobody can tell, and the first would be lost without a word."""
    name = next(word for word in words if word.startswith("-")).partition("=")[0]
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"swarm: {name} is given more than once; give the one that is meant.\n"


def test_a_fact_is_found_by_the_file_that_it_cites(repository: Path, run: Run) -> None:
    """As an entity, beside what mentions the file in its text; the file stands beside what else a fact is about."""
    fact = run("remember", "--as=ada", "Whom login lets in", "--cite", "auth.py:1-2", "--entity", "topic:login").id
    note = run("log", "--as=bob", "auth.py is hard to read").id
    task = run("remember", "--as=ada", "Tidy", "--kind=task", "--set", "scope=[auth.py]", "--set=status=open")
    found = [json.loads(line)["id"] for line in run("recall", "--entity", "auth.py", "--json").out.splitlines()]
    assert set(found) == {fact, note, task.id}
    assert {json.loads(line)["id"] for line in run("recall", "--entity=file:auth.py", "--json").out.splitlines()} == {
        *(fact, note, task.id)
    }
    assert "beside: auth.py (1)" in run("about", "login").out
    assert run("about", "auth.py").out.startswith("auth.py\n")


def test_a_misspelt_word_is_answered_with_what_was_meant(repository: Path, run: Run) -> None:
    """Only where nothing was found, on standard error."""
    run("remember", "--as=ada", "Retry policy of the client")
    done = run("recall", "polciy")
    assert (done.code, done.out, done.err) == (0, "nothing found.\n", "swarm: did you mean: policy\n")
    assert run("recall", "retry polciy").err == ""


@pytest.mark.parametrize(
    "query",
    [
        "retry " * 17_000,
        'retry "unbalanced',
        "retry) (policy",
        "retry AND",
        "retry\x1b[31m \x00",
        "retry 🎉 ¯\\_(ツ)_/¯",
        "retry 再試行",
        "retry ^2 ~ + - {a} NEAR(x y)",
    ],
)
def test_odd_queries_find_what_holds_their_words(repository: Path, run: Run, query: str) -> None:
    """100 kB, quotes and parentheses without their other half, operators of engines, control characters, emoji, CJK."""
    id = run("remember", "--as=ada", "Retry policy of the client").id
    done = run("recall", "--", query)
    assert done.code == 0
    assert done.out.startswith(f"1. {id}")


@pytest.mark.parametrize("query", ["", "the of and is", "🎉", "\x01\x02"])
def test_nothing_to_search_for_is_bad_input(repository: Path, run: Run, query: str) -> None:
    """An empty query and nothing but stop words, with what to give instead."""
    done = run("recall", "--", query)
    assert (done.code, done.out) == (2, "")
    assert done.err == "swarm: nothing to search for: give a word that is not a stop word, or a filter.\n"


def test_a_fact_whose_evidence_changed_comes_behind_one_that_stands(repository: Path, run: Run) -> None:
    """On the branch where it changed: with one hit asked for it is not the one; with more it is there, and marked."""
    first = run("remember", "--as=ada", "Whom login lets in", "--body", "Everybody. (auth)", "--cite", "auth.py:1-2").id
    other = run("remember", "--as=ada", "Whom login lets in", "--body", "Nobody else. (auth)", "--cite=auth.py:5-6").id
    run("show", first)
    assert run("recall", "login", "lets", "-k1").out.split()[1] == first
    git(repository, "switch", "--quiet", "--create", "topic")
    (repository / "auth.py").write_text((repository / "auth.py").read_text().replace("True", "None"))
    git(repository, "commit", "--quiet", "--all", "-m", "another")
    assert run("recall", "login", "lets", "-k1").out.split()[1] == other
    told = run("recall", "login", "lets", "--explain").out
    assert told.index(other) < told.index(first) < told.index("EVIDENCE CHANGED on this branch")
    assert "evidence_changed -0.70" in told
    hit = json.loads(run("recall", "login", "lets", "--json").out.splitlines()[1])
    assert (hit["id"], hit["standing"]["evidence"], hit["shares"]["evidence_changed"]) == (first, "changed", -0.7)
    git(repository, "switch", "--quiet", "main")
    assert run("recall", "login", "lets", "-k1").out.split()[1] == first


def test_contested_facts_come_behind_one_that_nobody_contests(repository: Path, run: Run) -> None:
    """Both sides, each with who contests it."""
    one = run("remember", "--as=ada", "The retry limit of uploads is 3", "--key", "upload.retries").id
    run("remember", "--as=ada", "The retry limit of downloads")
    before = [json.loads(line)["id"] for line in run("recall", "retry limit", "--json").out.splitlines()]
    two = run("remember", "--as=bob", "The retry limit of uploads is 5", "--key", "upload.retries").id
    hits = [json.loads(line) for line in run("recall", "retry limit", "--json").out.splitlines()]
    assert hits[0]["id"] == next(id for id in before if id != one)
    assert {hit["id"]: hit["standing"]["rivals"] for hit in hits[1:]} == {one: [two], two: [one]}
    assert [hit["shares"].get("contested") for hit in hits] == [None, -0.7, -0.7]


def contest(swarm: Swarm, id: str) -> str:
    """What a merge does that hides a version of the entry `id`; the id of the contested entry."""
    path, tip = path_of(id), swarm.store.tip()
    version = swarm.store.read(path)
    assert version and tip
    kept, other = (Side(version.blob, by, 1_795_258_443, tip) for by in ("ada", "bob"))
    place = contested_path(path, kept, other)
    made = Put(str(id_of(place)), place, contested(path, kept, other, ("body",), version.text), None)
    swarm.store.submit(Request(new_request(swarm.env.rng), "swarm", "swarm", 0, "merge", (made,)))
    return made.entry


@pytest.mark.parametrize("kind", ["plan", "task", "entity", "fact"])
def test_a_document_of_which_a_merge_hid_a_version_is_marked_until_that_is_settled(
    repository: Path, run: Run, kind: str
) -> None:
    """In every answer: behind what is nearly as good, with the contested entry named, in words and in JSON."""
    type_ = ("--set", "type=topic") if kind == "entity" else ()
    for name in ("of uploads", "of imports"):
        run("remember", "--as=ada", f"--kind={kind}", f"Retry policy {name}", "--body=Thrice.", *type_)

    def found(*options: str) -> list[dict[str, Any]]:
        lines = run("recall", "retry policy", f"--kind={kind}", "--json", *options).out.splitlines()
        return [json.loads(line) for line in lines]

    ahead, behind = (hit["id"] for hit in found())
    sound = found()[0]["standing"]
    with Swarm.open(str(repository)) as swarm:
        id = contest(swarm, ahead)
    hits = found()
    assert [hit["id"] for hit in hits] == [behind, ahead]
    assert [hit["shares"].get("contested") for hit in hits] == [None, -0.7]
    assert hits[1]["standing"]["contested"] == [id]
    assert hits[0]["standing"] == sound
    assert f"CONTESTED, another version is in {id}" in run("recall", "retry", f"--kind={kind}").out
    assert f"contested: another version is in {id}" in run("show", ahead).out
    assert json.loads(run("show", ahead, "--json").out)["standing"]["contested"] == [id]
    assert found("--as-of=now")[0]["standing"] is None
    if kind == "entity":
        assert f"CONTESTED, another version is in {id}" in run("about", ahead).out
    assert run("show", id, "--as=ada").code == run("retract", id, "--why=joined", "--as=ada").code == 0
    assert [(hit["id"], hit["standing"]) for hit in found("--no-priors")] == [(ahead, sound), (behind, sound)]
    assert "contested" not in run("show", ahead).out


def test_explain_names_what_leads_to_a_hit(repository: Path, run: Run) -> None:
    """An entry with none of the words, by the file that it and the match mention; without a match there is no way."""
    run("log", "--as=ada", "The retry policy doubles its delay: src/client.py")
    run("log", "--as=bob", "src/client.py closes its sockets late")
    lines = run("recall", "--explain", "retry policy").out.splitlines()
    assert lines[-1] == "   hop src-client-py +0.51"
    assert "place +0.92" in lines[-4]
    found = [json.loads(line) for line in run("recall", "--json", "retry policy").out.splitlines()]
    assert found[1]["shares"] == {"hop src-client-py": 0.5108}
    assert 0 < found[1]["score"] < found[0]["score"] < 1
    assert run("recall", "--min-score", "0.6", "retry policy").out.count("src/client.py") == 1
    assert run("recall", "zebra crossing").out == "nothing found.\n"


def test_a_model_that_the_environment_names_ranks_by_meaning_and_is_said(
    repository: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` and `recall --explain` name it, and meaning is among what made a hit rank."""
    monkeypatch.setattr(sentences, "find_spec", lambda name: object())
    monkeypatch.setattr(SentenceModel, "embed", lambda self, texts: [[1.0, float("retry" in text)] for text in texts])
    run("remember", "--as=ada", "Retry policy of the client")
    assert json.loads(run("status", "--json").out)["embedder"] is None
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "modules.json").write_text("[]")
    monkeypatch.setenv("SWARM_EMBEDDER", str(model))
    name = json.loads(run("status", "--json").out)["embedder"]
    assert name.startswith("tiny ")
    assert f"embedder {name}" in run("status").out.splitlines()
    found = run("recall", "--explain", "What is the retry policy?").out.splitlines()
    assert found[-1] == f"meaning by {name}"
    assert "meaning +" in found[-2]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("models/tiny", "SWARM_EMBEDDER is 'models/tiny', which would be another place in each directory"),
        ("/nowhere/tiny", "'/nowhere/tiny' has no sentence-transformers model: no modules.json is there."),
    ],
)
def test_a_model_that_cannot_be_used_is_an_error(
    repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch, value: str, line: str
) -> None:
    """Exit code 2 and what to do; nothing is ranked without it in silence."""
    run("remember", "--as=ada", "Retry policy of the client")
    monkeypatch.setenv("SWARM_EMBEDDER", value)
    found = run("recall", "retry")
    assert (found.code, found.out) == (2, "")
    assert line in found.err


def test_who_only_writes_needs_no_model(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is not there is told to those who search."""
    monkeypatch.setenv("SWARM_EMBEDDER", "/nowhere/tiny")
    assert run("log", "--as=ada", "hello").code == 0
    assert run("remember", "--as=ada", "Retry policy of the client").code == 0
