"""An entry as text: YAML front matter and a markdown body.

    ---
    id: fact-261121-7k3q9m2x
    kind: fact
    ---

    The body. The one empty line before it belongs to neither.

A document keeps the bytes that it was read from, and an edit changes the lines of the edited fields only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from .emitter import dump, dump_key, dump_value
from .errors import BadInput
from .yaml12 import Span, scan

__all__ = ["FIELD_ORDER", "MAX_BYTES", "REMOVED", "Document", "Removed", "decode"]

MAX_BYTES = 1024 * 1024

FIELD_ORDER = (
    *("id", "kind", "title", "by", "at", "rev", "status", "entities", "room", "tags", "valid_from", "valid_to"),
    *("phases", "plan", "phase", "depends_on", "scope", "owner", "acceptance", "priority"),
    *("type", "aliases"),
    *("of", "path", "version", "sides", "why"),
    *("key", "confidence", "citations", "supersedes", "superseded_by"),
)
"""The order in which fields are written; others follow in the order given."""

_RANK = {name: rank for rank, name in enumerate(FIELD_ORDER)}
_OPENING = re.compile("\ufeff?---[ \t]*\r?\n")
_CLOSING = re.compile(r"^---[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_BLANK_LINE = re.compile(r"\r?\n")
_TOO_LONG = f"over {MAX_BYTES // 1024 // 1024} MiB, too long for an entry; put long text into a file and cite it"


class Removed(Enum):
    """The type of REMOVED."""

    REMOVED = "removed"


REMOVED: Final = Removed.REMOVED
"""As a field's new value in an edit: the field goes."""


def decode(data: bytes) -> str:
    """The text of an entry's file. Raises BadInput, naming the line, for what none can hold."""
    if len(data) > MAX_BYTES:
        raise BadInput(_TOO_LONG)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"line {line}: not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        raise BadInput(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL byte; take it out")
    return text


class Document:
    """The text of an entry and what it says. Immutable; `edit` makes another.

    The text is head + yaml + tail + body: up to the first line `---`, the front matter, the second such line with
    the empty line after it, the rest. `yaml` is empty or ends with a newline.
    """

    __slots__ = ("_head", "_spans", "_tail", "_yaml", "body", "data", "fields")

    def __init__(
        self,
        head: str,
        yaml: str,
        tail: str,
        body: str,
        fields: dict[str, object],
        spans: dict[str, Span] | None = None,
        data: bytes | None = None,
    ) -> None:
        """For `parse`, `create` and `edit`: the parts must belong together."""
        self._head, self._yaml, self._tail, self._spans = head, yaml, tail, spans
        self.body = body
        """Line ends are as they were read."""
        self.fields: Mapping[str, object] = MappingProxyType(fields)
        self.data = _encode(head + yaml + tail + body) if data is None else data
        """Exactly the bytes that were read, or that are to be written."""

    @classmethod
    def parse(cls, data: bytes) -> Document:
        """The document that `data` holds. A BOM and CRLF are accepted and kept.

        Raises BadInput for over 1 MiB, what is not UTF-8, NUL bytes, and front matter that is missing,
        unterminated or broken; the message names the line.
        """
        text = decode(data)
        opening = _OPENING.match(text)
        if opening is None:
            raise BadInput("no front matter: the first line must be `---`")
        closing = _CLOSING.search(text, opening.end())
        if closing is None:
            raise BadInput("the front matter is not closed: end it with a line `---`")
        yaml = text[opening.end() : closing.start()]
        fields, spans = _scan(yaml)
        blank = _BLANK_LINE.match(text, closing.end())
        start = blank.end() if blank else closing.end()
        return cls(opening[0], yaml, text[closing.start() : start], text[start:], fields, spans, data)

    @classmethod
    def create(cls, fields: Mapping[str, object], body: str) -> Document:
        """A new document with `fields` in FIELD_ORDER. Raises BadInput for what front matter cannot hold."""
        ordered = {name: _copy(fields[name]) for name in sorted(fields, key=_rank)}
        return cls("---\n", dump(ordered), "---\n\n" if body else "---\n", body, ordered)

    def edit(self, changes: Mapping[str, object], body: str | None = None) -> Document:
        """This document with the fields in `changes` set, or taken out where the value is REMOVED.

        Only those fields' lines change; a comment behind a value on one line stays. A field whose value is the
        same already is left as it is. New fields go to their place in FIELD_ORDER. Raises BadInput for what front
        matter cannot hold.
        """
        expected = {**self.fields, **changes}
        expected = {name: value for name, value in expected.items() if value is not REMOVED}
        yaml = self._edit_yaml(changes)
        fields, spans = _scan(yaml)
        if fields != expected and _canonical(fields) != _canonical(expected):
            raise BadInput("this front matter cannot be edited by field; write each field as lines of `name: value`")
        tail, new_body = self._tail, self.body
        if body is not None and body != self.body:
            tail, new_body = self._tail_before(body), body
        return Document(self._head, yaml, tail, new_body, fields, spans)

    def _edit_yaml(self, changes: Mapping[str, object]) -> str:
        yaml = self._yaml
        if self._spans is None:
            self._spans = _scan(yaml)[1]
        eol = "\r\n" if self._head.endswith("\r\n") else "\n"
        pieces: list[tuple[int, int, str]] = []
        for name in sorted(changes, key=_rank):
            value, span = changes[name], self._spans.get(name)
            if value is REMOVED:
                if span:
                    pieces.append((_line_start(yaml, span), _line_end(yaml, span), ""))
            elif span is None:
                at, indent = self._place(name)
                new = f"{indent}{dump_key(name)}:{_indented(dump_value(value, len(name)), eol, indent)}{eol}"
                pieces.append((at, at, new))
            elif dump_value(value, 0) != dump_value(self.fields[name], 0):
                pieces.append(_replace(yaml, span, value, eol))
        out, position = [], 0
        for start, end, new in sorted(pieces, key=lambda piece: piece[:2]):
            out += [yaml[position:start], new]
            position = end
        return "".join(out) + yaml[position:]

    def _place(self, name: str) -> tuple[int, str]:
        """Where a new field goes and how far in: behind the last field that comes before it in FIELD_ORDER."""
        spans = self._spans or {}
        if not spans:
            return len(self._yaml), ""
        first = next(iter(spans.values()))
        at = start = _line_start(self._yaml, first)
        for other, span in spans.items():
            if _rank(other) <= _rank(name):
                at = _line_end(self._yaml, span)
        return at, self._yaml[start : first.key_start]

    def _tail_before(self, body: str) -> str:
        """The tail that keeps `body` apart from the front matter when read again."""
        eol = "\r\n" if self._head.endswith("\r\n") else "\n"
        closing = _CLOSING.match(self._tail)
        has_blank = closing is not None and closing.end() < len(self._tail)
        if not body or has_blank or (self.body and not _BLANK_LINE.match(body)):
            return self._tail
        return self._tail.rstrip("\r\n") + eol + eol


