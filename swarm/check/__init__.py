"""Is the ledger in order? A list of independent checks, each a function of its own module.

A check takes the Subject and gives findings; it prints nothing, writes nothing, and needs no other check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from swarm_ledger.store import Store

from .finding import Finding, Report
from .history import history
from .linked import linked
from .owned import owned
from .structure import structure
from .subject import Branch, Subject

__all__ = ["CHECKS", "Branch", "Check", "Finding", "Report", "Subject", "check"]

Check = Callable[[Subject], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (structure, linked, history, owned)
"""In the order in which their findings are shown. A new check is a module with one function, and a name here."""


def check(store: Store, branch: Branch | None = None) -> Report:
    """Look at every file and every commit of `store`, and at a branch of the code. Writes nothing."""
    subject = Subject(store, branch)
    findings = [finding for one in CHECKS for finding in one(subject)]
    return Report(sum(subject.entries.ids.values()), len(subject.commits), tuple(findings))
