"""Whether a query uses the query language, told without loading it: most do not, and `language` is slow to import."""

from __future__ import annotations

import re

from .question import is_question

__all__ = ["FACETS", "FIELDS", "LONGEST", "TEXTS", "is_formal", "unknown_fields"]

TEXTS = {
    "text": "title body names paths parts",
    "title": "title",
    "body": "body",
    "name": "names",
    "path": "paths",
}
"""Field of the language → the columns of words that it searches."""

FACETS = ("kind", "by", "to", "room", "entity")
"""Fields whose value is compared as a whole, as the filters of the same name."""

FIELDS = (*TEXTS, *FACETS, "at")

LONGEST = 1000
"""Characters; a longer query is words. People and agents write shorter ones, and parsing takes the square of it."""

_FIELD = re.compile(rf"(?<![\w/])(?:{'|'.join(FIELDS)}):(?=[^\s:/])")
_OTHER = re.compile(r"(?<![\w/:.])([A-Za-z_]{2,20}):(?=[\w\"'\[(])")
_FORM = re.compile(
    r'(?<![^\s(:])"[^"]*\w[^"]*"(?![^\s)])'  # a phrase
    r"|\w/?\*(?=[\s)]|$)|\w[*?]+\w"  # a wildcard
    r"|[\w)*] (?:AND|OR|NOT) [\w(]|^NOT [\w(]"
)


def is_formal(query: str) -> bool:
    """Whether `query` has a form of the language: a field, or where it asks nothing a phrase, a wildcard, an operator.

    In a question, quotes and capitals are part of the sentence.
    """
    if len(query) > LONGEST:
        return False
    if _FIELD.search(query):
        return True
    # A ? inside a word is a wildcard, one behind it asks.
    return _FORM.search(query) is not None and not is_question(re.sub(r"(?<=\w)\?(?=[\w*])", "", query))


def unknown_fields(query: str) -> list[str]:
    """What looks like a field in `query` and is none."""
    found = _OTHER.findall(query) if len(query) <= LONGEST else []
    return [name for name in dict.fromkeys(found) if name not in FIELDS]
