"""Entities that an entry mentions. A page is made for one on its first mention, so that no link leads nowhere."""

from __future__ import annotations

import re
from datetime import datetime

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import AgentName, EntryId, entity_id, kind_of, path_of, quoted, slugify
from swarm_ledger.store import Put
from swarm_ledger.times import format_time

__all__ = ["entity_page", "mention", "sought"]

_TYPED = re.compile(r"([a-z0-9]{1,40}):(.+)", re.DOTALL)


def mention(text: str) -> tuple[EntryId, str]:
    """The id and the title of the entity that `text` names: an id, `type:name`, or a name (of type "topic").

    Raises BadInput where nothing can be made of it.
    """
    if text.startswith("entity-"):
        if kind_of(text) != "entity":
            raise BadInput(f"{quoted(text)} is no entity.")
        return EntryId(text), text.split("-", 2)[2]
    match = _TYPED.fullmatch(text)
    kind, name = (match[1], match[2]) if match else ("topic", text)
    title = name.strip()
    if len(title) > 200 or not title.isprintable():
        raise BadInput(f"{quoted(title)} is no name of an entity: one line of at most 200 printable characters.")
    return entity_id(kind, slugify(title)), title


def sought(text: str) -> str:
    """The entity that `text` asks for, as the index names it: its id, or for a mere name the slug of any type.

    Raises BadInput where it looks like an id and is none.
    """
    if text.startswith("entity-") or _TYPED.fullmatch(text):
        return mention(text)[0]
    try:
        return slugify(text)
    except BadInput:
        return text


def entity_page(id: EntryId, title: str, by: AgentName, at: datetime) -> Put:
    """The write that makes the page of an entity which has none."""
    from swarm_ledger.entry import Document

    fields: dict[str, object] = {
        "id": id,
        "kind": "entity",
        "title": title,
        "by": by,
        "at": format_time(at),
        "rev": 1,
        "type": id.split("-", 2)[1],
    }
    return Put(id, path_of(id), Document.create(fields, "").data, None)
