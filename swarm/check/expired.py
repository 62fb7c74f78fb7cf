"""Facts whose time is over, and that nothing took the place of."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .subject import Subject

__all__ = ["expired"]


def expired(subject: Subject) -> Iterator[Finding]:
    """Active facts whose `valid_to` has passed."""
    if subject.swarm is None:
        return
    now = subject.swarm.env.now()
    for fact in subject.swarm.facts.facts():
        if fact.active and fact.until is not None and fact.until <= now:
            message = f"{fact.title!r}, by {fact.by}, is no longer valid, and nothing took its place"
            yield Finding("warn", "expired", fact.path, f"{message}; supersede or retract it")
