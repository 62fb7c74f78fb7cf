"""No entry holds a secret: what hands, other clones or other programs brought passed no gate, or none that knew it."""

from __future__ import annotations

from collections.abc import Iterator

from ..gates import policy
from .finding import Finding
from .subject import SETTINGS, Subject

__all__ = ["secret"]


def secret(subject: Subject) -> Iterator[Finding]:
    """Entries with a key or token of a known form, but those that somebody forced in with a reason."""
    settings = subject.store.read(SETTINGS)
    if not subject.entries.secrets or policy(settings.text if settings else None)["secrets"] == "off":
        return
    forced = {
        entry
        for commit in subject.commits
        if any(name == "Forced" and "secrets" in value.partition(":")[0] for name, value in commit.trailers)
        for name, entry in commit.trailers
        if name == "Entry"
    }
    for path, id, kind in subject.entries.secrets:
        if id not in forced:
            message = f"{id} holds what looks like a secret ({kind}); revoke it, for history keeps it, and take it out"
            yield Finding("error", "secret", path, message)
