"""Is the ledger in order? A list of independent checks, each a function of its own module.

A check takes the Subject and gives findings; it prints nothing, writes nothing, and needs no other check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from swarm_ledger.store import Store

from .contested import contested
from .derived import derived
from .duplicate import duplicate
from .evidence import evidence
from .expired import expired
from .fenced import fenced
from .finding import Finding, Report
from .history import history
from .linked import linked
from .owned import owned
from .secret import secret
from .severities import severities
from .structure import structure
from .subject import SETTINGS, Branch, Subject

if TYPE_CHECKING:
    from ..api import Swarm

__all__ = ["CHECKS", "Branch", "Check", "Finding", "Report", "Subject", "check"]

Check = Callable[[Subject], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    structure,
    linked,
    secret,
    history,
    fenced,
    evidence,
    contested,
    duplicate,
    expired,
    derived,
    owned,
)
"""In the order in which their findings are shown. A new check is a module with one function, and a name here."""

_NO_LEASES = "Who owns what was not looked at: no leases are kept here; --leases takes them from where agents work."


def check(store: Store, branch: Branch | None = None, swarm: Swarm | None = None, *, code: bool = True) -> Report:
    """Look at every file and every commit of `store`, and at a branch of the code. Writes nothing.

    With `swarm`, the store's ledger seen from a directory, also at what lies beside it, and unless `code` is False at
    the evidence for facts. The ledger's settings may give rules other severities. Raises BadInput where these are none.
    """
    subject = Subject(store, branch, swarm, code)
    rules = severities(store.read(SETTINGS))
    findings = []
    for one in CHECKS:
        for finding in one(subject):
            severity = rules.get(finding.rule, finding.severity)
            if severity != "off":
                findings.append(replace(finding, severity=severity))
    unseen = (_NO_LEASES,) if branch and branch.guard is None else ()
    return Report(sum(subject.entries.ids.values()), len(subject.commits), tuple(findings), unseen)
