"""What holds for every hit beside its words: of postings, told by FTS5, and of columns, told by SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from .tables import RANKED

__all__ = ["Within", "passing"]

_LISTED = 10_000
"""Of how many entries that a condition holds for a list is made, before any word is looked up."""


class Within(NamedTuple):
    """Conditions, none by default. A scored query takes only `facets`: words have a part in a score."""

    sql: str = ""
    """It holds for the rows of `entry` that are meant; "" for all."""
    values: tuple[object, ...] = ()
    facets: str = ""
    """An FTS5 expression ending in AND, or ""; so is `also`."""
    also: str = ""
    unless: str = ""
    """An FTS5 expression that holds for no hit, or ""."""

    def plus(self, sql: str, values: tuple[object, ...]) -> Within:
        """This and `sql`."""
        return self._replace(sql=f"{self.sql} AND {sql}" if self.sql else sql, values=self.values + values)

    def match(self, expression: str) -> str:
        """The FTS5 expression for what `expression` holds for, within the postings."""
        found = f"{self.facets}{self.also}({expression})"
        return f"({found}) NOT ({self.unless})" if self.unless else found

    def condition(self, db: sqlite3.Connection) -> str:
        """`sql` for a look at `words`, beginning with AND: a list of few entries, for many a look at each match."""
        if not self.sql:
            return ""
        some = f"SELECT count(*) FROM (SELECT 1 FROM entry WHERE {self.sql} LIMIT ?)"  # noqa: S608 (text of ours)
        if db.execute(some, (*self.values, _LISTED)).fetchone()[0] < _LISTED:
            # The + keeps SQLite from running the full-text query once for each of them.
            return f"AND +rowid IN (SELECT n FROM entry WHERE {self.sql})"  # noqa: S608 (as above)
        return f"AND EXISTS (SELECT 1 FROM {RANKED} WHERE entry.n = words.rowid AND {self.sql})"  # noqa: S608 (as above)

    def whole(self) -> tuple[str, tuple[object, ...]]:
        """All of it but `facets` as SQL for rows of `entry`, "" where nothing is asked, and its values."""
        parts, values = ([self.sql] if self.sql else []), [*self.values]
        for expression, negation in ((self.also.removesuffix(" AND "), ""), (self.unless, "NOT ")):
            if expression:
                parts.append(f"entry.n {negation}IN (SELECT rowid FROM words WHERE words MATCH ?)")  # noqa: S608 (as above)
                values.append(expression)
        return " AND ".join(parts), tuple(values)


def passing(db: sqlite3.Connection, rows: Collection[int], within: Within) -> set[int]:
    """Those of `rows` for which `within` holds."""
    left = set(rows)
    listed = "IN (SELECT value FROM json_each(?))"
    if within.sql:
        found = db.execute(
            f"SELECT n FROM entry NOT INDEXED WHERE n {listed} AND {within.sql}",  # noqa: S608 (text of ours)
            (str(list(left)), *within.values),
        )
        left = {n for (n,) in found}
    holding = f"SELECT rowid FROM words WHERE words MATCH ? AND +rowid {listed}"  # noqa: S608 (as above)
    wanted = (within.facets + within.also).removesuffix(" AND ")
    if wanted and left:
        left = {n for (n,) in db.execute(holding, (wanted, str(list(left))))}
    if within.unless and left:
        left -= {n for (n,) in db.execute(holding, (within.unless, str(list(left))))}
    return left
