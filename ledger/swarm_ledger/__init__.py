"""The ledger of a swarm: entries as markdown in a git store that loses no write.

The names here are imported when they are used: a command that reads starts without most of them. Documents are in
`swarm_ledger.entry`, their models in `swarm_ledger.schema`, the stores in `swarm_ledger.memory` and
`swarm_ledger.gitstore`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import (
        BadInput,
        Busy,
        Conflict,
        Damaged,
        Expired,
        Fenced,
        NewerFormat,
        NotFound,
        Owned,
        Refused,
        StorageError,
        SwarmError,
        TryAgain,
        Unconfirmed,
    )
    from .ids import KINDS, AgentName, EntryId, agent_name, entity_id, id_of, kind_of, new_id, path_of, plan_id, slugify
    from .logbook import LogEntry
    from .store import (
        Append,
        BlobId,
        Change,
        Changes,
        Commit,
        CommitId,
        Delete,
        Op,
        Put,
        Receipt,
        Request,
        Store,
        Version,
    )
    from .times import format_time, parse_time

__all__ = [
    "KINDS",
    "AgentName",
    "Append",
    "BadInput",
    "BlobId",
    "Busy",
    "Change",
    "Changes",
    "Commit",
    "CommitId",
    "Conflict",
    "Damaged",
    "Delete",
    "EntryId",
    "Expired",
    "Fenced",
    "LogEntry",
    "NewerFormat",
    "NotFound",
    "Op",
    "Owned",
    "Put",
    "Receipt",
    "Refused",
    "Request",
    "StorageError",
    "Store",
    "SwarmError",
    "TryAgain",
    "Unconfirmed",
    "Version",
    "agent_name",
    "entity_id",
    "format_time",
    "id_of",
    "kind_of",
    "new_id",
    "parse_time",
    "path_of",
    "plan_id",
    "slugify",
]

_MODULES = {
    "errors": "BadInput Busy Conflict Damaged Expired Fenced NewerFormat NotFound Owned Refused "
    "StorageError SwarmError TryAgain Unconfirmed",
    "ids": "KINDS AgentName EntryId agent_name entity_id id_of kind_of new_id path_of plan_id slugify",
    "logbook": "LogEntry",
    "store": "Append BlobId Change Changes Commit CommitId Delete Op Put Receipt Request Store Version",
    "times": "format_time parse_time",
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names.split():
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
