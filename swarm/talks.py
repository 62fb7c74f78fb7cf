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
                agent = swarm.agent(name)
                if new and agent:
                    agent.log_many([Note(turn.log_text, **turn.meta) for turn in new])
                written += len(new)
                skipped += len(turns) - len(new)
    return Imported(written, skipped, ())


def _known(swarm: Swarm, speaker: AgentName) -> set[tuple[str | None, str | None]]:
    hits = swarm.index.search("", Filters(kind="log", by=speaker), k=_ALL)
    return {(hit.ref, hit.valid_from) for hit in hits}
