"""The entry that keeps what a merge could not join: whose version stands, and the whole text of the other."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from .entry import Document
from .errors import BadInput
from .ids import ALPHABET, EntryId, agent_name, id_of, path_of
from .store import BlobId, CommitId
from .times import format_time

__all__ = ["AUTHOR", "Side", "contested", "contested_path"]

AUTHOR = "swarm"
"""Who writes what no agent wrote."""

_QUOTED_LIMIT = 768 * 1024
"""Longer texts are named by their version only: an entry holds at most 1 MiB."""

_FENCE = re.compile("^ {0,3}(`{3,})", re.MULTILINE)


class Side(NamedTuple):
    """A version that somebody wrote. `version` of a removal is the one that it removed."""

    version: BlobId
    by: str
    at: int
    """POSIX seconds."""
    commit: CommitId
    removed: bool = False


def contested_path(path: str, kept: Side, other: Side) -> str:
    """Where the contested entry of these two versions of `path` lies, on every host."""
    return path_of(_id(path, kept, other))


def contested(path: str, kept: Side, other: Side, lost: tuple[str, ...], text: bytes) -> bytes:
    """The entry that says that `kept` stands at `path`, and holds `other`, whose text is `text`, of which `lost` names
    what is not there. The same bytes whoever makes it."""
    of = id_of(path)
    name = of or path
    fields: dict[str, object] = {
        "id": _id(path, kept, other),
        "kind": "contested",
        "title": _cut(f"{name}: {', '.join(lost)} of two versions"),
        "by": AUTHOR,
        "at": format_time(_moment(kept, other)),
        "rev": 1,
        **({"of": of} if of else {"path": path}),
        "sides": [_side(kept), _side(other)],
    }
    stands = "was retracted" if kept.removed else f"is as {kept.by} wrote it"
    what = "all of it" if lost == ("text",) else ", ".join(lost)
    body = (
        f"{name} {stands}. At the same time {other.by} changed it elsewhere; of that, this is not in it: {what}.\n"
        f"The other version is below. Put into {name} what belongs there, then retract this entry.\n\n"
    )
    return Document.create(fields, body + _quoted(other, text)).data


def _id(path: str, kept: Side, other: Side) -> EntryId:
    seed = "\0".join((path, kept.version, kept.commit, other.version, other.commit))
    bits = int.from_bytes(sha256(seed.encode()).digest()[:5], "big")
    random = "".join(ALPHABET[bits >> shift & 31] for shift in range(0, 40, 5))
    return EntryId(f"contested-{_moment(kept, other):%y%m%d}-{random}")


def _moment(kept: Side, other: Side) -> datetime:
    """When the later of both was written, as far as ids can say it."""
    at = datetime.fromtimestamp(min(max(kept.at, other.at), 4_102_444_799), UTC)
    return max(at, datetime(2000, 1, 1, tzinfo=UTC))


def _side(side: Side) -> dict[str, object]:
    at = datetime.fromtimestamp(side.at, UTC)
    try:
        by = {"by": str(agent_name(side.by))}
    except BadInput:  # the author of another git's commit
        by = {}
    return {"version": side.version, **by, "at": format_time(at)}


def _quoted(side: Side, text: bytes) -> str:
    try:
        shown = text.decode()
    except UnicodeDecodeError:
        shown = ""
    if not shown or "\0" in shown or len(text) > _QUOTED_LIMIT:
        return f"It is not shown here; `swarm git cat-file blob {side.version}` prints it.\n"
    fence = "`" * max([3, *(len(found) + 1 for found in _FENCE.findall(shown))])
    return f"{fence}\n{shown}{'' if shown.endswith(chr(10)) else chr(10)}{fence}\n"


def _cut(title: str) -> str:
    return title if len(title) <= 200 else title[:199] + "…"
