"""Two versions of one file that were made from the same third: what they come to.

Entries are merged by field, their bodies and other text by lines, logs by section. Where both changed the same
thing differently the first version given stands, and `Merged.lost` says what of the other is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import logbook
from .diff3 import merge_lines
from .emitter import dump_value
from .entry import REMOVED, Document
from .errors import BadInput
from .ids import id_of
from .times import parse_time

__all__ = ["SETTINGS", "Merged", "merge"]

SETTINGS = "swarm.yaml"

_SETS = frozenset(
    {
        *("entities", "tags", "citations", "depends_on", "aliases", "supersedes", "superseded_by", "scope", "phases"),
        *("acceptance", "sides", "to"),
    }
)
"""Fields whose items are merged one by one."""

_PROVENANCE = ("by", "at")
_BURIAL = ("by", "at", "version", "title")
"""Fields that tell of one event: of two events, the earlier one's."""

_FENCE = b"---\n"


@dataclass(frozen=True, slots=True)
class Merged:
    """`text` is None where the file goes. `lost` names what of the second version is not in it: fields, "body",
    "comments", sections of a log, or "text" for all of it."""

    text: bytes | None
    lost: tuple[str, ...] = ()


def merge(path: str, base: bytes | None, first: bytes | None, second: bytes | None) -> Merged:
    """What `first` and `second`, both made from `base`, come to at `path`; None is no file.

    Where a version removed the file and the other changed it, `first` stands.
    """
    if first == second or second == base:
        return Merged(first)
    if first == base:
        return Merged(second)
    if first is None or second is None:
        return Merged(first, ("text",) if first is None else ())
    try:
        if path.startswith("log/"):
            return _logs(base or b"", first, second)
        if path == SETTINGS:
            return _settings(base, first, second)
        if id_of(path):
            return _documents(base, first, second)
    except BadInput:
        pass  # one of them does not read as what it should be: a text like any other
    return _texts(base or b"", first, second)


def _texts(base: bytes, first: bytes, second: bytes) -> Merged:
    try:
        joined = merge_lines(base.decode(), first.decode(), second.decode())
    except UnicodeDecodeError:
        joined = None
    return Merged(first, ("text",)) if joined is None else Merged(joined.encode())


def _settings(base: bytes | None, first: bytes, second: bytes) -> Merged:
    """Settings are front matter without a body; comments of two fresh ledgers are nobody's words."""
    fenced = [None if text is None else _FENCE + text + _FENCE for text in (base, first, second)]
    merged = _documents(fenced[0], fenced[1] or b"", fenced[2] or b"")
    return Merged((merged.text or b"").removeprefix(_FENCE).removesuffix(_FENCE), merged.lost)


def _documents(base: bytes | None, first: bytes, second: bytes) -> Merged:
    """By field. Raises BadInput where `first` or `second` is no entry."""
    ours, theirs = Document.parse(first), Document.parse(second)
    try:
        old = Document.parse(base) if base is not None else None
    except BadInput:
        old = None
    changes, lost = _fields(old.fields if old else {}, ours.fields, theirs.fields)
    body = merge_lines(old.body if old else "", ours.body, theirs.body)
    if body is None:
        lost.append("body")
    try:
        out = ours.edit(changes, body)
    except BadInput:  # front matter that cannot be edited by field, or a text that grew too long
        return Merged(first, ("text",))
    if _valid(ours) and _valid(theirs) and not _valid(out):
        return Merged(first, ("text",))
    if old and _comments(theirs) - _comments(old) - _comments(out):
        lost.append("comments")
    return Merged(out.data, tuple(lost))


