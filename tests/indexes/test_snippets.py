"""Snippets: the part of a text that is shown."""

from __future__ import annotations

import pytest

from swarm_indexes.snippets import WIDTH, snippet


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a short text", "a short text"),
        ("two\n\n lines\tof it\n", "two lines of it"),
        ("x" * 500, "x" * WIDTH + "…"),
    ],
)
def test_a_short_text_is_shown_whole_in_one_line(text: str, expected: str) -> None:
    """Nothing is marked as left out that is not; white space is one space."""
    assert snippet(text, ["short"]) == expected


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("retries", "retried"),
        ("Running", "run"),
        ("runs", "running"),
        ("RetryPolicy", "policy"),
        ("昨日東京都庁", "東京"),
        ("café", "café"),
    ],
)
def test_the_part_with_the_word_is_shown(word: str, term: str) -> None:
    """Also where the word is inflected, inside an identifier, or in a text without spaces."""
    shown = snippet("dull " * 100 + word + " dull" * 100, [term])
    assert word in shown
    assert shown.startswith("…dull") and shown.endswith("dull…")


def test_a_word_inside_another_is_no_match() -> None:
    """`art` is not in `start`."""
    assert snippet("dull " * 100 + "start " + "dull " * 100, ["art"]).startswith("dull")


def test_the_densest_part_is_shown() -> None:
    """One match early and three together late: the three are shown, with what was left out marked at both ends."""
    text = "hit " + "dull " * 100 + "hit and hit and hit " + "dull " * 100
    assert snippet(text, ["hit"]) == "…" + "dull " * 8 + "hit and hit and hit " + "dull " * 27 + "dull…"


def test_of_equal_parts_the_first_is_shown() -> None:
    """The order of the text decides."""
    assert snippet("hit one " + "dull " * 100 + "hit two", ["hit"]).startswith("hit one dull")


def test_a_text_without_spaces_is_cut_at_a_character() -> None:
    """A script without spaces has no words to stop at."""
    shown = snippet("犬" * 300 + "猫" + "犬" * 300, ["猫"])
    assert shown == "…" + "犬" * 40 + "猫" + "犬" * 159 + "…"


def test_letters_that_grow_in_lower_case_do_no_harm() -> None:
    """İ is two characters in lower case."""
    assert "needle" in snippet("İ" * 20 + " dull" * 100 + " needle" + " dull" * 100, ["needle"])
