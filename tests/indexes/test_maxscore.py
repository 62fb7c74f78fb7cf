"""MaxScore leaves out work, never an answer."""

from __future__ import annotations

import random
import sqlite3
from itertools import accumulate

import pytest

from swarm_indexes import maxscore

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


def everything(db: sqlite3.Connection, terms: list[str], facets: str) -> dict[int, float]:
    """The scores of all rows with any of the terms, the obvious way."""
    weights = ", ".join(map(str, maxscore.WEIGHTS))
    match = f"{facets}({' OR '.join(terms)})"
    return dict(db.execute(f"SELECT rowid, bm25(words, {weights}) FROM words WHERE words MATCH ?", (match,)).fetchall())


def test_the_best_rows_are_those_of_scoring_all(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """For random queries, filtered or not, the k best rows and their scores are exactly those of a full scan."""
    splits: list[bool] = []
    split = maxscore._split
    monkeypatch.setattr(maxscore, "_SMALL", 300)
    monkeypatch.setattr(maxscore, "_split", lambda *given: splits.append((found := split(*given)) is not None) or found)
    rng = random.Random(9)
    for _ in range(300):
        terms = list(dict.fromkeys(rng.choices(WORDS, cum_weights=CUMULATED, k=rng.randint(1, 5))))
        facets = rng.choice(["", "facets : odd1 AND "])
        k = rng.choice([1, 3, 10, 40])
        scores = everything(db, terms, facets)
        # Sums of the same shares in another order differ in the last bits.
        worst = sorted(scores.values())[:k][-1] + 1e-9 if scores else 0.0
        expected = {n: round(score, 9) for n, score in scores.items() if score <= worst}
        got = maxscore.top(db, terms, {term: maxscore.frequency(db, term) for term in terms}, ROWS, facets, "", (), k)
        assert {n: round(score, 9) for n, score in got.items() if score <= worst} == expected
    assert sum(splits) > 50, "too few queries took the short way for this to prove anything"


def test_a_condition_holds_for_every_row(db: sqlite3.Connection) -> None:
    """Rows outside the span are not among the best, and those inside keep their scores."""
    scores = everything(db, ["w5x", "w90x"], "")
    got = maxscore.top(
        db,
        ["w5x", "w90x"],
        {"w5x": maxscore.frequency(db, "w5x"), "w90x": maxscore.frequency(db, "w90x")},
        ROWS,
        "",
        "AND +rowid IN (SELECT n FROM entry WHERE moment BETWEEN ? AND ?)",
        (100.0, 900.0),
        ROWS,
    )
    assert got == {n: score for n, score in scores.items() if 100 <= n <= 900}


def test_rows_that_tie_with_the_last_are_all_there() -> None:
    """The caller decides among equals, so none may be missing."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE entry (n INTEGER PRIMARY KEY)")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (title, body, names, paths, parts, facets)")
    connection.executemany("INSERT INTO words (rowid, body) VALUES (?, 'same')", [(n,) for n in range(1, 501)])
    assert len(maxscore.top(connection, ["same"], {"same": 500}, 500, "", "", (), 2)) == 500
