"""ledger/FORMAT.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarm_ledger import logbook
from swarm_ledger.entry import FIELD_ORDER, Document
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import ALPHABET, KINDS, path_of
from swarm_ledger.schema import MODELS, validate

NAME = re.compile(r"`(\w+)`")
TEXT = (Path(__file__).parents[2] / "ledger" / "FORMAT.md").read_text()
FACT, LOG = (match.encode() for match in re.findall(r"```markdown\n(.*?)```", TEXT, re.DOTALL))


def test_the_example_of_a_fact() -> None:
    """The fact that is shown is valid, and is what this program would write."""
    document = Document.parse(FACT)
    validate(document.fields, document.body)
    assert path_of("fact-261121-7k3q9m2x") == "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"
    assert Document.create(document.fields, document.body).data == FACT


def test_the_example_of_a_log() -> None:
    """The log that is shown is, byte for byte, what this program writes."""
    (entry,) = logbook.parse(LOG)
    assert (entry.text, entry.meta) == ("The login endpoint is ready.", {"to": "frontend-1", "tags": ["handoff"]})
    assert logbook.header("backend-2", entry.at.date()) + logbook.section(entry) == LOG


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    """The table of fields, or what is known of a log's metadata, names each field of each model."""
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", TEXT[TEXT.index("## 7 Fields") :], re.MULTILINE)
    described = {
        name for names, kinds in rows if kind in kinds or "all" in kinds for name in re.findall(r"`(\w+)`", names)
    }
    if kind == "log":
        described |= set(NAME.findall(TEXT[TEXT.index("Known metadata:") : TEXT.index("Unknown metadata")]))
    assert set(MODELS[kind].model_fields) <= described


def test_fields_are_described_in_the_order_in_which_they_are_written() -> None:
    """The order of the table is the canonical one."""
    table = TEXT[TEXT.index("| field | in | value |") : TEXT.index("**Citations** are")]
    named = [
        name for row in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert named == list(FIELD_ORDER)


def test_limits() -> None:
    """The numbers are those of the code."""
    assert f"`{ALPHABET}`" in TEXT
    assert f"has {logbook.ENTRIES_PER_FILE} sections" in TEXT
    assert f"over {logbook.BYTES_PER_FILE:,} bytes" in TEXT


@pytest.mark.parametrize(
    ("kind", "field", "limit"),
    [
        *(("fact", "title", 200), ("fact", "key", 200), ("task", "scope", 4096), ("contested", "path", 4096)),
        *(("task", "acceptance", 16384), ("tombstone", "why", 16384), ("url", "url", 4096)),
        ("command", "command", 16384),
    ],
)
def test_limits_of_texts(kind: str, field: str, limit: int) -> None:
    """Each number of the page is what the schema takes, and no character more."""
    common = {"id": f"{kind}-261121-7k3q9m2x", "kind": kind, "title": "t", "by": "ada", "at": "2026-11-21T10:54:03Z"}
    sides = [{"version": "0" * 40}, {"version": "1" * 40}]
    needed = {
        "contested": {"sides": sides},
        "tombstone": {"of": "fact-261121-7k3q9m2x", "version": "0" * 40},
        "url": {"id": "fact-261121-7k3q9m2x", "kind": "fact"},
        "command": {"id": "fact-261121-7k3q9m2x", "kind": "fact"},
    }.get(kind, {})

    def entry(size: int) -> dict[str, object]:
        text = {"key": "a.", "url": "a:"}.get(field, "x")
        value: object = text + "x" * (size - len(text))
        if field in ("url", "command"):
            whole = {"url": value} if field == "url" else {"command": value, "exit": 0, "sha256": "0" * 64}
            return {**common, **needed, "citations": [whole]}
        return {**common, **needed, field: [value] if field == "scope" else value}

    validate(entry(limit), "")
    with pytest.raises(BadInput, match=f"at most {limit}"):
        validate(entry(limit + 1), "")
    assert (f"{limit:,}" if limit > 999 else f"at most {limit}") in TEXT
