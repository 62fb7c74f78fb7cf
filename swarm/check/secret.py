"""No entry holds a secret: what hands, other clones or other programs brought passed no gate, or none that knew it."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .subject import Subject

__all__ = ["secret"]


def secret(subject: Subject) -> Iterator[Finding]:
    """Entries with a key or token of a known form, but those that somebody forced in with a reason."""
    found = subject.entries.secrets
    if not found or subject.gates["secrets"] == "off":
        return
    forced = subject.forced("secrets")
    for path, id, kind in found:
        if id not in forced:
            message = f"{id} holds what looks like a secret ({kind}); revoke it, for history keeps it, and take it out"
            yield Finding("error", "secret", path, message)
