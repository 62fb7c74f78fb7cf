"""The query language: fields, phrases, ranges of time, wildcards, AND, OR, NOT and parentheses, as Whoosh parses them.

Bare words rank, as in any query. Everything else is a condition that every hit meets: `title:"retry policy"`,
`kind:fact`, `at:'last week'`, `at:[2026-11-01 TO monday]`, `migrat*`, `(cache OR session) AND NOT test`. Times are
those that a question may speak of, see `dates`, which knows more of them than Whoosh does.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import translate
from typing import Any, NamedTuple
from unicodedata import normalize

from whoosh.fields import ID, Schema
from whoosh.lang.porter import stem
from whoosh.qparser import plugins
from whoosh.qparser.default import QueryParser
from whoosh.qparser.syntax import GroupNode
from whoosh.query.compound import And, Or
from whoosh.query.positional import Phrase
from whoosh.query.ranges import TermRange
from whoosh.query.terms import Prefix, Term, Wildcard
from whoosh.query.wrappers import Not

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import quoted

from .dates import Span, spoken
from .filters import Filters
from .syntax import FACETS, FIELDS, TEXTS
from .tables import vocabulary
from .terms import together, words
from .within import Within

__all__ = ["Parsed", "parse"]

_ASKING = re.compile(r"\?+(?=[\s)]|$)")
"""Behind a word it asks; inside one it is a wildcard."""
_MOST = 200
"""Words that a wildcard may stand for."""
_RANKED = 6
"""Of those, how many rank, the commonest: rows are told apart by their terms where these are few (see coordination)."""
_ALWAYS, _NEVER = -1e18, 1e18


class _Loose(Or):
    """Words beside each other, with no operator between them."""


class _LooseGroup(GroupNode):
    qclass = _Loose


_PLUGINS = [
    plugins.WhitespacePlugin,
    plugins.SingleQuotePlugin,
    plugins.FieldsPlugin,
    plugins.PhrasePlugin,
    plugins.RangePlugin,
    plugins.WildcardPlugin,
    plugins.OperatorsPlugin,
    plugins.GroupPlugin,
]


class Parsed(NamedTuple):
    """A query of the language: `words` rank, `within` holds for every hit."""

    words: str
    within: Within
    bare: bool
    """Whether there are words outside of the conditions, one of which every hit holds."""


Facet = Callable[[str, str], str]
"""(field, value) → the FTS5 expression for it."""


def parse(text: str, now: float, db: sqlite3.Connection, facet: Facet) -> Parsed:
    """`text` read with times relative to `now`. Raises BadInput for a time that is none and what has no meaning."""
    parser = QueryParser("text", Schema(**{name: ID() for name in FIELDS}), plugins=_PLUGINS, group=_LooseGroup)
    reading = _Reading(db, facet, now)
    try:
        tree = parser.parse(_ASKING.sub("", text), normalize=False)
        within = reading.together(list(tree) if isinstance(tree, _Loose) else [tree])
    except RecursionError:
        raise BadInput("the query has too many parentheses inside each other; take some out.") from None
    asks = "?" if _ASKING.search(text) else ""
    return Parsed(" ".join(reading.words) + asks, within, reading.bare)


class _Reading:
    """One walk over the tree of a query."""

    def __init__(self, db: sqlite3.Connection, facet: Facet, now: float) -> None:
        self._db, self._facet, self._now = db, facet, now
        self.words: list[str] = []
        self.bare = False
        self.values: list[object] = []

    def together(self, nodes: list[Any]) -> Within:
        """What holds for every hit of `nodes`, which stand beside each other."""
        also: list[str] = []
        unless: list[str] = []
        conditions = []
        for node in nodes:
            negated = isinstance(node, Not)
            if isinstance(node, Term) and node.fieldname == "text" and not re.search(r"\s", node.text):
                self.words.append(node.text)
                self.bare = True
            elif expression := self._postings(node.query if negated else node, wanted=not negated):
                (unless if negated else also).append(f"({expression})")
            else:
                conditions.append(self._condition(node))
        return Within(
            also="".join(f"{one} AND " for one in also),
            unless=" OR ".join(unless),
            sql=" AND ".join(one for one in conditions if one),
            values=tuple(self.values),
        )

    def _postings(self, node: Any, wanted: bool) -> str:
        """An FTS5 expression for `node`, "" where the postings alone do not tell; its words rank where `wanted`."""
        if isinstance(node, And | Or):
            before = len(self.words)
            nots = [one.query for one in node if isinstance(one, Not)]
            parts = [self._postings(one, wanted) for one in node if not isinstance(one, Not)]
            negated = [self._postings(one, not wanted) for one in nots]
            if not parts or not all(parts + negated) or (nots and isinstance(node, Or)):
                del self.words[before:]
                return ""
            found = (" AND " if isinstance(node, And) else " OR ").join(f"({part})" for part in parts)
            return f"({found}) NOT ({' OR '.join(f'({part})' for part in negated)})" if negated else found
        field = node.field() or "text"
        if isinstance(node, Prefix) and field in TEXTS:
            return self._beginning(field, node.text.lower(), wanted)
        if not isinstance(node, Term | Phrase) or field == "at":
            return ""
        text = " ".join(node.words) if isinstance(node, Phrase) else node.text
        if field in FACETS:
            Filters(**{field: text}).equal()
            return self._facet(field, text)
        terms = words(normalize("NFKC", text))
        if not terms or any(map(together, terms)):
            return ""
        if wanted:
            self.words.append(text)
        return f'{{{TEXTS[field]}}} : "{" ".join(terms)}"'

    def _beginning(self, field: str, start: str, wanted: bool) -> str:
        """An FTS5 expression for what begins with `start`, "" where a list of words has to tell."""
        split = words(normalize("NFKC", start))
        if len(split) > 1 and not any(map(together, split)):
            # Part of an identifier or path: its words one after the other, the last one begun if it is.
            self.words += [start] if wanted else []
            return f'{{{TEXTS[field]}}} : "{" ".join(split)}"' + (" *" if start.endswith(split[-1]) else "")
        if not _is_stem(start):
            return ""  # FTS5 would look for what begins with the stem, which is shorter
        stems = self._standing_for(f"{start}*")
        self.words += stems[:_RANKED] if wanted else []
        return f'{{{TEXTS[field]}}} : "{start}" *'

    def _condition(self, node: Any, wanted: bool = True) -> str:
        """SQL for `node`; its words rank where they are `wanted`."""
        if isinstance(node, Not):
            inner = self._condition(node.query, not wanted)
            return f"NOT ({inner})" if inner else ""
        if isinstance(node, And | Or):
            parts = [part for one in node if (part := self._condition(one, wanted))]
            return f"({(' AND ' if isinstance(node, And) else ' OR ').join(parts)})" if parts else ""
        field = node.field() or "text"
        if isinstance(node, TermRange):
            return self._range(field, node)
        if isinstance(node, Prefix | Wildcard):
            return self._wildcard(field, node, wanted)
        text = " ".join(node.words) if isinstance(node, Phrase) else getattr(node, "text", "")
        if field == "at":
            return self._within(self._times(text)[0])
        if field in FACETS:
            Filters(**{field: text}).equal()
            return self._matching(self._facet(field, text))
        return self._phrase(field, text, wanted)

    def _phrase(self, field: str, text: str, wanted: bool) -> str:
        terms = words(normalize("NFKC", text))
        if not terms:
            return ""
        if wanted:
            self.words.append(text)
        unspaced = [phrase for term in terms for phrase in together(term)]
        if unspaced:
            found = self._matching(f"{{{TEXTS['text']}}} : ({' AND '.join(unspaced)})")
            if field == "text":
                return found
            self.values.append(text.lower())
            return f"{found} AND instr(lower(entry.{TEXTS[field]}), ?)"
        return self._matching(f'{{{TEXTS[field]}}} : "{" ".join(terms)}"')

    def _range(self, field: str, node: Any) -> str:
        if field != "at":
            raise BadInput(f"{field}:[… TO …]: only times have ranges, as in at:[2026-11-01 TO yesterday].")
        low = self._times(node.start)[0][0] if node.start else _ALWAYS
        high = self._times(node.end)[-1][1] if node.end else _NEVER
        return self._within((low, high))

    def _wildcard(self, field: str, node: Any, wanted: bool) -> str:
        pattern = f"{node.text}*" if isinstance(node, Prefix) else node.text
        if field not in TEXTS:
            raise BadInput(f"{field}:{quoted(pattern)}: only words have wildcards; write the whole value.")
        if isinstance(node, Prefix) and (expression := self._beginning(field, node.text.lower(), wanted)):
            return self._matching(expression)
        stems = self._standing_for(pattern.lower())
        if wanted:
            self.words += stems[:_RANKED]
        self.values += [json.dumps(stems), json.dumps(TEXTS[field].split())]
        return (
            "entry.n IN (SELECT doc FROM temp.instance WHERE term IN (SELECT value FROM json_each(?)) "
            "AND col IN (SELECT value FROM json_each(?)))"
        )

    def _standing_for(self, pattern: str) -> list[str]:
        """The words of the index that `pattern` stands for, the commonest first. They are stems."""
        start = re.split(r"[*?]", pattern, maxsplit=1)[0]
        if words(start) != [start]:
            raise BadInput(
                f"{quoted(pattern)}: a wildcard needs a letter or digit before it, as in migrat*; in an identifier or "
                "path it is a * at the end, as in retry_pol*."
            )
        vocabulary(self._db)
        found = self._db.execute(
            "SELECT term, doc FROM temp.vocabulary "
            "WHERE term >= ? AND term < ? || char(1114111) ORDER BY doc DESC, term",
            (start, start),
        )
        fits = re.compile(translate(pattern.replace("[", "")))
        stems = [term for term, _ in found if fits.fullmatch(term) and words(term) == [term]]
        if len(stems) > _MOST:
            raise BadInput(f"{quoted(pattern)} stands for {len(stems):,} words; give more letters of it.")
        return stems

    def _times(self, text: str) -> list[Span]:
        """The spans that `text` speaks of, one at least."""
        found = spoken(text, self._now)
        if not found:
            raise BadInput(
                f"at:{quoted(text.strip())} is not a time; write it like 2026-11-21, 'last tuesday' or 'in May 2026'. "
                f"Today is {datetime.fromtimestamp(self._now, UTC):%Y-%m-%d}."
            )
        return found

    def _within(self, span: Span) -> str:
        self.values += span
        return "entry.n IN (SELECT n FROM entry WHERE moment BETWEEN ? AND ?)"

    def _matching(self, match: str) -> str:
        self.values.append(match)
        return "entry.n IN (SELECT rowid FROM words WHERE words MATCH ?)"


def _is_stem(word: str) -> bool:
    return bool(stem(word) == word)  # type: ignore[no-untyped-call]
