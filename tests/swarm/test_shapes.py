"""What `--json` prints has the fields that docs/JSON.md promises to scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.cli import VERBS

from .conftest import git

PAGE = (Path(__file__).parents[2] / "docs" / "JSON.md").read_text()
ROWS = [row.strip("|").split("|", 1) for row in PAGE.splitlines() if row.startswith("| `")]
PROMISED = {name: re.findall(r"`(\w+)`", fields) for names, fields in ROWS for name in re.findall(r"`([^`]+)`", names)}


def test_every_verb_that_speaks_json_is_on_the_page() -> None:
    """But `git`, whose output is git's, and the demonstration, which is for people."""
    told = {name.split()[0] for name in PROMISED}
    assert set(VERBS) - told == {"git", "demo"}


def test_replies_have_the_promised_fields(repository: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    """Each verb once, in the life of a ledger."""

    def said(*arguments: str, code: int = 0) -> dict[str, Any]:
        done = run(*arguments, "--json")
        assert done.code == code, done
        found = json.loads((done.out or done.err).splitlines()[0])
        assert isinstance(found, dict)
        return found

    def fields(promise: str, *arguments: str) -> dict[str, Any]:
        found = said(*arguments)
        assert set(PROMISED[promise]) <= set(found), (promise, found)
        assert ("changed" in found) == (arguments[0] not in ("init", "guard", "doctor", "gc")), found
        return found

    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# A note\n\ntext\n")
    fields("init", "init")
    run("--as", "bob", "log", "here")
    fields("join", "join", "ada")
    fields("log", "log", "hello", "--entity", "login")
    fact = fields("remember", "remember", "Login answers True", "--cite", "auth.py:1-2")["id"]
    fields("edit", "edit", fact, "--body", "At once.")
    shown = fields("show", "show", fact)
    assert set(shown["standing"]) == {"evidence", "rivals", "expired", "contested"} and shown["verdicts"]
    fields("history", "history", fact)
    fields("recall", "recall", "login answers")
    fields("about", "about", "login")
    fields("verify", "verify", fact)
    status = fields("status", "status")
    assert set(status["agents"][0]) >= {"name", "role", "directory", "present", "joined"}
    fields("own", "own", fact)
    assert set(said("--as", "bob", "own", fact, code=3)) >= {
        "error",
        "message",
        "line",
        "owner",
        "session",
        "held",
        "left",
    }
    fields("leases", "leases")
    fields("handoff", "handoff", fact, "--to", "bob")
    fields("steal", "steal", fact, "--why", "it is needed")
    fields("release", "release")
    run("--as", "bob", "show", fact)
    new = fields("supersede", "supersede", fact, "Login answers at once", "--cite", "auth.py:1-2")["id"]
    fields("changes", "--as", "bob", "changes")
    run("show", new)
    fields("retract", "retract", new, "--why", "it does not")
    assert set(fields("show", "show", new)["retracted"]) == {"by", "at", "why", "tombstone"}
    fields("restore", "restore", new)
    fields("session reset", "session", "reset")
    assert set(said("edit", fact, "--body", "x", code=4)) == {"error", "message", "rule"}
    fields("check", "check")
    assert said("view") == {"on": False, "left": [], "changed": 0}
    assert set(PROMISED["view"]) - {"left"} <= set(said("view", "on"))
    fields("ingest", "ingest")
    assert set(said("view", "off")) == {"on", "left", "changed"}
    fields("import folder", "import", "folder", str(tmp_path / "notes"))
    exported = said("export")
    assert set(exported) == {"id", "path", "fields", "body"}
    (tmp_path / "export.jsonl").write_text(json.dumps(exported) + "\n")
    fields("import jsonl", "import", "jsonl", str(tmp_path / "export.jsonl"))
    assert set(said("export", "--to", str(tmp_path / "copy"))) == {"directory", "files", "changed"}
    fields("sync", "sync")
    fields("doctor", "doctor")
    fields("gc", "gc")
    fields("reindex", "reindex")
    run("guard", "install")
    fields("guard", "guard")


@pytest.mark.parametrize("name", ["Conflict", "Owned", "Fenced", "Expired", "Refused", "Unconfirmed"])
def test_errors_that_carry_fields_are_on_the_page(name: str) -> None:
    """By the name that `error` has."""
    assert f"`{name}`" in PAGE
