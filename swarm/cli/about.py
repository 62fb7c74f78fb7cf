"""What is known of an entity: what facts say of it, what stands beside it, where it is mentioned.

A path of attributes, SUBJECT.ATTRIBUTE…, asks what facts with these keys say; from one attribute to the next it goes
through the entities that a fact lists.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .call import Call
from .output import say, say_json, stands

if TYPE_CHECKING:
    from swarm.about import Said
    from swarm_indexes.hits import Hit
    from swarm_ledger.standing import Standing

EXAMPLE = """
swarm about service:auth
swarm about src/auth/session.py -k 5
swarm about auth.owner.timezone
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    parser.add_argument(
        "name", metavar="NAME", help="an entity's id, type:name, name or alias, a path, #12, @agent; or a key"
    )
    parser.add_argument("-k", type=int, default=10, metavar="N", help="how many of each (default: 10)")


def run(call: Call) -> int:
    """Print it."""
    name, k = call.options.name, call.options.k
    said = call.reader.value_of(name) if "." in name else []
    if said:
        for one in said:
            _say(call, one)
        return 0
    found = call.reader.about(name, k=k)
    if call.json:
        say_json(
            {
                "name": found.name,
                "page": _hit(found.page) if found.page else None,
                "aliases": found.aliases,
                **{part: [_as_json(one) for one in getattr(found, part)] for part in ("said", "told")},
                **{part: [one._asdict() for one in getattr(found, part)] for part in ("beside", "further")},
                "mentions": [_hit(hit) for hit in found.mentions],
            }
        )
        return 0
    if not (found.page or found.mentions or found.said):
        say("nothing is known of it.")
        return 0
    title = f"  {found.page.title}" if found.page else ""
    doubt = _stands(found.page.standing) if found.page else ""
    say(f"{found.name}{title}{'; also ' + ', '.join(found.aliases) if found.aliases else ''}{doubt}")
    if found.page and found.page.snippet:
        say(f"   {found.page.snippet}")
    for one in (*found.said, *found.told):
        _say(call, one)
    for label, names in (("beside", found.beside), ("further", found.further)):
        if names:
            say(f"{label}: {', '.join(_beside(one.name, one.entries, one.through) for one in names)}")
    for hit in found.mentions:
        say(f"{hit.id}  by {hit.by}, {hit.valid_from or hit.at}{_stands(hit.standing)}  {hit.title}")
    return 0


def _say(call: Call, one: Said) -> None:
    if call.json:
        say_json(_as_json(one))
    else:
        to = f" → {', '.join(one.objects)}" if one.objects else ""
        standing = _stands(one.standing)
        say(f"{one.key}: {one.fact.title}{to}  ({one.fact.id} by {one.fact.by}, {one.fact.at}{standing})")


def _as_json(one: Said) -> dict[str, object]:
    standing = one.standing._asdict() if one.standing else None
    return {"key": one.key, "objects": one.objects, "standing": standing, **one.fact._asdict()}


def _hit(hit: Hit) -> dict[str, object]:
    return hit._asdict() | {"shares": {}, "standing": hit.standing._asdict() if hit.standing else None}


def _stands(standing: Standing | None) -> str:
    said = stands(standing) if standing else ""
    return f", {said}" if said else ""


def _beside(name: str, entries: int, through: str) -> str:
    return f"{name} ({entries}{' through ' + through if through else ''})"
