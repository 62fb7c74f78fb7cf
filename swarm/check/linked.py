"""What entries name is there: other entries, and the versions that they cite."""

from __future__ import annotations

from collections.abc import Iterator

from swarm_ledger.errors import NotFound
from swarm_ledger.store import BlobId

from .finding import Finding
from .subject import Subject

__all__ = ["linked"]


def linked(subject: Subject) -> Iterator[Finding]:
    """Links that lead nowhere. One to an entry that was retracted is a warning: its tombstone explains."""
    entries = subject.entries
    for path, version in entries.versions:
        try:
            subject.store.blob(BlobId(version))
        except NotFound:
            yield Finding("error", "citation", path, f"cites version {version}, which this ledger does not hold")
    for path, field, target in entries.links:
        if target in entries.ids:
            continue
        if target in entries.buried:
            yield Finding("warn", "link", path, f"{field}: {target} was retracted")
        else:
            yield Finding("error", "link", path, f"{field}: there is no entry {target}")
