"""How an entry stands for a reader: whether its evidence is unchanged on their branch, and whether it is contested.

A standing says nothing of whether a fact is true.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["VERDICTS", "Standing"]

VERDICTS = ("fresh", "moved", "uncheckable", "changed", "gone")
"""Of one citation, the best first: the same text in its place; elsewhere; its source cannot be read; there, but
different; not there."""


class Standing(NamedTuple):
    """How one document stands; all but `contested` is of facts and reflections."""

    evidence: str = ""
    """The worst of VERDICTS that its citations have; "" where it cites nothing that can be checked."""
    rivals: tuple[str, ...] = ()
    """Ids of the other active facts that give its key another value for the same time."""
    expired: bool = False
    """Whether its `valid_to` has passed."""
    contested: tuple[str, ...] = ()
    """Ids of the contested entries about it that nobody retracted yet: versions that a merge could not join."""

    @property
    def doubtful(self) -> bool:
        """Whether its evidence, other facts or another version speak against it."""
        return self.evidence in ("changed", "gone") or bool(self.rivals or self.contested)
