"""Documents: what is read, what is refused, and that an edit changes only what it changes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_ledger.emitter import dump
from swarm_ledger.entry import FIELD_ORDER, REMOVED, Document
from swarm_ledger.errors import BadInput
from swarm_ledger.yaml12 import load

FACT = b"""\
---
# who wrote this by hand?
id: fact-261121-7k3q9m2x
kind:   fact      # aligned
title: 'Tokens expire'
mood: "gr\\u00fcn"   # nobody's field

# evidence below
citations:
  # the code
  - path: src/auth.py   # there
    lines: [3, 9]

  - url: "https://x.example"
# behind
valid_to:
---

Body.
---
not front matter: any more
"""


def test_parse() -> None:
    """A document's fields are typed, its body is what follows the empty line, its data is what was read."""
    document = Document.parse(FACT)
    assert dict(document.fields) == {
        "id": "fact-261121-7k3q9m2x",
        "kind": "fact",
        "title": "Tokens expire",
        "mood": "grün",
        "citations": [{"path": "src/auth.py", "lines": [3, 9]}, {"url": "https://x.example"}],
        "valid_to": None,
    }
    assert document.body == "Body.\n---\nnot front matter: any more\n"
    assert document.data == FACT


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"---\na: 1\n---\n", ""),
        (b"---\na: 1\n---", ""),
        (b"---\na: 1\n---\n\n", ""),
        (b"---\na: 1\n---\nx", "x"),
        (b"---\na: 1\n---\n\nx", "x"),
        (b"---\na: 1\n---\n\n\nx\n", "\nx\n"),
        (b"---\na: 1\n---\n \nx", " \nx"),
        (b"---  \na: 1\n---\t\n\nx", "x"),
        (b"---\r\na: 1\r\n---\r\n\r\nx\r\ny", "x\r\ny"),
        (b"\xef\xbb\xbf---\na: 1\n---\n\n\xef\xbb\xbfx", "\ufeffx"),
        ("---\na: 1\n---\n\n🐝\r\x1b[31m\n".encode(), "🐝\r\x1b[31m\n"),
    ],
)
def test_bodies(data: bytes, body: str) -> None:
    """One empty line is between front matter and body; CRLF, a BOM and everything else of the body is kept."""
    document = Document.parse(data)
    assert (dict(document.fields), document.body, document.data) == ({"a": 1}, body, data)


def test_a_mapping_without_fields() -> None:
    """Front matter may be empty."""
    assert Document.parse(b"---\n---\nx").fields == {}
    assert Document.parse(b"---\n# nothing\n---\nx").edit({"a": 1}).data == b"---\n# nothing\na: 1\n---\nx"


def shown(value: object) -> str:
    """A test's name, also for a case of 50 MB."""
    return repr(value)[:30]


