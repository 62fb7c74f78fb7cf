"""Rows: what of a ledger file the index keeps."""

from __future__ import annotations

from swarm_indexes.moments import moment_of
from swarm_indexes.rows import rows_of

PATH = "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"


def test_a_path_that_is_no_entry_gives_no_row() -> None:
    """Settings and stray files are not searched."""
    assert rows_of("swarm.yaml", b"format: 1\n") == ([], "")
    assert rows_of("facts/notes.md", b"---\nid: x\n---\n") == ([], "")


def test_a_broken_document_keeps_its_text_and_says_what_is_wrong() -> None:
    """Bytes that are not UTF-8 are replaced, and the path gives id and kind."""
    (row,), flaw = rows_of(PATH, b"caf\xe9 closed")
    assert (row.id, row.kind, row.title, row.body) == ("fact-261121-7k3q9m2x", "fact", "", "caf\ufffd closed")
    assert "UTF-8" in flaw


def test_a_document_that_is_too_large_is_kept_in_part_and_named() -> None:
    """The first MiB can be found; that there is more is said."""
    (row,), flaw = rows_of(PATH, b"x" * (3 << 20))
    assert len(row.body) == 1 << 20
    assert "MiB" in flaw


def test_fields_of_an_unexpected_type_are_text() -> None:
    """What a hand wrote into the front matter costs nobody a search."""
    data = b"---\nid: 5\ntitle: [a, {b: c}]\nby: null\nat: 2026\nentities: one\ntags: {a: b}\ncitations: x\n---\nbody\n"
    (row,), flaw = rows_of(PATH, data)
    assert (row.id, row.title, row.by, row.at, row.moment) == (
        "fact-261121-7k3q9m2x",
        "['a', {'b': 'c'}]",
        "",
        "2026",
        None,
    )
    assert (row.entities, flaw) == ("one", "")


def test_a_moment_is_the_first_time_that_is_one() -> None:
    """Offsets count, none means UTC, and what is no time is passed over."""
    assert moment_of("1970-01-01T01:00:00+01:00") == 0.0
    assert moment_of("1970-01-02") == 86400.0
    assert moment_of("last week", "", "1970-01-01T00:00:01Z") == 1.0
    assert moment_of("0001-01-01T00:00:00+14:00") == -62135647200.0
    assert moment_of("nothing") is None
