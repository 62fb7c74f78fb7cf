"""Search engines as they come, to measure beside: SQLite FTS5, Whoosh and tantivy, stemmed, without stop words.

Each takes (key, text) pairs and answers a question with the keys of the first k hits.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence

from swarm_indexes.terms import query_terms

__all__ = ["PEERS", "Answer", "fts5", "fts5_growing", "fts5_tagged", "tantivy", "whoosh"]

Answer = Callable[[str, int], Sequence[str]]
_TERMS = 64


def fts5(directory: str, entries: Iterable[tuple[str, str]]) -> Answer:
    """SQLite FTS5, `porter unicode61`, any of the terms, ranked by bm25()."""
    add, answer = fts5_growing(directory)
    add(entries)
    return answer


def fts5_growing(directory: str) -> tuple[Callable[[Iterable[tuple[str, str]]], None], Answer]:
    """The same, empty, and what adds entries to it."""
    os.makedirs(directory, exist_ok=True)
    db = sqlite3.connect(f"{directory}/fts5.db")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (key UNINDEXED, body, tokenize = 'porter unicode61')")

    def add(entries: Iterable[tuple[str, str]]) -> None:
        with db:
            db.executemany("INSERT INTO words VALUES (?, ?)", entries)

    def answer(question: str, k: int) -> list[str]:
        match = " OR ".join(f'"{term}"' for term in query_terms(question, _TERMS)[0])
        if not match:
            return []
        found = db.execute("SELECT key FROM words WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?", (match, k))
        return [key for (key,) in found]

    return add, answer


def fts5_tagged(directory: str, entries: Iterable[tuple[tuple[str, str], str]]) -> Callable[[str, str, int], list[str]]:
    """As `fts5`, each ((key, text), tag); answers (question, tag, k), the tag inside the MATCH."""
    os.makedirs(directory, exist_ok=True)
    db = sqlite3.connect(f"{directory}/fts5.db")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (key UNINDEXED, body, tag, tokenize = 'porter unicode61')")
    with db:
        rows = ((key, text, tag.replace("-", "")) for (key, text), tag in entries)
        db.executemany("INSERT INTO words VALUES (?, ?, ?)", rows)

    def answer(question: str, tag: str, k: int) -> list[str]:
        terms = " OR ".join(f'"{term}"' for term in query_terms(question, _TERMS)[0])
        match = f'tag : "{tag.replace("-", "")}" AND (body : ({terms}))'
        found = db.execute("SELECT key FROM words WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?", (match, k))
        return [key for (key,) in found]

    return answer


def whoosh(directory: str, entries: Iterable[tuple[str, str]]) -> Answer:
    """Whoosh, its stemming analyzer, BM25F."""
    from whoosh import analysis, fields, index, qparser

    os.makedirs(f"{directory}/whoosh", exist_ok=True)
    schema = fields.Schema(key=fields.STORED, body=fields.TEXT(analyzer=analysis.StemmingAnalyzer()))
    made = index.create_in(f"{directory}/whoosh", schema)
    writer = made.writer()
    for key, text in entries:
        writer.add_document(key=key, body=text)
    writer.commit()
    searcher = made.searcher()
    parser = qparser.QueryParser("body", schema, group=qparser.OrGroup)

    def answer(question: str, k: int) -> list[str]:
        query = parser.parse(" ".join(query_terms(question, _TERMS)[0]))
        return [hit["key"] for hit in searcher.search(query, limit=k)]

    return answer


def tantivy(directory: str, entries: Iterable[tuple[str, str]]) -> Answer:
    """tantivy, its English stemmer."""
    import tantivy as engine

    os.makedirs(f"{directory}/tantivy", exist_ok=True)
    builder = engine.SchemaBuilder()
    builder.add_text_field("key", stored=True, tokenizer_name="raw")
    builder.add_text_field("body", stored=False, tokenizer_name="en_stem")
    index = engine.Index(builder.build(), path=f"{directory}/tantivy")
    writer = index.writer()
    for key, text in entries:
        writer.add_document(engine.Document(key=[key], body=[text]))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def answer(question: str, k: int) -> list[str]:
        words = " ".join(query_terms(question, _TERMS)[0])
        if not words:
            return []
        query = index.parse_query(words, ["body"])
        return [searcher.doc(address)["key"][0] for _, address in searcher.search(query, k).hits]

    return answer


PEERS: dict[str, Callable[[str, Iterable[tuple[str, str]]], Answer]] = {
    "SQLite FTS5": fts5,
    "Whoosh": whoosh,
    "tantivy": tantivy,
}