LAUGHS = "a: &a [x]\n" + "".join(f"a{n}: &a{n} [{'*a,' * 9}]\n" for n in range(9))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no front matter: the first line must be `---`"),
        (b"# Title\n", "no front matter"),
        (b"\n---\na: 1\n---\n", "no front matter"),
        (b"---", "no front matter"),
        (b"----\na: 1\n---\n", "no front matter"),
        (b"\xef\xbb\xbf\xef\xbb\xbf---\na: 1\n---\n", "no front matter"),
        (b"---\na: 1\n", "the front matter is not closed: end it with a line `---`"),
        (b"---\na: 1\n --- \n", "not closed"),
        (b"---\na: 1\n...\n", "not closed"),
        (b"---\na: [1\n---\n", "front matter, line 3: "),
        (b"---\na: 1\nb: 'x\n---\n", "front matter, line [34]: "),
        (b"---\na: 1\nb: 2\na: 3\n---\n", "front matter, line 4: 'a' is there twice; keep one"),
        (b"---\r\na: 1\r\na: 2\r\n---\r\n", "front matter, line 3: 'a' is there twice"),
        (b"---\na: &x 1\nb: *x\n---\n", "front matter, line 2: anchors"),
        (b"---\na: *x\n---\n", "front matter, line 2: aliases"),
        (f"---\n{LAUGHS}---\n".encode(), "front matter, line 2: anchors"),
        (b"---\nn: \x00\n---\n", "line 2: a NUL byte; take it out"),
        (b"---\na: 1\n---\nx\n\x00y", "line 5: a NUL byte; take it out"),
        (b"---\na: \x1b[31m\n---\n", "control characters are not allowed"),
        (b"---\na: 1\n---\n\n\xff\n", "line 5: not UTF-8; save the file as UTF-8"),
        (b"---\na: caf\xe9\n---\n", "line 2: not UTF-8"),
        ("---\na: 1\n---\n".encode("utf-16"), "line 1: not UTF-8"),
        (b"---\na: 1\n---\n\xed\xa0\x80", "line 4: not UTF-8"),
        (b"---\na: 1\n---\n" + b"x" * 1024 * 1024, "over 1 MiB"),
        (b"x" * 50_000_000, "over 1 MiB"),
        (b"---\na: " + b"x" * 65536 + b"\n---\n", "over 64 KiB"),
        (b"---\n- a\n---\n", "line 2: front matter must be lines"),
        (b"---\n{a: 1, b: 2}\n---\n", "line 2: begin a line with each field"),
        (b"---\n? a\n: 1\n---\n", "line 2: begin a line with each field"),
        (b"---\na: 1\rb: 2\n---\n", "line 2: begin a line with each field"),
    ],
    ids=shown,
)
def test_refused(data: bytes, message: str) -> None:
    """What is no document is refused in one printable line that names the place."""
    with pytest.raises(BadInput, match=message) as refused:
        Document.parse(data)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 250


def edited(document: bytes, changes: dict[str, object], body: str | None = None) -> str:
    new = Document.parse(document).edit(changes, body)
    again = Document.parse(new.data)
    assert repr((again.fields, again.body)) == repr((new.fields, new.body))
    return new.data.decode()


def test_an_edit_to_a_value_keeps_everything_else() -> None:
    """Comments, quotes, alignment, unknown fields and the body stay byte for byte."""
    text = FACT.decode()
    assert edited(FACT, {"title": "no"}) == text.replace("'Tokens expire'", '"no"')
    assert edited(FACT, {"kind": "task"}) == text.replace("kind:   fact      #", "kind:   task      #")
    assert edited(FACT, {"valid_to": 5}) == text.replace("valid_to:\n", "valid_to: 5\n")
    assert edited(FACT, {"mood": None}) == text.replace('"gr\\u00fcn"', "null")


def test_an_edit_to_what_it_is_already_changes_nothing() -> None:
    """The same value leaves the text alone, however it was written; 1 is neither true nor 1.0."""
    same = dict(Document.parse(FACT).fields)
    assert Document.parse(FACT).edit(same, Document.parse(FACT).body).data == FACT
    assert edited(b"---\na: 0x1\n---\n", {"a": 1}) == "---\na: 0x1\n---\n"
    assert edited(b"---\na: 1\n---\n", {"a": True}) == "---\na: true\n---\n"
    assert edited(b"---\na: 1\n---\n", {"a": 1.0}) == "---\na: 1.0\n---\n"
    assert edited(b"---\na: .nan\nb: 1\n---\n", {"b": 2}) == "---\na: .nan\nb: 2\n---\n"


def test_an_edit_to_a_block_replaces_its_lines() -> None:
    """A value of several lines goes with them; comments before the field and after it stay."""
    text = FACT.decode()
    block = text[text.index("citations:") : text.index("# behind")]
    assert edited(FACT, {"citations": []}) == text.replace(block, "citations: []\n")
    new = [{"log": "log-261121-7k3q9m2x"}]
    assert edited(FACT, {"citations": new}) == text.replace(block, "citations:\n  - log: log-261121-7k3q9m2x\n")


def test_a_comment_behind_a_value_stays_when_the_value_becomes_a_block() -> None:
    """The comment goes on standing behind the field's name."""
    assert edited(b"---\na: []  # why\nb: 1\n---\n", {"a": [{"x": 1}]}) == "---\na: # why\n  - x: 1\nb: 1\n---\n"


