"""Every file is an entry, valid and at the path of its id, and every id is there once."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .subject import Subject

__all__ = ["structure"]


def structure(subject: Subject) -> Iterator[Finding]:
    """Files that are no entries, entries in a wrong place, ids that are there twice."""
    yield from subject.entries.findings
    for id, number in subject.entries.ids.items():
        if number > 1:
            yield Finding("error", "unique", id, f"there are {number} entries with this id")
