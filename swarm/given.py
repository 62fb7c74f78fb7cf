"""What an agent gives, as the fields of an entry: checked, cleaned of absent ones, mentions turned into ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import EntryId, agent_name, kind_of, quoted
from swarm_ledger.times import format_time, parse_time

from .mentions import mention

__all__ = ["Note", "cited", "mentions", "note_meta", "present", "subject_line", "texts", "when"]

_SUBJECT_CHARACTERS = 72
_LINE_CHARACTERS = 200
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Note(NamedTuple):
    """A log entry to be. `to` is an agent, `task` a task's id, `ref` what it stands for elsewhere."""

    text: str
    to: str | None = None
    task: str | None = None
    tags: Sequence[str] = ()
    room: str | None = None
    entities: Sequence[str] = ()
    """Ids, or `type:name`, or a name (of type "topic")."""
    valid_from: str | datetime | None = None
    ref: str | None = None


def note_meta(note: Note, named: Mapping[EntryId, str]) -> dict[str, object]:
    """The metadata of the log entry that `note` becomes; `named` is what it mentions. Raises BadInput."""
    if not note.text.strip():
        raise BadInput("a log entry needs a text.")
    if note.task is not None and kind_of(note.task) != "task":
        raise BadInput(f"{quoted(note.task)} is no task; those look like task-261121-7k3q9m2x.")
    return present(
        {
            "to": None if note.to is None else agent_name(note.to),
            "task": note.task,
            "tags": [_line(tag, "tags") for tag in texts(note.tags, "tags")],
            "room": _line(note.room, "room"),
            "entities": list(named),
            "valid_from": when(note.valid_from),
            "ref": _line(note.ref, "ref"),
        }
    )


def present(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields that say something: neither None nor empty."""
    return {name: value for name, value in fields.items() if value is not None and value not in ([], "", ())}


def cited(fields: Mapping[str, object]) -> list[str]:
    """Ids of the entries that the citations in `fields` name."""
    listed = fields.get("citations")
    found = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list | tuple) else []
    return [str(id) for one in found if (id := one.get("entry") or one.get("log"))]


def mentions(values: object) -> dict[EntryId, str]:
    """Id → title of the entities that `values` name, in their order. Raises BadInput."""
    return dict(mention(text) for text in texts(values, "entities"))


def texts(values: object, field: str) -> list[str]:
    """`values` as a list of texts; None is none. Raises BadInput for anything else, a single text included."""
    if values is None:
        return []
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise BadInput(f"{field}: give a list of texts, not {type(values).__name__}.")
    for value in values:
        if not isinstance(value, str):
            raise BadInput(f"{field}: {quoted(str(value))} is not a text.")
    return list(values)


def when(moment: str | datetime | None) -> str | None:
    """A moment as a field holds it; a date is its first moment in UTC. Raises BadInput."""
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return format_time(moment)
    moment = f"{moment}T00:00:00Z" if _DATE.fullmatch(moment) else moment
    parse_time(moment)
    return moment


def _line(text: str | None, field: str) -> str | None:
    """`text`, which must be one line without control characters, as the schema wants it of entries in files."""
    if text is not None and (not text or len(text) > _LINE_CHARACTERS or not text.isprintable()):
        raise BadInput(f"{field}: {quoted(text)} is not one line of 1 to {_LINE_CHARACTERS} printable characters.")
    return text


def subject_line(text: str) -> str:
    """`text` as the first line of a commit's message; where it is longer, "…" says so."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(text.split())
    line = line.encode(errors="replace").decode()
    return line if len(line) <= _SUBJECT_CHARACTERS else line[: _SUBJECT_CHARACTERS - 1].rstrip() + "…"
