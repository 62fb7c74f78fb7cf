"""What a changed entry is told as."""

from __future__ import annotations

import random

import pytest

from swarm import Agent
from swarm.deltas import delta
from swarm.session import Session
from swarm_ledger.store import BlobId

LONG = "Sessions expire after 15 minutes without a call, whoever made them, and their tokens are refused from then on."


def test_a_changed_line_is_told_as_minus_and_plus() -> None:
    """The number of the revision is left out: it always changes."""
    before = "---\nid: x\nrev: 1\nstatus: open\n---\n" + "line\n" * 9
    assert delta(before, before.replace("rev: 1", "rev: 2").replace("open", "done")) == "-status: open\n+status: done"


def test_a_new_line_is_told_with_the_one_before_it() -> None:
    """So that it has its place."""
    before = "one\ntwo\nthree\nfour\nfive\nsix\n"
    assert delta(before, before.replace("two\n", "two\nand a half\n")) == "after: two\n+and a half"


def test_of_a_long_line_only_the_words_are_told() -> None:
    """With those around them."""
    after = LONG.replace("15", "30")
    assert delta(f"{LONG}\n" * 2, f"{LONG}\n{after}\n") == "~Sessions expire after [-15-]{+30+} minutes without a…"


def test_what_is_all_different_is_told_as_it_is_now() -> None:
    """Where the difference is no shorter than the text."""
    assert delta("one\n", "two\n") == "now:\ntwo\n"


def apply(before: str, told: str) -> str:
    """A delta carried out by somebody who has `before`; only whole lines."""
    if told.startswith("now:\n"):
        return told.removeprefix("now:\n")
    lines, at = before.splitlines(), 0
    for line in told.split("\n"):
        if line.startswith("after: "):
            at = lines.index(line.removeprefix("after: "), at) + 1
        elif line.startswith("-"):
            at = lines.index(line[1:], at)
            del lines[at]
        elif line.startswith("+"):
            lines.insert(at, line[1:])
            at += 1
    return "".join(f"{line}\n" for line in lines)


def test_a_delta_and_the_old_text_make_the_new_one() -> None:
    """500 random edits of texts of distinct lines."""
    rng = random.Random(5)
    for case in range(500):
        before = [f"line {case} {n}" for n in range(rng.randrange(1, 20))]
        after = list(before)
        for n in range(rng.randrange(1, 4)):
            at = rng.randrange(len(after) + 1)
            if rng.random() < 0.5:
                after.insert(at, f"new {n} {at}")
            elif at < len(after):
                after[at] = f"other {n} {at}"
        old, new = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
        if old != new:
            assert apply(old, delta(old, new)) == new


def test_an_entry_stays_in_changes_until_the_whole_is_told(ada: Agent, bob: Agent) -> None:
    """A difference that is too long to tell does not count as read; a retraction does."""
    small, big, gone = ada.remember("small", "x"), ada.remember("big", "x\n" * 9), ada.remember("gone")
    for entry in (small, big, gone):
        bob.show(entry.id)
    assert bob.changes() == []
    ada.edit(small.id, "y")
    ada.edit(big.id, "".join(f"quite another line {n}\n" for n in range(1000)))
    ada.retract(gone.id, "wrong")
    told = {one.id: one for one in bob.changes()}
    assert {id: (one.whole, one.version is None) for id, one in told.items()} == {
        small.id: (True, False),
        big.id: (False, False),
        gone.id: (True, True),
    }
    assert [one.id for one in bob.changes()] == [big.id]
    bob.show(big.id)
    assert bob.changes() == []


def test_what_the_session_reads_meanwhile_is_told_the_next_time(
    ada: Agent, bob: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another call of the same agent may read, while this one looks at what changed."""
    entry = ada.remember("small", "x")
    old = entry.version
    ada.edit(entry.id, "y")
    seen = Session.seen

    def meanwhile(session: Session) -> dict[str, BlobId]:
        found = seen(session)
        session.saw([(entry.path, old)], 0.0)
        return found

    monkeypatch.setattr(Session, "seen", meanwhile)
    assert bob.changes() == []
    monkeypatch.undo()
    assert [one.id for one in bob.changes()] == [entry.id]
