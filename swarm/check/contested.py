"""Active facts that give one key two values at the same time: both are kept until somebody supersedes one."""

from __future__ import annotations

from collections.abc import Iterator

from ..verdicts import rivals
from .finding import Finding
from .subject import Subject

__all__ = ["contested"]


def contested(subject: Subject) -> Iterator[Finding]:
    """Each contested fact with its rivals, and what merges could not join."""
    for path in subject.tree:
        if path.startswith("contested/"):
            message = "two versions that were not joined; mend the entry, then retract this"
            yield Finding("warn", "contested", path, message)
    if subject.swarm is None:
        return
    by_key = subject.swarm.facts.with_keys()
    against = rivals(by_key)
    for key, facts in by_key.items():
        for fact in facts:
            others = [id for id in against.get(fact.id, ()) if id > fact.id]
            if others:
                message = f"{key}: {fact.id} ({fact.title!r}, by {fact.by}) is contested by {', '.join(others)}"
                yield Finding("warn", "contested", fact.path, f"{message}; swarm supersede WRONG --by RIGHT settles it")
