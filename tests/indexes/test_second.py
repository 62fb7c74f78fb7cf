"""What the second look says of entries by what the first says of the others."""

from __future__ import annotations

from math import log
from typing import Any

import pytest

from swarm_indexes.features import Candidate
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.matches import Matches
from swarm_indexes.second import second_look
from swarm_indexes.streams import STREAM_BITS
from swarm_indexes.wordsets import Words

_STREAM = 1 << STREAM_BITS


def _rows(count: int) -> list[Candidate]:
    return [Candidate(n, f"log-{n}", "ada", None) for n in range(count)]


def _matches(spots: dict[int, int]) -> Matches:
    return Matches([], list(spots), spots, [], 0.0)


def _words(sets: list[set[int]]) -> Words:
    return Words({n: frozenset(one) for n, one in enumerate(sets)}, {word: 1.0 for one in sets for word in one})


def test_what_stands_near_a_likely_entry_is_likelier() -> None:
    """Up to four places away, and in its stream; itself does not count, nor does what has no place."""
    spots = {0: _STREAM + 100, 1: _STREAM + 104, 2: _STREAM + 105, 3: 2 * _STREAM + 100}
    found = second_look(_matches(spots), _rows(5), [2.0, 2.0, -30.0, 2.0, 2.0], _words([set()] * 5), ())
    assert found["likely_around"] == pytest.approx([log(2), log(2), log(2), 0.0, 0.0])
    assert found["likely_stream"] == pytest.approx([log(2), log(2), log(3), 0.0, 0.0])


def test_what_is_like_a_likely_entry_is_likelier() -> None:
    """By its words without those of the question: a third of them shared is a third."""
    sets = [{1, 2, 6, 9}, {1, 3, 7, 9}, {4, 5, 8, 9}]
    found = second_look(_matches({}), _rows(3), [0.0, -50.0, -50.0], _words(sets), [9])
    assert found["alike"][1:] == pytest.approx([1 / 3, 0.0])


def test_those_that_say_the_same_are_no_evidence_for_each_other() -> None:
    """Two of three words shared are a copy; one of three is not."""
    same = second_look(_matches({}), _rows(2), [3.0, 0.0], _words([{1, 2, 3}, {1, 2, 4}]), ())
    assert same["alike"] == [0.0, 0.0]
    other = second_look(_matches({}), _rows(2), [3.0, 0.0], _words([{1, 2, 3}, {1, 4, 5}]), ())
    assert other["alike"] == pytest.approx([1 / 3, 1 / 3])


@pytest.mark.parametrize(
    "usual", ["heartbeat: worker alive, lag 0", "Nightly run {} of the worker passed: {} tests green"]
)
def test_what_is_said_again_and_again_does_not_hide_the_one_answer(ledger: Any, tmp_path: Any, usual: str) -> None:
    """Two dozen entries after one pattern stand around it, and what numbers them makes none of them particular."""
    for n in range(24):
        ledger.log(usual.format(1000 + n, 2000 + n), by=f"w{n % 3}")
        if n == 12:
            ledger.log("worker w2 died: out of memory in the image resizer", by="w2")
    index = Fts5Index(str(tmp_path / "lexical.db"), ledger.store)
    for question in ("why did the worker die?", "which worker died?", "is a worker out of memory?"):
        assert "died" in index.search(question)[0].snippet
    index.close()


def test_what_stands_near_is_not_counted_as_alike() -> None:
    """It counts by its place; what is alike elsewhere is one more reason."""
    near = {0: _STREAM + 100, 1: _STREAM + 101}
    sets = _words([{1, 2}, {1, 2}])
    assert second_look(_matches(near), _rows(2), [1.0, 1.0], sets, ())["alike"] == [0.0, 0.0]


def test_only_questions_are_looked_at_twice(ledger: Any, tmp_path: Any) -> None:
    """`--explain` shows it; mere words rank by their matches alone."""
    index = Fts5Index(str(tmp_path / "lexical.db"), ledger.store)
    ledger.fact("The cache evicts by age", body="Evictions follow the clock hand.")
    ledger.fact("The clock hand turns at night", body="The cache is quiet then.")
    asked = index.search("how does the cache evict?")
    assert len(asked) == 2
    assert all("alike" in hit.shares and "rarity" in hit.shares for hit in asked)
    assert not any("alike" in hit.shares for hit in index.search("cache evict"))
    index.close()
