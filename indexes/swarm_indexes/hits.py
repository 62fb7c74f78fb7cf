"""What a search shows of an entry."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .snippets import snippet

if TYPE_CHECKING:
    from swarm_ledger.standing import Standing

__all__ = ["Hit", "fetch", "successors_first", "to_hit"]

_SELECT_HITS = """
SELECT entry.n, id, kind, title, by_, at, valid_from, path, version, room, status, ref, to_, superseded_by, entities,
body FROM entry JOIN file ON file.n = entry.file WHERE
"""
_TITLE_CHARACTERS = 80

_NOTHING: Mapping[str, float] = MappingProxyType({})


class Hit(NamedTuple):
    """An entry that was found. What it does not say is None. "…" in `title` and `snippet` marks what was left out.

    A log entry's title is the start of its text; a tombstone's text is why the entry was retracted.
    """

    id: str
    kind: str
    title: str
    by: str
    at: str
    valid_from: str | None
    path: str
    version: str
    """The blob id of its file."""
    score: float | None
    """The chance that it answers, 0 to 1; None where there was no word to rank by."""
    snippet: str
    room: str | None
    entities: tuple[str, ...]
    ref: str | None
    """What it stands for: elsewhere, as a turn of an imported conversation does; of a tombstone the entry."""
    status: str | None
    to: tuple[str, ...]
    """The agents whom a log entry is for."""
    superseded_by: tuple[str, ...]
    """The entries that hold in its place."""
    whole: bool
    """Whether `snippet` is all of its body, as it stands."""
    shares: Mapping[str, float] = _NOTHING
    """What made it rank where it does: feature → its part. Parts of two hits of one search compare."""
    until: str | None = None
    """Of a version of a past moment that holds no more: when another took its place, or it was taken out."""
    standing: Standing | None = None
    """Whether its evidence holds on the reader's branch, and what contests it: of facts, reflections and what is
    contested, where that was looked up."""


def fetch(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
    """What `to_hit` takes, of the entries that `where` holds for."""
    return db.execute(_SELECT_HITS + where, values).fetchall()


def successors_first(hits: list[Hit]) -> list[Hit]:
    """`hits` with each superseded one behind the hit that took its place, if that is among them."""
    if not any(hit.superseded_by for hit in hits):
        return hits
    left = {hit.id for hit in hits}
    waiting: dict[str, list[Hit]] = {}
    out = []
    for first in hits:
        ready = [first]
        while ready:
            hit = ready.pop()
            successor = next((id for id in hit.superseded_by if id in left and id != hit.id), None)
            if successor:
                waiting.setdefault(successor, []).append(hit)
                continue
            left.discard(hit.id)
            out.append(hit)
            ready += reversed(waiting.pop(hit.id, []))
    # What a hand made supersede each other in a circle.
    return out + [hit for circle in waiting.values() for hit in circle]


def to_hit(
    row: tuple[Any, ...],
    score: float | None = None,
    terms: Sequence[str] = (),
    shares: Mapping[str, float] = _NOTHING,
) -> Hit:
    """The hit that `row`, of `fetch`, is."""
    _, identity, kind, title, by, at, valid_from, path, version, room, status, ref, to, successors, entities, body = row
    first = next((line for line in body.splitlines() if line.strip()), "")
    shown = snippet(body, terms)
    return Hit(
        id=identity,
        kind=kind,
        title=title or _cut(" ".join(first.split()), _TITLE_CHARACTERS),
        by=by,
        at=at,
        valid_from=valid_from or None,
        path=path,
        version=version,
        score=score,
        snippet=shown,
        room=room or None,
        entities=tuple(entities.splitlines()),
        ref=ref or None,
        status=status or None,
        to=tuple(to.splitlines()),
        superseded_by=tuple(successors.splitlines()),
        whole=shown == body.strip(),
        shares=shares,
    )


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"