def test_removed_fields_go_with_their_lines() -> None:
    """REMOVED takes a field's lines out and leaves the comments around it; an absent field may be removed."""
    text = FACT.decode()
    assert edited(FACT, {"title": REMOVED, "nothing": REMOVED}) == text.replace("title: 'Tokens expire'\n", "")
    assert edited(FACT, {"valid_to": REMOVED}) == text.replace("valid_to:\n", "")
    block = text[text.index("citations:") : text.index("# behind")]
    assert edited(FACT, {"citations": REMOVED}) == text.replace(block, "")


def test_new_fields_go_to_their_place() -> None:
    """A known field goes behind those that come before it, an unknown one to the end."""
    text = FACT.decode()
    expected = text.replace("'Tokens expire'\n", "'Tokens expire'\nby: ada\nrev: 1\n")
    expected = expected.replace("valid_to:\n", "valid_to:\nkey: auth.ttl\nzoo: [1]\n")
    assert edited(FACT, {"zoo": [1], "rev": 1, "key": "auth.ttl", "by": "ada"}) == expected
    assert edited(b"---\ntitle: x\n---\n", {"id": "z"}) == "---\nid: z\ntitle: x\n---\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a: |\n  x\n  y\n\nb: 1\n", "a: z\nb: 1\n"),
        ("a: |+\n  x\n\n\nb: 1\n", "a: z\nb: 1\n"),
        ("a: >-\n  x\n# note\nb: 1\n", "a: z\n# note\nb: 1\n"),
        ("a:\n- x\n- y\nb: 1\n", "a: z\nb: 1\n"),
        ("a:\n-\n-\nb: 1\n", "a: z\nb: 1\n"),
        ("a:\n  x:\n  # in\n# out\nb: 1\n", "a: z\n  # in\n# out\nb: 1\n"),
        ("a: [x,\n  y] # c\nb: 1\n", "a: z\nb: 1\n"),
        ("a: {x: 1,\n  y: 2}\nb: 1\n", "a: z\nb: 1\n"),
        ("a: x\n  y\nb: 1\n", "a: z\nb: 1\n"),
        ('a: "x\n\n  y"\nb: 1\n', "a: z\nb: 1\n"),
        ("a:\n  x\nb: 1\n", "a: z\nb: 1\n"),
        ("a:  # why\nb: 1\n", "a: z  # why\nb: 1\n"),
        ("a:\t{x: 1}\t# c\nb: 1\n", "a:\tz\t# c\nb: 1\n"),
        ("'a' : [1, [2]]\nb: 1\n", "'a' : z\nb: 1\n"),
        ("  a: x\n  b: 1\n", "  a: z\n  b: 1\n"),
        ("b: 1\na: x", None),
        ("b: é🐝\na: x # 🐝\n", "b: é🐝\na: z # 🐝\n"),
        ("b: 1 # \u2028\na: x\n", None),
    ],
)
def test_every_way_to_write_a_value_can_be_edited(old: str, new: str | None) -> None:
    """Block scalars, lists, flow collections over lines, indentation, tabs: only the value's lines change."""
    document = f"---\n{old.rstrip(chr(10))}\n---\n".encode() if new is None else f"---\n{old}---\n".encode()
    expected = document.decode().replace("a: x", "a: z") if new is None else f"---\n{new}---\n"
    assert edited(document, {"a": "z"}) == expected


def test_an_indented_mapping_stays_indented() -> None:
    """New lines go as far in as the fields that are there."""
    assert edited(b"---\n  b: 1\n---\n", {"a": [{"x": 1}]}) == "---\n  b: 1\n  a:\n    - x: 1\n---\n"


