"""What an entry links to, and whether it is there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import kind_of, path_of
from swarm_ledger.store import BlobId, Store

__all__ = ["cited_versions", "require_links", "targets"]

_LINKS = ("entities", "supersedes", "superseded_by", "plan", "task", "depends_on", "sides")


def targets(fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(field, id) of each entry that the fields of an entry name."""
    for field in _LINKS:
        value = fields.get(field)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and _is_id(item):
                yield field, item
    for citation in _citations(fields):
        for field in ("entry", "log"):
            if isinstance(citation.get(field), str):
                yield "citations", str(citation[field])


def cited_versions(fields: Mapping[str, object]) -> Iterator[str]:
    """The versions of entries that the fields of an entry cite."""
    return (str(item["version"]) for item in _citations(fields) if "entry" in item and "version" in item)


def require_links(
    fields: Mapping[str, object], store: Store, is_logged: Callable[[str], bool], made: Collection[str] = ()
) -> None:
    """Return if all that `fields` link to is in `store`, or is `made` with them. Raises NotFound.

    `is_logged` tells of an id whether there is such a log entry.
    """
    wanted = {id: field for field, id in targets(fields) if id not in made}
    paths = {id: path_of(id) for id in wanted if kind_of(id) != "log"}
    there = store.read_many(list(paths.values())) if paths else {}
    for id, field in wanted.items():
        if not (paths[id] in there if id in paths else is_logged(id)):
            raise NotFound(f"{field}: there is no entry {id} in this ledger; `swarm recall` finds those that are.")
    for version in cited_versions(fields):
        store.blob(BlobId(version))


def _citations(fields: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    value = fields.get("citations")
    yield from (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def _is_id(text: str) -> bool:
    try:
        kind_of(text)
    except BadInput:
        return False
    return True
