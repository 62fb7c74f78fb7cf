"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from swarm_indexes.dates import closeness, limit, spans
from swarm_ledger.errors import BadInput

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC).timestamp()  # a Saturday


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("what failed last Tuesday", "2026-11-17 00:00", "2026-11-18 00:00"),
        ("in May 2023", "2023-05-01 00:00", "2023-06-01 00:00"),
        ("what happened in May?", "2026-05-01 00:00", "2026-06-01 00:00"),
        ("between 14:00 and 16:00", "2026-11-21 14:00", "2026-11-21 16:00"),
        ("yesterday between 2 and 4 pm", "2026-11-20 14:00", "2026-11-20 16:00"),
        ("two days ago", "2026-11-19 00:00", "2026-11-20 00:00"),
        ("last week", "2026-11-09 00:00", "2026-11-16 00:00"),
        ("the last 3 days", "2026-11-18 15:30", "2026-11-21 15:30"),
        ("on 5 July 2023", "2023-07-05 00:00", "2023-07-06 00:00"),
        ("July 5th, 2023", "2023-07-05 00:00", "2023-07-06 00:00"),
        ("on 2026-11-20", "2026-11-20 00:00", "2026-11-21 00:00"),
        ("in 2022", "2022-01-01 00:00", "2023-01-01 00:00"),
        ("two months ago", "2026-09-01 00:00", "2026-10-01 00:00"),
        ("3 hours ago", "2026-11-21 12:30", "2026-11-21 13:30"),
        ("in the last 20 minutes", "2026-11-21 15:10", "2026-11-21 15:30"),
    ],
)
def test_a_time_in_a_question_is_a_span(question: str, first: str, last: str) -> None:
    """Relative to a stated now, a Saturday in November."""
    ((low, high),) = spans(question, NOW)
    said = [datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M") for moment in (low, high)]
    assert said == [first, last]


@pytest.mark.parametrize(
    "question",
    ["may I go", "retries from 3 to 5", "on 31 June 2023", "the mar of it", "port 8080", "🦓 東京", "99 of 9999-99-99"],
)
def test_what_is_no_time_is_none(question: str) -> None:
    """A verb, numbers of something else, and a day that no month has."""
    assert spans(question, NOW) == []


@pytest.mark.parametrize(
    ("said", "begins", "ends"),
    [
        ("now", "2026-11-21 15:30:00", "2026-11-21 15:30:00"),
        ("2026-11-20", "2026-11-20 00:00:00", "2026-11-20 23:59:59"),
        ("2026-11-20T10:00:00+02:00", "2026-11-20 08:00:00", "2026-11-20 08:00:00"),
        ("Last Tuesday", "2026-11-17 00:00:00", "2026-11-17 23:59:59"),
        ("monday", "2026-11-16 00:00:00", "2026-11-16 23:59:59"),
        ("May 2026", "2026-05-01 00:00:00", "2026-05-31 23:59:59"),
        ("2024", "2024-01-01 00:00:00", "2024-12-31 23:59:59"),
        ("2 hours ago", "2026-11-21 13:30:00", "2026-11-21 13:30:00"),
        ("five minutes ago", "2026-11-21 15:25:00", "2026-11-21 15:25:00"),
    ],
)
def test_a_limit_is_where_a_time_begins_or_ends(said: str, begins: str, ends: str) -> None:
    """A day is all of it; hours and minutes ago are a moment."""
    found = [datetime.fromtimestamp(limit("since", said, NOW, end=end), UTC) for end in (False, True)]
    assert [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in found] == [begins, ends]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "soon",
        "2026-02-31",
        "31 June 2023",
        "port 8080",
        "🦓",
        "2026-11-21T25:00",
        "2026-11-21 10:61",
        "2026-11-21T10:00:00+99:00",
    ],
)
def test_a_limit_that_is_no_time_is_refused(said: str) -> None:
    """With how to write one."""
    with pytest.raises(BadInput, match="is not a time; write it like 2026-11-21"):
        limit("since", said, NOW)


def test_a_date_without_a_year_is_of_every_year_there_is() -> None:
    """Where the ledger's first and last year are known, any of them may be meant."""
    years = [datetime.fromtimestamp(low, UTC).year for low, _ in spans("on 5 July", NOW, (2022, 2024))]
    assert years == [2022, 2023, 2024]


def test_closeness_falls_with_the_distance() -> None:
    """One inside; a day later three quarters; a month later next to nothing; nothing without a moment."""
    day = [(0.0, 86_400.0)]
    found = [round(closeness(moment, day), 2) for moment in (50.0, 2 * 86_400.0, 31 * 86_400.0)]
    assert found == [1.0, 0.75, 0.09]
    assert closeness(None, day) == 0.0
    assert closeness(5.0, []) == 0.0
