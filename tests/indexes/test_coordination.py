"""Rows are taken in by the rarity of the terms that they hold, and scored exactly."""

from __future__ import annotations

import random
import sqlite3
from itertools import accumulate

import pytest

from swarm_indexes import coordination
from swarm_indexes.within import Within

ROWS = 4000
WORDS = [f"w{n}x" for n in range(800)]
CUMULATED = list(accumulate(1 / (n + 1) for n in range(len(WORDS))))


@pytest.fixture(scope="module")
def db() -> sqlite3.Connection:
    """Rows of random words, the frequent ones far more frequent than the others, as in any language."""
    rng = random.Random(5)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE entry (n INTEGER PRIMARY KEY, moment REAL)")
    connection.execute(
        "CREATE VIRTUAL TABLE words USING fts5"
        " (title, body, names, paths, parts, facets, tokenize = 'porter unicode61')"
    )
    for n in range(1, ROWS + 1):
        title, body = (
            " ".join(rng.choices(WORDS, cum_weights=CUMULATED, k=size)) for size in (3, rng.choice([5, 30, 60]))
        )
        connection.execute("INSERT INTO entry VALUES (?, ?)", (n, float(n)))
        connection.execute(
            "INSERT INTO words (rowid, title, body, facets) VALUES (?, ?, ?, ?)", (n, title, body, f"odd{n % 2}")
        )
    return connection


def drawn(rng: random.Random, most: int) -> list[str]:
    return list(dict.fromkeys(rng.choices(WORDS, cum_weights=CUMULATED, k=rng.randint(1, most))))


def weighed(db: sqlite3.Connection, terms: list[str], facets: str = "") -> dict[int, float]:
    """Row → the sum of the idf of the terms that it holds, the obvious way."""
    sums: dict[int, float] = {}
    for term in terms:
        idf = coordination.idf_of(coordination.frequency(db, term), ROWS)
        for (n,) in db.execute("SELECT rowid FROM words WHERE words MATCH ?", (f'{facets}"{term}"',)):
            sums[n] = sums.get(n, 0.0) + idf
    return sums


def bm25(db: sqlite3.Connection, terms: list[str]) -> dict[int, float]:
    """Row → the score that FTS5 gives it for any of the terms."""
    match = " OR ".join(f'"{term}"' for term in terms)
    query = f"SELECT rowid, {coordination.MATCHING} FROM words WHERE words MATCH ?"
    return dict(db.execute(query, (match,)).fetchall())


def heaviest(db: sqlite3.Connection, terms: list[str], wanted: int, facets: str = "", allowed: int = ROWS) -> set[int]:
    counts = {term: coordination.frequency(db, term) for term in terms}
    known = {term: count for term, count in counts.items() if count}
    found = coordination.heaviest(db, known, ROWS, allowed, Within(facets=facets), wanted) if known else []
    assert len(found) == len(set(found))
    return set(found)


def test_no_row_that_weighs_enough_is_missed(db: sqlite3.Connection) -> None:
    """For random queries of up to twelve terms, the expression for a weight holds for every row of that weight."""
    rng = random.Random(9)
    tight = 0
    for _ in range(300):
        sums = weighed(db, terms := drawn(rng, 12))
        if not sums:
            continue
        counts = {term: coordination.frequency(db, term) for term in terms}
        ordered = sorted(((coordination.idf_of(count, ROWS), term) for term, count in counts.items()), reverse=True)
        need = rng.choice(sorted(sums.values())) - 1e-9
        match = coordination._reaching(ordered, need)
        found = {n for (n,) in db.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,))}
        enough = {n for n, weight in sums.items() if weight >= need}
        assert enough <= found
        tight += len(found) < len(sums)
    assert tight > 100, "too few expressions left anything out for this to prove anything"


@pytest.mark.parametrize("facets", ["", "facets : odd1 AND "])
def test_as_many_as_wanted_are_found_or_all(db: sqlite3.Connection, facets: str) -> None:
    """Where fewer rows hold a term, all of those; with a filter only rows for which it holds."""
    rng = random.Random(3)
    for _ in range(100):
        terms = drawn(rng, 6)
        holding = weighed(db, terms, facets).keys()
        for wanted in (1, 50, ROWS):
            found = heaviest(db, terms, wanted, facets, ROWS // 2 if facets else ROWS)
            assert found <= holding
            assert len(found) >= min(wanted, len(holding))


def test_the_best_by_bm25_are_among_the_heaviest(db: sqlite3.Connection) -> None:
    """Of the ten best rows of 200 random queries, 97 of a hundred are among 300 that weigh most."""
    rng = random.Random(5)
    wanted = there = 0
    for _ in range(200):
        terms = drawn(rng, 6)
        scores = bm25(db, terms)
        best = sorted(scores, key=lambda n: scores[n])[:10]
        wanted += len(best)
        there += len(heaviest(db, terms, 300).intersection(best))
    assert there >= 0.97 * wanted


def test_shares_sum_to_bm25(db: sqlite3.Connection) -> None:
    """The idf-weighted shares of the terms of a row are FTS5's score of it, filtered or not."""
    rng = random.Random(7)
    for _ in range(40):
        terms = drawn(rng, 5)
        expected = bm25(db, terms)
        sums: dict[int, float] = {}
        for term in terms:
            if count := coordination.frequency(db, term):
                idf = coordination.idf_of(count, ROWS)
                for n, share in coordination.shares(db, term, idf, None).items():
                    sums[n] = sums.get(n, 0.0) - share * idf * 2.2
                some = coordination.shares(db, term, idf, list(range(1, 1000)), "facets : odd1 AND ")
                whole = coordination.shares(db, term, idf, None)
                assert some == {n: share for n, share in whole.items() if n % 2 and n < 1000}
        assert {n: round(score, 6) for n, score in sums.items()} == {n: round(s, 6) for n, s in expected.items()}


def test_shares_among_rows_are_the_same(db: sqlite3.Connection) -> None:
    """What is found by taking the rarer terms' part from a sum is what each term gives alone."""
    rng = random.Random(11)
    short = 0
    for _ in range(60):
        terms = [term for term in drawn(rng, 5) if coordination.frequency(db, term)]
        if not terms:
            continue
        idf = {term: coordination.idf_of(coordination.frequency(db, term), ROWS) for term in terms}
        rows = sorted(heaviest(db, terms, 40))
        found = coordination.shares_among(db, idf, rows, {})
        assert found.keys() == idf.keys()
        rarest = max(idf, key=lambda term: idf[term])
        short += len(terms) > 1 and set(rows) == found[rarest].keys()
        for term in terms:
            alone = coordination.shares(db, term, idf[term], rows)
            assert found[term].keys() == alone.keys()
            if idf[term] > 0.01:  # what is in half of the rows counts nothing, and a quotient of two noughts is noise
                assert all(abs(found[term][n] - share) < 1e-6 for n, share in alone.items())
    assert short > 10, "too few queries took the short way for this to prove anything"


def test_a_condition_holds_for_every_row(db: sqlite3.Connection) -> None:
    """Rows outside the span are not found."""
    counts = {term: coordination.frequency(db, term) for term in ("w5x", "w90x")}
    span = Within(sql="moment BETWEEN ? AND ?", values=(100.0, 900.0))
    found = coordination.heaviest(db, counts, ROWS, ROWS, span, ROWS)
    assert set(found) == {n for n in weighed(db, ["w5x", "w90x"]) if 100 <= n <= 900}
