"""What each kind of entry must say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

from swarm_ledger.entry import REMOVED
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import KINDS
from swarm_ledger.schema import MODELS, validate

BLOB = "a" * 40
COMMON = {"by": "ada", "at": "2026-11-21T10:54:03Z"}
VALID: dict[str, dict[str, object]] = {
    "plan": {**COMMON, "id": "plan-launch", "kind": "plan", "title": "Launch", "phases": ["build", "ship"]},
    "task": {
        **COMMON,
        "id": "task-261121-7k3q9m2x",
        "kind": "task",
        "title": "Build it",
        "plan": "plan-launch",
        "phase": "build",
        "depends_on": ["task-261121-00000000"],
        "scope": ["src/auth/**"],
        "owner": None,
        "acceptance": ["tests pass", "docs\nsay so"],
        "priority": 2,
        "status": "open",
    },
    "log": {
        **COMMON,
        "id": "log-261121-7k3q9m2x",
        "kind": "log",
        "to": "bob",
        "task": "task-261121-7k3q9m2x",
        "tags": ["handoff"],
        "ref": "D1:3",
    },
    "fact": {
        **COMMON,
        "id": "fact-261121-7k3q9m2x",
        "kind": "fact",
        "title": "Tokens expire after 3 days",
        "rev": 2,
        "entities": ["entity-file-auth", "Auth service"],
        "room": "auth",
        "valid_from": "2025-11-21T10:54:03.5+01:00",
        "valid_to": None,
        "key": "auth.token-lifetime",
        "confidence": 0.9,
        "supersedes": "fact-261120-7k3q9m2x",
        "superseded_by": ["fact-261122-7k3q9m2x"],
        "citations": [
            {"path": "src/auth.py", "lines": [3, 9], "commit": BLOB, "sha256": "0" * 64, "note": "unknown, kept"},
            {"path": "ключ 🐝.py", "lines": [1, 1], "sha256": "0" * 64},
            {"entry": "entity-file-auth", "version": BLOB},
            {"log": "log-261121-7k3q9m2x"},
            {"url": "https://example.org/a?b=c#d"},
            {"command": "make test\nmake lint", "exit": 0, "sha256": "0" * 64},
        ],
    },
    "entity": {
        **COMMON,
        "id": "entity-file-auth",
        "kind": "entity",
        "title": "src/auth.py",
        "type": "file",
        "aliases": ["auth"],
    },
    "reflection": {**COMMON, "id": "reflection-261121-7k3q9m2x", "kind": "reflection", "title": "We guess too much"},
    "contested": {
        **COMMON,
        "id": "contested-261121-7k3q9m2x",
        "kind": "contested",
        "of": "plan-launch",
        "sides": [{"version": BLOB, "by": "ada"}, {"version": "b" * 40}],
    },
    "tombstone": {
        **COMMON,
        "id": "tombstone-261121-7k3q9m2x",
        "kind": "tombstone",
        "of": "fact-261121-7k3q9m2x",
        "version": BLOB,
        "why": "It was wrong.",
    },
}


def problem(kind: str, changes: Mapping[str, object], body: str = "") -> str:
    fields = {name: value for name, value in {**VALID[kind], **changes}.items() if value is not REMOVED}
    with pytest.raises(BadInput) as refused:
        validate(fields, body)
    return str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_valid_entries(kind: str) -> None:
    """An entry of each kind with all its fields is valid, with fields that nobody knows as well."""
    assert set(MODELS) == set(KINDS)
    validate(VALID[kind], "Body.\n")
    validate({**VALID[kind], "mood": {"deep": [1, None]}}, "")


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((kind, field) for kind in KINDS for field in ("id", "by", "at")),
        *((kind, "title") for kind in ("plan", "task", "fact", "entity", "reflection")),
        *(("entity", "type"), ("contested", "of"), ("contested", "sides")),
        *(("tombstone", "of"), ("tombstone", "version"), ("tombstone", "why")),
    ],
)
def test_missing_fields(kind: str, field: str) -> None:
    """A field that a kind must have is named when it is missing."""
    assert problem(kind, {field: REMOVED}) == f"{field}: it is missing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_null_is_absent(kind: str) -> None:
    """Also where the field is a list or a number; one that must be there is missing."""
    named = set(MODELS[kind].model_fields)
    required = {name for name, field in MODELS[kind].model_fields.items() if field.is_required()}
    fields = {name: VALID[kind][name] for name in required}
    either = {"of": VALID[kind]["of"]} if kind == "contested" else {}
    validate({**fields, **dict.fromkeys(named - required), **either}, "")
    assert problem(kind, {"by": None}) == "by: it is missing"


@pytest.mark.parametrize("kind", ["memo", "", "Fact", 1, None, ["fact"], REMOVED])
def test_unknown_kinds(kind: object) -> None:
    """What is none of the kinds is refused with their names."""
    assert "plan, task, log, fact, entity, reflection, contested, tombstone" in problem("fact", {"kind": kind})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": ""}, "title: it is empty"),
        ({"title": "a\nb"}, "title: must be one line without control characters, not 'a\\nb'"),
        ({"title": "a\x1b[31m"}, "title: must be one line without control characters, not 'a\\x1b[31m'"),
        ({"title": "a\u2028b"}, "title: must be one line without control characters, not 'a\\u2028b'"),
        ({"title": "x" * 201}, "title: it has 201 characters; at most 200, more belongs into the body"),
        ({"title": 5}, "title: must be a valid string, not 5"),
        ({"rev": "1"}, "rev: must be a valid integer, not '1'"),
        ({"rev": True}, "rev: must be a valid integer, not True"),
        ({"rev": 1.0}, "rev: must be a valid integer, not 1.0"),
        ({"rev": 0}, "rev: must be greater than or equal to 1, not 0"),
        ({"confidence": 1.5}, "confidence: must be less than or equal to 1, not 1.5"),
        ({"confidence": "high"}, "confidence: must be a valid number, not 'high'"),
        ({"confidence": float("nan")}, "confidence: must be less than or equal to 1, not nan"),
        ({"status": "In progress"}, "status: must be one word of a-z, 0-9, hyphen and underscore, such as active,"),
        ({"tags": "a"}, "tags: must be a valid list, not 'a'"),
        ({"tags": ["a", 1]}, "tags[1]: must be a valid string, not 1"),
        ({"entities": {"a": 1}}, "entities: must be a valid list, not {'a': 1}"),
        ({"id": "task-261121-7k3q9m2x"}, "id: task-261121-7k3q9m2x is the id of a task, not of a fact"),
        ({"id": "../../x"}, "id: '../../x' is no entry id;"),
        ({"id": "fact-261121-7k3q9m2x\n"}, "id: 'fact-261121-7k3q9m2x\\n' is no entry id;"),
        ({"by": "-rf"}, "by: '-rf' is no agent name:"),
        ({"by": "🐝"}, "by: '🐝' is no agent name:"),
        ({"at": "2026-11-21"}, "at: '2026-11-21' is no time; write one like 2026-11-21T10:54:03Z"),
        ({"valid_from": 2026}, "valid_from: must be a valid string, not 2026"),
        ({"valid_to": "2025-11-21T09:54:03Z"}, "valid_to: 2025-11-21T09:54:03Z is before valid_from"),
        ({"key": "lifetime"}, "key: must be SUBJECT.ATTRIBUTE, such as auth.token-lifetime, not 'lifetime'"),
        ({"key": "a b.c"}, "key: must be SUBJECT.ATTRIBUTE"),
        ({"supersedes": "fact-1"}, "supersedes[0]: 'fact-1' is no entry id;"),
        ({"superseded_by": 1}, "superseded_by[0]: must be a valid string, not 1"),
        ({"citations": {"path": "a"}}, "citations: must be a valid list, not {'path': 'a'}"),
        ({"citations": ["src/a.py:3"]}, "citations[0]: a citation is a mapping with one of path,"),
        ({"citations": [{"page": 1}]}, "citations[0]: a citation is a mapping with one of"),
        ({"citations": [{"path": "a", "sha256": "0" * 64}]}, "citations[0].lines: it is missing"),
        ({"citations": [{"path": "a", "lines": [1, 2]}]}, "citations[0].sha256: it is missing"),
        ({"citations": [{"log": "fact-261121-7k3q9m2x"}]}, "citations[0].log: fact-261121-7k3q9m2x is the id of"),
        ({"citations": [{"entry": "plan-a"}]}, "citations[0].version: it is missing"),
        ({"citations": [{"entry": "plan-a", "version": "abc"}]}, "citations[0].version: must be one of git's"),
        ({"citations": [{"url": "example.org"}]}, "citations[0].url: must be a URL, such as https://example.org/page,"),
        ({"citations": [{"url": "https://a b"}]}, "citations[0].url: must be a URL"),
        ({"citations": [{"command": "x", "exit": "0", "sha256": "0" * 64}]}, "citations[0].exit: must be a"),
    ],
)  # fmt: skip
def test_refused_facts(changes: dict[str, object], message: str) -> None:
    """The message names the field and says what is wrong with it, with what was given escaped."""
    said = problem("fact", changes)
    assert said.startswith(message)
    assert said.isprintable()


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../b", "a//b", "./a", "a/", "", "a\nb", "a\x00b"])
def test_cited_paths_stay_inside_the_repository(path: str) -> None:
    """A citation's path begins at the root of the repository and climbs nowhere."""
    said = problem("fact", {"citations": [{"path": path, "lines": [1, 2], "sha256": "0" * 64}]})
    assert said.startswith("citations[0].path: ")
    assert said.isprintable()


