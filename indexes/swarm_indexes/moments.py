"""Times as POSIX seconds, so that they compare whatever offset and precision they were written with."""

from __future__ import annotations

from datetime import UTC, datetime

from swarm_ledger.errors import BadInput

__all__ = ["bound", "moment_of"]

_DAY_S = 86_400.0
_TICK_S = 1e-6


def moment_of(*times: str) -> float | None:
    """POSIX seconds of the first of `times` (ISO 8601, UTC unless it says otherwise) that is one."""
    for text in times:
        try:
            at = datetime.fromisoformat(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def bound(name: str, text: str, *, end: bool = False) -> float:
    """A limit in time, itself included; as an `end`, a bare date is the end of its day. Raises BadInput."""
    moment = moment_of(text)
    if moment is None:
        raise BadInput(f"{name}: {text[:60]!r} is not a time; write it like 2026-11-21 or 2026-11-21T14:00:00Z.")
    is_date = not any(mark in text for mark in "T :")
    return moment + _DAY_S - _TICK_S if end and is_date else moment