def test_crlf_and_bom_are_kept() -> None:
    """New lines end as the document's do; the BOM stays."""
    data = b"\xef\xbb\xbf---\r\na: 1\r\nb: 2\r\n---\r\n\r\nx\r\n"
    assert edited(data, {"b": [{"x": 1}], "c": 3}) == (
        "\ufeff---\r\na: 1\r\nb:\r\n  - x: 1\r\nc: 3\r\n---\r\n\r\nx\r\n"
    )
    assert edited(data, {}, "new\n") == "\ufeff---\r\na: 1\r\nb: 2\r\n---\r\n\r\nnew\n"


@pytest.mark.parametrize(
    "tail", ["---", "---\n", "---\n\n", "---\nold", "---\n\nold\n", "---\r\n", "--- \t\n\n", "---\n\n\n"]
)
@pytest.mark.parametrize("body", ["", "x", "\nx", "\r\nx\n", "\n", " x", "---\n", "é\r"])
def test_a_new_body_is_read_back_as_it_was_given(tail: str, body: str) -> None:
    """Whatever the old body and the new, front matter and closing line stay and the new body comes back."""
    document = Document.parse(f"---\na: 1\n{tail}".encode()).edit({}, body)
    assert document.body == body
    assert Document.parse(document.data).body == body
    assert document.data.startswith(f"---\na: 1\n{tail.splitlines()[0]}".encode())


@pytest.mark.parametrize(
    ("changes", "body", "message"),
    [
        ({"a": object()}, None, "not object"),
        ({"a": "\ud800"}, None, "surrogate"),
        ({"a": "x" * 65536}, None, "over 64 KiB"),
        ({}, "x\0", "NUL"),
        ({}, "\ud800", "surrogate"),
        ({}, "x" * 1024 * 1024, "over 1 MiB"),
    ],
)
def test_edits_that_are_refused(changes: dict[str, object], body: str | None, message: str) -> None:
    """What could not be read again is not written, by edit or create."""
    with pytest.raises(BadInput, match=message):
        Document.parse(b"---\na: 1\n---\n").edit(changes, body)
    with pytest.raises(BadInput, match=message):
        Document.create(changes, body or "")


def test_front_matter_that_cannot_be_edited_by_field_is_refused() -> None:
    """Where a new line would not become a field, the edit says so and changes nothing."""
    with pytest.raises(BadInput, match="front matter"):
        Document.parse(b"---\n{}\n---\n").edit({"a": 1})


def test_create() -> None:
    """A new document has its fields in the canonical order, unknown ones last."""
    document = Document.create({"zoo": 1, "title": "T", "citations": ({"a": (1,)},), "id": "x", "ant": 2}, "Body\n")
    assert document.data == (b"---\nid: x\ntitle: T\ncitations:\n  - a: [1]\nzoo: 1\nant: 2\n---\n\nBody\n")
    assert dict(document.fields) == {"id": "x", "title": "T", "citations": [{"a": [1]}], "zoo": 1, "ant": 2}
    assert Document.create({"id": "x"}, "").data == b"---\nid: x\n---\n"


def test_a_document_is_no_view_of_what_it_was_made_from() -> None:
    """Changing the fields that were given changes no document."""
    tags = ["a"]
    document = Document.create({"tags": tags}, "")
    tags.append("b")
    assert document.fields["tags"] == ["a"]
    assert document.edit({"x": 1}).data == b"---\ntags: [a]\nx: 1\n---\n"


names = st.sampled_from([*FIELD_ORDER[:8], "citations", "zoo", "ant", "a b", "no", "ключ", "🐝", "x:", ""])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["no", "1e3", "a\nb", " x ", "#"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
bodies = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["\n", "\r\nx", "---\n", "\ufeff"]
)


@given(st.dictionaries(names, values, max_size=6), bodies)
def test_created_documents_are_read_back(fields: dict[str, object], body: str) -> None:
    """Fields and body come back as they were given; what `create` says of itself is what parsing says."""
    created = Document.create(fields, body)
    parsed = Document.parse(created.data)
    assert (parsed.fields, parsed.body) == (created.fields, created.body) == (fields, body)


@dataclass
class Chunk:
    """A piece of front matter of which is known what it is: a comment, or a field written in one of many ways."""

    name: str | None
    text: str
    before: str = ""
    after: str = ""
    """For a field on one line: what stands before and after its value."""


