"""Terms: what of a text is searched for."""

from __future__ import annotations

import sqlite3
import time

import pytest

from swarm_indexes.tables import SCHEMA
from swarm_indexes.terms import facet, pieces, query_terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RetryPolicy", ["Retry", "Policy"]),
        ("parseHTTPResponse2Xml", ["parse", "HTTP", "Response", "Xml"]),
        ("sha256Sum", ["sha", "256", "Sum"]),
        ("retry_policy and src/auth.py", []),
        ("plain words, ALLCAPS, Title Case", []),
        ("東京都", ["東京", "京都", "都"]),
        ("使用RedisCache缓存", ["使用", "用", "RedisCache", "Redis", "Cache", "缓存", "存"]),
        ("ﬁle ｗｉｄｅ ½", ["file", "wide", "1", "2"]),
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


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("使用Redis缓存", ["使用", "redis", "缓存"]),
        ("猫", ["猫"]),
        ("データ", ["デー", "ータ"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("e\u0301tude", ["étude"]),
        ("ﬁle ｗｉｄｅ", ["file", "wide"]),
        ("\u0301 \ufe0f ❤\ufe0f 🚀", []),
    ],
)
def test_terms_of_other_scripts(query: str, terms: list[str]) -> None:
    """Pairs of characters where words have no spaces; marks belong to their letters; one form of what looks alike."""
    assert query_terms(query, 10) == (terms, 0)


def test_a_word_ends_where_the_tokenizer_of_the_index_ends_it() -> None:
    """What FTS5 with the options of the index takes for words of texts in many scripts, is what is taken here."""
    db = sqlite3.connect(":memory:")
    tokenize = SCHEMA.partition("tokenize = ")[2].partition(")")[0]
    db.execute(f"CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize = {tokenize})")
    for text in (
        "हिन्दी में लेख", "naïve_test x-ray", "قاعدة البيانات", "מסד נתונים", "ฐานข้อมูล", "ﬁle №5 x²", "don’t…", "a\u200bb",
        "İstanbul Straße", "𝐰𝐢 𠮷野家", "தமிழ் மொழி",
    ):  # fmt: skip
        db.execute("DELETE FROM texts")
        db.execute("INSERT INTO texts VALUES (?)", (text,))
        for word in words(text):
            assert db.execute("SELECT count(*) FROM texts WHERE texts MATCH ?", (f'"{word}"',)).fetchone() == (1,), word
        db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS found USING fts5vocab (texts, instance)")
        assert db.execute("SELECT count(*) FROM found").fetchone() == (len(words(text)),), text


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
