"""What was believed then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from swarm import Filters
from swarm_ledger.errors import BadInput

DAY = 86_400


def test_the_versions_of_then_are_found_by_their_words_of_then(memory_swarm: Callable[..., Any], clock: Any) -> None:
    """An edit and a retraction since do not show; what came later is not there; until when it held is told."""
    swarm = memory_swarm("one")
    ada = swarm.join("ada")
    edited = ada.remember("Session TTL", "it lives for fifteen minutes").id
    gone = ada.remember("Session cookie", "it is called sid").id
    kept = ada.remember("Session store", "it is redis").id
    then = clock.now + 100
    clock.now += DAY
    ada.show(edited)
    ada.edit(edited, "it lives for an hour")
    ada.show(gone)
    ada.retract(gone, "renamed")
    later = ada.remember("Session table", "it is new").id
    as_of = _iso(then)
    hits = {hit.id: hit for hit in ada.recall("session", as_of=as_of)}
    assert hits.keys() == {edited, gone, kept}
    assert "fifteen minutes" in hits[edited].snippet
    assert (hits[edited].by, hits[edited].until) == ("ada", _iso(clock.now))
    assert hits[kept].until is None
    assert [hit.id for hit in ada.recall("fifteen", as_of=as_of)] == [edited]
    assert ada.recall("fifteen") == []
    assert later in {hit.id for hit in ada.recall("session")}
    assert {hit.id for hit in ada.recall("", Filters(kind="fact"), as_of=as_of)} == {edited, gone, kept}
    assert [hit.id for hit in ada.recall("fifteen", as_of="yesterday")] == [edited]


def test_what_was_superseded_by_then_comes_behind_its_successor(memory_swarm: Callable[..., Any], clock: Any) -> None:
    """However much better it matches, as in a search of now; before that it is an entry as any."""
    ada = memory_swarm("one").join("ada")
    old = ada.remember("The cache is cleared at midnight", "The cache is cleared, as the report reads the cache.").id
    before = clock.now
    clock.now += DAY
    ada.show(old)
    new = ada.supersede(old, "Cleared at noon", "Since the report moved, the cache is.").id
    then = clock.now
    clock.now += DAY
    for query in ("when is the cache cleared?", "cache cleared midnight"):
        assert [hit.id for hit in ada.recall(query, as_of=_iso(then))] == [new, old]
        assert [hit.id for hit in ada.recall(query, as_of=_iso(before))] == [old]


def test_before_the_first_entry_nothing_was_known(memory_swarm: Callable[..., Any]) -> None:
    """A time long ago gives no hit."""
    swarm = memory_swarm("one")
    swarm.join("ada").remember("Session TTL")
    assert swarm.reader().recall("session", as_of="2001-01-01") == []


def test_what_is_no_time_is_refused(memory_swarm: Callable[..., Any]) -> None:
    """With how to write one."""
    with pytest.raises(BadInput, match="write it like 2026-11-21"):
        memory_swarm("one").reader().recall("session", as_of="soon")


def _iso(moment: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
