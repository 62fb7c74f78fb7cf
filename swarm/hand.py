"""A file that a hand wrote as a new entry: with front matter or without, its title the first heading."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from swarm_ledger.entry import REMOVED, Document, decode
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import EntryId, entity_id, kind_of, new_id, path_of, plan_id, slugify
from swarm_ledger.schema import validate
from swarm_ledger.times import format_time

from .given import when

__all__ = ["Draft", "draft", "has_front_matter", "kind_of_place"]

_KINDS = ("fact", "reflection", "entity", "plan", "task")
_PLACES = {"plan": "plan", "entities": "entity", "reflections": "reflection"}
_OURS = ("id", "kind", "by", "at", "rev")
_DATES = ("date", "created")
_TITLE_CHARACTERS = 200
_HEADING = re.compile(r"\s*#[ \t]+([^\r\n]+?)[ \t]*#*[ \t]*(?:\r?\n|\Z)(?:[ \t]*\r?\n)*")


class Draft(NamedTuple):
    """An entry to be. `doubt` says what of the file's front matter was kept under `original`, if anything."""

    id: EntryId
    path: str
    text: bytes
    doubt: str = ""


def has_front_matter(text: bytes) -> bool:
    """Whether the first line says so."""
    return text.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].rstrip(b" \t\r") == b"---"


def kind_of_place(path: str) -> tuple[str, str | None]:
    """(kind, type of an entity) that a file dropped at `path` of the view is most likely meant to be."""
    first, *rest = path.split("/")[:-1] or [""]
    if first == "plan" and rest[:1] == ["tasks"]:
        return "task", None
    kind = _PLACES.get(first, "fact")
    return kind, rest[0] if kind == "entity" and rest else None


def draft(
    text: bytes,
    name: str,
    by: str,
    at: datetime,
    rng: random.Random,
    *,
    kind: str = "fact",
    type: str | None = None,
    id: EntryId | None = None,
    extra: Mapping[str, object] | None = None,
) -> Draft:
    """The entry that the file `name` (without its ending) becomes: a new one, or with `id` that one.

    Its own fields are kept as they are, byte for byte. One that our format understands otherwise goes under
    `original`. Raises BadInput for what cannot be read.
    """
    if has_front_matter(text):
        parsed = Document.parse(text)
    else:
        decode(text)  # so that lines are counted as in the file
        parsed = Document.parse(b"---\n---\n\n" + text.removeprefix(b"\xef\xbb\xbf"))
    given = dict(parsed.fields)
    if id is None and given.get("kind") in _KINDS:
        kind = str(given["kind"])
    title, body = _title(given, parsed.body, name)
    fields: dict[str, object] = {"kind": kind, "title": title, "by": by, "at": format_time(at), "rev": 1}
    if kind == "entity":
        type = str(given["type"]) if isinstance(given.get("type"), str) else type or "topic"
        fields["type"] = slugify(type).replace("-", "")
    fields["id"] = id or _new_id(kind, title, fields.get("type"), at, rng)
    fields |= {field: value for field, value in (extra or {}).items() if field not in given}
    if isinstance(given.get("tags"), str):
        fields["tags"] = [tag for tag in re.split(r"[,\s]+", str(given["tags"])) if tag]
    if "valid_from" not in given and (moment := _moment(given)):
        fields["valid_from"] = moment
    document, doubt = _fit(parsed, given, fields, body)
    known = EntryId(str(fields["id"]))
    return Draft(known, path_of(known), document.data, doubt)


def _fit(parsed: Document, given: dict[str, object], fields: dict[str, object], body: str) -> tuple[Document, str]:
    """`parsed` with `fields` set; what of its own does not fit is moved away, one field after the other."""
    original: dict[str, object] = {name: given[name] for name in _OURS if name in given and name != "kind"}
    if given.get("kind") not in (None, fields["kind"]):
        original["kind"] = given["kind"]
    moved: list[str] = []
    while True:
        changes = {**fields, **dict.fromkeys(moved, REMOVED)}
        if original:
            changes["original"] = original
        document = parsed.edit(changes, body)
        try:
            validate(document.fields, document.body)
        except BadInput as error:
            name = re.split(r"[:.\[]", str(error), maxsplit=1)[0]
            if name not in given or name in fields or name in moved:
                raise
            original[name] = given[name]
            moved.append(name)
            continue
        return document, ", ".join(original)


def _new_id(kind: str, title: str, type: object, at: datetime, rng: random.Random) -> EntryId:
    if kind == "plan":
        return plan_id(slugify(title))
    if kind == "entity":
        return entity_id(str(type), slugify(title))
    return new_id(kind, at, rng)


def _title(given: Mapping[str, object], body: str, name: str) -> tuple[str, str]:
    """(title, body without the heading that became the title)."""
    own = given.get("title")
    if isinstance(own, str | int | float) and _line(str(own)):
        return _short(_line(str(own))), body
    heading = _HEADING.match(body)
    if heading and (title := _line(heading[1])):
        return _short(title), body[heading.end() :] if len(title) <= _TITLE_CHARACTERS else body
    return _short(_line(name) or "untitled"), body


def _line(text: str) -> str:
    text = text.encode(errors="replace").decode()
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _short(title: str) -> str:
    return title if len(title) <= _TITLE_CHARACTERS else title[: _TITLE_CHARACTERS - 1].rstrip() + "…"


def _moment(given: Mapping[str, object]) -> str | None:
    for name in _DATES:
        value = given.get(name)
        if isinstance(value, str):
            try:
                return when(value)
            except BadInput:
                continue
    return None


def is_id(value: object) -> bool:
    """Whether a field's value can be the id of an entry."""
    try:
        kind_of(str(value))
    except BadInput:
        return False
    return True
