"""Ranking with an embedder: what means the same is found, and its vectors survive what an index survives."""

from __future__ import annotations

import glob
import math
import multiprocessing
import os
import random
import signal
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm_indexes.filters import Filters
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.meaning import Meanings
from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput
from tests.children import exiting

fork = multiprocessing.get_context("fork")

MEANINGS = ("taekwondo kickboxing martial", "postgres database sql", "invoice billing payment", "deploy release ship")


class Concepts:
    """A word's vector says which of a few meanings it has; a text's is their sum, and a little of its own."""

    def __init__(self, name: str = "concepts 1", path: Path | None = None, dies_after: int = 1 << 30) -> None:
        self.name = name
        self.embedded: list[str] = []
        self._path, self._dies_after = path, dies_after

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.embedded += texts
        if len(self.embedded) > self._dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._path:
            with self._path.open("a") as file:
                file.writelines(f"{text}\n" for text in texts)
        return [[*(float(self._means(text, group)) for group in MEANINGS), 0.1] for text in texts]

    def _means(self, text: str, group: str) -> int:
        return sum(word in group.split() for word in text.lower().strip("?").split())


def fill(ledger: Any, entries: int) -> None:
    for n in range(entries):
        ledger.log(f"{MEANINGS[n % 4].split()[n % 3]} number{n}", by=f"agent-{n % 3}")


def vectors(path: str) -> list[str]:
    return sorted(glob.glob(f"{os.path.dirname(path)}/vectors-*.db"))


def stored(path: str) -> int:
    db = sqlite3.connect(vectors(path)[0])
    try:
        return int(db.execute("SELECT count(*) FROM vector").fetchone()[0])
    finally:
        db.close()


def test_what_means_the_same_is_found_without_a_word_of_the_question(ledger: Any, path: str) -> None:
    """The share that its meaning has is among the shares; without an embedder it is not found."""
    wanted = ledger.fact("off to taekwondo")
    ledger.fact("the postgres upgrade")
    question = "Which martial arts are there?"
    assert Fts5Index(path, ledger.store).search(question) == []
    hits = Fts5Index(path, ledger.store, embedder=Concepts()).search(question)
    assert hits[0].id == wanted
    assert hits[0].shares["meaning"] > 1


def test_words_find_only_what_holds_one_of_them(ledger: Any, path: str) -> None:
    """Where nothing is asked, meaning orders what the words find and adds nothing."""
    ledger.fact("off to taekwondo")
    near, far = ledger.fact("club of sql and database"), ledger.fact("club of gardeners")
    index = Fts5Index(path, ledger.store, embedder=Concepts())
    assert index.search("martial") == []
    assert [hit.id for hit in index.search("postgres club")] == [near, far]


def test_filters_hold_for_what_is_near_in_meaning(ledger: Any, path: str) -> None:
    """However many others are nearer, the nearest of those that pass is found."""
    for n in range(200):
        ledger.log(f"taekwondo kickboxing number{n}", by="ada")
    wanted = ledger.log("a class of taekwondo in the gym", by="bob", room="sport")
    index = Fts5Index(path, ledger.store, embedder=Concepts())
    question = "Which martial arts are there?"
    assert [hit.id for hit in index.search(question, Filters(by="bob"))] == [wanted]
    assert [hit.id for hit in index.search(question, Filters(room="sport"))] == [wanted]
    assert index.search(question, Filters(by="carol")) == []
    assert len(index.search(question, k=50)) > 10


def test_nothing_is_embedded_for_a_search_without_words(ledger: Any, path: str) -> None:
    """Filters alone need no model."""
    fill(ledger, 3)
    embedder = Concepts()
    assert len(Fts5Index(path, ledger.store, embedder=embedder).search("", Filters(kind="log"))) == 3
    assert embedder.embedded == []


def test_a_question_is_embedded_as_text_is_kept(ledger: Any, path: str) -> None:
    """Half of a character, which no model takes, is replaced; of a long question its first 4,000 characters count."""
    fill(ledger, 3)
    embedder = Concepts()
    index = Fts5Index(path, ledger.store, embedder=embedder)
    assert index.search("Which \ud800 martial arts?")
    index.search("What is martial? " + "x" * 5000)
    assert embedder.embedded[3] == "Which ? martial arts?"
    assert len(embedder.embedded[4]) == 4000