def _scan(yaml: str) -> tuple[dict[str, object], dict[str, Span]]:
    """The fields and where they stand: each must begin a line, all equally far in."""
    fields, spans = scan(yaml, first_line=2)
    for span in spans.values():
        if yaml[_line_start(yaml, span) : span.key_start].strip(" "):
            line = yaml.count("\n", 0, span.key_start) + 2
            raise BadInput(f"front matter, line {line}: begin a line with each field, as `name: value`")
    return fields, spans


def _replace(yaml: str, span: Span, value: object, eol: str) -> tuple[int, int, str]:
    """(from, to, new text) that gives the field at `span` another value."""
    start, end = _line_start(yaml, span), _line_end(yaml, span)
    indent, key = yaml[start : span.key_start], yaml[span.key_start : span.key_end]
    new = dump_value(value, len(key))
    if "\n" in yaml[start : span.value_end]:
        return start, end, f"{indent}{key}:{_indented(new, eol, indent)}{eol}"
    if new.startswith(" "):
        spaced = yaml[span.value_start - 1] in " \t"
        return span.value_start, span.value_end, new[1:] if spaced else new
    comment = yaml[span.value_end : end].strip()
    return start, end, f"{indent}{key}:{comment and ' ' + comment}{_indented(new, eol, indent)}{eol}"


def _line_start(yaml: str, span: Span) -> int:
    return yaml.rfind("\n", 0, span.key_start) + 1


def _line_end(yaml: str, span: Span) -> int:
    """Behind the newline that ends the field's last line; a block scalar's end lies there already."""
    if yaml[span.value_end - 1] == "\n":
        return span.value_end
    return yaml.find("\n", span.value_end) + 1 or len(yaml)


def _indented(block: str, eol: str, indent: str) -> str:
    return block.replace("\n", eol + indent)


def _rank(name: str) -> int:
    return _RANK.get(name, len(_RANK))


def _canonical(fields: Mapping[str, object]) -> dict[str, str]:
    """Each field as text: NaN equals itself, true is not 1, and a tuple is a list."""
    return {name: dump_value(value, 0) for name, value in fields.items()}


def _copy(value: object) -> object:
    """`value` as reading it back would give it, shared with nobody."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value


def _encode(text: str) -> bytes:
    if "\0" in text:
        raise BadInput("the body holds a NUL character; take it out")
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise BadInput("the body is not valid Unicode: it holds half of a surrogate pair") from None
    if len(data) > MAX_BYTES:
        raise BadInput(_TOO_LONG)
    return data
