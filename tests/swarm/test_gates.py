"""What writes must pass: refused with exit code 4 and the reason, or forced with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import Agent, BadInput, Refused
from swarm.gates import DEFAULTS, policy
from swarm.saying import SHARED, alike, said_in, sketch, words
from swarm.secrets import secret_in

from .conftest import Ran

Run = Callable[..., Ran]

TOKEN = "ghp_" + "a1B2" * 9
BODY = "The limit is read from TTL when a session is opened and never again, which the mobile client relies on."


def refused(action: Callable[[], object]) -> str:
    """The gate that said no."""
    with pytest.raises(Refused) as caught:
        action()
    assert "--force --why TEXT" in str(caught.value)
    return caught.value.rule


def test_a_ledger_that_the_command_began_wants_to_know_what_a_fact_rests_on(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4, and the way on; forced with a reason, which is in history and in the record."""
    monkeypatch.chdir(tmp_path)
    assert run("init").code == 0
    run("join", "ada")
    done = run("remember", "Sessions expire")
    assert (done.code, done.err.splitlines()[0]) == (
        4,
        "swarm: a fact says what it rests on: --cite PATH:FIRST-LAST, an entry's id, or a URL. "
        "What you only noticed, `swarm log` keeps.",
    )
    assert run("remember", "Sessions expire", "--force").code == 2
    assert run("remember", "Sessions expire", "--force", "--why", "told by the team").code == 0
    assert run("remember", "Auth", "--kind", "entity", "--type", "service").code == 0
    line = run("log", "sessions expire after 15 minutes").id
    assert run("remember", "Sessions expire after 15 minutes", "--cite", line).code == 0
    assert "\nForced: provenance: told by the team\n" in run("git", "log", "--format=%B").out
    records = "".join(path.read_text() for path in (tmp_path / ".git/swarm/record").iterdir())
    kept = [(one["verb"], one["outcome"]) for one in map(json.loads, records.splitlines())]
    assert ("remember", "Refused") in kept
    assert ("force", "done") in kept


def test_a_fact_that_is_there_already_is_refused_and_named(ada: Agent, bob: Agent) -> None:
    """Whoever wrote it, in whatever order of words; not what takes its place, and not what says more."""
    first = ada.remember("Sessions expire after 15 minutes", BODY)
    with pytest.raises(Refused, match=first.id):
        bob.remember("Sessions expire after 15 Minutes.", BODY)
    assert refused(lambda: bob.remember("After 15 minutes sessions expire", BODY)) == "duplicate"
    bob.remember("Cookies are renewed at each request", "By the middleware, whatever the limit of the session is.")
    ada.supersede(first.id, "Sessions expire after 15 minutes", BODY)
    ada.remember("Sessions expire after 15 minutes", BODY + " So does the web client.", force="another module")


def test_what_the_ledger_served_is_not_stored_again(ada: Agent, bob: Agent) -> None:
    """A loop would make it look twice as sure; what is one's own is not."""
    seen = ada.remember("How sessions end", BODY, kind="reflection")
    assert refused(lambda: ada.remember("Sessions", BODY)) == "loop"
    bob.show(seen.id)
    assert refused(lambda: bob.remember("The limit of a session", BODY)) == "loop"
    bob.remember("Cookies are renewed", "By the middleware at each request of a browser that is signed in.")


def test_secrets_are_refused_in_every_text(ada: Agent) -> None:
    """A log is no place for them either; the message does not repeat it."""
    for action in (
        lambda: ada.log(f"the token is {TOKEN}"),
        lambda: ada.remember("How to sign in", f"Use {TOKEN}."),
        lambda: ada.remember(TOKEN),
    ):
        assert refused(action) == "secrets"
    with pytest.raises(Refused) as caught:
        ada.log(TOKEN)
    assert "GitHub Token" in str(caught.value)
    assert TOKEN not in str(caught.value)
    ada.log(f"an example: {TOKEN}", force="it is no longer valid")


def test_secrets_are_refused_in_every_field(ada: Agent, bob: Agent) -> None:
    """Tags, addresses, names of entities, fields of one's own, reasons; an attempt does nothing else either."""
    fact = ada.remember("How to sign in", "As everywhere.")
    address = "https://ada:hunter2x@example.invalid/"
    for action in (
        lambda: ada.remember("Tagged", tags=[TOKEN]),
        lambda: ada.remember("Of one's own", fields={"note": {"deep": [TOKEN]}}),
        lambda: ada.remember("About", entities=[TOKEN]),
        lambda: ada.remember("Cited", cite=[address]),
        lambda: ada.log("noticed", ref=TOKEN),
        lambda: ada.log("noticed", entities=[f"service:{TOKEN}"]),
        lambda: ada.edit(fact.id, fields={"tags": [TOKEN]}),
        lambda: ada.supersede(fact.id, "How to sign in", cite=[address]),
    ):
        assert refused(action) == "secrets"
    ada.own("path:src/**")
    tip = ada.store.tip()
    for say in (
        lambda: ada.retract(fact.id, f"it leaked {TOKEN}"),
        lambda: bob.steal("path:src/**", f"with {TOKEN}"),
        lambda: ada.handoff("path:src/**", "bob", f"use {TOKEN}"),
    ):
        with pytest.raises(Refused, match="GitHub Token"):
            say()
    with pytest.raises(BadInput, match="the reason is kept too"):
        ada.remember("Forced", f"Use {TOKEN}", force=f"because {TOKEN} is old")
    assert ada.store.tip() == tip
    assert [held.agent for held in ada.leases()] == ["ada"]


