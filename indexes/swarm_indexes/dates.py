"""Times as people say them in a question: "last Tuesday", "in May 2023", "between 14:00 and 16:00", "two days ago".

Relative to a stated now, in UTC. What is said of a day and what is said of hours are joined: "yesterday between 14:00
and 16:00" is two hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from swarm_ledger.errors import BadInput

from .moments import bound, moment_of

__all__ = ["Span", "closeness", "limit", "spans", "spoken"]

Span = tuple[float, float]
"""POSIX seconds from which and up to which, the end not included."""

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" if name != "may" else name for name in _MONTHS)
_CLOCK = r"(\d{1,2})(?::([0-5]\d))? ?(am|pm)?"
_DAY_OF_MONTH = r"(\d{1,2})(?:st|nd|rd|th)?"

_UNIT = "day|week|month|year|hour|minute"

# Compiled when first used: most queries speak of no time.
_HINT = rf"\d|{_UNIT}|today|tonight|morning|noon|evening|" + _MONTH
_ISO = r"\b(\d{4})-(\d\d)(?:-(\d\d))?\b"
_DATE = rf"\b(?:{_DAY_OF_MONTH}(?: of)? )?({_MONTH})\b(?: {_DAY_OF_MONTH}\b(?!:))?,?(?: (?:of )?(\d{{4}})\b)?"
_YEAR = r"\b(?:in|of|during|since|year) ((?:19|20)\d\d)\b"
_RELATIVE = (
    r"\b(?:(today|tonight|this morning|this evening)|(yesterday|last night)|(day before yesterday)|"
    rf"(\d{{1,3}}|{'|'.join(_NUMBERS)}) ({_UNIT})s? ago|"
    rf"(?:the )?(this|last|past|previous) (?:(\d{{1,3}}|{'|'.join(_NUMBERS)}) )?({_UNIT})s?\b|"
    rf"(last|this|on|since|past)? ?({'|'.join(_DAYS)})\b)"
)
_BETWEEN = rf"\b(?:between|from) {_CLOCK} (?:and|to|until|-) {_CLOCK}"
_AT = r"\b(?:at|around|about) (?:(\d{1,2}):([0-5]\d) ?(am|pm)?|(\d{1,2}) ?(am|pm))\b"
_IN_MAY = r"\b(?:in|since|during|by|until|of|last) may\b"
_DAY = timedelta(days=1)
_SHORT = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_CLOCKED = r"\d{4}-\d\d-\d\d[Tt ]\d"
_MOMENT = r"\b(?:hour|minute)s? ago\b"


def spans(question: str, now: float, years: tuple[int, int] | None = None) -> list[Span]:
    """The times that `question` speaks of; none where it speaks of no time.

    A date without a year is that of every year of `years` (first and last), else the last one before `now`.
    """
    text = question.lower()
    if not re.search(_HINT, text):
        return []
    here = datetime.fromtimestamp(now, UTC)
    found = [*_iso(text), *_named(text, here, years)] or [*_relative(text, here)]
    if not found:
        found = [(datetime(int(m[1]), 1, 1, tzinfo=UTC), datetime(int(m[1]) + 1, 1, 1, tzinfo=UTC)) for m in
                 re.finditer(_YEAR, text)]  # fmt: skip
    hours = _hours(text)
    if hours:
        today = here.replace(hour=0, minute=0, second=0, microsecond=0)
        days = [low for low, high in found if high - low <= _DAY] or ([today] if not found else [])
        found = [(day + hours[0], day + hours[1]) for day in days] or found
    return [(low.timestamp(), high.timestamp()) for low, high in found]


def spoken(text: str, now: float) -> list[Span]:
    """The times that `text`, which is to be one, names, in order, both ends included; none where it is no time."""
    plain = text.strip()
    if plain.lower() == "now":
        return [(now, now)]
    if moment_of(plain) is not None:
        return [(bound("at", plain), bound("at", plain, end=True))]
    if re.match(_CLOCKED, plain):
        return []  # 25:00 of a day is not that day
    found = spans(plain, now) or ([] if "-" in plain else spans(f"in {plain}", now))
    return sorted((low, high - 1e-6) for low, high in found)


def limit(name: str, text: str, now: float, *, end: bool = False) -> float:
    """A limit in time as people give it, itself included: where it begins, or as an `end` where it ends.

    Hours and minutes ago are a moment. Raises BadInput.
    """
    found = spoken(text, now)
    if not found:
        raise BadInput(
            f"{name}: {text[:60]!r} is not a time; write it like 2026-11-21, 2026-11-21T14:00:00Z, 'yesterday', "
            "'last tuesday' or '2 hours ago'."
        )
    return found[-1][1] if end and not re.search(_MOMENT, text.lower()) else found[0][0]


def closeness(moment: float | None, spoken: list[Span]) -> float:
    """From 1 inside one of the `spoken` spans towards 0 far from all of them.

    A third of a span's length outside still counts three quarters; beyond a day, three days do.
    """
    if moment is None:
        return 0.0
    best = 0.0
    for low, high in spoken:
        gap = low - moment if moment < low else moment - high if moment >= high else 0.0
        best = max(best, 1.0 / (1.0 + gap / (3 * min(high - low, 86_400.0))))
    return best


def _iso(text: str) -> Iterator[tuple[datetime, datetime]]:
    for match in re.finditer(_ISO, text):
        yield from _calendar(int(match[1]), int(match[2]), int(match[3]) if match[3] else None)


def _named(text: str, now: datetime, years: tuple[int, int] | None) -> Iterator[tuple[datetime, datetime]]:
    for match in re.finditer(_DATE, text):
        before, name, after, year = match.groups()
        # "may" is a verb, and "mar" or "sep" a slip, unless something beside it is of a date.
        bare = name in ("may", "mar", "sep", "dec", "jan", "jun", "jul") and not (before or after or year)
        if bare and not (name == "may" and re.search(_IN_MAY, text)):
            continue
        month = next(i for i, full in enumerate(_MONTHS, 1) if full[:3] == name[:3])
        day = before or after
        first, last = years or (now.year - ((month, int(day or 1)) > (now.month, now.day)),) * 2
        for one in [int(year)] if year else range(first, min(last, first + 50) + 1):
            yield from _calendar(one, month, int(day) if day else None)


def _calendar(year: int, month: int, day: int | None) -> Iterator[tuple[datetime, datetime]]:
    try:
        low = datetime(year, month, day or 1, tzinfo=UTC)
        yield low, low + _DAY if day else _next_month(low)
    except (ValueError, OverflowError):
        return  # the 31st of June is no time


def _relative(text: str, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for match in re.finditer(_RELATIVE, text):
        this, yesterday, before, count, ago, which, many, unit, how, weekday = match.groups()
        if this:
            yield today, today + _DAY
        elif before:
            yield today - 2 * _DAY, today - _DAY
        elif yesterday:
            yield today - _DAY, today
        elif ago:
            number = _NUMBERS.get(count) or int(count)
            if ago in _SHORT:
                yield now - _SHORT[ago] * number, now - _SHORT[ago] * (number - 1)
            elif ago in ("day", "week"):
                low = today - _DAY * number * (7 if ago == "week" else 1)
                yield low, low + _DAY * (7 if ago == "week" else 1)
            else:
                low = _months_back(today.replace(day=1), number * (12 if ago == "year" else 1))
                yield low, _next_month(low) if ago == "month" else low.replace(year=low.year + 1)
        elif unit:
            yield from _period(today, now, which, _NUMBERS.get(many) or int(many) if many else 0, unit)
        elif weekday:
            back = (today.weekday() - _DAYS.index(weekday)) % 7
            back = 7 if back == 0 and how in ("last", "past") else back
            yield today - _DAY * back, today - _DAY * back + _DAY


def _period(today: datetime, now: datetime, which: str, many: int, unit: str) -> Iterator[tuple[datetime, datetime]]:
    length = {**_SHORT, "day": _DAY, "week": 7 * _DAY, "month": 30 * _DAY, "year": 365 * _DAY}[unit]
    if many or unit in (*_SHORT, "day") or which == "past":
        yield now - length * (many or 1), now
        return
    start = {"week": today - _DAY * today.weekday(), "month": today.replace(day=1)}.get(
        unit, today.replace(month=1, day=1)
    )
    if which == "this":
        yield start, now
    else:
        back = start - 7 * _DAY if unit == "week" else _months_back(start, 1 if unit == "month" else 12)
        yield back, start


def _hours(text: str) -> tuple[timedelta, timedelta] | None:
    if match := re.search(_BETWEEN, text):
        low, high = _clock(match[1], match[2], match[3] or match[6]), _clock(match[4], match[5], match[6])
        # "from 3 to 5" may be of anything; hours have minutes or a half of the day.
        if low is not None and high is not None and (match[2] or match[5] or match[6]):
            return low, high if high > low else high + _DAY
    if (match := re.search(_AT, text)) and (
        at := _clock(match[1] or match[4], match[2], match[3] or match[5])
    ) is not None:
        return at, at + timedelta(hours=1)
    return None


def _clock(hour: str, minute: str | None, half: str | None) -> timedelta | None:
    number = int(hour)
    if half:
        number = number % 12 + (12 if half == "pm" else 0)
    return timedelta(hours=number, minutes=int(minute or 0)) if number <= 24 else None


def _next_month(low: datetime) -> datetime:
    return (low.replace(day=1) + timedelta(days=32)).replace(day=1)


def _months_back(low: datetime, months: int) -> datetime:
    years, month = divmod(low.year * 12 + low.month - 1 - months, 12)
    return low.replace(year=max(1, years), month=month + 1)
