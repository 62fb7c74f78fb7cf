"""Names: entries, agents, requests, and the path at which an entry lies.

A path is a pure function of an id, and ids need no coordination. Dated kinds are named
`<kind>-<yymmdd>-<8 random characters>`, plans `plan-<slug>`, entities `entity-<type>-<slug>`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NewType

from .errors import BadInput

if TYPE_CHECKING:
    import random

__all__ = [
    "ALPHABET",
    "KINDS",
    "AgentName",
    "EntryId",
    "agent_name",
    "entity_id",
    "id_of",
    "kind_of",
    "log_day",
    "log_directory",
    "new_id",
    "new_request",
    "path_of",
    "plan_id",
    "quoted",
    "slugify",
    "tombstone_id",
]

EntryId = NewType("EntryId", str)
"""The name of an entry, the same on every host and for ever."""

AgentName = NewType("AgentName", str)
"""Matches [a-z0-9][a-z0-9._-]{0,62}, holds no "..", ends in neither "." nor ".lock"."""

KINDS = ("plan", "task", "log", "fact", "entity", "reflection", "contested", "tombstone")

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32 in lower case: no i, l, o, u."""

_SLUG_LIMIT = 80
_SHOWN_LIMIT = 60
_DIRECTORIES = {
    "task": "plan/tasks",
    "fact": "facts",
    "reflection": "reflections",
    "contested": "contested",
    "tombstone": "tombstones",
}
_RANDOM = "[0-9a-hjkmnp-tv-z]"
_SLUG = "[a-z0-9]+(?:-[a-z0-9]+)*"
_DATED = re.compile(
    rf"(task|log|fact|reflection|contested|tombstone)-([0-9]{{2}})([0-9]{{2}})([0-9]{{2}})-({_RANDOM}{{8}})"
)
_PLAN = re.compile(rf"plan-({_SLUG})")
_ENTITY = re.compile(rf"entity-([a-z0-9]{{1,40}})-({_SLUG})")
_SLUG_ONLY = re.compile(_SLUG)
_TYPE = re.compile("[a-z0-9]{1,40}")
_AGENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DATED_PATH = re.compile(
    r"(?:plan/tasks|facts|reflections|contested|tombstones)/[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9a-z]/([a-z0-9-]+)\.md"
)
_PLAN_PATH = re.compile(r"plan/([a-z0-9-]+)\.md")
_ENTITY_PATH = re.compile(r"entities/([a-z0-9]+)/([a-z0-9-]+)\.md")


def quoted(text: str) -> str:
    """`text` as it may be shown in a message: quoted, with control characters escaped, cut to 60 characters."""
    return repr(text if len(text) <= _SHOWN_LIMIT else text[:_SHOWN_LIMIT] + "…")


def new_id(kind: str, at: datetime, rng: random.Random) -> EntryId:
    """A fresh id of a dated kind, such as `fact-261121-7k3q9m2x`.

    The date is that of `at` in UTC. 40 random bits a day and kind: a clash shows when the file is created and
    is answered by drawing again. Raises BadInput for plan and entity, which are named by their slug.
    """
    if kind not in KINDS or kind in ("plan", "entity"):
        raise BadInput(
            f"{quoted(kind)} has no dated ids; dated kinds: task, log, fact, reflection, contested, tombstone"
        )
    if at.tzinfo is None:
        raise BadInput("the time of a new id needs a time zone")
    day = at.astimezone(UTC)
    if not 2000 <= day.year <= 2099:
        raise BadInput(f"ids carry a year from 2000 to 2099, not {day.year}; set the clock")
    return EntryId(f"{kind}-{day.year - 2000:02d}{day.month:02d}{day.day:02d}-{_random(rng, 8)}")


def new_request(rng: random.Random) -> str:
    """A fresh name for a request: 16 base32 characters, 80 random bits."""
    return _random(rng, 16)


def plan_id(slug: str) -> EntryId:
    """`plan-<slug>`. Raises BadInput for what is no slug."""
    return EntryId(f"plan-{_check_slug(slug)}")


def entity_id(type: str, slug: str) -> EntryId:
    """`entity-<type>-<slug>`. Raises BadInput for what is no type or no slug."""
    if not _TYPE.fullmatch(type):
        raise BadInput(f"{quoted(type)} is no entity type: use 1 to 40 of a-z and 0-9, such as file or person")
    return EntryId(f"entity-{type}-{_check_slug(slug)}")


def tombstone_id(buried: EntryId, at: datetime, rng: random.Random) -> EntryId:
    """The id of the tombstone of `buried`: with its date and random part, or a new one where it has none.

    So an entry of a dated kind is looked up among the tombstones by its own id. The tombstone of a tombstone is new.
    """
    dated = _dated(buried)
    if dated is None or dated[0] == "tombstone":
        kind_of(buried)
        return new_id("tombstone", at, rng)
    return EntryId("tombstone-" + buried.partition("-")[2])


