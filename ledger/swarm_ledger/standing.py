"""How a fact stands for a reader: whether its evidence is unchanged on their branch, and whether others contest it.

A standing says nothing of whether the fact is true.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

__all__ = ["VERDICTS", "Standing", "Standings"]

VERDICTS = ("fresh", "moved", "uncheckable", "changed", "gone")
"""Of one citation, the best first: the same text in its place; elsewhere; its source cannot be read; there, but
different; not there."""


class Standing(NamedTuple):
    """How one fact or reflection stands."""

    evidence: str = ""
    """The worst of VERDICTS that its citations have; "" where it cites nothing that can be checked."""
    rivals: tuple[str, ...] = ()
    """Ids of the other active facts that give its key another value for the same time."""
    expired: bool = False
    """Whether its `valid_to` has passed."""


class Standings(Protocol):
    """Looks standings up, for one reader on one branch."""

    def of(self, ids: Collection[str]) -> Mapping[str, Standing]:
        """The standings of those of `ids` that are facts or reflections; the others are left out.

        Cheap: what was judged before comes from a cache by blob id. Never raises for what cannot be checked.
        """
