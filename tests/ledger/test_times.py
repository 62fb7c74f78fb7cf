"""Moments in text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_ledger.errors import BadInput
from swarm_ledger.times import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-21T10:54:03Z", datetime(2026, 11, 21, 10, 54, 3, tzinfo=UTC)),
        ("2026-11-21 10:54:03Z", datetime(2026, 11, 21, 10, 54, 3, tzinfo=UTC)),
        ("2026-11-21T10:54Z", datetime(2026, 11, 21, 10, 54, tzinfo=UTC)),
        ("2026-11-21T10:54:03.5Z", datetime(2026, 11, 21, 10, 54, 3, 500000, tzinfo=UTC)),
        ("2026-11-21T10:54:03.123456Z", datetime(2026, 11, 21, 10, 54, 3, 123456, tzinfo=UTC)),
        ("2026-11-21T00:54:03+01:30", datetime(2026, 11, 20, 23, 24, 3, tzinfo=UTC)),
        ("2026-12-31T23:54:03-05:00", datetime(2027, 1, 1, 4, 54, 3, tzinfo=UTC)),
    ],
)
def test_parse_time(text: str, at: datetime) -> None:
    """A time with a Z or an offset is a moment in UTC; fractions are kept."""
    assert parse_time(text) == at
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2026-11-21", "2026-11-21T10:54:03", "20261121T105403Z", "2026-W47-6T10:54:03Z"),
        *("2026-13-21T10:54:03Z", "2026-02-30T10:54:03Z", "2026-11-21T24:00:00Z", "2026-11-21T10:60:03Z"),
        *("2026-11-21T10:54:60Z", "2026-11-21T10:54:03.1234567Z", "2026-11-21T10:54:03z", "2026-11-21T10:54:03Z\n"),
        *(
            " 2026-11-21T10:54:03Z",
            "2026-11-21T10:54:03+0100",
            "2026-11-21T10:54:03+24:00",
            "0001-01-01T00:00:00+14:00",
        ),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        *("٢٠٢٦-11-21T10:54:03Z", "2026-11-21T10:54:03\x1b[31mZ"),
    ],
)
def test_what_is_no_time(text: str) -> None:
    """Anything else is refused, a time without an offset included; the message shows how to write one."""
    with pytest.raises(BadInput, match="is no time; write one like 2026-11-21T10:54:03Z") as refused:
        parse_time(text)
    assert str(refused.value).isprintable()


def test_format_time() -> None:
    """Times are written in UTC with a Z, to the second where there is no fraction."""
    assert format_time(datetime(2026, 11, 21, 10, 54, 3, tzinfo=UTC)) == "2026-11-21T10:54:03Z"
    assert format_time(datetime(2026, 11, 21, 0, 0, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-20T23:00:00Z"
    with pytest.raises(BadInput, match="time zone"):
        format_time(datetime(2026, 11, 21))


@given(st.datetimes(timezones=st.just(UTC)))
def test_round_trip(at: datetime) -> None:
    """Every moment comes back."""
    assert parse_time(format_time(at)) == at
