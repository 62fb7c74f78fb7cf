"""Conversations loaded by many processes, one ledger each, and their questions asked."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TextIO

from swarm.api import Swarm
from swarm.conversation import Conversation, Question, Recall, pooled, read_conversations, score_recall
from swarm.progress import Progress

from . import crew, place, report
from .recount import Ack, fsck, recount

__all__ = ["run_conversations"]


def run_conversations(
    path: str, *, processes: int = 16, keep: bool = False, progress: TextIO | None = None
) -> report.Shown:
    """Have `processes` load the conversations in the file at `path`, then ask their questions of categories 1 to 4.

    A turn is a log entry of its speaker, valid from when it was said, in a commit of its own. Raises BadInput for a
    file that holds no conversation, StorageError.
    """
    crew.check(processes, None, None)
    whole = os.path.abspath(path)
    conversations = read_conversations(whole)
    total = sum(len(one.turns) for one in conversations)
    with place.temporary(keep) as directory:
        ledgers = {one.name: f"{directory}/ledgers/{number}" for number, one in enumerate(conversations)}
        for repository in ledgers.values():
            os.makedirs(repository)
            Swarm.init(repository).close()
        bounds = [total * number // processes for number in range(processes + 1)]
        orders = [
            {"role": "load", "file": whole, "ledgers": ledgers, "first": first, "last": last}
            for first, last in pairwise(bounds)
        ]
        bar = Progress(progress, f"{processes} processes load {total:,} turns", total)
        try:
            work = crew.run(f"{directory}/processes", orders, bar, None)
        finally:
            bar.close()
        counted, found = {}, {}
        for number, (name, repository) in enumerate(ledgers.items()):
            home = f"{repository}/.git/swarm/ledger.git"
            acks: list[Ack] = [ack for one in work.acks for ack in one if ack.ledger == name]
            counted[name] = recount(home, f"{directory}/clones/{number}.git", acks)
            found[name] = fsck(home)
        outcome = report.Outcome(work, counted, found)
        recalls = _ask(conversations, ledgers, progress)
    turns = {one.name: len(one.turns) for one in conversations}
    everything = pooled(recalls.values())
    parts = [
        f"{processes} processes, {len(conversations)} conversations, one ledger each, one commit a turn",
        report.table(outcome),
        report.scores(turns, recalls, everything),
    ]
    if keep:
        parts.append(f"Kept: {directory}")
    data = {
        "processes": processes,
        **report.figures(outcome),
        "turns": turns,
        "recall": {name: _figures(one) for name, one in {**recalls, "all": everything}.items()},
        "kept": directory if keep else None,
    }
    return report.Shown("\n\n".join(parts), data, outcome.good)


def _ask(conversations: list[Conversation], ledgers: dict[str, str], progress: TextIO | None) -> dict[str, Recall]:
    """The recall of each conversation's questions in its own ledger."""
    out = {}
    bar = Progress(progress, "asking the questions", sum(len(one.questions) for one in conversations))
    asked = 0
    try:
        for one in conversations:
            with Swarm.open(ledgers[one.name]) as swarm:
                reader = swarm.reader()

                def ask(question: Question, k: int) -> list[str]:
                    return [hit.ref or "" for hit in reader.recall(question.text, k=k)]  # noqa: B023 - used up at once

                out[one.name] = score_recall(one.questions, ask)
            asked += len(one.questions)
            bar.update(asked)
    finally:
        bar.close()
    return out


def _figures(recall: Recall) -> dict[str, float]:
    return {"questions": recall.questions, **{f"recall@{k}": round(value, 4) for k, value in recall.at.items()}}
