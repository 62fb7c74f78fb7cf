"""What a hit must be like, beside its words."""

from __future__ import annotations

from typing import NamedTuple

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import KINDS, quoted

from .moments import bound

__all__ = ["EVERYTHING", "Filters"]

_ALWAYS, _NEVER = -1e18, 1e18


class Filters(NamedTuple):
    """Each that is given holds for every hit; None leaves nothing out."""

    kind: str | None = None
    by: str | None = None
    """The agent who recorded it."""
    to: str | None = None
    """The agent whom a log entry is for."""
    entity: str | None = None
    """An entity's id, its slug, or a name as an entry lists it, in any case."""
    room: str | None = None
    since: str | None = None
    """ISO 8601, itself included. It holds for `valid_from` where an entry has one, else for `at`."""
    until: str | None = None
    """As `since`; a date is the whole day."""

    def equal(self) -> dict[str, str]:
        """Field → the value that it must have. Raises BadInput for what is no kind of entry."""
        if self.kind and self.kind not in KINDS:
            raise BadInput(f"{quoted(self.kind)} is no kind of entry; one of {', '.join(KINDS)}.")
        fields = {"kind": self.kind, "by": self.by, "to": self.to, "room": self.room}
        entity = self.entity and self.entity.casefold()
        return {field: value for field, value in {**fields, "entity": entity}.items() if value}

    def span(self) -> tuple[float, float] | None:
        """POSIX seconds from which and up to which, both included; None for always. Raises BadInput."""
        if not self.since and not self.until:
            return None
        low = bound("since", self.since) if self.since else _ALWAYS
        high = bound("until", self.until, end=True) if self.until else _NEVER
        if low > high:
            raise BadInput(f"since {self.since} is after until {self.until}: no entry is of both.")
        return low, high


EVERYTHING = Filters()