def test_marks_of_a_citation_are_no_secret(ada: Agent) -> None:
    """They may have the form of a token by chance."""
    marks = f"{'M1' * 12}.abcdef.{'x' * 27}.."
    cited = {"path": "a.py", "lines": [1, 1], "sha256": "0" * 64, "marks": marks}
    assert secret_in(marks) == "Discord Bot Token"
    assert ada.remember("Sessions expire", cite=[cited]).commit


def test_another_number_or_a_not_says_something_else(ada: Agent, bob: Agent) -> None:
    """It is no copy and no echo: whoever found another value writes it down, and the facts contest each other."""
    said = "Payments time out after 30 seconds when the gateway is busy, as the client of the bank does at night"
    first = ada.remember(said, key="payments.timeout")
    bob.show(first.id)
    other = bob.remember(said.replace("30", "60"), key="payments.timeout")
    third = bob.remember(said.replace("time out", "never time out"))
    assert len({first.id, other.id, third.id}) == 3
    assert refused(lambda: bob.remember(said.replace("at night", "by night"))) == "duplicate"


def test_what_was_served_is_the_version_that_was_read(ada: Agent, bob: Agent) -> None:
    """Whatever the entry says by now."""
    fact = ada.remember("How sessions end", BODY)
    bob.show(fact.id)
    ada.edit(fact.id, "Cookies are renewed by the middleware at each request of a browser that is signed in.")
    assert refused(lambda: bob.remember("The limit", BODY, kind="reflection")) == "loop"
    bob.remember("On cookies", "Cookies are renewed by the middleware at each request.", kind="reflection")


def test_an_edit_does_not_take_out_what_a_fact_rests_on(repository: Path, run: Run) -> None:
    """Where the ledger wants to know that; another citation may take its place."""
    run("join", "ada")
    assert run("import", "jsonl", str(_settings(repository, "format: 1\ngates: {provenance: refuse}\n"))).code == 0
    fact = run("remember", "Sessions expire", "--cite", "auth.py:1-2").id
    assert run("edit", fact, "--set", "citations=").code == 4
    assert run("edit", fact, "--set", "citations=[{url: 'https://example.invalid/'}]").code == 0
    assert run("edit", fact, "--set", "citations=", "--force", "--why", "known to all").code == 0


def _settings(repository: Path, text: str) -> Path:
    """An export that has these settings."""
    file = repository / "settings.jsonl"
    file.write_text(json.dumps({"id": None, "path": "swarm.yaml", "text": text}) + "\n")
    return file


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("AKIAIOSFODNN7EXAMPLA", "AWS Access Key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "Private Key"),
        ("https://ada:hunter2x@example.invalid/", "Basic Auth Credentials"),
        ("src/swarm/session.py says fact-261121-7k3q9m2x, commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad", None),
        ("the password is read from the environment", None),
    ],
)
def test_what_looks_like_a_secret(text: str, kind: str | None) -> None:
    """Known forms; ids and object names are none."""
    assert secret_in(text) == kind


def test_a_body_has_a_budget(ada: Agent) -> None:
    """What is longer belongs into a file that is cited."""
    assert refused(lambda: ada.remember("Long", "word " * 60000)) == "size"


def test_the_settings_of_a_ledger_say_which_gates_it_has() -> None:
    """A name or value that is not known is an error, not ignored."""
    assert policy(None) == policy(b"format: 1\n") == policy(b"# no gates \xff\nformat: 1\n") == DEFAULTS
    assert policy(b"format: 1\ngates: {secrets: off, size: 10}\n") == {**DEFAULTS, "secrets": "off", "size": 10}
    for wrong in ("gates: 3", "gates:", "gates: {secrts: off}", "gates: {secrets: no}", "gates: {size: -1}"):
        with pytest.raises(BadInput, match=r"swarm\.yaml: gates"):
            policy(wrong.encode())


def test_texts_that_are_alike_share_most_of_their_sketch() -> None:
    """So the one is found by the other."""
    one, other = words(BODY), words(BODY.replace("mobile", "web"))
    assert alike(one, other)
    assert len({*sketch(BODY)} & {*sketch(BODY.replace("mobile", "web"))}) >= SHARED
    assert not {*sketch(BODY)} & {*sketch("Cookies are renewed by a proxy every night, as all of them know.")}
    assert not alike(one, words("Cookies are renewed"))
    assert said_in(b"---\nid: x\ntitle: A b\n---\n\nc\n--- d\n").split() == ["A", "b", "c", "---", "d"]
