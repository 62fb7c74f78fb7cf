"""Edits of a source tree whose effect on a cited span is known, because the script made it.

`edit` changes one thing in a tree and says what a verdict must be. A tree is path → lines; a changed one holds only
what differs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["EDITS", "Case", "Lines", "make"]

Lines = list[bytes]


@dataclass
class Case:
    """A span (lines from 1), what was done, and what is true after it."""

    path: str
    first: int
    last: int
    kind: str = ""
    changed: dict[str, Lines | None] = field(default_factory=dict)
    """Path → its lines afterwards; None where it was removed."""
    verdict: str = ""
    place: tuple[str, int, int] | None = None
    crlf: bool = False


def make(rng: random.Random, tree: dict[str, Lines], kind: str) -> Case | None:
    """A random span of `tree` with an edit of `kind`; None where the draw does not allow it."""
    path = rng.choice([*tree])
    lines = tree[path]
    length = min(rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)), len(lines))
    first = rng.randint(1, len(lines) - length + 1)
    span = lines[first - 1 : first + length - 1]
    if not span[0].strip() or not span[-1].strip():
        return None  # people cite lines that say something
    case = Case(path, first, first + length - 1, kind)
    if not EDITS[kind](rng, tree, case):
        return None
    return _as_it_is(case, span)


def _as_it_is(case: Case, span: Lines) -> Case:
    """Where the same text happens to stand in the same lines afterwards, it is fresh, whatever was meant."""
    now = case.changed.get(case.path, [])
    if now and now[case.first - 1 : case.last] == span:
        case.verdict, case.place = "fresh", (case.path, case.first, case.last)
    return case


def _some(rng: random.Random, tree: dict[str, Lines], number: int) -> Lines:
    """Lines of another place."""
    lines = tree[rng.choice([*tree])]
    at = rng.randrange(len(lines))
    return lines[at : at + number] or [b"x = 1"]


def _parts(tree: dict[str, Lines], case: Case) -> tuple[Lines, Lines, Lines]:
    lines = tree[case.path]
    return lines[: case.first - 1], lines[case.first - 1 : case.last], lines[case.last :]


def _at(case: Case, path: str, before: int) -> tuple[str, int, int]:
    return path, before + 1, before + 1 + case.last - case.first


def above(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """Lines are added or taken out above."""
    before, span, after = _parts(tree, case)
    at = rng.randint(0, len(before))
    if rng.random() < 0.6:
        before = before[:at] + _some(rng, tree, rng.randint(1, 30)) + before[at:]
    else:
        before = before[:at] + before[at + rng.randint(1, 10) :]
    case.changed[case.path] = before + span + after
    case.verdict, case.place = "moved", _at(case, case.path, len(before))
    return len(before) != case.first - 1


def around(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """The lines next to it are changed, above and below."""
    before, span, after = _parts(tree, case)
    grown = rng.randint(0, 2)
    before = [*before[:-1], *(b"# " + bytes([97 + n]) * 9 for n in range(grown)), b"# told apart"] if before else before
    after = [b"# and here", *after[rng.randint(0, 2) :]]
    case.changed[case.path] = before + span + after
    moved = len(before) != case.first - 1
    case.verdict, case.place = "moved" if moved else "fresh", _at(case, case.path, len(before))
    return True


def inside(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """Some of its lines are changed, one is added or taken out; some are added above."""
    before, span, after = _parts(tree, case)
    new = list(span)
    for _ in range(rng.randint(1, 1 + len(span) // 4)):
        at = rng.randrange(len(new))
        what = rng.random()
        if what < 0.6 or len(new) < 3:
            depth = len(new[at]) - len(new[at].lstrip())
            new[at] = new[at][:depth] + b"changed_%d(%s)" % (rng.randrange(1000), new[at].strip()[:20])
        elif what < 0.8 and at > 0:
            new.insert(at, b"    added_%d = None" % rng.randrange(1000))
        elif 0 < at < len(new) - 1:
            del new[at]
    if new == span:
        return False
    if rng.random() < 0.5:
        before = _some(rng, tree, rng.randint(1, 12)) + before
    case.changed[case.path] = before + new + after
    case.verdict, case.place = "changed", (case.path, len(before) + 1, len(before) + len(new))
    return True


def delete(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """It is taken out, and nothing put in its place."""
    before, _, after = _parts(tree, case)
    case.changed[case.path] = before + after
    case.verdict = "gone"
    return True


def delete_file(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """Its file is removed."""
    case.changed[case.path] = None
    case.verdict = "gone"
    return True


def move(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """It moves elsewhere in its file."""
    before, span, after = _parts(tree, case)
    rest = before + after
    at = rng.randint(0, len(rest))
    case.changed[case.path] = rest[:at] + span + rest[at:]
    case.verdict, case.place = "moved", _at(case, case.path, at)
    return at != case.first - 1 and len(span) > 2


def move_away(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """It moves to another file."""
    before, span, after = _parts(tree, case)
    other = rng.choice([*tree])
    if other == case.path or len(span) < 3:
        return False
    at = rng.randint(0, len(tree[other]))
    case.changed[case.path] = before + after
    case.changed[other] = tree[other][:at] + span + tree[other][at:]
    case.verdict, case.place = "moved", _at(case, other, at)
    return True


def rename(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """Its file is renamed, and perhaps something is added at the top."""
    head = _some(rng, tree, rng.randint(1, 9)) if rng.random() < 0.5 else []
    folder, _, name = case.path.rpartition("/")
    new = rng.choice((f"{folder}/sub/{name}", f"{folder}/renamed_{name}", f"elsewhere/{name}"))
    case.changed[case.path], case.changed[new] = None, head + tree[case.path]
    case.verdict, case.place = "moved", _at(case, new, len(head) + case.first - 1)
    return True


def copy(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """Its file is copied, and lines are added to the first."""
    head = _some(rng, tree, rng.randint(1, 9))
    case.changed[f"copies/{case.path}"] = tree[case.path]
    case.changed[case.path] = head + tree[case.path]
    case.verdict, case.place = "moved", _at(case, case.path, len(head) + case.first - 1)
    return True


def indent(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """It is indented as a whole, with what stands around it, under a new line."""
    before, span, after = _parts(tree, case)
    up, down = rng.randint(0, min(6, len(before))), rng.randint(0, min(6, len(after)))

    def deeper(lines: Sequence[bytes]) -> Lines:
        return [b"    " + line if line.strip() else line for line in lines]

    kept = before[: len(before) - up]
    before = [*kept, b"    if deeper:", *deeper(before[len(kept) :])]
    case.changed[case.path] = before + deeper(span) + deeper(after[:down]) + after[down:]
    case.verdict, case.place = "moved", _at(case, case.path, len(before))
    return True


def duplicate(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """A copy of it is put elsewhere in its file, or into another."""
    before, span, after = _parts(tree, case)
    if rng.random() < 0.5:
        at = rng.randint(0, len(before))
        before = before[:at] + span + before[at:]
    else:
        other = rng.choice([*tree])
        if other == case.path:
            return False
        at = rng.randint(0, len(tree[other]))
        case.changed[other] = tree[other][:at] + span + tree[other][at:]
        before = _some(rng, tree, rng.randint(1, 9)) + before
    case.changed[case.path] = before + span + after
    case.verdict, case.place = "moved", _at(case, case.path, len(before))
    return True


def duplicate_and_change(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """A copy of it is put into another file, then it is changed itself."""
    if case.last - case.first < 2:
        return False
    other = rng.choice([*tree])
    if other == case.path or not inside(rng, tree, case):
        return False
    _, span, _ = _parts(tree, case)
    at = rng.randint(0, len(tree[other]))
    case.changed[other] = tree[other][:at] + span + tree[other][at:]
    return True


def reformat(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """White space changes inside it, but not all over: in Python that is a change."""
    before, span, after = _parts(tree, case)
    new = list(span)
    ways = [at for at, line in enumerate(new) if b" = " in line or b", " in line or line.startswith(b"    ")]
    if not ways or len(span) < 2:
        return False
    at = rng.choice(ways)
    if b" = " in new[at] and rng.random() < 0.6:
        new[at] = new[at].replace(b" = ", b"=", 1)
    elif b", " in new[at]:
        new[at] = new[at].replace(b", ", b",", 1)
    else:
        new[at] = b"    " + new[at]
    if len([line for line in span if line.strip()]) < 2:
        return False
    case.changed[case.path] = before + new + after
    case.verdict, case.place = "changed", (case.path, case.first, case.last)
    return new != span


def split(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """Its file is split in two, and the second part goes to a new file with a head of its own."""
    lines = tree[case.path]
    cuts = [
        at for at, line in enumerate(lines) if line[:4] in (b"def ", b"clas") and not case.first - 1 < at < case.last
    ]
    if not cuts:
        return False
    at = rng.choice(cuts)
    new = case.path.removesuffix(".py") + "_more.py"
    head = lines[: min(at, rng.randint(0, 8))] if case.first > 8 else [b"# more"]
    case.changed[case.path], case.changed[new] = lines[:at], head + lines[at:]
    if case.last <= at:
        case.verdict, case.place = "fresh", (case.path, case.first, case.last)
    else:
        case.verdict, case.place = "moved", _at(case, new, len(head) + case.first - 1 - at)
    return True


def line_ends(rng: random.Random, tree: dict[str, Lines], case: Case) -> bool:
    """Its file is written with CRLF."""
    case.changed[case.path], case.crlf = tree[case.path], True
    case.verdict, case.place = "fresh", (case.path, case.first, case.last)
    return True


EDITS: dict[str, Callable[[random.Random, dict[str, Lines], Case], bool]] = {
    one.__name__: one
    for one in (
        *(above, around, inside, delete, delete_file, move, move_away, rename, copy, indent, duplicate),
        *(duplicate_and_change, reformat, split, line_ends),
    )
}
