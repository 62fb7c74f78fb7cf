"""What is known of an entity: facts by key as a graph, what stands beside it, backlinks, a second hop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import Agent
from swarm_ledger.errors import BadInput

from .conftest import Ran, git

Run = Callable[..., Ran]


@pytest.fixture
def known(ada: Agent) -> dict[str, str]:
    """A service with an owner, and who works there; the ids of the facts."""
    ada.remember(
        "Authentication", "Logs people in.", kind="entity", type="service", fields={"aliases": ["auth", "login"]}
    )
    ada.remember("Platform team", "", kind="entity", type="team", fields={"aliases": ["platform"]})
    ids = {
        "owner": ada.remember("Platform owns it", key="auth.owner", entities=["team:platform-team"]).id,
        "ttl": ada.remember("Sessions last 15 minutes", key="login.session.ttl").id,
        "zone": ada.remember("They sit in Lisbon", key="platform.timezone", entities=["topic:lisbon"]).id,
        "lead": ada.remember("Grace leads them", key="platform-team.lead", entities=["person:grace"]).id,
        "shift": ada.remember("Grace works early", key="grace.shift").id,
    }
    ids["note"] = ada.log("src/auth.py fails at noon", entities=["service:authentication"]).id
    ada.log("src/auth.py and pins.txt changed")
    return ids


def test_a_key_is_asked_by_any_name_of_its_subject(ada: Agent, known: dict[str, str]) -> None:
    """By title, alias or slug; the attribute is the last part."""
    for path in ("auth.owner", "AUTH.Owner"):
        assert [one.fact.id for one in ada.value_of(path)] == [known["owner"]]
    assert [one.fact.id for one in ada.value_of("login.session.ttl")] == [known["ttl"]]
    assert ada.value_of("auth.owner")[0].objects == ("entity-team-platform-team",)


def test_a_path_goes_through_what_facts_list(ada: Agent, known: dict[str, str]) -> None:
    """From attribute to attribute; where it ends early there is no answer, and a circle ends."""
    assert [one.fact.id for one in ada.value_of("auth.owner.timezone")] == [known["zone"]]
    assert [one.fact.id for one in ada.value_of("auth.owner.lead.shift")] == [known["shift"]]
    assert ada.value_of("auth.owner.colour") == []
    assert ada.value_of("nobody.owner") == []
    ada.remember("Grace is of the platform", key="grace.team", entities=["team:platform-team"])
    assert ada.value_of("auth.owner.lead.team.lead.team.lead") == []


def test_what_was_superseded_is_no_value(ada: Agent, known: dict[str, str]) -> None:
    """Only what holds is answered."""
    new = ada.supersede(known["ttl"], "Sessions last an hour", key="login.session.ttl")
    assert [one.fact.id for one in ada.value_of("login.session.ttl")] == [new.id]


def test_an_entity_is_shown_with_all_that_leads_to_it(ada: Agent, known: dict[str, str]) -> None:
    """Its page and names, what is said of it and where it is listed, what stands beside it, mentions newest first."""
    found = ada.about("platform")
    assert (found.name, found.aliases) == ("entity-team-platform-team", ("platform",))
    assert {one.fact.id for one in found.said} == {known["zone"], known["lead"]}
    assert [one.fact.id for one in found.told] == [known["owner"]]
    auth = ada.about("service:authentication")
    assert [hit.id for hit in auth.mentions] == [known["note"]]
    assert [(one.name, one.entries) for one in auth.beside] == [("src/auth.py", 1)]
    assert [(one.name, one.through) for one in auth.further] == [("pins.txt", "src/auth.py")]


def test_what_nobody_mentioned_is_not_known(ada: Agent, known: dict[str, str]) -> None:
    """No page, no entry; what is no name is refused."""
    found = ada.about("zebra")
    assert (found.page, found.mentions, found.said, found.beside) == (None, (), (), ())
    with pytest.raises(BadInput):
        ada.about("entity-nothing")
    with pytest.raises(BadInput, match="1 or more"):
        ada.about("auth", k=0)


def test_the_command_shows_it(repository: Path, run: Run) -> None:
    """For people and as JSON."""
    run("remember", "--as=ada", "Auth", "--kind", "entity", "--type", "service")
    owner = run("remember", "--as=ada", "Platform owns it", "--key", "auth.owner", "--entity", "team:platform").id
    note = run("log", "--as=ada", "auth fails", "--entity", "service:auth", "--entity", "#12").id
    assert run("about", "auth.owner").out.startswith(
        f"auth.owner: Platform owns it → entity-team-platform  ({owner} by ada"
    )
    shown = run("about", "service:auth").out.splitlines()
    assert shown[0] == "entity-service-auth  Auth"
    assert shown[1].startswith("auth.owner: Platform owns it")
    assert shown[2].startswith("beside: ")
    assert shown[-1].startswith(f"{note}  by ada, ")
    whole = json.loads(run("about", "service:auth", "--json").out)
    assert [one["id"] for one in whole["said"]] == [owner]
    assert [one["id"] for one in whole["mentions"]] == [note]
    assert (run("about", "zebra").code, run("about", "zebra").out) == (0, "nothing is known of it.\n")
    assert "\x1b" not in run("about", "\x1b[31m\x00 zebra").out


def test_what_is_in_doubt_is_marked(repository: Path, run: Run) -> None:
    """Among the values of a key, where others give it another, and among mentions, where evidence changed."""
    one = run("remember", "--as=ada", "auth is ada's", "--key=auth.owner", "--entity=auth", "--cite=auth.py:1-2").id
    two = run("remember", "--as=bob", "auth is bob's", "--key=auth.owner", "--entity=auth", "--cite=auth.py:5-6").id
    (repository / "auth.py").write_text("def login():\n    return True\n\n\ndef logout():\n    return None\n")
    git(repository, "commit", "--quiet", "--all", "-m", "another")
    marks = {one: f"CONTESTED by {two}", two: f"EVIDENCE CHANGED on this branch, CONTESTED by {one}"}
    for shown in (run("about", "auth.owner").out, "\n".join(run("about", "auth").out.splitlines()[-2:])):
        for line in shown.splitlines():
            id = one if one in line.split(" by ")[0] else two
            assert marks[id] in line
    said = [json.loads(line) for line in run("about", "auth.owner", "--json").out.splitlines()]
    assert {one["id"]: one["standing"]["evidence"] for one in said} == {one: "fresh", two: "changed"}
    whole = json.loads(run("about", "auth", "--json").out)
    assert {hit["id"]: hit["standing"]["rivals"] for hit in whole["mentions"]} == {one: [two], two: [one]}
