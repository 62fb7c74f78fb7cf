"""Conversations as ledgers, and what a search engine finds of the evidence for their questions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarm.api import Swarm
from swarm.conversation import Conversation, Question
from swarm.talks import import_conversations

from . import ledgers

__all__ = ["KS", "Asked", "Named", "ask_all", "load", "mean", "named"]

KS = (1, 5, 10, 20)

Named = tuple[str, str]
"""A turn: its conversation and its id."""
Search = Callable[[str, int], Sequence[Named]]


@dataclass(frozen=True)
class Asked:
    """The share of the evidence of one question among the first k hits, for each of KS."""

    question: Question
    shares: tuple[float, ...]


def load(directory: str, path: str, only: Sequence[Conversation], everything: Sequence[Conversation]) -> Swarm:
    """A fresh ledger in `directory` with the turns of `only`, which are conversations of the file at `path`."""
    swarm = ledgers.make(directory)
    if len(only) == len(everything):
        import_conversations(swarm, path)
        return swarm
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    wanted = {one.name for one in only}
    chosen = [item for item, one in zip(data, everything, strict=True) if one.name in wanted]
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as part:
        json.dump(chosen, part)
        part.flush()
        import_conversations(swarm, part.name)
    return swarm


def named(room: str | None, ref: str | None) -> Named:
    """The turn that an entry with `room` and `ref` is."""
    return (room or "").partition("/")[0], ref or ""


def ask_all(questions: Sequence[Question], search: Search) -> list[Asked]:
    """How much of the evidence of each question `search` finds."""
    out = []
    for question in questions:
        found = search(question.text, max(KS))
        wanted = {(question.conversation, dia_id) for dia_id in question.evidence}
        out.append(Asked(question, tuple(len(wanted & set(found[:k])) / len(wanted) for k in KS)))
    return out


def mean(asked: Sequence[Asked], place: int) -> float:
    """The mean share at the `place`-th of KS."""
    return sum(one.shares[place] for one in asked) / len(asked) if asked else 0.0
