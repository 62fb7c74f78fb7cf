"""A ledger file as rows of the index, one an entry, one for each entry of a log. Only here is YAML read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from swarm_ledger import ids, logbook
from swarm_ledger.errors import BadInput
from swarm_ledger.times import format_time

from .features import marks
from .mentions import mentioned
from .moments import moment_of
from .terms import clean, facet, pieces

__all__ = ["Row", "rows_of"]

_NUMBER = re.compile(r"[0-9]{1,9}")
_DAY_S = 86_400.0


class Row(NamedTuple):
    """What the index keeps of one entry; the fields are its columns, in order."""

    id: str
    kind: str
    by: str
    at: str
    valid_from: str
    moment: float | None
    """POSIX seconds of `valid_from`, else of `at`; None where neither is a time."""
    room: str
    status: str
    ref: str
    to: str
    """One a line, as the next two."""
    superseded_by: str
    entities: str
    marks: bytes
    """What the text shows on its face, see features.Marks."""
    digest: int
    """Of title and body: what was computed from a text is known by it."""
    title: str
    body: str
    names: str
    """What else it goes by or is filed under: entities, aliases, tags, key."""
    paths: str
    """Paths that it is about: cited, in its scope, or its own where that is a name (a plan, an entity)."""
    parts: str
    """The words inside identifiers."""
    facets: str
    stream: str
    """Of a log entry: the sitting that it is part of, see streams.Streams; else ""."""
    ordering: str
    """Sorts the entries of a stream as they followed each other."""


def rows_of(path: str, data: bytes) -> tuple[list[Row], str]:
    """The rows of the file at `path`, and what is wrong with it, or "".

    A file that is not an entry (by its path) gives none. A broken one gives a row with its text as it stands
    (the first MiB of it), so that it can still be found; a broken log gives none.
    """
    if path.startswith("log/"):
        try:
            return [_log_row(found, path, place) for place, found in enumerate(logbook.parse(data))], ""
        except BadInput as error:
            return [], str(error)
    identity = ids.id_of(path)
    if identity is None:
        return [], ""
    from swarm_ledger.entry import MAX_BYTES, Document  # costs the YAML library, which a log does not need

    flaw = ""
    fields: Mapping[str, object] = {}
    try:
        document = Document.parse(data)
        fields, body = document.fields, document.body
    except BadInput as error:
        flaw, body = str(error), data[:MAX_BYTES].decode("utf-8", "replace")
    kind = str(ids.kind_of(identity))
    entities = _texts(fields.get("entities"))
    own = [path.removesuffix(".md")] if kind in ("plan", "entity") else []
    row = _row(
        identity=identity,
        kind=kind,
        by=_text(fields.get("by")),
        at=_text(fields.get("at")),
        valid_from=_text(fields.get("valid_from")),
        room=_text(fields.get("room")),
        status=_text(fields.get("status")),
        ref=_text(fields.get("of" if kind == "tombstone" else "ref")),
        to=[],
        superseded_by=_texts(fields.get("superseded_by")),
        entities=[*entities, identity] if kind == "entity" else entities,
        title=_text(fields.get("title")),
        body=f"retracted: {_text(fields.get('why'))}\n{body}" if kind == "tombstone" and not flaw else body,
        names=[
            *entities,
            *_texts(fields.get("aliases")),
            *_texts(fields.get("tags")),
            _text(fields.get("key")),
        ],
        own=own,
        about=[*_texts(fields.get("scope")), *_cited(fields.get("citations"))],
        aliases=[_text(fields.get("title")), *_texts(fields.get("aliases"))] if kind == "entity" else [],
    )
    return [row], flaw


def _log_row(found: logbook.LogEntry, path: str, place: int) -> Row:
    meta = found.meta
    entities = _texts(meta.get("entities"))
    room, ref, at = _text(meta.get("room")), _text(meta.get("ref")), format_time(found.at)
    moment = moment_of(_text(meta.get("valid_from")), at) or 0.0
    row = _row(
        identity=found.id,
        kind="log",
        by=found.by,
        at=at,
        valid_from=_text(meta.get("valid_from")),
        room=room,
        status=_text(meta.get("status")),
        ref=ref,
        to=_texts(meta.get("to")),
        superseded_by=[],
        entities=entities,
        title="",
        body=found.text,
        names=[*entities, *_texts(meta.get("tags"))],
        own=[],
        about=_cited(meta.get("citations")),
        aliases=[],
    )
    # What was imported has one moment for a whole sitting; its refs (turn 9, turn 10) then say the order.
    numbered = _NUMBER.sub(lambda match: match[0].rjust(9, "0"), ref)
    return row._replace(
        stream=clean(f"{room or '@' + found.by}/{moment // _DAY_S:.0f}"),
        ordering=clean(f"{moment:020.3f} {numbered} {at} {path} {place:04d}"),
    )


def _row(
    *,
    identity: str,
    kind: str,
    by: str,
    at: str,
    valid_from: str,
    room: str,
    status: str,
    ref: str,
    to: list[str],
    superseded_by: list[str],
    entities: list[str],
    title: str,
    body: str,
    names: list[str],
    own: list[str],
    about: list[str],
    aliases: list[str],
) -> Row:
    tokens = [facet("kind", kind), facet("by", by)]
    tokens += (facet("room", name) for name in rooms(room))
    tokens += (facet("to", name) for name in to)
    tokens += (facet("alias", name) for name in dict.fromkeys(_keys(aliases)))
    tokens += (
        facet("entity", name) for name in dict.fromkeys(_keys([*entities, *about, *mentioned(f"{title}\n{body}")]))
    )
    title, body, named, paths = clean(title), clean(body), _lines(names), _lines([*own, *about])
    return Row(
        id=identity,
        kind=kind,
        by=clean(by),
        at=clean(at),
        valid_from=clean(valid_from),
        moment=moment_of(valid_from, at),
        room=clean(room),
        status=clean(status),
        ref=clean(ref),
        to=_lines(to),
        superseded_by=_lines(superseded_by),
        entities=_lines(entities),
        marks=marks(f"{title}\n{body}" if title else body).noted(),
        digest=int.from_bytes(blake2b(f"{title}\n{body}".encode(), digest_size=8).digest(), "big", signed=True),
        title=title,
        body=body,
        names=named,
        paths=paths,
        parts=" ".join(pieces(f"{title}\n{body}\n{named}\n{paths}")),
        facets=" ".join(tokens),
        stream="",
        ordering="",
    )


def rooms(room: str) -> list[str]:
    """The names under which `room` is asked for: "backend/auth" also as "auth", in any wing, and as "backend/"."""
    wing, slash, name = room.rpartition("/")
    return [room, name, wing + slash] if wing and name else [room] if room else []


def _keys(entities: Iterable[str]) -> Iterable[str]:
    """The names under which an entity is asked for: as written, and its slug."""
    for name in entities:
        folded = name.casefold()
        yield folded
        _, _, slug = folded.removeprefix("entity-").partition("-")
        if slug and folded.startswith("entity-"):
            yield slug
        else:
            with suppress(BadInput):
                yield ids.slugify(name)


def _lines(values: Iterable[str]) -> str:
    return clean("\n".join(dict.fromkeys(" ".join(value.split()) for value in values if value.strip())))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)] if value else []


def _cited(value: object) -> list[str]:
    cited = value if isinstance(value, list | tuple) else []
    return [str(item["path"]) for item in cited if isinstance(item, Mapping) and "path" in item]
