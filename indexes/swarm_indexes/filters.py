"""What a hit must be like, beside its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import KINDS, quoted

from .moments import bound

__all__ = ["EVERYTHING", "Filters", "several"]

_ALWAYS, _NEVER = -1e18, 1e18


class Filters(NamedTuple):
    """Each that is given holds for every hit; None leaves nothing out. Of several values, one has to hold."""

    kind: str | Sequence[str] | None = None
    by: str | Sequence[str] | None = None
    """The agent who recorded it."""
    to: str | Sequence[str] | None = None
    """The agent whom a log entry is for."""
    entity: str | Sequence[str] | None = None
    """An entity's id, its slug, or a name as an entry lists it, in any case."""
    room: str | Sequence[str] | None = None
    since: str | None = None
    """ISO 8601, itself included. It holds for `valid_from` where an entry has one, else for `at`."""
    until: str | None = None
    """As `since`; a date is the whole day."""

    def equal(self) -> dict[str, tuple[str, ...]]:
        """Field → the values of which it must have one. Raises BadInput for what is no kind of entry."""
        fields = {field: several(getattr(self, field)) for field in ("kind", "by", "to", "room", "entity")}
        for kind in fields["kind"]:
            if kind not in KINDS:
                raise BadInput(f"{quoted(kind)} is no kind of entry; one of {', '.join(KINDS)}.")
        fields["entity"] = tuple(entity.casefold() for entity in fields["entity"])
        return {field: values for field, values in fields.items() if values}

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


def several(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """The values that are given for a filter, each once; one may stand alone."""
    values = (given,) if isinstance(given, str) else given or ()
    return tuple(dict.fromkeys(value for value in values if value))
