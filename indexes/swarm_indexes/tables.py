"""The tables of the index."""

from __future__ import annotations

import sqlite3

from .hop import SCHEMA as MENTIONS
from .streams import SCHEMA as STREAMS
from .wordsets import SCHEMA as WORDSETS

__all__ = ["APPLICATION", "COLUMNS", "INDEXED", "RANKED", "SCHEMA", "VERSION", "meta", "vocabulary"]

APPLICATION, VERSION = 0x53574C58, 16
_KEPT = "id, kind, by_, at, valid_from, moment, room, status, ref, to_, superseded_by, entities, marks, digest"
INDEXED = "title, body, names, paths, parts, facets"
COLUMNS = f"{_KEPT}, {INDEXED}, stream, ordering"
"""The fields of rows.Row, in its order."""
SCHEMA = f"""
{STREAMS}
{MENTIONS}
{WORDSETS}
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE file (n INTEGER PRIMARY KEY, path TEXT UNIQUE, version TEXT NOT NULL, flaw TEXT NOT NULL);
CREATE TABLE entry (n INTEGER PRIMARY KEY, file INTEGER NOT NULL, {COLUMNS});
CREATE INDEX entry_ranked ON entry (n, id, by_, moment, marks, digest);
CREATE INDEX entry_file ON entry (file);
CREATE INDEX entry_id ON entry (id);
CREATE INDEX entry_moment ON entry (moment);
CREATE INDEX entry_kind ON entry (kind, moment);
CREATE INDEX entry_by ON entry (by_, moment);
CREATE VIRTUAL TABLE words USING fts5
    ({INDEXED}, content = 'entry', content_rowid = 'n', tokenize = "porter unicode61 categories 'L* N* Co Mn Mc'");
"""

RANKED = "entry INDEXED BY entry_ranked"
"""Where to read n, id, by_, moment, marks and digest of many entries: their rows are as long as their texts."""


def meta(db: sqlite3.Connection, key: str) -> str | None:
    """What is noted of the whole index under `key`, or None."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def vocabulary(db: sqlite3.Connection) -> None:
    """Make two tables of this connection of the words that are indexed, as stems.

    temp.vocabulary has each (term) with the number of its rows (doc), temp.instance where it is (term, doc, col). A
    stem is looked for there, not by MATCH, which would stem it once more.
    """
    db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab (main, words, row)")
    db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.instance USING fts5vocab (main, words, instance)")