def _fields(
    base: Mapping[str, object], ours: Mapping[str, object], theirs: Mapping[str, object]
) -> tuple[dict[str, object], list[str]]:
    """(what to change in `ours`, what of `theirs` is lost)."""
    changes: dict[str, object] = {}
    lost, titles = [], []
    kind = ours.get("kind")
    for name in dict.fromkeys((*ours, *theirs)):
        b, o, t = (fields.get(name, REMOVED) for fields in (base, ours, theirs))
        if _same(o, t) or _same(t, b):
            continue
        if _same(o, b):
            changes[name] = t
        elif name in _SETS:
            changes[name] = _union(b, o, t)
        elif REMOVED in (o, t):
            lost.append(name)
        elif name in (_BURIAL if kind == "tombstone" else _PROVENANCE):
            if _event(theirs) < _event(ours):
                changes[name] = t
        elif name == "rev" and isinstance(o, int) and isinstance(t, int):
            changes[name] = max(o, t)
        elif name == "valid_to":
            changes[name] = min(o, t, key=_moment)
        elif name == "why" and kind == "tombstone":
            changes[name] = "\n".join(sorted({str(o), str(t)}))
        elif name == "title" and kind == "entity":
            titles.append(t)
        else:
            lost.append(name)
    if titles:  # an entity of two names is known by both
        aliases = (fields.get("aliases", REMOVED) for fields in (base, ours, theirs))
        changes["aliases"] = list({_key(item): item for item in [*_union(*aliases), *titles]}.values())
    return changes, lost


def _event(fields: Mapping[str, object]) -> tuple[str, str, str]:
    """What orders two records of one thing: the earlier stands."""
    return _moment(fields.get("at")), str(fields.get("by")), str(fields.get("version"))


def _moment(value: object) -> str:
    """A time as text that sorts; what is none sorts last."""
    try:
        return parse_time(str(value)).isoformat()
    except BadInput:
        return "~" + str(value)


def _union(base: object, ours: object, theirs: object) -> list[object]:
    """What both have, what either added, without what either took out."""
    old, first, second = ({_key(item): item for item in _items(value)} for value in (base, ours, theirs))
    kept = [item for key, item in first.items() if key in second or key not in old]
    return kept + [item for key, item in second.items() if key not in first and key not in old]


def _items(value: object) -> list[object]:
    """One may stand alone, without a list around it."""
    if value is None or value is REMOVED:
        return []
    return value if isinstance(value, list) else [value]


def _key(value: object) -> str:
    return dump_value(value, 0)


def _same(a: object, b: object) -> bool:
    if a is REMOVED or b is REMOVED:
        return a is b
    return _key(a) == _key(b)


def _comments(document: Document) -> set[str]:
    """Lines of the front matter that hold a comment, or look like it."""
    front = document.data.decode().removesuffix(document.body)
    return {line.strip() for line in front.splitlines() if "#" in line}


def _valid(document: Document) -> bool:
    from .schema import validate  # costs start-up time

    try:
        validate(document.fields, document.body)
    except BadInput:
        return False
    return True


def _logs(base: bytes, first: bytes, second: bytes) -> Merged:
    """By section, in order of time, each side's own order kept. Raises BadInput where one is no log."""
    (old_head, old), (head, ours), (its_head, theirs) = map(_sections, (base, first, second))
    if not (ours and theirs):
        raise BadInput("no sections")
    heads = merge("", old_head, head, its_head)
    lost = ["header"] if heads.lost else []
    kept: dict[str, bytes] = {}
    for id, section in [*ours.items(), *theirs.items()]:
        if id in kept:
            continue
        merged = merge("", old.get(id), ours.get(id), theirs.get(id))
        if id in ours and id in theirs and merged.lost:
            lost.append(id)
        if merged.text is not None:
            kept[id] = merged.text
        elif merged.lost:  # taken out by one, changed by the other
            kept[id] = section
    in_time = sorted(kept.values(), key=lambda section: section[3:11])
    return Merged((heads.text or b"") + b"".join(in_time), tuple(lost))


def _sections(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    head, parts = logbook.split(data)
    sections: dict[str, bytes] = dict(parts)
    if len(sections) != len(parts):
        raise BadInput("a section stands twice in this log")
    return head, sections
