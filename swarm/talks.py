"""Conversations into the ledger: each turn a log entry of its speaker, valid from when it was said."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from swarm_indexes.filters import Filters
from swarm_ledger.ids import AgentName

from .conversation import Turn, read_conversations
from .exchange import Imported
from .given import Note

if TYPE_CHECKING:
    from .api import Swarm

__all__ = ["import_conversations"]

_ALL = 1 << 30


def import_conversations(swarm: Swarm, path: str) -> Imported:
    """Log every turn of the conversations in the file at `path`; a turn that is there already is skipped.

    A turn is known by its speaker, its `ref` and its time. Raises BadInput for a file that holds no conversation.
    """
    written = skipped = 0
    refused: list[tuple[str, str]] = []
    known: dict[AgentName, set[tuple[str | None, str | None]]] = {}
    for conversation in read_conversations(path):
        for _, session in groupby(conversation.turns, key=lambda turn: turn.session):
            # Each speaker's turns of one session land in one commit: a commit holds the writes of one agent.
            spoken: dict[AgentName, list[Turn]] = {}
            for turn in session:
                spoken.setdefault(turn.agent, []).append(turn)
            for name, turns in spoken.items():
                if name not in known:
                    known[name] = _known(swarm, name)
                new = [turn for turn in turns if (turn.dia_id, turn.at) not in known[name]]
                skipped += len(turns) - len(new)
                agent = swarm.agent(name)
                notes = []
                for note in (Note(turn.log_text, **turn.meta) for turn in new if agent):
                    if agent and (why := agent.why_not(note, "import")):
                        refused.append((f"{name} {note.ref or note.valid_from}", why))
                    else:
                        notes.append(note)
                if notes and agent:
                    agent.log_many(notes)
                written += len(notes)
    return Imported(written, skipped, (), tuple(refused))


def _known(swarm: Swarm, speaker: AgentName) -> set[tuple[str | None, str | None]]:
    hits = swarm.index.search("", Filters(kind="log", by=speaker), k=_ALL)
    return {(hit.ref, hit.valid_from) for hit in hits}