def test_a_rebuilt_index_finds_the_vectors_that_were_made(ledger: Any, path: str) -> None:
    """They are kept by text: only the question is embedded again, and the answers are the same."""
    fill(ledger, 30)
    question = "Which martial arts?"
    expected = Fts5Index(path, ledger.store, embedder=Concepts()).search(question)
    for suffix in ("", "-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    embedder = Concepts()
    index = Fts5Index(path, ledger.store, embedder=embedder)
    assert index.search(question) == expected
    assert index.rebuilt == "missing"
    assert embedder.embedded == [question]
    assert index.reindex() == 30
    assert index.search(question) == expected
    assert embedder.embedded == [question] * 2


def test_a_new_entry_is_embedded_by_the_next_question_and_a_removed_one_is_forgotten(ledger: Any, path: str) -> None:
    """Each text once; of what is no longer in the ledger no vector stays."""
    fill(ledger, 5)
    embedder = Concepts()
    index = Fts5Index(path, ledger.store, embedder=embedder)
    index.search("billing?")
    fact = ledger.fact("a payment came")
    assert fact in {hit.id for hit in index.search("Was the invoice settled?")}
    assert embedder.embedded[6:] == ["a payment came\n", "Was the invoice settled?"]
    assert stored(path) == 6
    ledger.delete(next(name for name, _ in ledger.store.paths() if fact in name))
    assert fact not in {hit.id for hit in index.search("Was the invoice settled?")}
    assert stored(path) == 5
    assert len(embedder.embedded) == 9


def test_an_entry_in_the_row_of_one_that_was_removed_has_its_own_meaning(ledger: Any, path: str) -> None:
    """Another process took the last entry out and put one in: the row's number is the same, its vector is not."""
    fill(ledger, 8)
    index = Fts5Index(path, ledger.store, embedder=Concepts())
    question = "Which martial arts are there?"
    index.search(question)
    gone = ledger.fact("kickboxing on Monday")
    assert gone in {hit.id for hit in index.search(question)[:3]}
    ledger.delete(next(name for name, _ in ledger.store.paths() if gone in name))
    other = Fts5Index(path, ledger.store)
    other.catch_up()
    new = ledger.fact("the release of Monday")
    other.catch_up()
    assert new not in {hit.id for hit in index.search(question)[:2]}
    found = index.search("What do we ship?")
    fresh = Fts5Index(path, ledger.store, embedder=Concepts())
    assert new in {hit.id for hit in found[:3]}
    assert found == fresh.search("What do we ship?")


def test_another_embedder_has_vectors_of_its_own(ledger: Any, path: str) -> None:
    """One of another name begins anew and leaves those of the first, which finds them there."""
    fill(ledger, 8)
    Fts5Index(path, ledger.store, embedder=Concepts()).search("billing")
    other = Concepts("concepts 2")
    Fts5Index(path, ledger.store, embedder=other).search("billing")
    assert len(other.embedded) == 9
    assert len(vectors(path)) == 2
    again = Concepts()
    Fts5Index(path, ledger.store, embedder=again).search("billing")
    assert again.embedded == ["billing"]


class Wide(Concepts):
    """The same name, and vectors of another length."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[*row, 1.0] for row in super().embed(texts)]


class Wrong(Concepts):
    """One vector too few, or one with no number."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[math.nan] * 3 for _ in texts]


def test_an_embedder_that_changed_under_its_name_is_refused(ledger: Any, path: str) -> None:
    """The message says that it needs another name."""
    fill(ledger, 8)
    Fts5Index(path, ledger.store, embedder=Concepts()).search("billing")
    with pytest.raises(BadInput, match="a model that is changed needs a new name"):
        Fts5Index(path, ledger.store, embedder=Wide()).search("billing")


def test_what_is_no_vector_is_refused(ledger: Any, path: str) -> None:
    """Nothing of it is kept: a right embedder of that name begins anew."""
    fill(ledger, 8)
    with pytest.raises(BadInput, match="one vector of finite numbers for each"):
        Fts5Index(path, ledger.store, embedder=Wrong()).search("billing")
    assert stored(path) == 0
    assert Fts5Index(path, ledger.store, embedder=Concepts()).search("invoice")


@pytest.mark.parametrize("data", [b"", b"no database" * 900, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_file_of_vectors_is_made_anew(ledger: Any, path: str, data: bytes) -> None:
    """The next question embeds again and answers as before."""
    fill(ledger, 20)
    index = Fts5Index(path, ledger.store, embedder=Concepts())
    expected = index.search("Which martial arts?")
    index.close()
    Path(vectors(path)[0]).write_bytes(data)
    embedder = Concepts()
    assert Fts5Index(path, ledger.store, embedder=embedder).search("Which martial arts?") == expected
    assert len(embedder.embedded) == 21


def test_a_process_that_is_killed_while_it_embeds_loses_one_batch(ledger: Any, path: str) -> None:
    """What was embedded before stays, and the next one makes the rest and answers."""
    fill(ledger, 300)
    child = fork.Process(target=ask, args=(ledger, path, Concepts(dies_after=200)))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert stored(path) == 192
    embedder = Concepts()
    assert len(Fts5Index(path, ledger.store, embedder=embedder).search("Which martial arts?")) == 10
    assert len(embedder.embedded) == 300 - 192 + 1


def ask(ledger: Any, path: str, embedder: Concepts) -> None:
    with exiting():
        assert len(Fts5Index(path, ledger.store, embedder=embedder).search("Which martial arts?")) == 10


def test_processes_that_come_at_once_embed_each_text_once(ledger: Any, path: str, tmp_path: Path) -> None:
    """One makes the vectors, the others wait for them and answer."""
    fill(ledger, 300)
    Fts5Index(path, ledger.store).catch_up()
    noted = tmp_path / "embedded"
    children = [fork.Process(target=ask, args=(ledger, path, Concepts(path=noted))) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    lines = noted.read_text().splitlines()
    assert len(lines) == 303
    assert len(set(lines)) == 301


def test_the_nearest_are_those_that_a_look_at_each_gives(ledger: Any, path: str) -> None:
    """Over random vectors, however many, after additions too; to what a byte a number can tell apart."""
    rng = random.Random(5)
    known: dict[str, list[float]] = {}

    class Random(Concepts):
        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return [known.setdefault(text, [rng.gauss(0, 1) for _ in range(12)]) for text in texts]

    meanings = Meanings(os.path.dirname(path), Random(), Env())
    index = Fts5Index(path, ledger.store)
    for entries in (1, 90, 20):
        fill(ledger, entries)
        index.catch_up()
        db = sqlite3.connect(path)
        meanings.take_in(db)
        near = meanings.near("a question")
        texts = dict(db.execute("SELECT n, body FROM entry"))
        expected = {n: max(0.0, cosine(known["a question"], known[text])) for n, text in texts.items()}
        listed = [n for part in near.nearest() for n in part]
        assert sorted(listed) == sorted(texts)
        values = near.of(listed)
        assert all(abs(value - expected[n]) < 0.02 for n, value in zip(listed, values, strict=True))
        assert values == sorted(values, reverse=True)
    assert near.of([10_000]) == [0.0]


def test_equal_vectors_are_equally_near(ledger: Any, path: str) -> None:
    """They are listed in the order of their numbers, all of them, however few are looked at at once."""
    rng = random.Random(6)
    drawn = [[rng.random() for _ in range(50)] for _ in range(3)]

    class Three(Concepts):
        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return [drawn[int(text.rpartition("number")[2] or 0) % 3] for text in texts]

    fill(ledger, 301)
    meanings, index = Meanings(os.path.dirname(path), Three(), Env()), Fts5Index(path, ledger.store)
    index.catch_up()
    meanings.take_in(sqlite3.connect(path))
    near = meanings.near("number0")
    listed = [n for part in near.nearest() for n in part]
    assert len(set(near.of(listed))) == 3
    assert listed == sorted(listed, key=lambda n: (-near.of([n])[0], n))


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.dist(one, [0] * 12) / math.dist(other, [0] * 12)
