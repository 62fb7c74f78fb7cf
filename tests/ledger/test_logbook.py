"""Logs: sections that are added and come back as they were."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm_ledger import logbook
from swarm_ledger.entry import Document
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import AgentName, EntryId
from swarm_ledger.logbook import LogEntry

ID = EntryId("log-261121-7k3q9m2x")
ADA = AgentName("ada")
AT = datetime(2026, 11, 21, 10, 54, 3, tzinfo=UTC)
HEADER = b'---\nkind: log\nby: "ada"\nday: "2026-11-21"\n---\n\n'
HEADING = b"## 10:54:03 log-261121-7k3q9m2x\n"


def written(text: str, **meta: object) -> bytes:
    return logbook.section(LogEntry(ID, ADA, AT, text, meta))


def test_header() -> None:
    """A log file begins with whose it is and of which day; names that YAML could misread are quoted."""
    assert logbook.header("ada", date(2026, 11, 21)) == HEADER
    assert Document.parse(logbook.header("no", date(2026, 1, 2))).fields == {
        "kind": "log",
        "by": "no",
        "day": "2026-01-02",
    }
    with pytest.raises(BadInput, match="is no agent name"):
        logbook.header("../x", date(2026, 11, 21))


def test_section() -> None:
    """A section is its heading, one line of metadata if there is any, and the text, set apart by empty lines."""
    assert written("Fixed the login.") == HEADING + b"\nFixed the login.\n\n"
    assert written("Over to you.", to="bob", tags=["handoff"]) == (
        HEADING + b'{"to": "bob", "tags": ["handoff"]}\n\nOver to you.\n\n'
    )


def test_the_time_of_a_section_is_in_utc_to_the_second() -> None:
    """A local time with a fraction is written as UTC without it."""
    at = datetime(2026, 11, 22, 0, 54, 3, 999999, tzinfo=timezone(timedelta(hours=14)))
    assert logbook.section(LogEntry(ID, ADA, at, "x")) == HEADING + b"\nx\n\n"


def test_parse() -> None:
    """A file gives its sections in their order, each with its agent, time, text and metadata."""
    second = HEADING.replace(b"10:54:03", b"23:59:59").replace(b"7k3q9m2x", b"00000000")
    data = HEADER + written("One.\n\n# Title\n## Two", task="task-261121-7k3q9m2x") + second + b"\nThree.\n\n"
    assert logbook.parse(data) == [
        LogEntry(ID, ADA, AT, "One.\n\n# Title\n## Two", {"task": "task-261121-7k3q9m2x"}),
        LogEntry(EntryId("log-261121-00000000"), ADA, AT.replace(hour=23, minute=59, second=59), "Three.", {}),
    ]
    assert logbook.count(data) == 2


def test_an_empty_log_has_no_sections() -> None:
    """A header alone is a log of nothing."""
    assert logbook.parse(HEADER) == []
    assert logbook.count(HEADER) == 0


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (HEADING.decode(), "\\" + HEADING.decode()),
        ("a\n" + HEADING.decode() + "b", "a\n\\" + HEADING.decode() + "b"),
        ("\\" + HEADING.decode(), "\\\\" + HEADING.decode()),
        ("\\\\" + HEADING.decode(), "\\\\\\" + HEADING.decode()),
        ("## 10:54:03 log-x", "\\## 10:54:03 log-x"),
        ("## 10:54 log-x", "## 10:54 log-x"),
        ("## 10:54:03 Logs", "## 10:54:03 Logs"),
        ("\\# x\n\\## y", "\\# x\n\\## y"),
        (" " + HEADING.decode(), " " + HEADING.decode()),
        ("\r" + HEADING.decode(), "\r" + HEADING.decode()),
        ("---\nkind: log\n---\n", "---\nkind: log\n---\n"),
    ],
)
def test_escaping(text: str, escaped: str) -> None:
    """A line that would read as a heading gets one backslash more; every other line stays."""
    data = HEADER + written(text) + written("next")
    assert data == HEADER + HEADING + b"\n" + escaped.encode() + b"\n\n" + HEADING + b"\nnext\n\n"
    assert [entry.text for entry in logbook.parse(data)] == [text, "next"]
    assert logbook.count(data) == 2


lines = st.sampled_from(
    [
        *(HEADING.decode(), "## 10:54:03 log-261121-7k3q9m2x\r\n", "\\" + HEADING.decode(), "\\\\## 10:54:03 log-"),
        *("## 10:54:03 log-261121-7k3q9m2x", "## 99:54:03 log-261121-7k3q9m2x\n", "\n", "\r\n", "\r", "\\", "{a: 1}\n"),
        *("---\n", "\ufeff", "\u2028", "\x85", "🐝", "\t", "# Title\n", '{"to": "bob"}\n\n', "\x7f", "## "),
    ]
)
texts = st.lists(lines | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5), max_size=8).map("".join)
metas = st.dictionaries(
    st.sampled_from(["to", "tags", "ref", "é", "no", "", "a b"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
        max_leaves=5,
    ),
    max_size=3,
)


@given(st.lists(st.tuples(texts, metas), max_size=4))
@example([("", {}), ("\n", {}), ("\n\n", {}), ("\r", {}), ("x\r\n", {}), ("{}\n\n", {"a": "\ud7ff"})])
def test_round_trip(notes: list[tuple[str, dict[str, object]]]) -> None:
    """Every text and its metadata come back exactly, whatever stands before and after."""
    entries = [LogEntry(ID, ADA, AT, text, meta) for text, meta in notes]
    data = HEADER + b"".join(logbook.section(entry) for entry in entries)
    assert repr(logbook.parse(data)) == repr(entries)
    assert logbook.count(data) == len(entries)


@given(st.lists(texts, max_size=4))
def test_count_is_how_many_parse_finds(parts: list[str]) -> None:
    """On any log, escaped or not, counting and parsing agree."""
    data = HEADER + "".join(parts).encode()
    try:
        entries = logbook.parse(data)
    except BadInput as refused:
        assert str(refused).isprintable()
    else:
        assert logbook.count(data) == len(entries)


@pytest.mark.parametrize("character", [chr(code) for code in range(32) if chr(code) not in "\t\n\r"])
def test_control_characters_are_refused(character: str) -> None:
    """Control characters other than tab, newline and carriage return are named, not dropped."""
    with pytest.raises(BadInput, match=r"control character '\\x[01].' at position 2") as refused:
        written(f"ab{character}c")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (LogEntry(ID, ADA, AT, "\ud800"), "not valid Unicode"),
        (LogEntry(ID, ADA, AT, "x" * (512 * 1024 + 1)), "at most 512 KiB"),
        (LogEntry(ID, ADA, AT, "x", {"a": "x" * 17_000}), "16 KiB of metadata"),
        (LogEntry(ID, ADA, AT, "x", {"a": AT}), "not datetime"),
        (LogEntry(ID, ADA, AT, "x", {"a": float("nan")}), "no number at all"),
        (LogEntry(ID, ADA, AT, "x", {"a": "\ud800"}), "surrogate"),
        (LogEntry(ID, ADA, AT.replace(tzinfo=None), "x"), "time zone"),
        (LogEntry(ID, ADA, AT + timedelta(days=1), "x"), "is not an id of 2026-11-22"),
        (LogEntry(EntryId("fact-261121-7k3q9m2x"), ADA, AT, "x"), "no id of a log section"),
        (LogEntry(EntryId("log-261121-7k3q9m2x\n# x"), ADA, AT, "x"), "no id of a log section"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_sections_that_are_refused(entry: LogEntry, message: str) -> None:
    """What would not come back the same is not written."""
    with pytest.raises(BadInput, match=message):
        logbook.section(entry)


def test_keys_of_metadata_are_text() -> None:
    """A number as a key is refused; JSON would turn it into text."""
    meta: Any = {1: "a"}
    with pytest.raises(BadInput, match="field names are text"):
        logbook.section(LogEntry(ID, ADA, AT, "x", meta))


@pytest.mark.parametrize(
    ("line", "meta"),
    [
        (b"{to: bob, tags: [handoff], day: 2026-11-21}", {"to": "bob", "tags": ["handoff"], "day": "2026-11-21"}),
        (b"{'to': no}", {"to": "no"}),
        (b'  {"to": "bob"}  ', {"to": "bob"}),
        (b'{"a": 1e3, "b": -0.0}', {"a": 1000.0, "b": -0.0}),
        (b"{}", {}),
    ],
)
def test_metadata_by_hand(line: bytes, meta: dict[str, object]) -> None:
    """Metadata is YAML in flow style, of which JSON is a part."""
    assert logbook.parse(HEADER + HEADING + line + b"\n\nText\n\n")[0].meta == meta


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no front matter"),
        (b"# Log\n", "no front matter"),
        (HEADER.replace(b"kind: log", b"kind: fact"), "says no `kind: log`"),
        (HEADER.replace(b'"ada"', b'"../x"'), "is no agent name"),
        (HEADER.replace(b'"2026-11-21"', b"soon"), "'soon' is no day"),
        (HEADER.replace(b"2026-11-21", b"2026-02-30"), "'2026-02-30' is no day"),
        (HEADER.replace(b"day:", b"by:"), "'by' is there twice"),
        (HEADER + b"stray\n\n" + HEADING + b"\nx\n\n", "line 6: text before the first section"),
        (HEADER + b"stray", "line 6: text before the first section"),
        (HEADER + HEADING.replace(b"261121", b"261122") + b"\nx\n\n", "line 7: log-261122-7k3q9m2x is not an id of"),
        (HEADER + HEADING.replace(b"261121", b"269921") + b"\nx\n\n", "no id of a log section"),
        (HEADER + HEADING + b"no metadata\n\nx\n\n", "log-261121-7k3q9m2x: the metadata is broken: .*lines of"),
        (HEADER + HEADING + b"{to: bob\n\nx\n\n", "the metadata is broken"),
        (HEADER + HEADING + b"{to: a, to: b}\n\nx\n\n", "'to' is there twice"),
        (HEADER + HEADING + b'{"to": "a", "to": "b"}\n\nx\n\n', "'to' is there twice"),
        (HEADER + HEADING + b"{to: &a bob, by: *a}\n\nx\n\n", "anchors"),
        (HEADER + HEADING + b'{"to": "\\ud800"}\n\nx\n\n', "the metadata is broken"),
        (HEADER + HEADING + b"{}".replace(b"}", b'"a": ' + b"[" * 9000) + b"\n\nx\n\n", "nested deeper than 20"),
        (HEADER + HEADING + b"{to: bob}\nx\n\n", "an empty line must stand between"),
        (HEADER + HEADING + b"\n\xff\n\n", "log-261121-7k3q9m2x: the text is not UTF-8"),
        (HEADER + HEADING + b"\na\x00b\n\n", "log-261121-7k3q9m2x: the text holds a NUL byte"),
        (HEADER[:-2] + b"\xff\n\n", "not UTF-8"),
    ],
)  # fmt: skip
def test_broken_logs(data: bytes, message: str) -> None:
    """What is no log is refused in one printable line that names the place."""
    with pytest.raises(BadInput, match=message) as refused:
        logbook.parse(data)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "data",
    [
        (HEADER + HEADING + b"\nOne\ntwo\n\n").replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + HEADER + HEADING + b"\nOne\ntwo\n\n",
        HEADER + HEADING + b"\nOne\ntwo\n",
        HEADER + HEADING + b"\nOne\ntwo",
        HEADER.replace(b'"', b"") + b"\n\n" + HEADING + b"\nOne\ntwo\n\n",
        HEADER.replace(b"by:", b"# mine\nmood: fine\nby:") + HEADING + b"\nOne\ntwo\n\n",
        HEADER[:-1] + HEADING + b"\nOne\ntwo\n\n",
    ],
)
def test_logs_that_a_hand_or_an_editor_changed(data: bytes) -> None:
    """CRLF, a BOM, a missing last line end, other quotes, further fields: the log is read all the same."""
    assert logbook.parse(data) == [LogEntry(ID, ADA, AT, "One\ntwo", {})]


def test_an_empty_section_is_an_empty_text() -> None:
    """A heading with nothing behind it, as a hand may leave it, is a section without text."""
    assert [entry.text for entry in logbook.parse(HEADER + HEADING)] == [""]
    assert [entry.text for entry in logbook.parse(HEADER + HEADING + HEADING)] == ["", ""]


@given(st.lists(st.text(max_size=30).filter(lambda text: not logbook._CONTROL.search(text)), max_size=4))
def test_split_and_joined_a_log_is_the_same(texts: list[str]) -> None:
    """Sections of any text are told apart by their headings alone, and joined they are the file again."""
    try:
        sections = [written(text) for text in texts]
    except BadInput:  # half of a surrogate pair
        return
    data = HEADER + b"".join(sections)
    head, parts = logbook.split(data)
    assert head == HEADER
    assert parts == [(ID, section) for section in sections]


def test_a_log_that_a_hand_saved_is_split() -> None:
    """CRLF and a BOM go, and a last section gets the line ends that it lacks."""
    data = b"\xef\xbb\xbf" + (HEADER + written("a") + written("b").removesuffix(b"\n\n")).replace(b"\n", b"\r\n")
    assert logbook.split(data) == (HEADER, [(ID, written("a")), (ID, written("b"))])
