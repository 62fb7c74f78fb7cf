"""What is known of an entity: what facts say of it by key, what stands beside it, where it is mentioned.

Facts with `key SUBJECT.ATTRIBUTE` are a graph: from the subject, along the attribute, to the entities that the fact
lists. `auth.owner.timezone` asks for the time zone of whoever owns auth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from swarm_indexes.filters import Filters
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import path_of, slugify

from .mentions import sought

if TYPE_CHECKING:
    from swarm_indexes.hits import Hit
    from swarm_ledger.standing import Standing
    from swarm_ledger.store import Store

    from .api import Swarm
    from .factindex import Fact

__all__ = ["About", "Beside", "Said", "about", "value_of"]

_THROUGH = 8
"""Through how many of what stands beside an entity the second hop goes."""


class Said(NamedTuple):
    """A fact that gives `key` a value. `objects` are the entities that it lists beside the subject."""

    key: str
    fact: Fact
    objects: tuple[str, ...]
    standing: Standing | None = None
    """Whether its evidence holds on the reader's branch, and who contests it."""


class Beside(NamedTuple):
    """What is mentioned together with an entity in so many `entries`; `through` names what is between, if anything."""

    name: str
    entries: int
    through: str = ""


class About(NamedTuple):
    """What is known of `name`; lists begin with the most, or with the newest."""

    name: str
    page: Hit | None
    aliases: tuple[str, ...]
    said: tuple[Said, ...]
    """What facts say of it."""
    told: tuple[Said, ...]
    """What facts say of others, and lists it."""
    beside: tuple[Beside, ...]
    further: tuple[Beside, ...]
    """Beside what stands beside it, and not beside itself."""
    mentions: tuple[Hit, ...]


def about(swarm: Swarm, name: str, k: int = 10) -> About:
    """What is known of the entity `name` (an id, type:name, a name or an alias), `k` of each list. Raises BadInput."""
    entity = sought(name)
    found = swarm.index.search("", Filters(entity=entity), k=max(k, 100))
    page = next((hit for hit in found if hit.kind == "entity" and _slug(hit.id) == _slug(entity)), None)
    page = page or next((hit for hit in found if hit.kind == "entity"), None)
    aliases = _aliases(swarm.store, page)
    names = {_slug(one) for one in (entity, *((page.id, page.title, *aliases) if page else ()))}
    keys = swarm.facts.with_keys()
    beside = [one for one in swarm.index.beside(entity) if _slug(one[0]) not in names]
    of_key = {fact.id: key for key, facts in keys.items() for fact in facts}
    told = [
        Said(of_key[hit.id], fact, hit.entities)
        for hit in found
        if hit.id in of_key and _slug(of_key[hit.id].rpartition(".")[0]) not in names
        for fact in keys[of_key[hit.id]]
        if fact.id == hit.id
    ]
    mentions = [hit for hit in found if page is None or hit.id != page.id][:k]
    judged = [hit.id for hit in (page, *mentions) if hit and hit.kind != "log"]
    standings = swarm.evidence.of(judged) if judged else {}
    return About(
        page.id if page else " ".join(name.split()),
        page and page._replace(standing=standings.get(page.id)),
        aliases,
        tuple(_judged(swarm, _of(swarm, keys, names))),
        tuple(_judged(swarm, told[:k])),
        tuple(Beside(*one) for one in beside[:k]),
        tuple(_further(swarm, beside, names))[:k],
        tuple(hit._replace(standing=standings.get(hit.id)) for hit in mentions),
    )


def value_of(swarm: Swarm, path: str) -> list[Said]:
    """The facts at the end of `path`: SUBJECT.ATTRIBUTE, and further attributes of the entities that a fact lists.

    Where a key has dots in it, the longest part that is a key is followed first. Empty where the path ends early.
    """
    return _judged(swarm, _follow(swarm, swarm.facts.with_keys(), path.split("."), frozenset()))


def _follow(swarm: Swarm, keys: Mapping[str, Sequence[Fact]], parts: list[str], seen: frozenset[str]) -> list[Said]:
    for split in range(len(parts), 1, -1):
        subject, attribute, rest = _slug(".".join(parts[: split - 1])), parts[split - 1], parts[split:]
        steps = [
            one for one in _of(swarm, keys, {subject}) if one.key.rpartition(".")[2].casefold() == attribute.casefold()
        ]
        if not steps or not rest:
            if steps:
                return steps
            continue
        out = []
        for entity in dict.fromkeys(object for one in steps for object in one.objects):
            page = swarm.index.get(entity)
            named = (page.title, *_aliases(swarm.store, page)) if page else ()
            for name in sorted({_slug(entity), *map(_slug, named)} - seen):
                out += _follow(swarm, keys, [name, *rest], seen | {subject})
        return list(dict.fromkeys(out))
    return []


def _judged(swarm: Swarm, said: Iterable[Said]) -> list[Said]:
    listed = list(said)
    standings = swarm.evidence.of([one.fact.id for one in listed]) if listed else {}
    return [one._replace(standing=standings.get(one.fact.id)) for one in listed]


def _of(swarm: Swarm, keys: Mapping[str, Sequence[Fact]], names: set[str]) -> Iterable[Said]:
    """What facts say of a subject that goes by one of `names`."""
    for key, facts in keys.items():
        if _slug(key.rpartition(".")[0]) in names:
            for fact in facts:
                hit = swarm.index.get(fact.id)
                yield Said(key, fact, tuple(one for one in (hit.entities if hit else ()) if _slug(one) not in names))


def _further(swarm: Swarm, beside: Sequence[tuple[str, int]], names: set[str]) -> list[Beside]:
    near = names | {_slug(name) for name, _ in beside}
    found: Counter[str] = Counter()
    through: dict[str, str] = {}
    for name, _ in beside[:_THROUGH]:
        for other, entries in swarm.index.beside(name):
            if _slug(other) not in near:
                found[other] += entries
                through.setdefault(other, name)
    return [Beside(name, entries, through[name]) for name, entries in found.most_common()]


def _aliases(store: Store, page: Hit | None) -> tuple[str, ...]:
    if page is None:
        return ()
    from .reader import document

    version = store.read(path_of(page.id))
    listed = document(version).fields.get("aliases") if version else None
    return tuple(str(one) for one in listed) if isinstance(listed, list | tuple) else ()


def _slug(name: str) -> str:
    """The name as far as it is compared: without a type, in small letters."""
    if name.startswith("entity-"):
        return name.split("-", 2)[2]
    try:
        return slugify(name)
    except BadInput:
        return name.casefold()
