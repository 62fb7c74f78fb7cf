"""Moments in text: ISO 8601, written in UTC with a Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from .errors import BadInput
from .ids import quoted

__all__ = ["format_time", "parse_time"]

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def parse_time(text: str) -> datetime:
    """The moment that `text` names, in UTC.

    Takes a date, a time to the minute, second or a fraction of up to six digits, and a Z or an offset. Raises
    BadInput for anything else: a time without an offset means another moment on every host.
    """
    if _TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise BadInput(f"{quoted(text)} is no time; write one like 2026-11-21T10:54:03Z or 2026-11-21T11:54:03+01:00")


def format_time(at: datetime) -> str:
    """`at` in UTC, as `2026-11-21T10:54:03Z`; a fraction of a second is kept where there is one.

    Raises BadInput for a time without a time zone.
    """
    if at.tzinfo is None:
        raise BadInput("a time needs a time zone before it can be written down")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
