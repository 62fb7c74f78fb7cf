"""The words of entries as sets, and how rare they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from swarm_indexes.wordsets import SCHEMA, WordSets, heads, read


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """An index without entries."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    yield connection
    connection.close()


def _kept(db: sqlite3.Connection) -> tuple[list[object], list[object]]:
    return (
        db.execute("SELECT * FROM wordset ORDER BY n").fetchall(),
        db.execute("SELECT * FROM spread ORDER BY part").fetchall(),
    )


def _added(db: sqlite3.Connection, texts: dict[int, str]) -> WordSets:
    sets = WordSets(db)
    for n, text in texts.items():
        sets.add(n, text)
    return sets


def test_a_word_is_known_by_how_it_begins() -> None:
    """Its first six letters in any case; stop words and what is shorter than three letters are none."""
    assert heads("Retrying the retries, on us") == heads("RETRYING retries")
    assert heads("migration") == heads("migrated")
    assert len(heads("retry retries the on us")) == 2


def test_figures_are_no_words() -> None:
    """Entries that differ by their number alone have one set."""
    assert heads("build 1204 passed") == heads("build 1205 passed") == heads("build passed")


def test_a_set_is_of_the_first_words() -> None:
    """24 different ones; an entry of a hundred is known by these."""
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}word" for n in range(100)]
    assert heads(" ".join(words)) == [heads(word)[0] for word in words[:24]]


def test_what_was_removed_leaves_nothing(db: sqlite3.Connection) -> None:
    """An index that grew and shrank is the one that is built at once."""
    _added(db, {1: "cache eviction", 2: "cache warming", 3: "eviction notice"}).settle()
    sets = WordSets(db)
    sets.remove(2)
    sets.add(4, "notice of warming")
    sets.settle()
    after = _kept(db)
    for table in ("wordset", "spread"):
        db.execute(f"DELETE FROM {table}")
    _added(db, {1: "cache eviction", 3: "eviction notice", 4: "notice of warming"}).settle()
    assert after == _kept(db)


def test_a_removal_and_its_return_in_one_transaction_change_nothing(db: sqlite3.Connection) -> None:
    """As where an entry is edited and keeps its words."""
    _added(db, {1: "cache eviction"}).settle()
    before = _kept(db)
    sets = WordSets(db)
    sets.remove(1)
    sets.add(1, "cache eviction")
    sets.settle()
    assert _kept(db) == before


def test_rare_words_make_an_entry_particular(db: sqlite3.Connection) -> None:
    """From 1, where three of its words are in no other entry, towards 0, where every entry holds them."""
    texts = dict.fromkeys(range(1, 100), "cache eviction notice") | {100: "zebra quokka numbat cache"}
    _added(db, texts).settle()
    words = read(db, [1, 100], 100)
    assert words.rarity(100) == pytest.approx(1.0)
    assert 0 < words.rarity(1) < 0.01
    assert words.rarity(7) == 0.0  # not read


def test_an_entry_without_its_words_is_noticed(db: sqlite3.Connection) -> None:
    """Such tables are damaged; the index is made anew for that."""
    _added(db, {1: "cache eviction"}).settle()
    with pytest.raises(LookupError):
        read(db, [1, 2], 2)
