"""What a text mentions, found with no model and in time linear in its length: paths, issues, commits and agents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import slugify

__all__ = ["mentioned", "slug_of", "together"]

_MENTION = re.compile(
    r"(?<![\w./@#-])(?:"
    r"((?:[\w.-]+/)+[\w.-]*\w|[\w-]+\.[a-z]{1,5}(?!\w|[./-]\w))"  # a path, or a file's name
    r"|(\#[0-9]{1,9})(?!\w)"
    r"|(@[a-z0-9][a-z0-9._-]*[a-z0-9])"
    r"|([0-9a-f]{7,40})(?!\w|[./-]\w)"
    r")"
)
_MOST = 64
"""Of one entry, so that a list of files is no list of postings."""


def mentioned(text: str) -> list[str]:
    """What `text` mentions, once each, in lower case: "src/auth.py", "#12", "@ada", "1f3c9d2"."""
    found: dict[str, None] = {}
    # No mention holds a space, and none is of letters only: most words need not be looked at.
    for word in text.split():
        for match in () if word.isalpha() else _MENTION.finditer(word):
            commit = match[4]
            if commit and (commit.isdigit() or commit.isalpha()):
                continue  # a number, or a word of the letters a to f
            found[match[0].lower()] = None
            if len(found) == _MOST:
                return list(found)
    return list(found)


def together(entries: Iterable[Iterable[str]], entity: str) -> list[tuple[str, int]]:
    """Of the names in each of `entries`, those that are not `entity`'s, with the number of entries; the most first.

    An entry names what it mentions in several ways: by id, as the text has it, by slug. These count once, under the
    first of those. Ties are in alphabetical order.
    """
    counted: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for names in entries:
        slugs: dict[str, list[str]] = {}
        for name in names:
            slugs.setdefault(slug_of(name), []).append(name)
        for slug, ways in slugs.items():
            counted[slug] += 1
            best = min(
                [*ways, shown.get(slug, slug)], key=lambda name: (not name.startswith("entity-"), name == slug, name)
            )
            shown[slug] = best
    counted.pop(slug_of(entity), None)
    return sorted(((shown[slug], number) for slug, number in counted.items()), key=lambda one: (-one[1], one[0]))


def slug_of(name: str) -> str:
    """What the ways to name an entity have in common: its id, a path and the slug itself give one slug."""
    if name.startswith("entity-"):
        return name.split("-", 2)[-1]
    try:
        return slugify(name)
    except BadInput:
        return name
