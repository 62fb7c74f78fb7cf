"""What ranks above what, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarm_indexes.features import Marks, asked_terms, marks
from swarm_indexes.lexical import Filters, Fts5Index
from swarm_indexes.question import understand
from swarm_indexes.ranking import said_by_another, weights
from swarm_indexes.second import NAMES
from swarm_indexes.terms import forms


@pytest.fixture
def index(ledger: Any, tmp_path: Path) -> Fts5Index:
    """The index of that ledger."""
    return Fts5Index(str(tmp_path / "lexical.db"), ledger.store)


def test_an_answer_that_shares_no_word_with_the_question_is_found(ledger: Any, index: Fts5Index) -> None:
    """It stands behind the entry that has the words; for mere words only what holds one is a hit."""
    asked = ledger.log("Did the migration of the billing tables go through?", by="ada", room="r")
    answer = ledger.log("Yes, at noon, without a hitch.", by="bob", room="r")
    ledger.log("Lunch?", by="eve", room="q")
    hits = [hit.id for hit in index.search("How did the billing migration go?")]
    assert set(hits) == {asked, answer}
    assert [hit.id for hit in index.search("billing migration")] == [asked]


def test_filters_hold_for_what_stands_beside_a_match_too(ledger: Any, index: Fts5Index) -> None:
    """A neighbour by another agent is no hit where one agent's entries are asked for."""
    asked = ledger.log("Did the migration go through?", by="ada", room="r")
    ledger.log("Yes, at noon.", by="bob", room="r")
    assert [hit.id for hit in index.search("Did the migration work?", Filters(by="ada"))] == [asked]


def test_whom_a_question_names_ranks_first(ledger: Any, index: Fts5Index) -> None:
    """Of two entries with the same words, that of the agent who is named; the name is no word to match."""
    theirs = ledger.log("I moved the retry policy into the client", by="bob", room="a")
    hers = ledger.log("I moved the retry policy into the client", by="ada", room="b")
    ledger.log("Ada, Ada, Ada", by="eve", room="c")
    assert [hit.id for hit in index.search("Where did Ada move the retry policy?")] == [hers, theirs]


def test_a_spoken_time_ranks_what_was_then_first(ledger: Any, index: Fts5Index) -> None:
    """The deploy of that day comes before newer and older ones."""
    ids = [
        ledger.fact(f"The deploy failed {word}", valid_from=f"2026-{month}-10T12:00:00Z")
        for word, month in (("once", "03"), ("again", "06"), ("twice", "09"))
    ]
    assert index.search("what failed on 10 June 2026?")[0].id == ids[1]


def test_a_time_without_words_lists_what_was_then(ledger: Any, index: Fts5Index) -> None:
    """A question of nothing but stop words and a date is a filter."""
    then = ledger.fact("Then", valid_from="2026-06-10T12:00:00Z")
    ledger.fact("Now")
    assert [hit.id for hit in index.search("what was it on 2026-06-10?")] == [then]


def test_each_share_is_named_and_they_make_the_order(ledger: Any, index: Fts5Index) -> None:
    """Every part of a hit is a feature with a weight; a hit with a greater sum is not behind."""
    ledger.log("retry policy of the client", by="ada")
    ledger.log("the retry of the retry", by="bob")
    ledger.fact("Retry policy", "ten times")
    hits = index.search("retry policy")
    sums = [round(sum(hit.shares.values()), 3) for hit in hits]
    assert sums == sorted(sums, reverse=True)
    assert {name for hit in hits for name in hit.shares} <= weights().features.keys()
    assert all(0 < hit.score < 1 for hit in hits if hit.score is not None)


def test_a_question_that_fits_nothing_scores_less(ledger: Any, index: Fts5Index) -> None:
    """The chance of the best hit falls where it holds one term of five instead of all."""
    ledger.log("the cache of the session store is warmed at start", by="ada")
    for n in range(20):
        ledger.log(f"note {n} about the weather of day {n}", by="eve", room=f"r{n}")
    good = index.search("is the cache of the session store warmed at start?")[0].score
    poor = index.search("is the zebra crossing of the airport closed at start?")[0].score
    assert good is not None and poor is not None
    assert good > 1.5 * poor


def test_what_another_said_scores_less(ledger: Any, index: Fts5Index) -> None:
    """A question of the one who did it has a higher score than the same of somebody else."""
    ledger.log("I adopted a grey cat from the shelter", by="bob", room="r")
    ledger.log("I painted the fence", by="ada", room="s")
    answered = index.search("What did Bob adopt from the shelter?")[0]
    unanswered = index.search("What did Ada adopt from the shelter?")[0]
    assert (answered.score or 0) > 2 * (unanswered.score or 0) > 0


