"""A search index that reads the whole ledger for each question: the obvious way, to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import log

from whoosh.lang.porter import stem

from swarm_indexes.filters import EVERYTHING, Filters
from swarm_indexes.hits import Hit, successors_first
from swarm_indexes.mentions import together
from swarm_indexes.rows import Row, rooms, rows_of
from swarm_indexes.snippets import snippet
from swarm_indexes.terms import facet, facet_values, pieces, query_terms
from swarm_ledger.errors import BadInput
from swarm_ledger.store import Store

_WEIGHTS = {"title": 3, "body": 1, "names": 2, "paths": 1, "parts": 1}
_TERMS = 64


def _stems(text: str) -> list[str]:
    words = "".join(one if one.isalnum() else " " for one in text).split()
    return [stem(word.lower()) for word in [*words, *pieces(text)]]


class MemoryIndex:
    """See LexicalIndex."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.terms_left_out = 0
        self.progress: Callable[[int, int], None] = lambda done, total: None
        self.rebuilt = ""

    def _rows(self) -> list[tuple[Row, str, str]]:
        found = self._store.read_many([path for path, _ in self._store.paths()])
        return [(row, path, one.blob) for path, one in sorted(found.items()) for row in rows_of(path, one.text)[0]]

    def catch_up(self) -> int:
        return 0

    def reindex(self) -> int:
        return len(self._rows())

    def search(self, query: str, filters: Filters = EVERYTHING, *, k: int = 10) -> list[Hit]:
        if k < 1:
            raise BadInput("k: 1 or more")
        equal, span = filters.equal(), filters.span()
        terms, self.terms_left_out = query_terms(query, _TERMS)
        if not terms and not equal and not span:
            raise BadInput("nothing to search for")
        rows = [one for one in self._rows() if self._fits(one[0], equal, span)]
        held = {row.id: self._held(row) for row, _, _ in rows}
        wanted = {stem(term) for term in terms}
        counts = {term: sum(term in one for one in held.values()) for term in wanted}
        scored = []
        for row, path, blob in rows:
            score = sum(
                log(1 + len(rows) / counts[term]) * held[row.id][term] / (held[row.id][term] + 1)
                for term in wanted
                if held[row.id][term]
            )
            if score or not terms:
                scored.append((-score, -(row.moment or 0.0), row.id, self._hit(row, path, blob, score or None, terms)))
        return successors_first([hit for *_, hit in sorted(scored, key=lambda one: one[:3])[:k]])

    def _held(self, row: Row) -> Counter[str]:
        held: Counter[str] = Counter()
        for field, weight in _WEIGHTS.items():
            for word in _stems(getattr(row, field)):
                held[word] += weight
        return held

    def _fits(self, row: Row, equal: dict[str, tuple[str, ...]], span: tuple[float, float] | None) -> bool:
        if span and not span[0] <= (row.moment or 0.0) <= span[1]:
            return False
        plain = {"kind": [row.kind], "by": [row.by], "to": row.to.splitlines(), "room": rooms(row.room)}
        return all(
            any(
                facet("entity", value) in row.facets.split() if field == "entity" else value in plain[field]
                for value in values
            )
            for field, values in equal.items()
        )

    def _hit(self, row: Row, path: str, blob: str, score: float | None, terms: list[str]) -> Hit:
        shown = snippet(row.body, terms)
        return Hit(
            id=row.id,
            kind=row.kind,
            title=row.title or row.body[:80],
            by=row.by,
            at=row.at,
            valid_from=row.valid_from or None,
            path=path,
            version=blob,
            score=score,
            snippet=shown,
            room=row.room or None,
            entities=tuple(row.entities.splitlines()),
            ref=row.ref or None,
            status=row.status or None,
            to=tuple(row.to.splitlines()),
            superseded_by=tuple(row.superseded_by.splitlines()),
            whole=shown == row.body.strip(),
        )

    def did_you_mean(self, query: str) -> str | None:
        known = {word.lower() for row, _, _ in self._rows() for word in f"{row.title} {row.body}".split()}
        words = query.split()
        near = [
            next((one for one in sorted(known) if sorted(one) == sorted(word)), word) if word not in known else word
            for word in words
        ]
        return " ".join(near) if near != words else None

    def get(self, entry_id: str) -> Hit | None:
        return next((self._hit(*one, None, []) for one in self._rows() if one[0].id == entry_id), None)

    def beside(self, entity: str) -> list[tuple[str, int]]:
        facets = [row.facets for row, _, _ in self._rows() if facet("entity", entity.casefold()) in row.facets.split()]
        return together([facet_values("entity", one) for one in facets], entity)

    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(row.kind for row, _, _ in self._rows()).items()))

    def flaws(self) -> list[tuple[str, str]]:
        found = self._store.read_many([path for path, _ in self._store.paths()])
        return sorted((path, flaw) for path, one in found.items() if (flaw := rows_of(path, one.text)[1]))

    def check(self) -> list[str]:
        return []

    def close(self) -> None:
        pass