ONE_LINE = ["x", "'it''s'", '"a\\tb"', "[1, {a: b}]", "{}", "0x10", "~", "2026-11-21T10:54:03Z", "é 🐝"]
SEVERAL_LINES = [
    ": |\n  # no comment\n  b\n",
    ": |2-\n    deep\n",
    ": >+\n  a\n\n",
    ":\n- a\n- b: 1\n",
    ":\n  # in\n  k: v\n  l:\n    - 1\n",
    ": [1,\n    2]  # gone\n",
    ": plain\n  goes on\n",
    ':\n  "quoted\n  text"\n',
]


@st.composite
def chunks(draw: st.DrawFn) -> list[Chunk]:
    """Front matter in pieces; comments and empty lines only where they cannot belong to a block scalar."""
    pieces: list[Chunk] = []
    for name in draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)):
        if draw(st.booleans()):
            pieces.append(Chunk(None, draw(st.sampled_from(["# why\n", "#\n", "# a: 1\n", "# é🐝\n"]))))
        if draw(st.booleans()):
            before, after = draw(st.sampled_from([": ", ":   ", " : "])), draw(st.sampled_from(["", " ", "  # c: d"]))
            value = draw(st.sampled_from(ONE_LINE))
            pieces.append(Chunk(name, f"{name}{before}{value}{after}\n", name + before, after + "\n"))
        else:
            pieces.append(Chunk(name, name + draw(st.sampled_from(SEVERAL_LINES))))
    return pieces


def obvious_edit(pieces: list[Chunk], changes: dict[str, object]) -> str:
    """The slow version, which knows where every field is: pieces replaced one by one, new ones at the end."""
    old = load("".join(piece.text for piece in pieces))
    out = ""
    for piece in pieces:
        if piece.name is None or piece.name not in changes or repr(changes[piece.name]) == repr(old[piece.name]):
            out += piece.text
            continue
        value = changes[piece.name]
        if value is REMOVED:
            continue
        line = dump({piece.name: value})
        if piece.before and line.count("\n") == 1:
            out += piece.before + line.removeprefix(f"{piece.name}: ").removesuffix("\n") + piece.after
        elif piece.before and piece.after.strip():
            out += line.replace(":\n", f": {piece.after.strip()}\n", 1)
        else:
            out += line
    for name in sorted(changes.keys() - old.keys()):
        if changes[name] is not REMOVED:
            out += dump({name: changes[name]})
    return out


@given(
    chunks(),
    st.dictionaries(st.sampled_from("abcdefghyz"), values | st.just(REMOVED), max_size=4),
    st.sampled_from(["", "\nBody\n", "Body"]),
    st.booleans(),
)
def test_an_edit_changes_only_what_it_changes(
    pieces: list[Chunk], changes: dict[str, object], rest: str, crlf: bool
) -> None:
    """Against the slow version: every byte outside the edited fields stays, with either line end."""
    end = "\r\n" if crlf else "\n"
    changes = dict(sorted(changes.items()))
    before = f"---\n{''.join(piece.text for piece in pieces)}---\n{rest}".replace("\n", end)
    expected = f"---\n{obvious_edit(pieces, changes)}---\n{rest}".replace("\n", end)
    document = Document.parse(before.encode()).edit(changes)
    assert document.data.decode() == expected
    assert Document.parse(document.data).fields == document.fields


@given(st.text("ab:-#\n\r\t '\"[]{},|>&*!?0é🐝\u2028", max_size=60), names, values)
def test_any_front_matter_that_is_read_can_be_edited(yaml: str, name: str, value: object) -> None:
    """An edit of whatever parses gives exactly the fields that were asked for, or is refused."""
    try:
        document = Document.parse(f"---\n{yaml}\n---\n\nBody".encode())
        new = document.edit({name: value})
    except BadInput as refused:
        assert str(refused).isprintable()
        return
    assert new.fields == {**document.fields, name: value}
    assert Document.parse(new.data).fields == new.fields
    assert new.data.endswith(b"\n---\n\nBody")
