"""The verdict on a cited span, from the files of one tree alone: fresh, moved, changed or gone.

Pure: texts come in, judgements go out. Where a text stands in several places, or stood in several when it was cited,
what stands around each decides which one is meant; where that does not decide, nothing is called moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple
from zlib import crc32

from .anchor import AROUND, Anchor, Text

__all__ = ["TRIVIAL", "Judgement", "Place", "in_place", "judge", "places", "settle"]

TRIVIAL = frozenset(
    crc32(line)
    for line in (
        *(b"{", b"}", b"(", b")", b"[", b"]", b"},", b"),", b"],", b"};", b");", b"];", b"})", b"});", b"])", b"))"),
        *(b'"""', b"'''", b"/*", b"*/", b"/**", b"*", b"//", b"#", b"--", b"else:", b"else", b"else {", b"} else {"),
        *(b"try:", b"try {", b"finally:", b"pass", b"return", b"return;", b"break", b"break;", b"continue", b"end"),
        *(b"continue;", b"return None", b"return True", b"return False", b"raise", b"do", b"then", b"fi", b"done"),
    )
)
"""Marks of lines that stand everywhere and tell no place from another."""

_DECIDES = 0.3
"""So much of what stood around a span must stand around a place for it to be the one."""

_AHEAD = 0.08
"""By so much must it be ahead of the next best."""

_ABOVE = 0.05
"""By so much more must stand there than stood around another copy when the span was cited."""

_TWINS = 24
"""Of up to so many other places with a span's text it is kept which they were."""

_SAME_FILE, _SAME_NAME = 0.3, 0.1
"""The path counts as surroundings too."""

_SURVIVES = 0.4
"""With so much of a span's lines left, what is there is the span, changed."""

_MOSTLY = 0.6
"""With so much of them in another file, it moved there and changed."""


class Place(NamedTuple):
    """Lines `first` to `last` (from 1) of the file at `path`; `exact` is False where white space differs."""

    path: str
    first: int
    last: int
    exact: bool = True


class Judgement(NamedTuple):
    """A verdict, the place that it is about (None for gone), and in a few words why."""

    verdict: str
    place: Place | None = None
    why: str = ""


class _Remnant(NamedTuple):
    """What is left of a span where its text is no longer: the lines that took its place, and how sure that is."""

    place: Place | None
    """None where nothing stands between what stood around it."""
    share: float
    """Of what stood around it."""
    survives: float
    """Of its own lines."""


def in_place(anchor: Anchor, text: Text) -> bool:
    """Whether the same text stands in the same lines."""
    return text.digest(anchor.first, anchor.last) == anchor.sha256


def places(anchor: Anchor, path: str, text: Text) -> Iterator[Place]:
    """Where the same text stands in the file at `path`, exactly or loosely."""
    if not anchor.span:
        for first in range(1, len(text.lines) - anchor.lines + 2):
            if text.digest(first, first + anchor.lines - 1) == anchor.sha256:
                yield Place(path, first, first + anchor.lines - 1)
        return
    count = len(anchor.span)
    best = min(range(count), key=lambda at: len(text.where.get(anchor.span[at], ())))
    for place in text.where.get(anchor.span[best], ()):
        start = place - best
        if start < 0 or tuple(text.dense[start : start + count]) != anchor.span:
            continue
        yield from _confirmed(anchor, path, text, text.solid[start] + 1, text.solid[start + count - 1] + 1)


def _confirmed(anchor: Anchor, path: str, text: Text, first: int, last: int) -> Iterator[Place]:
    """The span around the lines that are not blank, `first` to `last`, if its hash says so: it may have blank ends."""
    wanted = anchor.loose or anchor.sha256
    if spare := anchor.lines - (last - first + 1):
        # Only where it would be inside the file: a citation may say that it has any number of blank lines.
        for lead in range(max(0, last + spare - len(text.lines)), min(spare, first - 1) + 1):
            a, b = first - lead, last + spare - lead
            if text.digest(a, b) == anchor.sha256:
                yield Place(path, a, b)
                return
            if text.loose_digest(anchor.path, a, b) == wanted:
                yield Place(path, a, b, False)
                return
    elif text.digest(first, last) == anchor.sha256:
        yield Place(path, first, last)
        return
    if text.loose_digest(anchor.path, first, last) == wanted:
        yield Place(path, first, last, False)


def settle(anchor: Anchor, own: Text, others: Iterable[tuple[str, Text]]) -> Anchor:
    """The anchor of a span in its place, with how often its text stands in the tree, and how alike the next place is.

    `others` as for `judge`.
    """
    files = {anchor.path: own, **dict(others)}
    found = [place for path, text in files.items() for place in places(anchor, path, text)]
    rest = [place for place in found if (place.path, place.first) != (anchor.path, anchor.first)]
    here = away = 0.0
    for place in rest:
        share = _surroundings(anchor, files[place.path], place)
        if place.path == anchor.path:
            here = max(here, share)
        else:
            away = max(away, 1 + share)
    if not away:
        likes = (_rest(anchor, text, path) for path, text in files.items() if path != anchor.path)
        away = max((like.survives for like in likes if like), default=0.0)
    twins: list[int] = []
    if len(rest) <= _TWINS:
        same = _neighbours(own, Place(anchor.path, anchor.first, anchor.last))
        for place in rest:
            near = _neighbours(files[place.path], place)
            twins += [_named(place.path), 0 if near == same else near]
    return anchor._replace(
        copies=len(rest) + 1, rival_here=round(here, 2), rival_away=round(away, 2), twins=tuple(twins)
    )


def judge(anchor: Anchor, own: Text | None, others: Iterable[tuple[str, Text]]) -> Judgement:
    """The verdict on a span that is not in its place any more.

    `own` is the file at its path, None where there is none; `others` are the further files that may hold its text, or
    much of it, and are read only when they are needed.
    """
    found = [*places(anchor, anchor.path, own)] if own else []
    rest = _rest(anchor, own) if own else None
    files = {anchor.path: own} if own else {}
    if anchor.copies != 1 or len(found) != 1 or _left(rest, found[0]):
        for path, text in others:
            files[path] = text
            found += [*places(anchor, path, text)]
    if len(found) == 1 and anchor.copies == 1 and not _left(rest, found[0]):
        return _moved(anchor, found[0])
    best = _decided(anchor, found, files, rest)
    return _moved(anchor, best) if best else _not_there(anchor, rest, found, files)


def _left(rest: _Remnant | None, place: Place) -> bool:
    """Whether the span was changed where it was, and `place` only has a copy of what it was."""
    return (
        rest is not None
        and rest.place is not None
        and rest.survives >= _SURVIVES
        and rest.share > _DECIDES
        and not _overlap(rest.place, place)
    )


def _overlap(one: Place, other: Place) -> bool:
    return one.path == other.path and one.first <= other.last and other.first <= one.last


def _moved(anchor: Anchor, place: Place) -> Judgement:
    if not place.exact:
        return Judgement("moved", place, "only white space around it differs")
    if (place.path, place.first) == (anchor.path, anchor.first):
        return Judgement("fresh", place)
    return Judgement("moved", place, "to another file" if place.path != anchor.path else "in its file")


def _decided(anchor: Anchor, found: Sequence[Place], files: dict[str, Text], rest: _Remnant | None) -> Place | None:
    """The one of `found` that what stands around it shows to be the span, if there is one."""
    if anchor.twins:
        found = [place for place in found if not _is_twin(anchor, files[place.path], place)]
        if len(found) == 1 and len(anchor.twins) == 2 * (anchor.copies - 1):
            return None if _left(rest, found[0]) else found[0]
    scored = [(_surroundings(anchor, files[place.path], place), place) for place in found]
    ranked = sorted(((share + _nearness(anchor, place), share, place) for share, place in scored), reverse=True)
    if not ranked:
        return None
    total, share, best = ranked[0]
    rival = anchor.rival_here if best.path == anchor.path else max(anchor.rival_here, anchor.rival_away - 1)
    if share < max(_DECIDES, rival + _ABOVE if rival > 0 else 0.0):
        return None
    if len(ranked) > 1 and total - ranked[1][0] < _AHEAD:
        return None
    # What stood around it may still stand where it was, with something else or nothing in between.
    if rest and not (rest.place and _overlap(rest.place, best)) and rest.share + _SAME_FILE >= total:
        return None
    return best


def _is_twin(anchor: Anchor, text: Text, place: Place) -> bool:
    """Whether `place` had the text when the span was cited, as its file or its neighbours tell."""
    if place.path != anchor.path and _named(place.path) in anchor.twins[::2]:
        return True
    return _neighbours(text, place) in anchor.twins[1::2]


def _named(path: str) -> int:
    return crc32(path.encode(errors="surrogateescape"))


def _neighbours(text: Text, place: Place) -> int:
    """One mark for the line before `place` and the line after it."""
    before, after = text.around(place.first, place.last, 1)
    return crc32(repr([*before, None, *after]).encode())


def _nearness(anchor: Anchor, place: Place) -> float:
    """What the path of a place counts for."""
    if place.path == anchor.path:
        return _SAME_FILE
    return _SAME_NAME if place.path.rpartition("/")[2] == anchor.path.rpartition("/")[2] else 0.0


def _surroundings(anchor: Anchor, text: Text, place: Place) -> float:
    """How much of what stood around the span stands around `place`, from 0 to 1."""
    before, after = text.around(place.first, place.last, AROUND + 4)
    got = total = 0.0
    for kept, now in ((anchor.before, before), (anchor.after, after), (anchor.scope, text.scope(place.first))):
        at = 0
        for rank, mark in enumerate(kept):
            weight = _weight(mark, rank)
            total += weight
            for ahead in range(at, min(at + 4, len(now))):
                if now[ahead] == mark:
                    got += weight
                    at = ahead + 1
                    break
        if not kept and not now:
            got, total = got + 0.5, total + 0.5
    return got / total if total else 1.0


def _weight(mark: int, rank: int) -> float:
    """What a line around a span counts for: less where it stands everywhere, and the further away it is."""
    return (0.2 if mark in TRIVIAL else 1.0) / (1 + 0.15 * rank)


def _not_there(anchor: Anchor, rest: _Remnant | None, found: Sequence[Place], files: dict[str, Text]) -> Judgement:
    """The verdict where no place has the text, or nothing tells which of several it is."""
    many = f"; its text stands in {len(found)} places, and nothing around tells which" if len(found) > 1 else ""
    if rest and rest.place and rest.survives >= _SURVIVES:
        return Judgement("changed", rest.place, f"its lines are different now{many}")
    if len(found) > 1 and anchor.copies <= 1:
        return Judgement("changed", None, many[2:])
    away = max(
        (one for path, text in files.items() if path != anchor.path and (one := _rest(anchor, text, path))),
        key=lambda one: (one.survives, one.share),
        default=None,
    )
    if away and away.place and away.survives >= max(_MOSTLY, anchor.rival_away + 0.1) and not found:
        return Judgement("changed", away.place, "moved to another file and changed")
    if rest and rest.place:
        return Judgement("changed", rest.place, f"something else stands there now{many}")
    if found:
        return Judgement("gone", None, "copies of its text are left, but not this one")
    return Judgement("gone", None, "nothing of it is left" if rest is None else "its lines were taken out")


def _rest(anchor: Anchor, text: Text, path: str | None = None) -> _Remnant | None:
    """What took the span's place in `text`, by its lines that are left and what stood around it; None for nothing."""
    if not anchor.span:
        return None
    old = (*anchor.before[::-1], *anchor.span, *anchor.after)
    low, high = len(anchor.before), len(anchor.before) + len(anchor.span)
    start, end = _window(old, range(low, high), text)
    if start >= end:
        return None
    matched: dict[int, int] = {}
    for a, b, size in SequenceMatcher(None, old, text.dense[start:end].tolist(), False).get_matching_blocks():
        matched.update((a + step, start + b + step) for step in range(size))
    solid = [at for at in range(low, high) if old[at] not in TRIVIAL] or [*range(low, high)]
    survives = sum(at in matched for at in solid) / len(solid)
    weights = {
        at: _weight(old[at], low - 1 - at if at < low else at - high) for at in range(len(old)) if not low <= at < high
    }
    share = sum(weights[at] for at in weights if at in matched) / sum(weights.values()) if weights else 1.0
    inside = [matched[at] for at in range(low, high) if at in matched]
    first, last = _edge(old, matched, low, -1, text), _edge(old, matched, high - 1, 1, text)
    # A bracket here and an "else:" there are nothing of it, wherever they stand together.
    if max(share, survives) < _DECIDES or (not inside and (first is None or last is None)):
        return None
    if first is None:
        first = max(0, inside[0] - (next(at for at in range(low, high) if at in matched) - low))
    if last is None:
        behind = high - 1 - next(at for at in range(high - 1, low - 1, -1) if at in matched)
        last = min(len(text.dense) - 1, inside[-1] + behind)
    if first > last:
        return _Remnant(None, share, survives)
    return _Remnant(Place(path or anchor.path, text.solid[first] + 1, text.solid[last] + 1, False), share, survives)


def _edge(old: Sequence[int], matched: dict[int, int], at: int, step: int, text: Text) -> int | None:
    """Where the span begins now (`step` -1) or ends (1), `at` being its own first or last line; None if unknown."""
    if at in matched:
        return matched[at]
    outside = at + step
    skipped = 0
    while 0 <= outside < len(old) and outside not in matched:
        outside, skipped = outside + step, skipped + 1
    if 0 <= outside < len(old):
        # Lines of the surroundings that are no longer there were replaced as well, one by one.
        return matched[outside] - step * (1 + skipped)
    if skipped or (step < 0 and at) or (step > 0 and at < len(old) - 1):
        return None
    return 0 if step < 0 else len(text.dense) - 1


def _window(old: Sequence[int], own: range, text: Text) -> tuple[int, int]:
    """The stretch of `text.dense` where most of the marks `old` are, those of the span itself counting more."""
    hits: list[tuple[int, int, float]] = []
    for at, mark in enumerate(old):
        where = text.where.get(mark, ())
        if mark not in TRIVIAL and len(where) <= 16:
            weight = (1.0 if at in own else 0.8) / len(where) if where else 0.0
            hits += [(place, at, weight) for place in where]
    if not hits:
        return 0, 0
    hits.sort()
    length = len(old) + len(old) // 2 + 6
    best, best_at = 0.0, 0
    left, total = 0, 0.0
    for place, _, weight in hits:
        total += weight
        while hits[left][0] < place - length:
            total -= hits[left][2]
            left += 1
        if total > best + 1e-9:
            best, best_at = total, left
    low = hits[best_at][0]
    return max(0, low - 2 * AROUND), min(len(text.dense), low + length + 2 * AROUND)
