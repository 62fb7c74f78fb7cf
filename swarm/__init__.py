"""The memory that a swarm of coding agents shares. `Swarm` opens it, `Agent` works in it.

Importing this package loads nothing: each name comes with its module at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm_indexes.embedder import Embedder as Embedder
    from swarm_indexes.filters import Filters as Filters
    from swarm_indexes.hits import Hit as Hit
    from swarm_indexes.sentences import SentenceModel as SentenceModel
    from swarm_ledger.env import Env as Env
    from swarm_ledger.errors import BadInput as BadInput
    from swarm_ledger.errors import Busy as Busy
    from swarm_ledger.errors import Conflict as Conflict
    from swarm_ledger.errors import Damaged as Damaged
    from swarm_ledger.errors import Expired as Expired
    from swarm_ledger.errors import Fenced as Fenced
    from swarm_ledger.errors import NewerFormat as NewerFormat
    from swarm_ledger.errors import NotFound as NotFound
    from swarm_ledger.errors import Owned as Owned
    from swarm_ledger.errors import Refused as Refused
    from swarm_ledger.errors import StorageError as StorageError
    from swarm_ledger.errors import SwarmError as SwarmError
    from swarm_ledger.errors import TryAgain as TryAgain
    from swarm_ledger.errors import Unconfirmed as Unconfirmed
    from swarm_ledger.standing import Standing as Standing

    from ._version import __version__ as __version__
    from .agent import Agent as Agent
    from .agent import Written as Written
    from .api import Status as Status
    from .api import Swarm as Swarm
    from .deltas import Changed as Changed
    from .given import Note as Note
    from .owning import Granted as Granted
    from .reader import Held as Held
    from .reader import Reader as Reader
    from .reader import Retracted as Retracted
    from .reader import Revision as Revision
    from .reader import Shown as Shown

__all__ = [
    "Agent",
    "BadInput",
    "Busy",
    "Changed",
    "Conflict",
    "Damaged",
    "Embedder",
    "Env",
    "Expired",
    "Fenced",
    "Filters",
    "Granted",
    "Held",
    "Hit",
    "NewerFormat",
    "NotFound",
    "Note",
    "Owned",
    "Reader",
    "Refused",
    "Retracted",
    "Revision",
    "SentenceModel",
    "Shown",
    "Standing",
    "Status",
    "StorageError",
    "Swarm",
    "SwarmError",
    "TryAgain",
    "Unconfirmed",
    "Written",
    "__version__",
]

_HOMES = {
    "swarm._version": ("__version__",),
    "swarm.agent": ("Agent", "Written"),
    "swarm.api": ("Status", "Swarm"),
    "swarm.given": ("Note",),
    "swarm.deltas": ("Changed",),
    "swarm.owning": ("Granted",),
    "swarm.reader": ("Held", "Reader", "Retracted", "Revision", "Shown"),
    "swarm_indexes.embedder": ("Embedder",),
    "swarm_indexes.filters": ("Filters",),
    "swarm_indexes.hits": ("Hit",),
    "swarm_indexes.sentences": ("SentenceModel",),
    "swarm_ledger.env": ("Env",),
    "swarm_ledger.standing": ("Standing",),
    "swarm_ledger.errors": (
        *("BadInput", "Busy", "Conflict", "Damaged", "Expired", "Fenced", "NewerFormat", "NotFound"),
        *("Owned", "Refused", "StorageError", "SwarmError", "TryAgain", "Unconfirmed"),
    ),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            found: object = getattr(import_module(module), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
