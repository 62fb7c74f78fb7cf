"""Lines: what can be owned. A document by its id, or a glob of the code repository's paths (`path:src/auth/**`).

In a glob `*` stands for any characters of one name, `?` for one, `**` as a whole name for any number of names, none
included; all else stands for itself, brackets too. Paths are from the repository's top. A glob whose last name has
no wildcard also covers everything under it: `path:src/auth` is the file or the directory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NewType

from .errors import BadInput
from .ids import kind_of, quoted

__all__ = ["PREFIX", "Line", "covers", "head", "is_glob", "overlap", "parse_line"]

Line = NewType("Line", str)
"""In its one spelling, as `parse_line` gives it: two lines are the same where their texts are."""

PREFIX = "path:"
_HEAD = re.compile(r"[^*?]*")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_OWNABLE = frozenset({"plan", "task", "fact", "entity", "reflection", "contested"})
_LONGEST = 400


def parse_line(text: str) -> Line:
    """The line that `text` names, in its one spelling. Raises BadInput for what cannot be owned."""
    if not text.startswith(PREFIX):
        if "/" in text or "*" in text:
            raise BadInput(f"{quoted(text)} is no entry's id; code paths are owned as path:GLOB, such as path:src/**.")
        kind = kind_of(text)
        if kind not in _OWNABLE:
            raise BadInput(f"{quoted(text)} is a {kind}, which is never changed and needs no owner: just log.")
        return Line(text)
    glob = text[len(PREFIX) :]
    if len(glob) > _LONGEST or _CONTROL.search(glob) or "\\" in glob:
        raise BadInput(f"{quoted(text)}: a glob is one line of at most {_LONGEST} characters without backslashes.")
    if glob.startswith("/"):
        raise BadInput(f"{quoted(text)}: paths are from the repository's top; leave out the first slash.")
    names = [name for name in glob.split("/") if name not in ("", ".")]
    if ".." in names:
        raise BadInput(f"{quoted(text)} leaves the repository; name the path from its top.")
    if glob.endswith("/") and names and names[-1] != "**" and _wild(names[-1]):
        names.append("**")
    names = [name for n, name in enumerate(names) if name != "**" or names[n - 1 : n] != ["**"]]
    if _is_everything(names):
        raise BadInput(f"{quoted(text)} is the whole repository; own the directories that you work on.")
    return Line(PREFIX + "/".join(names))


def is_glob(line: Line) -> bool:
    """Whether `line` is of code paths, not a document."""
    return line.startswith(PREFIX)


def head(line: Line) -> str:
    """What each path of `line` begins with. Two lines of which neither head begins with the other do not overlap."""
    return _HEAD.match(line)[0].rstrip("/")  # type: ignore[index]  # matches any text


def overlap(a: Line, b: Line) -> bool:
    """Whether some path or document is in both."""
    if not (is_glob(a) and is_glob(b)):
        return a == b
    return _meet(_names(a), _names(b))


def covers(line: Line, path: str) -> bool:
    """Whether the code path `path`, from the repository's top, is in `line`."""
    return is_glob(line) and _matches(_names(line), tuple(path.split("/")))


def _wild(name: str) -> bool:
    return "*" in name or "?" in name


def _is_everything(names: list[str]) -> bool:
    """Whether every path matches: no name is asked for beside `**`, or just one, which may be any."""
    plain = [name for name in names if name != "**"]
    if not plain:
        return True
    any_name = set(plain[0]) <= {"*", "?"} and "*" in plain[0] and plain[0].count("?") <= 1
    return len(plain) == 1 < len(names) and any_name


@lru_cache(maxsize=4096)
def _names(line: Line) -> tuple[str, ...]:
    names = tuple(line[len(PREFIX) :].split("/"))
    return names if _wild(names[-1]) else (*names, "**")


@lru_cache(maxsize=4096)
def _pattern(name: str) -> re.Pattern[str]:
    first, *rest = ("".join("." if char == "?" else re.escape(char) for char in part) for part in name.split("*"))
    # What stands behind a star is sought once, at its first place: to try the others too would take hours.
    between = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(first + between + (f".*{rest[-1]}" if rest else ""), re.DOTALL)


def _matches(names: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether the names of `path` are in the language of `names`: the states of the automaton after each name."""
    states = _skip(names, {0})
    for one in path:
        after = set()
        for n in states:
            if n < len(names) and names[n] == "**":
                after.add(n)
            elif n < len(names) and _pattern(names[n]).fullmatch(one):
                after.add(n + 1)
        states = _skip(names, after)
    return len(names) in states


def _skip(names: tuple[str, ...], states: set[int]) -> set[int]:
    """`states` and those reached from them without a name."""
    out = set()
    for n in states:
        out.add(n)
        while n < len(names) and names[n] == "**":
            n += 1
            out.add(n)
    return out


@lru_cache(maxsize=65536)
def _meet(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether the languages of two globs meet."""
    return _reachable(a, b, "**", _names_meet)


@lru_cache(maxsize=65536)
def _names_meet(a: str, b: str) -> bool:
    """The same for two patterns of one name."""
    if not (_wild(a) or _wild(b)):
        return a == b
    return _reachable(a, b, "*", lambda left, right: "?" in (left, right) or left == right)


def _reachable(a: Sequence[str], b: Sequence[str], star: str, meet: Callable[[str, str], bool]) -> bool:
    """Whether the end is reached in the product of the automata of `a` and `b`, in which `star` stands for any number.

    `meet` says whether one part of `a` and one of `b`, no stars, have anything in common.
    """
    seen = set()
    todo = [(0, 0)]
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        i, j = state
        if (i, j) == (len(a), len(b)):
            return True
        left, right = a[i] if i < len(a) else None, b[j] if j < len(b) else None
        if left == star:
            todo.append((i + 1, j))
            if right is not None:
                todo.append((i, j + 1))
        if right == star:
            todo.append((i, j + 1))
            if left is not None:
                todo.append((i + 1, j))
        elif left is not None and right is not None and left != star and meet(left, right):
            todo.append((i + 1, j + 1))
    return False
