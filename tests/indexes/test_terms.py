"""Terms: what of a text is searched for."""

from __future__ import annotations

import time

import pytest

from swarm_indexes.terms import facet, pieces, query_terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RetryPolicy", ["Retry", "Policy"]),
        ("parseHTTPResponse2Xml", ["parse", "HTTP", "Response", "Xml"]),
        ("sha256Sum", ["sha", "256", "Sum"]),
        ("retry_policy and src/auth.py", []),
        ("plain words, ALLCAPS, Title Case", []),
        ("東京都", ["東京", "京都"]),
        ("猫", ["猫"]),
        ("naïveTest", []),
        ("", []),
    ],
)
def test_pieces_are_the_words_inside_a_token(text: str, expected: list[str]) -> None:
    """Only what the tokenizer would leave in one piece is split."""
    assert pieces(text) == expected


def test_a_query_gives_each_term_once_without_stop_words() -> None:
    """Case does not tell terms apart, an identifier gives itself and its words."""
    assert query_terms("What is the RetryPolicy, retry?", 10) == (["retrypolicy", "retry", "policy"], 0)


def test_terms_beyond_the_limit_are_counted() -> None:
    """Repeats and stop words do not count."""
    assert query_terms("a b c c d the e", 2) == (["b", "c"], 1)


def test_terms_hold_letters_and_digits_only() -> None:
    """Nothing that FTS5 reads as syntax is left."""
    assert query_terms('x"y* z:NEAR(q) \x00\udc80\ue000', 10) == (["x", "y", "z", "near", "q"], 0)


def test_a_megabyte_without_a_space_is_split_in_linear_time() -> None:
    """No text makes splitting slow."""
    started = time.process_time()
    pieces("aB" * 500_000)
    pieces("A" * 1_000_000)
    assert time.process_time() - started < 5


def test_facets_differ_where_fields_or_values_do() -> None:
    """One token for one field and value, whatever the value holds."""
    assert facet("by", "ada") == "\ue000by6164610"
    assert len({facet("by", "a"), facet("room", "a"), facet("by", "b"), facet("by", 'a" OR "b'), facet("by", "")}) == 5
    assert facet("by", 'x" y').isprintable() is False and facet("by", 'x" y')[1:].isalnum()
