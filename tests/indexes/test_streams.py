"""Who stands beside whom in a log."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from swarm_indexes.lexical import Fts5Index

from .conftest import START


def beside(index: Fts5Index) -> list[list[str]]:
    """The ids of each stream, in order."""
    rows = index._up_to_date(
        lambda db: db.execute("SELECT spot, id FROM place JOIN entry ON entry.n = place.n ORDER BY spot").fetchall()
    )
    streams: list[list[tuple[int, str]]] = []
    for spot, identity in rows:
        if not streams or spot != streams[-1][-1][0] + 1:
            streams.append([])
        streams[-1].append((spot, identity))
    return sorted([identity for _, identity in stream] for stream in streams)


def test_a_room_is_one_stream_a_day_whoever_speaks(ledger: Any, tmp_path: Path) -> None:
    """Two agents in one room follow each other by time; another room, and no room, are streams of their own."""
    index = Fts5Index(str(tmp_path / "i.db"), ledger.store)
    a = ledger.log("one", by="ada", room="r")
    b = ledger.log("two", by="bob", room="r")
    c = ledger.log("three", by="ada", room="r")
    d = ledger.log("elsewhere", by="ada", room="q")
    e = ledger.log("alone", by="ada")
    f = ledger.log("next day", by="ada", room="r", at=START + timedelta(days=1))
    assert beside(index) == sorted([[a, b, c], [d], [e], [f]])


def test_refs_order_what_has_one_moment(ledger: Any, tmp_path: Path) -> None:
    """Turn 10 follows turn 9, also when one speaker's turns were taken in after the other's."""
    index = Fts5Index(str(tmp_path / "i.db"), ledger.store)
    said = {"room": "r", "valid_from": "2023-05-08T13:56:00Z"}
    odd = [ledger.log("x", by="ada", ref=f"D1:{turn}", **said) for turn in (1, 9, 11)]
    index.catch_up()
    even = [ledger.log("x", by="bob", ref=f"D1:{turn}", **said) for turn in (2, 10)]
    assert beside(index) == [[odd[0], even[0], odd[1], even[1], odd[2]]]


def test_places_follow_from_the_entries_alone(ledger: Any, tmp_path: Path) -> None:
    """In whatever order and portions entries come in, the streams are those of an index built at once."""
    rng = random.Random(4)
    grown = Fts5Index(str(tmp_path / "grown.db"), ledger.store)
    for _ in range(60):
        at = START + timedelta(seconds=rng.randrange(40))
        ledger.log("x", by=rng.choice(["ada", "bob"]), at=at, **({"room": "r"} if rng.random() < 0.5 else {}))
        if rng.random() < 0.4:
            grown.catch_up()
    ledger.delete("log/2026/11/21/bob/0000.md")
    built = Fts5Index(str(tmp_path / "built.db"), ledger.store)
    assert beside(grown) == beside(built)