@pytest.mark.parametrize("lines", [[], [1], [0, 1], [2, 1], [-1, 1], [1, 2, 3]])
def test_cited_lines_are_a_range(lines: list[int]) -> None:
    """Lines are [first, last], counted from 1."""
    said = problem("fact", {"citations": [{"path": "a", "lines": lines, "sha256": "0" * 64}]})
    assert said == f"citations[0].lines: {lines} is no range of lines; write [first, last], counted from 1"


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("task", {"plan": "launch"}, "plan: 'launch' is no entry id"),
        ("task", {"plan": "fact-261121-7k3q9m2x"}, "plan: fact-261121-7k3q9m2x is the id of a fact, not of a plan"),
        ("task", {"depends_on": ["plan-a"]}, "depends_on[0]: plan-a is the id of a plan, not of a task"),
        ("task", {"owner": "Ada Lee"}, "owner: 'Ada Lee' is no agent name"),
        ("task", {"priority": "high"}, "priority: must be a valid integer, not 'high'"),
        ("task", {"acceptance": [""]}, "acceptance[0]: it is empty"),
        ("log", {"to": ["bob", "../x"]}, "to[1]: '../x' is no agent name"),
        ("entity", {"type": "person"}, "type: 'person' is not the type in the id entity-file-auth"),
        ("contested", {"sides": [{"version": BLOB}]}, "sides: List should have at least 2 items"),
        ("contested", {"sides": [{"version": BLOB}, {"by": "ada"}]}, "sides[1].version: it is missing"),
        ("tombstone", {"why": ""}, "why: it is empty"),
        ("tombstone", {"version": "HEAD"}, "version: must be one of git's object names in full, 40 or 64 hex digits,"),
    ],
)
def test_refused_others(kind: str, changes: dict[str, object], message: str) -> None:
    """The other kinds hold their own fields to their form."""
    assert problem(kind, changes).startswith(message)


def test_two_problems_are_named_and_the_rest_counted() -> None:
    """A message has two lines at most, and says how much it leaves out."""
    assert problem("fact", {"title": "", "rev": 0, "tags": 1, "by": ""}) == (
        "title: it is empty\nby: an agent needs a name, such as backend-2 (and 2 more)"
    )


def test_a_body_with_a_nul_is_refused() -> None:
    """A body is text."""
    assert problem("fact", {}, "a\0b") == "body: it holds a NUL character; take it out"


@pytest.mark.parametrize(
    "module", ["swarm_ledger", "swarm_ledger.logbook", "swarm_ledger.ids", "swarm_ledger.emitter", "swarm_ledger.times"]
)
def test_light_modules_load_neither_pydantic_nor_yaml(module: str) -> None:
    """What commands import before they know what to do stays cheap."""
    code = f"import sys, {module}; print(*{{'pydantic', 'yaml'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_reading_documents_loads_no_pydantic() -> None:
    """Parsing and editing need the YAML library only."""
    code = "import sys, swarm_ledger.entry, swarm_ledger.yaml12; print('pydantic' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
