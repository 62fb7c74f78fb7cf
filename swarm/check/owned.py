"""A branch writes nothing that another session owns: what git's hooks could not see, seen before it is merged."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .subject import Subject

__all__ = ["owned"]


def owned(subject: Subject) -> Iterator[Finding]:
    """Paths that commits of the branch write although a live lease of somebody else covers them."""
    branch = subject.branch
    if branch is None or branch.guard is None:
        return
    for path, lease, commit in branch.guard.branch(branch.tip, branch.base):
        yield Finding("error", "owned", path, f"{commit} writes it; it is {lease}", path)