@pytest.mark.parametrize(
    ("authors", "values", "ahead"),
    [
        ([1.0, 0.0, 0.0], [3.0, 2.5, 0.5], 0.5),  # without its share of 1 the first would be at 2.0
        ([1.0, 0.0, 0.0], [9.0, 2.5, 0.5], 0.0),
        ([1.0, 0.0, 0.0], [1.0, 90.0, 0.5], 4.0),
        ([1.0, 1.0, 1.0], [3.0, 2.5, 0.5], 0.0),
        ([0.0, 0.0, 0.0], [3.0, 2.5, 0.5], 0.0),
        ([], [3.0, 2.5, 0.5], 0.0),
    ],
)
def test_how_far_another_is_ahead_leaves_out_who_wrote_it(
    authors: list[float], values: list[float], ahead: float
) -> None:
    """Up to a bound; nothing where nobody is named, or all or none of the entries are by that one."""
    assert said_by_another({"author": authors, "around": [0.5] * 3}, values, {"author": 1.0, "around": 2.0}) == ahead


def test_marks_are_what_a_text_shows() -> None:
    """Times, numbers, names inside a sentence, quotes and questions."""
    found = marks('Yesterday we told Bob twice: "no" [image: a dog]')
    assert (found.when, found.number, found.quotes, found.asks) == (True, True, True, False)
    assert round(found.names, 2) == 0.69
    assert marks("Is it done? [image: a dog]").asks


def test_marks_say_where_how_long_and_of_whom() -> None:
    """A place is a name after a preposition; "I" three times is as much as counts; a question inside is noted."""
    found = marks("I moved it to Oslo for two weeks. Right? I think we did.")
    assert (found.place, found.lasts, found.says_i, found.questions, found.asks) == (True, True, 1.0, True, False)
    assert Marks.read(found.noted()).place


def test_irregular_forms_are_one_word(ledger: Any, index: Fts5Index) -> None:
    """The stemmer leaves "went" and "go" apart; a query for one finds the other."""
    went = ledger.log("we went with the second plan", by="ada")
    assert [hit.id for hit in index.search("go plan")] == [went]
    assert [hit.id for hit in index.search("going")] == [went]
    assert forms("retry") == ("retry",)


def test_terms_of_a_question_inside_a_text_are_told() -> None:
    """Those of its statements are not meant."""
    assert asked_terms("The cache is warm. Who moved the policy?", ["cache", "policy"]) == [False, True]


def test_what_was_said_then_is_looked_at_whatever_its_words(ledger: Any, index: Fts5Index) -> None:
    """A question that speaks of a time, or names an agent, has their entries among its hits, behind matches."""
    then = ledger.fact("Zebra", valid_from="2026-06-10T12:00:00Z")
    match = ledger.log("the release was cut", by="ada", room="a")
    hers = ledger.log("nothing of note", by="ada", room="b")
    assert then in [hit.id for hit in index.search("what about the release on 10 June 2026?")]
    hits = [hit.id for hit in index.search("what did Ada release?")]
    assert hits[0] == match
    assert hers in hits


def test_of_two_agents_who_are_named_the_first_is_the_subject() -> None:
    """What they did is asked for."""
    assert understand("What did Bob say of Ada's patch?", 9, ["ada", "bob"], 0.0).subject == "bob"


def test_a_question_is_told_from_words() -> None:
    """It begins as one or has a question mark; what it asks for is read from its words."""
    assert understand("how many retries", 9, [], 0.0).for_number
    assert understand("when was it", 9, [], 0.0).for_time
    assert understand("which agent", 9, [], 0.0).for_name
    assert understand("retry policy?", 9, [], 0.0).asks
    assert not understand("retry policy", 9, [], 0.0).asks


def test_an_agent_named_like_a_word_does_not_take_the_word_away() -> None:
    """In small letters "backend" stays a term, and its entries are preferred; with @ it is only a name."""
    plain = understand("backend timeout", 9, ["backend"], 0.0)
    assert (plain.terms, plain.authors) == (["backend", "timeout"], {"backend"})
    assert understand("@backend timeout", 9, ["backend"], 0.0).terms == ["timeout"]


def test_every_feature_that_is_weighed_is_explained() -> None:
    """`--explain` shows their names; docs/RETRIEVAL.md says what they are."""
    page = (Path(__file__).parents[2] / "docs" / "RETRIEVAL.md").read_text()
    assert [name for name in [*weights().features, *NAMES] if f"`{name}`" not in page] == []