def slugify(text: str) -> str:
    """`text` as a slug: ASCII letters and digits in lower case, joined by single hyphens, at most 80 characters.

    A longer one ends at the last whole word that fits. Raises BadInput if nothing is left.
    """
    import unicodedata  # a shared library that only naming needs

    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall("[a-z0-9]+", ascii_text))
    if not slug:
        raise BadInput(f"{quoted(text)} holds no letter a-z or digit to make a name of")
    if len(slug) > _SLUG_LIMIT:
        head = slug[: _SLUG_LIMIT + 1]
        slug = head.rpartition("-")[0] or slug[:_SLUG_LIMIT]
    return slug


def kind_of(id: str) -> str:
    """The kind of the entry that `id` names. Raises BadInput if it is malformed."""
    if dated := _dated(id):
        return dated[0]
    for kind, pattern in (("plan", _PLAN), ("entity", _ENTITY)):
        if (match := pattern.fullmatch(id)) and len(match[match.lastindex or 0]) <= _SLUG_LIMIT:
            return kind
    raise BadInput(
        f"{quoted(id)} is no entry id; ids look like fact-261121-7k3q9m2x, plan-<slug> or entity-<type>-<slug>"
    )


def path_of(id: str) -> str:
    """Where the entry `id` lies in the ledger. Raises BadInput if it is malformed or of a log section.

    A log section lies in one of its agent's files of that day, which its id alone does not tell.
    """
    if dated := _dated(id):
        kind, day, rest = dated
        if kind == "log":
            raise BadInput(f"{id} is a section of a log, not a file; look in log/{day:%Y/%m/%d}/<agent>/")
        return f"{_DIRECTORIES[kind]}/{day.year}/{day.month:02d}/{day.day:02d}/{rest[0]}/{id}.md"
    if kind_of(id) == "plan":
        return f"plan/{id[5:]}.md"
    _, type, slug = id.split("-", 2)
    return f"entities/{type}/{slug}.md"


def id_of(path: str) -> EntryId | None:
    """The id of the entry at `path`, or None where no entry may lie (a log file included): path_of's inverse."""
    if match := _DATED_PATH.fullmatch(path):
        id = match[1]
    elif match := _PLAN_PATH.fullmatch(path):
        id = f"plan-{match[1]}"
    elif match := _ENTITY_PATH.fullmatch(path):
        id = f"entity-{match[1]}-{match[2]}"
    else:
        return None
    try:
        return EntryId(id) if path_of(id) == path else None
    except BadInput:
        return None


def log_directory(agent: str, day: date) -> str:
    """Where `agent` keeps its log of `day`: `log/2026/11/21/<agent>/`."""
    return f"log/{day.year:04d}/{day.month:02d}/{day.day:02d}/{agent_name(agent)}/"


def log_day(id: str) -> date:
    """The day of the log section `id`. Raises BadInput for any other id."""
    dated = _dated(id)
    if dated is None or dated[0] != "log":
        raise BadInput(f"{quoted(id)} is no id of a log section; those look like log-261121-7k3q9m2x")
    return dated[1]


def agent_name(text: str) -> AgentName:
    """`text`, if it may name an agent. Raises BadInput that says what is wrong and, where there is one, a way out."""
    if not text:
        raise BadInput("an agent needs a name, such as backend-2")
    if not _AGENT.fullmatch(text):
        wrong = "use 1 to 63 of a-z, 0-9, dot, hyphen and underscore, beginning with a letter or digit"
    elif ".." in text:
        wrong = "two dots in a row are not allowed"
    elif text.endswith((".", ".lock")):
        wrong = 'it may not end in "." or ".lock"'
    else:
        return AgentName(text)
    raise BadInput(f"{quoted(text)} is no agent name: {wrong}{_suggestion(text)}")


def _suggestion(text: str) -> str:
    try:
        return f'; try "{slugify(text)[:63].rstrip("-")}"'
    except BadInput:
        return ""


def _check_slug(slug: str) -> str:
    if len(slug) > _SLUG_LIMIT or not _SLUG_ONLY.fullmatch(slug):
        raise BadInput(f"{quoted(slug)} is no slug: use words of a-z and 0-9 joined by single hyphens, at most 80 long")
    return slug


@lru_cache(maxsize=16)
def _dated(id: str) -> tuple[str, date, str] | None:
    """(kind, day, random part) of a dated id; None for any other and for a day that does not exist."""
    match = _DATED.fullmatch(id)
    if match is None:
        return None
    kind, year, month, day, rest = match.groups()
    try:
        return kind, date(2000 + int(year), int(month), int(day)), rest
    except ValueError:
        return None


def _random(rng: random.Random, length: int) -> str:
    bits = rng.getrandbits(5 * length)
    return "".join(ALPHABET[bits >> shift & 31] for shift in range(0, 5 * length, 5))
